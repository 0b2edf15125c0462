"""The table of commands: their names, what their help says, their arguments and formats."""

from __future__ import annotations

from postkeel.core.frozen import frozen


@frozen
class Argument:
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    help: str
    settings: tuple[tuple[str, object], ...] = ()


@frozen
class Command:
    """A command: its name, one line of help, a longer text, its own arguments and formats."""

    name: str
    help: str
    more: str = ""
    arguments: tuple[Argument, ...] = ()
    formats: tuple[str, ...] = ("text", "json")


_DRY_RUN = Argument(
    names=("--dry-run",),
    help="decide and say what would be changed; write nothing",
    settings=(("action", "store_true"),),
)
_LIVE = Argument(
    names=("--live",),
    help="also make TLS handshakes with each TLS service of the running Postfix, and report"
    " what is weaker on the wire than in the files",
    settings=(("action", "store_true"),),
)
_REASON = Argument(
    names=("--reason",),
    help="why, for those who find the server not corrected (required)",
    settings=(("required", True), ("metavar", "TEXT")),
)
_FOR = Argument(
    names=("--for",),
    help="how long, such as 30m, 2h, 1d or 1h30m; without it until `postkeel release`",
    settings=(("dest", "duration"), ("metavar", "TIME")),
)
_LIMIT = Argument(
    names=("--limit",),
    help="at most this many rounds, the newest (default 20)",
    settings=(("type", int), ("default", 20), ("metavar", "N")),
)
_TOPIC = Argument(
    names=("topic",),
    help="a rule's id, as `check` shows it, or a parameter's name",
    settings=(("metavar", "RULE|PARAMETER"),),
)
_PROFILES = Argument(
    names=("names",),
    help="none: list them all; one: its rules; two: what differs",
    settings=(("nargs", "*"), ("metavar", "PROFILE")),
)
_LOGS = Argument(
    names=("files",),
    help="mail logs, plain or compressed, in the order of time; - is standard input; without"
    " any the agent's own history",
    settings=(("nargs", "*"), ("metavar", "FILE")),
)
_IF = Argument(
    names=("--if",),
    help="a forecast: whom this profile would have refused, or pushed to clear text",
    settings=(("dest", "forecast"), ("metavar", "PROFILE")),
)
_DAYS = Argument(
    names=("--days",),
    help="only the last N days (default: 30 of the history, all of files)",
    settings=(("type", int), ("metavar", "N")),
)
_SIDE = Argument(
    names=("--side",),
    help="only one side of the agent: root corrects, monitor follows the mail log (default:"
    " both in this process)",
    settings=(("choices", ("root", "monitor")),),
)
_OLDER = Argument(
    names=("--older",),
    help="before each FILE its rotated ones (mail.log.1, mail.log.2.gz), as far as they are there",
    settings=(("action", "store_true"),),
)

_REPORTS = Argument(
    names=("files",),
    help="reports as the collector wrote them, plain or compressed; - is standard input",
    settings=(("nargs", "+"), ("metavar", "FILE")),
)
_AT = Argument(
    names=("--at",),
    help="how the fleet stood then, such as 2026-11-23T08:00 (UTC unless it names an offset);"
    " default: now",
    settings=(("metavar", "MOMENT"),),
)
_SILENT_AFTER = Argument(
    names=("--silent-after",),
    help="time without a report that makes a host silent, such as 30m or 1d; default: two and a"
    " half times what lies between its heartbeats",
    settings=(("dest", "silent_after"), ("metavar", "TIME")),
)
_ALL = Argument(
    names=("--all",),
    help="also hosts with nothing to tell, and where the numbers of each begin",
    settings=(("action", "store_true"),),
)
_CERTIFICATES = Argument(
    names=("files",),
    help="certificates and keys, in any order, to be judged as if they were going live; without"
    " any those in use",
    settings=(("nargs", "*"), ("metavar", "FILE")),
)
_OFFLINE = Argument(
    names=("--offline",),
    help="only the files: no handshakes with the running Postfix, no question about TLSA records",
    settings=(("action", "store_true"),),
)
_VERBOSE = Argument(
    names=("-v", "--verbose"),
    help="all that is known of each certificate, and all of its names",
    settings=(("action", "store_true"),),
)
_MAIL = Argument(
    names=("files",),
    help="a message, an mbox, a Maildir, plain or compressed; - is standard input; without any"
    " what the agent has seen in samples and by probes",
    settings=(("nargs", "*"), ("metavar", "FILE")),
)
_OWN = Argument(
    names=("--own",),
    help="a host of yours, by name, .domain, address or network, beside this host and own_hosts of"
    " [plugins.header_checker]: its Received lines are believed; may be given again",
    settings=(("action", "append"), ("metavar", "NAME|NETWORK")),
)
_PROBE = Argument(
    names=("--probe",),
    help="send this host a message through each service that offers TLS, now, and show what the"
    " handshake, the Received line and the mail log say of it",
    settings=(("action", "store_true"),),
)
_EACH = Argument(
    names=("-v", "--verbose"),
    help="each message of many, and all that is known of each hop",
    settings=(("action", "store_true"),),
)

COMMANDS = (
    Command(
        name="check",
        help="what is weaker than the profile wants",
        more="""\
Looks at what main.cf and master.cf declare and at what each service gets of it.
Changes nothing. Stricter than wanted is no finding.

A finding names its rule, the file and line, the value, what is wanted and why;
"(an administrator has to decide)" marks what `enforce` will not touch.
Exit status 0 without errors and warnings (information does not count), else 2.

  postkeel check --live
  postkeel check -c /etc/postfix --profile strict --format json

--format nagios is a plug-in for Nagios, Icinga and their kin: a line with performance
data, then the findings. Exit status 0 OK, 1 warnings, 2 errors, 3 for whatever kept
it from looking. It judges the files; whether the agent runs, `postkeel status` says.""",
        arguments=(_LIVE,),
        formats=("text", "json", "nagios"),
    ),
    Command(
        name="diff",
        help="what enforce would change, as a unified diff with the rules beside it",
        more="""\
Writes nothing. Each hunk names the rules that ask for it; `postkeel explain RULE`
says why. Exit status 0 with nothing to change, 2 with a diff.""",
    ),
    Command(
        name="enforce",
        help="one round now: check, correct, reload, prove",
        more="""\
Keeps a copy of the original files the first time (`postkeel restore`), takes the
lock that postconf takes, makes the smallest edit, reloads a running Postfix and
makes a handshake with each TLS service. When that fails, the change is taken back.
A hold, a waiver and mode = "audit" are heeded.

Exit status 0 when all is as wanted now, 2 when an administrator has to decide on
something, 1 when a correction failed or was taken back.""",
        arguments=(_DRY_RUN,),
    ),
    Command(
        name="run",
        help="the agent, in the foreground (what the systemd units start)",
        more="""\
Corrects at the start, at every change of the files and from time to time, until
SIGTERM or SIGINT. SIGHUP reads postkeel's configuration again; a faulty one is
refused and the previous one stays. One agent an instance: a second one refuses.
Reports go to the system's log and into the history, on a terminal also here.

postkeel.service runs `--side root`, postkeel-monitor.service `--side monitor` as a
user without rights; that one reads what strangers wrote, and can only ask for a check.""",
        arguments=(_SIDE,),
    ),
    Command(
        name="status",
        help="what is guarded, the last outcome, holds, next timers",
        more="""\
Exit status 0 when each instance is guarded and its mail log followed, else 2.""",
    ),
    Command(
        name="history",
        help="every drift with its cause, before and after",
        more="Oldest first. Rounds that found and changed nothing are not kept.",
        arguments=(_LIMIT,),
    ),
    Command(
        name="facts",
        help="everything known of the host's Postfix instances",
        more="""\
Versions, what main.cf sets, the `-o` overrides of each service in master.cf, each
with its line, and what the TLS settings come to: level, protocols, cipher suites.
With --format json all of it; the text leaves out services without overrides and TLS.""",
    ),
    Command(
        name="certificates",
        help="the certificates in use, how long they last, and whether they are really served",
        more="""\
Each with its names, issuer, chain, key, where it is used, whether Postfix serves it
(by a handshake with each service, SNI included) and whether the TLSA records fit; in
full those with findings, which say what to do. Soonest to expire first. Changes nothing.

  postkeel certificates
  postkeel certificates --verbose
  postkeel certificates --format json | jq '.instances[].certificates[].chains[].ends'

With files it judges these instead, as if they were going live: is what the CA sent
right? A key is found by what is in it; without one all but the key is judged.

  postkeel certificates /tmp/new/fullchain.pem /tmp/new/privkey.pem

Works without the agent, and without root as far as the files can be read.
Exit status 0 when all is right, 2 with a finding that is not waived, 1 for an error.""",
        arguments=(_CERTIFICATES, _OFFLINE, _VERBOSE),
    ),
    Command(
        name="explain",
        help="why a rule or parameter matters, what is wanted here, and where it says so",
        more="""\
Works offline, and without Postfix (then for every version).

  postkeel explain smtpd-protocols
  postkeel explain smtpd_tls_security_level --profile strict""",
        arguments=(_TOPIC,),
    ),
    Command(
        name="hold",
        help="stop correcting, keep watching and reporting",
        more="""\
For a time in which the server has to be weaker than the profile: drift is reported
as held. A new hold replaces the one before. `postkeel status` shows holds.

  postkeel hold --for 2h --reason "testing the old scanner"

To exempt one rule for good, write a [[waiver]] in postkeel.toml.""",
        arguments=(_FOR, _REASON),
    ),
    Command(
        name="release",
        help="resume correcting",
        more="""\
Ends a hold, and a contest: corrections that another writer kept undoing are made
again. A running agent acts at once.""",
    ),
    Command(
        name="restore",
        help="put back the files as they were before postkeel's first change, and hold",
        more="""\
Bytes, mode and owner. What was there is kept beside the originals, a running
Postfix is reloaded, and the hold keeps an agent from correcting at once:
`postkeel release` ends it. Files that postkeel never changed are left alone.""",
    ),
    Command(
        name="tls-log",
        help="what the mail really travelled over, and whom a stricter profile would hurt",
        more="""\
Connections and mails by protocol, cipher, key exchange, trust and peer, what went in
clear text, and which handshakes failed why: of the mail logs given, or of what the
running agent has counted.

  postkeel tls-log /var/log/mail.log --older
  postkeel tls-log --if strict --days 14
  journalctl -u 'postfix*' -o short-iso | postkeel tls-log -
  postkeel tls-log --format html > tls.html

Exit status 0; with --if 2 when somebody would be refused or pushed to clear text.""",
        arguments=(_LOGS, _IF, _DAYS, _OLDER),
        formats=("text", "json", "html"),
    ),
    Command(
        name="headers",
        help="what a message travelled over, hop by hop, as its Received lines tell it",
        more="""\
Who handed it to whom, by which protocol, TLS version, cipher and key exchange, and how long
it lay there; of Postfix, Exim, Sendmail, Exchange, Gmail and others. Of many messages how
many came encrypted, and which did not. Only the headers are read.

  postkeel headers message.eml
  postkeel headers --own mx.example.org --own 192.0.2.0/24 - < message.eml
  postkeel headers ~/Maildir /var/mail/me archive.mbox.gz
  postkeel headers --probe

Anybody can write Received lines into a message that he sends. Those of your own hosts, which
stand on top, can be believed; below the first that took it from a stranger all is hearsay,
and shown as such. Your hosts are those of this host's Postfix, of own_hosts and of --own.

Works without the agent, without Postfix and without root, as far as the files can be read.
Exit status 0, or 2 when a hop that is to be believed was in clear or weakly encrypted; 1 when
a file could not be read. Without FILE 2 when the last probe found something.""",
        arguments=(_MAIL, _OWN, _PROBE, _EACH),
    ),
    Command(
        name="fleet",
        help="many hosts, by what the central syslog has of them",
        more="""\
Who is compliant, who drifts, is contested, unguarded or silent, with versions, open
rules and corrections, of the lines that the collector's configuration under
conf/rsyslog or conf/syslog-ng writes. Doubles are dropped by host, spool and number;
missing numbers are named, apart from those that the host said it had dropped.

  postkeel fleet /var/log/postkeel/*.jsonl
  postkeel fleet --at 2026-11-23T08:00 --format html /var/log/postkeel/* > fleet.html

A host is silent by the clock of this one, so an old file shows a silent fleet: --at
judges as of a moment, and leaves out what came later.

Exit status 0 when all hosts are compliant, guarded and heard, and no report is
missing that its host does not account for, else 2.""",
        arguments=(_REPORTS, _AT, _SILENT_AFTER, _ALL),
        formats=("text", "json", "html"),
    ),
    Command(
        name="plugins",
        help="what is loaded, what is not, and why not",
        more="""\
Each with its options, which go into [plugins.NAME] of postkeel.toml.
Exit status 2 when a plugin was found and could not be loaded.""",
    ),
    Command(
        name="profiles",
        help="the profiles, one profile's rules, or what differs of two",
        more="""\
Your own go into profiles/NAME.toml beside postkeel.toml and `extends` another.

  postkeel profiles
  postkeel profiles strict
  postkeel profiles intermediate strict""",
        arguments=(_PROFILES,),
    ),
    Command(
        name="config",
        help="check postkeel's own configuration and show what it comes to",
        more="""\
postkeel.toml, conf.d/*.toml, the profiles in use and the plugins' options. Exit
status 1 with file and line for what is wrong, 2 with a warning for what is valid
and has no effect: a waiver that has ended, or whose rule no profile in use has.""",
    ),
)
