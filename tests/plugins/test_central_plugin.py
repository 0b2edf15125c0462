"""The plugin `central`: what it keeps, when it begins anew, and what it leaves alone."""

import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fake_collector import FakeCollector, octet_counted, relp
from postkeel.conformance import broken_promises
from postkeel.contract import EventKind, Outcome, Place, Side, Standing
from postkeel.reporting.fields import message_of
from postkeel_plugins import central
from postkeel_plugins.central import plugin as central_plugin
from postkeel_plugins.central.host_name import host_name
from postkeel_plugins.central.options import OPTIONS
from postkeel_plugins.central.plugin import Reporter
from sending import Sending, numbered, wait_for

TOP = Path(__file__).parents[2]


def url(collector, scheme="relp"):
    return f"{scheme}://127.0.0.1:{collector.port}"


def senders():
    return [one for one in threading.enumerate() if one.name == "central"]


def test_it_keeps_the_contract(tmp_path):
    reporter = Reporter()
    try:
        options = {"collectors": ["tcp://127.0.0.1:1"]}
        assert broken_promises(reporter, "central", options=options) == []
        assert broken_promises(reporter, "central") == []
        assert senders() == []  # without collectors again
    finally:
        reporter.close()


def test_the_card():
    card = central.reporter.keel_card()
    assert (card.name, card.side) == ("central", Side.MONITOR)
    assert all(one.help for one in card.options)


def test_without_collectors_nothing_is_imported_opened_or_kept(tmp_path):
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "import json\n"
        "from postkeel.contract import *\n"
        "from postkeel.conformance import sample_event\n"
        "from postkeel_plugins.central import reporter\n"
        "before = set(sys.modules)\n"
        "place = Place(state=sys.argv[3], runtime=sys.argv[3])\n"
        "options = {one.name: one.default for one in reporter.keel_card().options}\n"
        "report = Report(instance='/etc/postfix', event=sample_event(), outcome=Outcome.FAILED,\n"
        "                judged=(), plan=Plan(), seconds=0.1)\n"
        "reporter.keel_deliver(report, options, place)\n"
        "assert reporter.keel_status(options, place) is None\n"
        "print(json.dumps([sorted(set(sys.modules) - before), sorted(before)]))\n"
    )
    words = [str(TOP / "agent"), str(TOP / "plugins"), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, check=True, text=True
    )
    brought, before = json.loads(done.stdout)
    assert brought == []
    ours = {one for one in before if one.startswith("postkeel_plugins.central.")}
    assert ours == {"postkeel_plugins.central.plugin", "postkeel_plugins.central.options"}
    assert not {"sqlite3", "ssl", "socket", "hashlib"} & set(before)
    assert list(tmp_path.iterdir()) == []


def test_a_timer_that_found_all_as_wanted_is_not_told(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one)) as sending:
        timer = replace(numbered(1).event, kind=EventKind.TIMER)
        quiet = replace(numbered(1), outcome=Outcome.CLEAN, event=timer)
        told = (
            replace(quiet, problems=("dpkg's status cannot be read",)),
            replace(quiet, proof=("over: no-tls",)),
            replace(quiet, outcome=Outcome.FIXED),
            replace(quiet, event=replace(timer, kind=EventKind.HEARTBEAT)),
        )
        for report in (quiet, replace(quiet, outcome=Outcome.WAIVED), *told):
            sending.reporter.keel_deliver(report, sending.options, sending.place)
        wait_for(lambda: len(one.messages) == len(told))


def test_severities_facility_and_host(tmp_path):
    more = {"severities": ("failed=crit",), "facility": "local3", "enterprise": 99999}
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one), **more) as sending:
        sending.deliver()
        wait_for(lambda: one.messages)
    assert one.messages[0].startswith(b"<%d>1 " % (19 * 8 + 2))
    assert b" mx1.example.org postkeel " in one.messages[0]
    assert b"[postkeel@99999 spool=" in one.messages[0]


def test_json_behind_the_header(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one), format="cee") as sending:
        sending.deliver()
        wait_for(lambda: one.messages)
    head, _, said = one.messages[0].partition(b" - @cee: ")
    assert head.endswith(b" requested")
    assert json.loads(said)["seq"] == "1"


def test_other_options_make_another_sender_and_go_on_with_the_spool(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, "tcp://127.0.0.1:1") as sending:
        sending.deliver(3)
        first = sending.reporter._work.sender
        sending.options = {**sending.options, "collectors": (url(one),)}
        sending.deliver()
        wait_for(lambda: one.numbers() == [1, 2, 3, 4])
        assert not first.is_running()
        assert len(senders()) == 1
        same = sending.reporter._work
        sending.options = dict(sending.options)
        sending.deliver()
        assert sending.reporter._work is same
        wait_for(lambda: one.numbers() == [1, 2, 3, 4, 5])
        sending.place = Place(state=str(tmp_path / "elsewhere"), runtime=str(tmp_path))
        sending.deliver()
        wait_for(lambda: one.numbers() == [1, 2, 3, 4, 5, 1])


def test_what_an_earlier_process_left_is_sent_without_a_new_report(tmp_path):
    with FakeCollector(relp()) as one:
        one.stop()
        url = f"relp://127.0.0.1:{one.port}"
        with Sending(tmp_path, url) as before:
            before.deliver(3)
        one.start()
        with Sending(tmp_path, url) as after:
            after.reporter.keel_begin(after.options, after.place)
            wait_for(lambda: one.numbers() == [1, 2, 3])


def test_no_collectors_any_more(tmp_path):
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one)) as sending:
        sending.deliver()
        wait_for(lambda: one.numbers() == [1])
        sending.options = {**sending.options, "collectors": ()}
        sending.deliver()
        assert senders() == []
        assert sending.said() == ""


def test_the_status_is_read_from_the_spool_alone(tmp_path):
    defaults = {one.name: one.default for one in OPTIONS}
    options = {**defaults, "collectors": ("tcp://127.0.0.1:1",)}
    place = Place(state=str(tmp_path / "state"), runtime=str(tmp_path))
    assert Reporter().keel_status(options, place) == Standing()
    with Sending(tmp_path, "tcp://127.0.0.1:1") as sending:
        sending.deliver(2)
        sending.says("2 reports wait")
        other = Reporter()  # as in another process
        assert other.keel_status(sending.options, sending.place).waiting == 2
        assert other._work is None


def test_a_repeated_delivery_is_one_report(tmp_path):
    with FakeCollector(octet_counted) as one, Sending(tmp_path, url(one, "tcp")) as sending:
        for _ in range(3):
            sending.reporter.keel_deliver(numbered(1), sending.options, sending.place)
        sending.reporter.keel_deliver(numbered(2), sending.options, sending.place)
        wait_for(lambda: len(one.messages) == 2)
        assert one.numbers() == [1, 2]


def test_deliveries_from_many_threads(tmp_path):
    """A delivery that missed its deadline is still at it when the next one comes."""
    with FakeCollector(relp()) as one, Sending(tmp_path, url(one)) as sending:

        def work(first):
            for number in range(first, first + 50):
                sending.reporter.keel_deliver(numbered(number), sending.options, sending.place)

        threads = [threading.Thread(target=work, args=(first,)) for first in (0, 50, 100, 150)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        wait_for(lambda: len(one.messages) == 200)
        assert one.numbers() == list(range(1, 201))
        assert len(senders()) == 1
    found = {int(re.search(rb'cause="report (\d+)"', each)[1]) for each in one.messages}
    assert found == set(range(200))


@pytest.mark.parametrize(
    ("name", "hosts", "found"),
    [
        ("mx1.example.org", "", "mx1.example.org"),
        ("mx1", "127.0.1.1 mx1.example.org mx1\n", "mx1.example.org"),
        ("mx1", "\n# c\n127.0.0.1 localhost\n127.0.1.1\tmx1 mx1.example.net # mx1.x\n", None),
        ("mx1", "127.0.0.1 mx1\n::1 mx1.example.org\n", "mx1"),
        ("mx1", "127.0.0.1 localhost", "mx1"),
        ("mx1", "\xff\x00", "mx1"),
    ],
)
def test_the_name_of_this_host(tmp_path, monkeypatch, name, hosts, found):
    file = tmp_path / "hosts"
    file.write_text(hosts, encoding="latin-1")
    uname = type("uname", (), {"nodename": name})
    monkeypatch.setattr("os.uname", lambda: uname)
    assert host_name(str(file)) == (found or "mx1.example.net")
    assert host_name(str(tmp_path / "none")) == name


def test_the_name_is_asked_where_none_is_given(tmp_path, monkeypatch):
    options = {one.name: one.default for one in OPTIONS}
    encode = central_plugin._encoder(options)
    message = message_of(numbered(1))
    assert f" {host_name()} postkeel ".encode() in encode(message, (("seq", "1"),))
