"""`postkeel fleet` as an administrator meets it: text, JSON, sources, exit statuses."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from fleet_lines import START, Sender, example, octets
from postkeel.cli.fleet_html import page
from postkeel.cli.fleet_wording import lasting
from postkeel.reporting.fleet import Fleet

AT = ("--at", "2026-11-23T00:00")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """The example's lines in one file."""
    path = tmp_path_factory.mktemp("collected") / "fleet.jsonl"
    path.write_bytes(octets(*example()))
    return path


@pytest.fixture
def fleet(postkeel, tmp_path):
    """Writes lines into a file and runs the command on it, as of an hour after the start."""

    def run(*lines, words=("--at", "2026-11-22T01:00"), **settings):
        path = tmp_path / "mx.jsonl"
        path.write_bytes(octets(*lines))
        done = postkeel("fleet", *words, str(path), **settings)
        assert "Traceback" not in done.stderr
        return done

    return run


def document(postkeel, *words):
    done = postkeel("fleet", *words, "--format", "json")
    assert done.stderr == ""
    return json.loads(done.stdout)


def flowing(text):
    return " ".join(text.split())


def test_the_text_names_what_is_not_well_the_worst_first(postkeel, collected):
    done = postkeel("fleet", *AT, str(collected))
    assert (done.returncode, done.stderr) == (2, "")
    said = flowing(done.stdout)
    assert said.startswith(
        "30 instances at 2026-11-23 00:00 UTC: 1 contested, 1 drifting, 1 silent, 1 unguarded,"
        " 26 compliant 747 lines, received from 2026-11-22 00:00 to 2026-11-22 23:18 UTC"
    )
    for phrase in (
        "contested mx3.berlin.example.org 2026-11-22 23:01 2 its corrections are undone by",
        "2 errors open (smtpd-protocols, smtpd-exclusions), contested",
        "drifting mx14.lisbon.example.org",
        "mode audit: drift is only reported",
        "silent since 2026-11-22 06:05 UTC (18 hours)",
        "nobody corrects it: the agent's root side does not run",
        "compliant mx21.berlin.example.org",
        "1 alarm of the mail log (peer-lost-tls)",
        "intermediate, enforce; Postfix 3.10.13, OpenSSL 3.5.1, postkeel 0.3.0; 2 corrections",
        "Postfix: 3.7.11 (19), 3.10.13 (10), 3.11.7 (1)",
        "Missing: 6 reports lost",
        "mx5.berlin.example.org, spool 00000005: 13 to 15 (3 reports)",
        "17 to 28 (12 reports; the host said it dropped them)",
        "Dropped by the hosts mx8.lisbon.example.org: 12 reports",
        "mx12.lisbon.example.org: its clock is 2 hours ahead",
    ):
        assert phrase in said, phrase
    assert "mx1.berlin" not in said
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    states = re.findall(r"(?m)^  (\w+) +mx\S+ +2026", done.stdout)
    assert states == ["contested", "drifting", "silent", "unguarded", "compliant"]


def test_all_shows_all(postkeel, collected):
    said = flowing(postkeel("fleet", *AT, "--all", str(collected)).stdout)
    assert said.count("example.org 2026-11-22") == 30
    assert "Numbers that the lines begin and end with" in said
    assert "mx1.berlin.example.org, spool 00000001: 1 to 25" in said


def test_a_fleet_that_is_well(fleet):
    mx = Sender("mx1.example.org")
    done = fleet(mx.beat(), mx.beat(0.9))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "1 instance at 2026-11-22 01:00 UTC: 1 compliant",
        "2 lines, received from 2026-11-22 00:00 to 2026-11-22 00:54 UTC",
        "",
        "Postfix: 3.7.11 (1)",
        "OpenSSL: 3.0.17 (1)",
        "postkeel: 0.3.0 (1)",
        "profile: intermediate (1)",
    ]


def statuses():
    mx = Sender("mx1.example.org")
    well = mx.beat()
    yield "well", (well,), 0
    yield "nothing", (), 2
    yield "drift", (well, mx.drift("audited", "a")), 2
    mx.seq = 1
    yield "a warning", (well, mx.drift("audited", "a", severity="warning")), 0
    yield "unguarded", (mx.beat(guarded="no"),), 2
    yield "a double", (well, well), 0
    mx.seq = 4
    yield "a gap", (well, mx.beat(0.5)), 2
    mx.seq = 4
    dropped = mx.line("dropped", hours=0.4, instance=None, count="3")
    yield "a gap that the host accounts for", (well, dropped), 0
    mx.seq = 5
    yield "one too many", (well, mx.line("dropped", instance=None, count="3")), 2


@pytest.mark.parametrize(
    ("lines", "status"), [one[1:] for one in statuses()], ids=[one[0] for one in statuses()]
)
def test_the_exit_status(fleet, lines, status):
    assert fleet(*lines).returncode == status


def test_the_document(postkeel, collected):
    told = document(postkeel, *AT, str(collected), str(collected))
    assert list(told)[:8] == [
        *("postkeel", "at", "well", "sources", "lines", "first", "last", "states"),
    ]
    assert (told["at"], told["well"], told["lines"]) == ("2026-11-23T00:00:00+00:00", False, 1494)
    assert told["sources"] == [str(collected)] * 2
    assert told["states"] == {
        "contested": 1,
        "drifting": 1,
        "silent": 1,
        "unguarded": 1,
        "unknown": 0,
        "compliant": 26,
    }
    assert [one["host"] for one in told["hosts"]] == sorted(one["host"] for one in told["hosts"])
    assert (told["doubles"], told["missing"], told["unexplained"]) == (747, 18, 6)
    assert told["gaps"] == [
        {
            "host": host,
            "spool": spool,
            "first": first,
            "last": last,
            "missing": last - first + 1,
            "reported": reported,
        }
        for host, spool, first, last, reported in (
            ("mx5.berlin.example.org", "00000005", 13, 15, 0),
            ("mx5.berlin.example.org", "00000005", 17, 19, 0),
            ("mx8.lisbon.example.org", "00000008", 17, 28, 12),
        )
    ]
    (host,) = [one for one in told["hosts"] if one["host"] == "mx3.berlin.example.org"]
    (instance,) = host.pop("instances")
    assert host["spools"] == [
        {
            "spool": "00000003",
            "begins": 1,
            "ends": 26,
            "doubles": 26,
            "missing": 0,
            "unexplained": 0,
        }
    ]
    assert instance["states"] == ["contested", "drifting"]
    assert instance["rules"] == ["smtpd-protocols", "smtpd-exclusions"]
    assert (instance["open_errors"], instance["corrections"]) == (2, 2)
    assert instance["rounds"] == {"contested": 1, "fixed": 1}
    assert instance["heartbeat_seconds"] == 3600
    assert sum(one["corrected"] for one in told["stretches"]) == 30
    assert told["stretch_seconds"] == 3600
    (slow,) = [one for one in told["hosts"] if one["clock_ahead"]]
    assert slow["clock_ahead"] == pytest.approx(7200, abs=1)


def test_the_document_of_nothing(postkeel, tmp_path):
    (tmp_path / "empty").write_bytes(b"\n\n")
    told = document(postkeel, str(tmp_path / "empty"))
    assert (told["lines"], told["first"], told["hosts"], told["well"]) == (0, None, [], False)
    done = postkeel("fleet", str(tmp_path / "empty"))
    assert "0 instances" in done.stdout
    assert "nothing was reported" in done.stdout


def test_sources_may_be_packed_and_piped(postkeel, tmp_path):
    mx = Sender("mx1.example.org")
    parts = [octets(*(mx.beat(one / 100 + part / 10) for one in range(5))) for part in range(3)]
    (tmp_path / "a.gz").write_bytes(gzip.compress(parts[0]))
    (tmp_path / "b.xz").write_bytes(lzma.compress(parts[1]))
    words = ("fleet", "--at", "2026-11-22T01:00", str(tmp_path / "a.gz"), str(tmp_path / "b.xz"))
    done = postkeel(*words, "-", stdin=None, input=parts[2].decode())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("15 lines")


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_shown(postkeel, collected):
    done = postkeel("fleet", *AT, "/nowhere/a", str(collected), "/nowhere/b")
    assert done.returncode == 1
    assert done.stdout.startswith("30 instances")
    assert done.stderr == (
        "postkeel: /nowhere/a: cannot be read: No such file or directory\n"
        "postkeel: /nowhere/b: cannot be read: No such file or directory\n"
    )
    done = postkeel("fleet", "/nowhere/a")
    assert (done.returncode, done.stdout) == (1, "")


def test_zstd_is_refused_with_the_command_to_give(postkeel, tmp_path):
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfdx")
    assert "zstdcat FILE | postkeel fleet -" in postkeel("fleet", str(tmp_path / "a.zst")).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "yesterday", "x"), "--at 'yesterday': not a moment; write one like"),
        (("--at", "0001-01-01T00:00+05:00", "x"), "not a moment"),
        (("--silent-after", "soon", "x"), "'soon'; write one like 30m"),
        ((), "required: FILE"),
    ],
)
def test_errors_are_one_line(postkeel, words, said):
    done = postkeel("fleet", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_at_takes_an_offset_and_leaves_out_what_came_later(fleet):
    mx = Sender("mx1.example.org")
    lines = (mx.beat(), mx.drift("audited", "a", hours=2))
    done = fleet(*lines, words=("--at", "2026-11-22T02:00+01:00"))
    assert done.returncode == 0
    assert "at 2026-11-22 01:00 UTC" in done.stdout
    assert "1 line of a later time left out" in done.stdout
    assert fleet(*lines, words=("--at", "2026-11-22T02:01")).returncode == 2


def test_silent_after_takes_a_time(fleet):
    line = Sender("mx1.example.org").beat()
    at = ("--at", "2026-11-22T01:00")
    assert fleet(line, words=(*at, "--silent-after", "30m")).returncode == 2
    assert fleet(line, words=("--at", "2026-11-29", "--silent-after", "2w")).returncode == 0


def test_now_is_now(fleet):
    mx = Sender("mx1.example.org")
    hours = (datetime.now(UTC) - START) / timedelta(hours=1)
    assert fleet(mx.beat(hours - 0.1), words=()).returncode == 0
    assert "silent since" in fleet(mx.beat(hours - 9), words=()).stdout


def test_lines_that_are_no_reports_are_counted_and_the_first_named(tmp_path, postkeel):
    (tmp_path / "mx.jsonl").write_bytes(octets(Sender("mx").beat()) + b"not JSON \x1b[2J\n{}\n")
    done = postkeel("fleet", "--at", "2026-11-22T01:00", "mx.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    said = "2 lines not written by a collector; the first: line 2 of mx.jsonl: not JSON \\x1b[2J"
    assert said in flowing(done.stdout)


def test_what_else_there_is_to_know(fleet):
    mx, other = Sender("mx1.example.org"), Sender("mx2.example.org")
    other.ahead = timedelta(hours=-5)
    many = [f"rule-{one}" for one in range(9)]
    lines = [
        mx.beat(held="yes"),
        mx.beat(0.1, held="yes", spool=None, seq=None),
        mx.line("dropped", hours=0.2, instance=None),
        other.drift("failed", *many),
        other.drift("held", "a", "b", "c", hours=0.5, severity_2="warning", severity_3="info"),
        Sender("mx3.example.org").drift("audited", *many),
        Sender("mx4.example.org").drift("audited", "a", severity="warning"),
        Sender("mx5.example.org", instance="/etc/postfix-out").line("digest"),
    ]
    lines.append(lines[0])
    said = flowing(fleet(*lines).stdout)
    for phrase in (
        "held: drift is not corrected for now",
        "1 report came without a number: doubles and gaps of them are not known",
        "mx1.example.org: 1 time nobody knows how many, for its spool was damaged",
        "mx2.example.org: its clock is 5 hours behind, or its reports come that late",
        "1 error and 2 others open (a, b, c), held",
        "9 errors open (rule-0, rule-1, rule-2, rule-3, rule-4, rule-5 and 3 more), audited",
        "1 finding open (a), audited",
        "mx5.example.org /etc/postfix-out",
        "it has not said how it stands",
        "1 double left out: mx1.example.org 1",
    ):
        assert phrase in said, phrase


def test_information_is_nothing_to_tell(fleet):
    done = fleet(Sender("mx1.example.org").beat(open_findings="3"))
    assert (done.returncode, "mx1" in done.stdout) == (0, False)


def test_long_lists_are_cut_and_say_so(fleet):
    lines = []
    for number in range(30):
        mx = Sender(f"mx{number}.example.org", f"{number:x}")
        lines += [mx.drift("failed", "a"), *[mx.beat()] * 2]
        for _ in range(3):
            mx.seq += 2
            lines.append(mx.drift("failed", "a"))
    said = flowing(fleet(*lines).stdout)
    assert "and 10 more hosts with something to tell; --all shows them" in said
    assert "and 70 more gaps" in said
    assert "and 10 hosts more" in said


def test_gaps_beyond_those_that_are_told(fleet):
    mx = Sender("mx1.example.org")
    lines = []
    for _ in range(130):
        mx.seq += 1
        lines.append(mx.beat())
    mx.seq += 3
    lines.append(mx.line("dropped", instance=None, count="2"))
    said = fleet(*lines).stdout
    assert "and 30 gaps more" in said.replace("\n    ", " ") or "and 81 more gaps" in said
    told = json.loads(fleet(*lines, words=("--format", "json")).stdout)
    assert (len(told["gaps"]), told["left_off"]["gaps"]) == (100, 30)
    assert told["gaps"][-1]["reported"] == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (7199.4, "120 minutes"),
        (7199.9, "2 hours"),
        (172_800, "2 days"),
    ],
)
def test_lengths_of_time(seconds, said):
    assert lasting(seconds) == said


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '" onload="alert(1)',
    "style": "</style><style>*{background:url(//evil.example)}",
    "comment": "--><!--",
    "control": "\x1b[31m\x00\r\n\u202e\u2028",
    "surrogate": "\ud800",
    "wide": "\u6f22\u5b57" * 60,
    "long": "<b>" * 60,
}


def hostile(text):
    """Reports with this text wherever somebody could have put it."""
    mx = Sender(f"mx{text}"[:255], text[:60], instance=f"/etc/{text}")
    told = dict.fromkeys(("profile", "mode", "postfix", "openssl", "postkeel"), text)
    yield mx.beat(**told, held="yes")
    yield mx.drift("contested", text, text + "2", hours=0.1)
    yield mx.alarm(text, hours=0.2)
    mx.seq += 5
    mx.ahead = timedelta(days=3)
    for _ in range(8):
        yield mx.beat(0.3, **told)
    yield mx.line("dropped", hours=0.3, instance=None, count="2")


def lines_of(text):
    """As JSON has them that escapes what is not ASCII."""
    made = (json.dumps(one).encode() for one in hostile(text))
    return b"".join(one + b"\n" for one in made) + text.encode("utf-8", "replace") + b"\n"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_in_its_place(postkeel, tmp_path, text):
    path = tmp_path / "mx.jsonl"
    path.write_bytes(lines_of(text))
    for encoding in ("utf-8", "ascii"):
        for words in ((), ("--all",)):
            done = postkeel(
                *("fleet", "--at", "2026-11-22T01:00", str(path), *words),
                text=False,
                env={"PYTHONIOENCODING": encoding},
            )
            assert done.returncode == 2, done.stderr
            for line in done.stdout.decode(encoding).split("\n"):
                assert line.isprintable()
                assert sum(2 if "\u2e80" < one < "\uffff" else 1 for one in line) <= 80, line
    told = document(postkeel, "--at", "2026-11-22T01:00", str(path))
    if text.isprintable():
        assert told["hosts"][0]["host"] == f"mx{text}"[:255]


class Reader(HTMLParser):
    """Notes elements and attributes, and that each element is closed by its own."""

    VOID = frozenset(("meta", "br"))

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open = []
        self.elements = set()
        self.attributes = set()
        self.said = []
        self.policy = ""

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data):
        self.said.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)

    def unknown_decl(self, data):
        raise AssertionError(data)


ELEMENTS = {
    *("html", "head", "title", "style", "body", "h1", "h2", "h3", "p", "meta", "table", "b", "i"),
    *("caption", "thead", "tbody", "tr", "th", "td", "svg", "rect", "ul", "li", "span", "div"),
    "small",
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "viewbox", "role", "x", "y"),
    *("aria-label", "width", "height", "preserveaspectratio", "data-head"),
}


def page_of(lines):
    fleet = Fleet()
    fleet.begin("mx.jsonl")
    fleet.read(lines)
    made = page(fleet.summary(START + timedelta(hours=1)))
    reader = Reader()
    reader.feed(made)
    reader.close()
    assert reader.open == []
    return made, reader


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_markup_of_strangers_gets_through(text):
    made, reader = page_of(lines_of(text))
    assert reader.elements <= ELEMENTS
    assert reader.attributes <= ATTRIBUTES
    assert all(line.isprintable() for line in made.split("\n"))
    made.encode()


def test_nothing_is_loaded_from_anywhere():
    made, reader = page_of(octets(*example()))
    assert reader.policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    for word in ("http:", "https:", "//", "url(", "@import", "javascript", "src=", "href="):
        assert word not in made, word


def test_the_page_tells_what_the_text_tells():
    _, reader = page_of(octets(*example()))
    said = flowing(" ".join(reader.said))
    for phrase in (
        "1 contested, 1 drifting",
        "smtpd-protocols, smtpd-exclusions",
        "2026-11-22 00:00",
        "17 to 28 (12 reports; the host said it dropped them)",
        "its clock is 2 hours ahead",
        "3.10.13",
    ):
        assert phrase in said, phrase


def test_a_page_of_many_hosts_and_versions_says_what_it_leaves_off():
    lines = (
        Sender(f"mx{one}", f"{one:x}").beat(postfix=f"3.{one}.0", postkeel=None, mode=None)
        for one in range(520)
    )
    made, reader = page_of(octets(*lines))
    assert '<p class="dim">and 20 more</p>' in made
    assert "others" in reader.said


def test_a_page_of_a_long_time_adds_up(tmp_path):
    mx = Sender("mx1")
    lines = [mx.drift("fixed", "a", hours=24.0 * one) for one in range(200)]
    made, _ = page_of(octets(*lines))
    assert "reports by week" in made
    assert made.count('<rect class="corrected') == 29


def test_a_page_of_damaged_spools(tmp_path):
    mx = Sender("mx1")
    made, _ = page_of(octets(mx.beat(), mx.line("dropped", instance=None)))
    assert "0 and more, nobody knows how many" in made
    made, _ = page_of(b"")
    assert "<table" not in made


def test_the_command_writes_the_page_alone(postkeel, collected):
    done = postkeel("fleet", *AT, str(collected), "--format", "html")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("<!DOCTYPE html>\n")
    assert done.stdout.endswith("</html>\n")


def test_colour_on_a_terminal(collected):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "postkeel", "fleet", *AT, str(collected)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "NO_COLOR": ""},
    ) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # how a terminal says that the other side is gone
            pass
        os.close(ours)
    assert process.returncode == 2
    assert b"\x1b[31;1m  contested" in said
