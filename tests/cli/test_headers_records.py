"""`postkeel headers` without a file: what the agent has proved and counted."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from postkeel.cli.headers_records import tables_of
from postkeel.cli.opening import Opened
from postkeel.contract import Records
from postkeel.core.configuration import Configuration
from postkeel.core.errors import PostkeelError
from postkeel.discovery import Found
from postkeel.registry import Registry
from postkeel.shell.records import RecordStore
from postkeel_plugins.header_checker.tables import TABLES

PLUGIN = "header_checker"
AGREED = "TLSv1.3 with TLS_AES_256_GCM_SHA384"
NOON = 1_763_985_600
TARGET = {
    "target": "smtp/inet on 127.0.0.1:25",
    "service": "smtp/inet",
    "ok": True,
    "outcome": "agree",
    "stage": "",
    "code": 250,
    "problem": "",
    "seconds": 0.42,
    "handshake": AGREED,
    "header": AGREED,
    "log": AGREED,
}
PROBE = {
    "time": NOON,
    "seconds": 0.42,
    "late": [],
    "others": 0,
    "left": 0,
    "problem": "",
    "targets": [TARGET],
}
REFUSED = TARGET | {
    "ok": False,
    "outcome": "refused",
    "stage": "RCPT",
    "code": 450,
    "problem": "450 4.2.0 Greylisted",
    "header": "",
    "log": "",
}


def counts():
    hour = int(datetime.now(UTC).timestamp()) // 3600 * 3600
    return {
        "probes": {
            (hour, "smtp/inet", "agree"): (4, 2000),
            (hour - 3600, "smtp/inet", "agree"): (6, 2000),
            (hour, "", "late"): (1, 0),
        },
        "hops": {
            (hour, "yes", "encrypted", "TLSv1.3", "Postfix"): (90,),
            (hour, "yes", "clear", "", "Postfix"): (10,),
            (hour, "no", "unknown", "(others)", ""): (100,),
        },
        "messages": {(hour, "encrypted"): (60,), (hour, "clear"): (39,), (hour, ""): (1,)},
    }


def keep(place, state=None, add=None):
    """What the agent's commits would leave."""
    with RecordStore(f"{place.state}/monitor") as store:
        records = Records(add=add or {}, state=state)
        store.commit(PLUGIN, str(place.etc), TABLES, records, now=datetime.now(UTC))


def probed(**changes):
    return {"version": 1, "probe": PROBE | changes, "complaints": []}


def test_the_document(place):
    keep(place, probed(targets=[TARGET], late=[3600.0], others=2, left=1), counts())
    shown = place.json("headers", status=0)
    assert shown["history"] == f"{place.state}/monitor/records.sqlite3"
    assert shown["days"] == 30
    assert shown["last_probes"] == [
        {
            "config_directory": str(place.etc),
            "time": "2025-11-24T12:00:00Z",
            "seconds": 0.42,
            "ok": True,
            "problem": "",
            "late": [3600.0],
            "others": 2,
            "left": 1,
            "targets": [{key: TARGET[key] for key in TARGET.keys() - {"service", "code"}}],
        }
    ]
    assert shown["probes"] == [
        {"service": "", "outcome": "late", "probes": 1, "milliseconds": 0},
        {"service": "smtp/inet", "outcome": "agree", "probes": 10, "milliseconds": 4000},
    ]
    assert {one["verdict"]: one["messages"] for one in shown["sampled"]} == {
        "": 1,
        "clear": 39,
        "encrypted": 60,
    }
    assert sum(one["hops"] for one in shown["hops"]) == 200
    assert shown["hops"][0] == {
        "believed": False,
        "verdict": "unknown",
        "protocol": "(others)",
        "mta": "",
        "hops": 100,
    }


def test_for_a_person(place):
    keep(place, probed(targets=[TARGET], late=[7300.0], others=2, left=1), counts())
    done = place.run("headers")
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "  smtp/inet on 127.0.0.1:25: agree, in 0.42 s",
        f"    handshake {AGREED}",
        f"    header {AGREED}",
        f"    log {AGREED}",
        "  1 earlier probe came only now, up to 2 h 1 min late",
        "  1 probe could not be removed from the mailbox",
        "  2 other messages in the mailbox",
        "11 probes in the last 30 days",
        "  smtp/inet                                agree                 10   0.40 s",
        "  -                                        late                   1        -",
        "100 messages of the mailboxes sampled in the last 30 days",
        "  encrypted                                            60   60.0% ████████████",
        "  in clear                                             39   39.0% ███████▊",
        "  not known: no line of your hosts                      1    1.0% ▎",
        "  yes       encrypted  TLSv1.3      Postfix                  90   45.0%",
        "  no        unknown    (others)     -                       100   50.0%",
    ):
        assert line in done.stdout.splitlines(), done.stdout
    assert "last probe 2025-11-24 12:00 UTC, 0.4 s" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "changes",
    [{"targets": [TARGET, REFUSED]}, {"problem": "/var/mail/_postkeel: permission denied"}],
)
def test_a_last_probe_that_found_something(place, changes):
    keep(place, probed(**changes))
    done = place.run("headers")
    assert done.returncode == 2
    place.json("headers", status=2)
    if "problem" in changes:
        assert "  /var/mail/_postkeel: permission denied" in done.stdout
    else:
        assert "  smtp/inet on 127.0.0.1:25: refused, not past RCPT" in done.stdout
        assert "    450 4.2.0 Greylisted" in done.stdout


def test_counts_alone(place):
    keep(place, add={"messages": counts()["messages"]})
    assert "100 messages of the mailboxes sampled" in place.run("headers").stdout


def test_a_host_without_postfix_shows_what_was_counted(place):
    keep(place, add=counts())
    place.own.joinpath("bin").mkdir()
    config = ("--config", str(place.own / "postkeel.toml"))
    run = place.run.__globals__["postkeel"]
    done = run("headers", *config, env={"PATH": str(place.own / "bin")})
    assert "11 probes in the last 30 days" in done.stdout, done.stderr
    error = run("headers", *config, "-c", "/nonexistent")
    assert error.stderr.startswith("postkeel: /nonexistent: no such directory")


def test_nothing_yet(place):
    for _ in range(2):
        told = place.error("headers")
        assert told == (
            "postkeel: state/monitor/records.sqlite3: the agent has made no probe and sampled no"
            " mail; give files, `postkeel headers message.eml`, or set probe_every or mailboxes in"
            " [plugins.header_checker]\n"
        )
        keep(place, {"version": 1, "probe": None, "complaints": []})


@pytest.mark.parametrize(
    "probe",
    [
        7,
        [],
        {},
        PROBE | {"time": 1e300},
        PROBE | {"time": "now"},
        PROBE | {"seconds": None},
        PROBE | {"targets": 7},
        PROBE | {"targets": [{}]},
        PROBE | {"targets": [TARGET | {"log": 7}]},
        PROBE | {"late": ["x"]},
        PROBE | {"others": "many"},
    ],
)
def test_what_a_hostile_monitor_writes_is_no_probe(place, probe):
    keep(place, {"version": 1, "probe": probe, "complaints": []}, counts())
    shown = place.json("headers", status=0)
    assert shown["last_probes"] == []


def test_what_a_hostile_monitor_writes_does_not_act(place):
    evil = "\x1b[31m\u202e" * 500
    target = TARGET | {"target": evil, "problem": evil, "log": evil}
    add = {"probes": {(int(datetime.now(UTC).timestamp()) // 3600 * 3600, evil, evil): (1, 1)}}
    keep(place, probed(targets=[target] * 150, problem=evil), add)
    done = place.run("headers")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert done.stdout.count("handshake") == 100
    place.json("headers", status=2)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "not loaded"),
        ([Found(name=PLUGIN, source="here", load=lambda: 1 / 0)], "division by zero"),
    ],
)
def test_a_plugin_that_is_not_loaded(found, why):
    registry = Registry(found, Configuration())
    opened = Opened(configuration=Configuration(), profiles=None, registry=registry)
    with pytest.raises(PostkeelError, match=f"plugin {PLUGIN}: .*{why}"):
        tables_of(opened)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_the_history_is_read_as_its_owner(place):
    keep(place, add=counts())
    for one in (place.state / "monitor", *(place.state / "monitor").iterdir()):
        os.chown(one, 65534, 65534)
    for one in (place.directory, *place.directory.parents):
        if one.stat().st_mode & 0o001:
            break
        one.chmod(0o711)
    assert "11 probes" in place.run("headers").stdout
