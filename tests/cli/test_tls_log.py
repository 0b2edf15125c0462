"""`postkeel tls-log`: the figures are the log's truth, and the page is fit for people."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from mail_log import write_log, write_strangers
from postkeel.contract import Records
from postkeel.maillog.reader import Reader
from postkeel.maillog.stored import to_records
from postkeel.maillog.tables import TABLES
from postkeel.maillog.tally import Tally
from postkeel.maillog.values import (
    ConnectionCount,
    DestinationCount,
    Direction,
    FailureCount,
    Notice,
    NoticeKind,
    Session,
    Statistics,
)
from postkeel.shell.records import RecordStore

PLUGIN = "tls_log_monitor"
TLS13 = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519"
OLD = "TLSv1 with cipher ECDHE-RSA-AES256-SHA (256/256 bits)"


def connection(day, peer, agreed, pid=7):
    """The lines of one client with one mail on a day of November 2026."""
    head = f"2026-11-{day:02}T12:00:00+00:00 mx postfix/smtpd[{pid}]:"
    lines = [f"{head} connect from {peer}[192.0.2.1]"]
    if agreed:
        established = f"Anonymous TLS connection established from {peer}[192.0.2.1]"
        lines.append(f"{head} {established}: {agreed}")
    tls = "starttls=1 " if agreed else ""
    counters = f"ehlo=1 {tls}mail=1 rcpt=1 data=1 quit=1 commands=5"
    lines.append(f"{head} disconnect from {peer}[192.0.2.1] {counters}")
    return "".join(f"{one}\n" for one in lines)


SMALL = "".join(
    [
        connection(20, "mail.old.example", OLD),
        connection(21, "mail.new.example", TLS13),
        connection(22, "mail.new.example", TLS13),
        connection(22, "mail.clear.example", ""),
    ]
)


@pytest.fixture(scope="module")
def busy_log(tmp_path_factory):
    """A log of a realistic mix, and its truth."""
    path = tmp_path_factory.mktemp("logs") / "mail.log"
    return path, write_log(path, 20_000, form="rfc3339", start=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def small_log(tmp_path):
    path = tmp_path / "mail.log"
    path.write_text(SMALL)
    return path


def statistics_of(text):
    tally = Tally()
    reader = Reader(tally, now=datetime.now(UTC), zone=UTC)
    reader.read(text)
    reader.finish()
    return tally.statistics()


def keep(place, statistics, instance=None):
    """Put statistics into the history of a place, as the agent would."""
    with RecordStore(f"{place.state}/monitor") as store:
        records = Records(add=to_records(statistics))
        store.commit(PLUGIN, instance or str(place.etc), TABLES, records, now=datetime.now(UTC))


def test_the_document_tells_the_truth(place, busy_log):
    path, truth = busy_log
    document = place.json("tls-log", str(path), status=0)
    assert document["lines"] == truth.lines
    assert (document["proven"], document["history"]) == (False, False)
    expected = Counter()
    clear = Counter()
    for (_, name, session, _), (connections, mails) in truth.connections.items():
        direction, trust, protocol, cipher, _, _, _, reused = session
        service = name.rpartition("/")[2]
        if protocol:
            expected[direction, service, trust, protocol, cipher, reused] += connections
        else:
            clear[direction, service] += mails
    keys = ("direction", "service", "trust", "protocol", "cipher", "reused")
    rows = [(tuple(one[key] for key in keys), one["count"]) for one in document["connections"]]
    assert rows == sorted((key, count) for key, count in expected.items() if count)
    found = Counter()
    for one in document["clear"]:
        found[one["direction"], one["service"]] += one["mails"]
    assert document["left_off"]["clear"] == 0
    assert found == clear
    failed = Counter()
    for (_, _, direction, reason, _), count in truth.failures.items():
        failed[direction, reason] += count
    rows = [((one["direction"], one["reason"]), one["count"]) for one in document["failures"]]
    assert rows == sorted(failed.items())


def test_sums_of_the_document_agree(place, busy_log):
    path, truth = busy_log
    document = place.json("tls-log", str(path), status=0)
    for key in ("connections", "mails", "clear_connections", "clear_mails"):
        by_service = sum(one[key] for one in document["services"])
        assert by_service == sum(one[key] for one in document["hours"])
    mails = sum(one["mails"] for one in document["services"])
    assert mails == sum(mails for _, mails in truth.connections.values())
    assert len(document["peers"]) == 100
    assert document["left_off"]["peers"] > 0
    counts = [one["connections"] for one in document["peers"]]
    assert counts == sorted(counts, reverse=True)
    delivered = sum(one["mails"] for one in document["destinations"])
    if not document["left_off"]["destinations"]:
        assert delivered == sum(truth.destinations.values())


def test_history_and_file_say_the_same(place, busy_log):
    now = datetime.now(UTC)
    start = (now - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    path = place.directory / "recent.log"
    write_log(path, 5_000, form="rfc3339", start=start, peers=50)
    keep(place, statistics_of(path.read_bytes()))
    file = place.json("tls-log", str(path), status=0)
    history = place.json("tls-log", status=0)
    for key in ("lines", "connections", "failures", "services", "peers", "clear", "hours"):
        assert history[key] == file[key], key
    assert history["history"] is True
    assert history["sources"] == [f"{place.state}/monitor/records.sqlite3"]


def test_c_chooses_the_instance_of_the_history(place, postkeel):
    fresh = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H")
    text = re.sub(r"2026-11-\d\dT12", fresh, connection(20, "a.example", TLS13)).encode()
    keep(place, statistics_of(text))
    keep(place, statistics_of(text), instance="/etc/postfix-out")
    assert place.json("tls-log", status=0)["lines"] == 3
    every = postkeel("tls-log", "--config", str(place.own / "postkeel.toml"), "--format", "json")
    assert json.loads(every.stdout)["lines"] == 6


def test_without_history_it_says_how_to_give_files(place):
    said = place.error("tls-log")
    assert "the agent has counted no lines" in said
    assert "`postkeel tls-log /var/log/mail.log`" in said
    assert not place.state.exists()


def test_it_says_when_tls_is_not_logged(place):
    with (place.etc / "main.cf").open("a") as file:
        file.write("smtp_tls_loglevel = 1\n")
    place.write("main.cf", (place.etc / "main.cf").read_bytes())
    said = place.error("tls-log")
    assert "smtpd_tls_loglevel is 0 (default)" in said
    assert "smtp_tls_loglevel is 0" not in said
    assert "tls-log-level sets 1" in said


def test_debug_logging_is_explained(place, small_log):
    head = "2026-11-22T13:00:00+00:00 mx postfix/smtpd[7]:"
    small_log.write_text(f"{SMALL}{head} setting up TLS connection from a.example[192.0.2.9]\n")
    flowing = " ".join(place.run("tls-log", str(small_log)).stdout.split())
    assert "That level is for debugging" in flowing


def test_the_page(place, small_log):
    done = place.run("tls-log", str(small_log), env={"PYTHONIOENCODING": "utf-8"})
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout
    assert said.startswith("11 lines, 2026-11-20 12:00 to 2026-11-22 12:00 UTC\n")
    flowing = " ".join(said.split())
    assert "a text file: nobody vouches for who wrote its lines" in flowing
    assert "Inbound: over TLS 75.0% of 4 connections, 75.0% of 4 mails\n" in said
    assert re.search(r"TLSv1\.3 +TLS_AES_256_GCM_SHA384 +X25519 +2 +50\.0% ██\n", said)
    assert re.search(r"TLSv1 +ECDHE-RSA-AES256-SHA +- +1 +25\.0% █\n", said)
    assert re.search(r"clear +- +- +1 +25\.0% █\n", said)
    assert re.search(r"\n  clear\.example +1 +1 +never\n", said)
    assert re.search(r"\n  old\.example +1 +1 +TLSv1\n", said)
    assert "Outbound: no connection with TLS or mail" in said


def test_ascii_where_the_output_has_nothing_else(place, busy_log):
    path, _ = busy_log
    done = place.run("tls-log", str(path), env={"PYTHONIOENCODING": "ascii"})
    assert done.stdout.isascii()
    assert "#" in done.stdout
    assert "\\u" not in done.stdout


HOSTILE = {
    "escape": "\x1b]0;title\x07\x1b[2J",
    "line end": "a\r\nInbound: all is well",
    "writing direction": "\u202egnp\u2066",
    "zero width": "a\u200bb",
    "C1": "\u009b31m",
    "long": "x" * 1000,
    "wide": "\u6f22\u5b57" * 60,
    "markup": "<script>alert(1)</script>&\"'",
}


def hostile_statistics(text):
    """Statistics with this text wherever a stranger could have put it."""
    hour = int(datetime.now(UTC).timestamp()) // 3600 * 3600 - 3600
    tls = Session(
        direction=Direction.INBOUND, trust="Anonymous", protocol="TLSv1", cipher=text, bits=1
    )
    clear = Session(direction=Direction.OUTBOUND)
    return Statistics(
        lines=3,
        connections=(
            ConnectionCount(hour, f"{text}/smtpd", tls, text, 5, 5),
            ConnectionCount(hour, "postfix/smtp", clear, text, 5, 5),
        ),
        failures=(FailureCount(hour, "postfix/smtpd", Direction.INBOUND, text, text, 2),),
        destinations=(DestinationCount(hour, text, text, clear, 5),),
        notices=(Notice(kind=NoticeKind.TLS_DISABLED, time=hour, name=text, peer=text, text=text),),
        first=datetime.fromtimestamp(hour, UTC),
        last=datetime.fromtimestamp(hour, UTC),
        lost=(text,),
    )


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_in_its_place(place, text):
    keep(place, hostile_statistics(text))
    for encoding in ("utf-8", "ascii"):
        done = place.run(
            "tls-log",
            "--if",
            "strict",
            text=False,
            env={"PYTHONIOENCODING": encoding},
        )
        assert done.returncode == 2, done.stderr
        for line in done.stdout.decode(encoding).split("\n"):
            assert line.isprintable()
            assert sum(2 if "\u2e80" < one < "\uffff" else 1 for one in line) <= 80, line
            assert not line.startswith("Inbound: all is well")
    document = place.json("tls-log", status=0)
    assert document["connections"][0]["cipher"][:250] == text[:250]


def test_days_of_files_end_with_the_log(place, small_log):
    whole = place.json("tls-log", str(small_log), status=0)
    part = place.json("tls-log", str(small_log), "--days", "1", status=0)
    assert [one["peer"] for one in whole["peers"]] == [
        "new.example",
        "clear.example",
        "old.example",
    ]
    assert [one["peer"] for one in part["peers"]] == ["new.example", "clear.example"]
    assert part["first"] == "2026-11-21T00:00:00+00:00"


def test_days_of_the_history_end_now(place):
    ago = datetime.now(UTC) - timedelta(days=9)
    text = SMALL.replace("2026-11-20T12", f"{ago:%Y-%m-%dT12}")
    now = datetime.now(UTC) - timedelta(hours=1)
    text = re.sub(r"2026-11-2[12]T12", f"{now:%Y-%m-%dT%H}", text)
    keep(place, statistics_of(text.encode()))
    assert len(place.json("tls-log", status=0)["peers"]) == 3
    assert len(place.json("tls-log", "--days", "3", status=0)["peers"]) == 2


def test_files_rotated_compressed_and_standard_input(place, tmp_path):
    parts = [one + "\n" for one in SMALL.rstrip("\n").split("\n")]
    (tmp_path / "mail.log").write_text("".join(parts[8:]))
    (tmp_path / "mail.log.1").write_text("".join(parts[3:8]))
    (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress("".join(parts[:3]).encode()))
    path = str(tmp_path / "mail.log")
    whole = place.json("tls-log", "--older", path, status=0)
    assert whole["lines"] == 11
    assert [one.rpartition("/")[2] for one in whole["sources"]] == [
        "mail.log.2.gz",
        "mail.log.1",
        "mail.log",
    ]
    assert place.json("tls-log", path, status=0)["lines"] == 3
    piped = place.run("tls-log", "-", "--format", "json", stdin=None, input=SMALL)
    assert json.loads(piped.stdout)["connections"] == whole["connections"]


def test_a_damaged_archive_gives_what_it_has_and_an_error(place, tmp_path):
    path = tmp_path / "mail.log.1.gz"
    path.write_bytes(gzip.compress((SMALL * 500).encode())[:-500])
    done = place.run("tls-log", str(path))
    assert done.returncode == 1
    assert "Inbound: over TLS" in done.stdout
    assert re.fullmatch(r"postkeel: .*mail\.log\.1\.gz: .*\n", done.stderr)


def test_one_missing_file_does_not_hide_the_others(place, small_log):
    done = place.run("tls-log", "/nonexistent/mail.log", str(small_log), "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["lines"] == 11
    assert "/nonexistent/mail.log: cannot be read" in done.stderr


ERRORS = {
    ("tls-log", "/nonexistent/mail.log"): "/nonexistent/mail.log: cannot be read",
    ("tls-log", "x.log", "--days", "0"): "--days 0: takes a number of days, 1 or more",
    ("tls-log", "--older"): "--older goes with files",
    ("tls-log", "/dev/null", "--if", "harsh"): "unknown profile 'harsh'; known are: article-2017",
    ("check", "--format", "html"): "argument --format: invalid choice: 'html'",
    ("--format", "html", "check"): "check knows no --format html",
}


@pytest.mark.parametrize(("words", "said"), ERRORS.items(), ids=" ".join)
def test_errors(place, words, said):
    done = place.run(*words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert said in done.stderr


def test_a_log_without_postfix_is_no_error(place, tmp_path):
    (tmp_path / "empty.log").write_text("Nov 22 10:00:00 mx cron[1]: (root) CMD (x)\n")
    done = place.run("tls-log", str(tmp_path / "empty.log"))
    assert done.returncode == 0
    assert "1 line\n" in done.stdout
    assert "There is no line of Postfix in it." in done.stdout
    document = place.json("tls-log", str(tmp_path / "empty.log"), status=0)
    assert (document["lines"], document["connections"], document["first"]) == (1, [], None)


def test_forecast(place, small_log):
    done = place.run("tls-log", str(small_log), "--if", "intermediate")
    assert done.returncode == 2
    flowing = " ".join(done.stdout.split())
    assert "With profile intermediate: somebody would be hurt" in flowing
    assert "inbound, pushed to clear text (most likely sent in clear text): 25.0%" in flowing
    assert re.search(r"\n    old\.example +1 +1 +TLSv1 \[1\]\n", done.stdout)
    assert "(rule smtpd-protocols)" in done.stdout
    document = place.json("tls-log", str(small_log), "--if", "intermediate", status=2)["forecast"]
    assert document["hurts"] is True
    (harmed,) = document["inbound"]["to_clear"]["peers"]
    assert (harmed["peer"], harmed["rule"]) == ("old.example", "smtpd-protocols")
    assert document["inbound"]["to_clear"]["connection_share"] == 0.25


def test_a_forecast_that_hurts_nobody(place, small_log):
    small_log.write_text(connection(22, "mail.new.example", TLS13))
    done = place.run("tls-log", str(small_log), "--if", "strict")
    assert done.returncode == 0
    assert "With profile strict: nobody would be hurt" in done.stdout
    assert "inbound: none of 1 connection and 1 mail" in done.stdout
    assert "outbound: nothing was seen" in done.stdout


def delivery(day, number, trust):
    """The lines of one mail to partner.example."""
    head = f"2026-11-{day:02}T12:{number:02}:00+00:00 mx postfix/smtp[9]:"
    relay = "mx.partner.example[192.0.2.2]:25"
    return (
        f"{head} {trust} TLS connection established to {relay}: {TLS13}\n"
        f"{head} 4F{day}{number:02}A: to=<a@partner.example>, relay={relay}, delay=1,"
        " delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n"
    )


def test_policies_are_suggested(place, small_log):
    mails = "".join(delivery(day, one, "Untrusted") for day in (1, 2, 3, 4) for one in range(10))
    small_log.write_text(mails)
    done = place.run("tls-log", str(small_log), "--if", "intermediate")
    assert "(suggested, never written)" in done.stdout
    assert "\n    partner.example encrypt\n" in done.stdout
    (policy,) = place.json("tls-log", str(small_log), "--if", "intermediate")["forecast"][
        "policies"
    ]
    assert (policy["entry"], policy["mails"], policy["days"]) == ("partner.example encrypt", 40, 4)


def test_days_that_are_not_told_apart_any_more(place, tmp_path):
    path = tmp_path / "mail.log"
    lines = write_strangers(path, 60_000)
    done = place.run("tls-log", str(path), "--days", "1")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{lines:,} lines, ")
    assert "60,000 connections" in done.stdout
    flowing = " ".join(done.stdout.split())
    assert "There are too many different peers to tell days apart: this is all." in flowing
    assert "connections by" not in flowing  # no course is known
