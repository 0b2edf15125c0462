"""`make run`: a private Postfix drifts and is corrected, in front of you.

Ends with 0 only if every step was really observed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from certificates import signed_certificate
from guarded import POSTKEEL, Guarded, guarded
from postkeel.postfix.handshake import Endpoint
from postkeel.shell.handshake import handshake
from private_postfix import PrivatePostfix, private_postfix, why_not
from probed_postfix import ADDRESS, USER, ProbedPostfix

# The story drifts more often in a minute than the agent takes for a fair fight.
PATIENT = "[contest]\ncorrections = 1000"


class StoryError(Exception):
    """A step of the story was not observed."""


def say(text: str = "") -> None:
    print(text, flush=True)


def title(text: str) -> None:
    bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say(f"\n{bold[0]}{text}{bold[1]}")


def expect(seen: bool, what: str) -> None:  # noqa: FBT001  reads as a sentence
    if not seen:
        raise StoryError(what)


def found(one: Guarded) -> int:
    title("1. What postkeel finds in Debian's default configuration")
    answer = json.loads(one.run("check", "--format", "json").stdout)
    instance = answer["instances"][0]
    say(f"Postfix {instance['postfix']}, {instance['openssl']}, profile {instance['profile']}")
    for finding in instance["findings"]:
        fact = f"{finding['parameter']} = {finding['effective']}".rstrip()
        say(f"  {finding['severity']:<8}{finding['rule']:<26}{finding['where']:<12}{fact}")
    expect(not instance["compliant"], "Debian's default passes the profile: nothing to show")
    return len(instance["findings"])


def difference(one: Guarded) -> None:
    title("2. What it would change (postkeel diff)")
    answer = one.run("diff")
    say(answer.stdout.rstrip())
    expect(answer.returncode == 2, "diff shows nothing")


def shake(postfix: PrivatePostfix, below: str = "") -> str:
    """What a client sees on port 25; with `below` one that knows older protocols only."""
    endpoint = Endpoint(
        service="smtp/inet", host=postfix.address, port="25", direct=False, floor=""
    )
    return str(handshake(endpoint, deadline=10, below=below))


def hardened(one: Guarded) -> None:
    postfix = one.postfix
    title("3. The handshake before, the agent starts, the handshake after")
    before = shake(postfix, "TLSv1.2")
    say(f"  before: {before}")
    expect("accepts TLSv1.1" in before, "the default refuses TLS 1.1 already")
    one.start()
    say(f"  agent:  {one.report_with('fixed')[:300]}...")
    modern, old = shake(postfix), shake(postfix, "TLSv1.2")
    say(f"  after:  {modern}")
    say(f"  after:  {old}")
    expect("TLSv1.3" in modern and "refuses" in old, "the handshake is not as it should be")


def drift(one: Guarded, number: int, what: str, act: Callable[[], None]) -> None:
    """One drift: files right again, then proved, with the times that both took."""
    files = [one.postfix.main_cf, one.postfix.master_cf]
    right = [file.read_bytes() for file in files]
    title(f"{number}. Drift: {what}")
    time.sleep(0.3)
    began = time.monotonic()
    act()
    while [file.read_bytes() for file in files] != right:
        expect(time.monotonic() - began < 10, "the files were not corrected within 10 s")
        time.sleep(0.0005)
    corrected = time.monotonic() - began
    line = one.report_with("fixed")
    proved = time.monotonic() - began
    say(f"  {line}")
    say(f"  file right again after {corrected * 1000:.0f} ms, proved after {proved * 1000:.0f} ms")
    expect("refuses protocols older" in line, "the report names no proof")


def weaken_in_place(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    expect(old in text, f"{path.name} has no {old!r}")
    path.write_text(text.replace(old, new))


def override(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if line.startswith("smtp      inet"))
    lines.insert(at + 1, "  -o smtpd_tls_security_level=none\n")
    other = path.with_name("master.cf.new")
    other.write_text("".join(lines))
    other.rename(path)


def restore_old(path: Path, old: bytes) -> None:
    """As a package's script or a backup does: another file takes the name."""
    other = path.with_name("main.cf.dpkg-new")
    other.write_bytes(old)
    other.rename(path)


def served(postfix: PrivatePostfix) -> str:
    """The certificate that a client is shown on port 25, by its SHA-256."""
    endpoint = Endpoint(
        service="smtp/inet", host=postfix.address, port="25", direct=False, floor=""
    )
    return handshake(endpoint, deadline=10).certificate_sha256


def renewed(one: Guarded) -> None:
    postfix = one.postfix
    title("7. A certificate is renewed, and nobody reloads Postfix")
    before = served(postfix)
    made = signed_certificate("rsa", host="mail.example.test", address=postfix.address)
    began = time.monotonic()
    postfix.file("smtpd_tls_cert_file").write_text(made.certificate)
    line = one.report_with("fixed 1: certificate-served")
    say(f"  {line[:300]}...")
    after = served(postfix)
    say(f"  served before: {before[:16]}, after: {after[:16]}")
    say(f"  proved on all services after {(time.monotonic() - began) * 1000:.0f} ms")
    expect(after != before, "the old certificate is still served")


def half_renewed(one: Guarded) -> None:
    postfix = one.postfix
    title("8. And now the renewer writes half a certificate")
    file = postfix.file("smtpd_tls_cert_file")
    whole, before = file.read_text(), served(postfix)
    file.write_text(whole[: len(whole) // 2])
    say(f"  {one.report_with('certificate-usable', 30)[:500]}...")
    expect(served(postfix) == before, "the certificate that was right is not served any more")
    say(f"  served still: {before[:16]}")
    file.write_text(whole)
    one.report_with("all as wanted", 30)


def probed(one: Guarded, mail: ProbedPostfix) -> None:
    """The message goes to `nobody`, as whom the probe is made as well."""
    title("9. A message to itself: what do handshake, Received line and mail log say of it?")
    state = one.directory / "probes"
    (state / "monitor").mkdir(parents=True)
    os.chown(state / "monitor", USER.pw_uid, USER.pw_gid)
    config = one.directory / "probes.toml"
    config.write_text(
        f'state_directory = "{state}"\n[plugins.header_checker]\n'
        f'probe_address = "{ADDRESS}"\nprobe_mailbox = "{mail.mailbox}"\n'
    )
    directory = one.postfix.config_directory
    answer = subprocess.run(
        [POSTKEEL, "headers", "--probe", "-c", directory, "--config", str(config)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    say("\n".join(f"  {line}" for line in answer.stdout.rstrip().split("\n")))
    expect(answer.returncode == 0, f"the witnesses do not agree: {answer.stderr}")
    expect(not mail.mail(), "the message was not removed")


def story(one: Guarded, mail: ProbedPostfix) -> None:
    postfix = one.postfix
    original = postfix.main_cf.read_bytes()
    findings = found(one)
    difference(one)
    hardened(one)
    drift(
        one,
        4,
        "a colleague edits main.cf: smtpd_tls_protocols = TLSv1, TLSv1.1",
        lambda: weaken_in_place(
            postfix.main_cf,
            "smtpd_tls_protocols = >=TLSv1.2",
            "smtpd_tls_protocols = TLSv1, TLSv1.1",
        ),
    )
    drift(
        one,
        5,
        "a tool switches TLS off in master.cf: smtp inet ... -o smtpd_tls_security_level=none",
        lambda: override(postfix.master_cf),
    )
    drift(
        one,
        6,
        "a package or backup brings the old main.cf back",
        lambda: restore_old(postfix.main_cf, original),
    )
    renewed(one)
    half_renewed(one)
    probed(one, mail)
    answer = one.run("check", "--live")
    expect(answer.returncode == 0, f"not as wanted at the end: {answer.stdout}{answer.stderr}")
    seen = f"{findings} findings, three drifts, a renewal, half of one, a message"
    title(f"All of it was observed: {seen}.")


def try_it(one: Guarded) -> None:
    """Leave it to the person at the terminal."""
    title("Now you. The agent goes on guarding; Ctrl-C ends it and removes everything.")
    postfix = one.postfix
    say(f"  edit       {postfix.main_cf}")
    say(f"  or         postconf -c {postfix.config_directory} -e smtpd_tls_security_level=none")
    say(f"  ask        {' '.join(one.command('status'))}")
    say(f"  handshake  openssl s_client -starttls smtp -connect {postfix.address}:25 -tls1_1")
    while True:
        try:
            say(f"  {time.strftime('%H:%M:%S')} {one.report(3600)}")
        except TimeoutError:
            continue
        except KeyboardInterrupt:
            say()
            return


def main() -> int:
    reason = why_not()
    if reason:
        say(f"make run: {reason}")
        return 1
    say("A private Postfix with Debian's default configuration; the system's own is not touched.")
    try:
        with (
            private_postfix(start=False) as postfix,
            guarded(postfix, more=PATIENT, start=False) as one,
        ):
            mail = ProbedPostfix(postfix)
            postfix.start()
            story(one, mail)
            if sys.stdin.isatty() and sys.stdout.isatty() and "CI" not in os.environ:
                try_it(one)
    except (StoryError, TimeoutError) as error:
        say(f"\nNOT observed: {error}")
        return 1
    say("Everything of it is gone again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
