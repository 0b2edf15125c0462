"""The fact "served": what is asked for again, what is kept, and since when."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from named_server import named_server
from postkeel.certificates.values import (
    Certificate,
    Certificates,
    Chain,
    Credential,
    Key,
    Kind,
    Loaded,
    Trust,
    Use,
)
from postkeel.core.errors import PostkeelError
from postkeel.postfix.instance import Instance, Parameter, Role, Service
from postkeel.shell import served as under_test
from postkeel.shell.proof import answers, prove, prove_until
from postkeel.shell.served import KEPT_SECONDS, MOST_NAMES, SILENT_SECONDS, KeptServed
from postkeel.shell.served_since import MOST_CERTIFICATES, ServedSince

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return MOMENT + timedelta(seconds=self.seconds - 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock, tmp_path) -> KeptServed:
    return KeptServed(str(tmp_path / "state"), clock=clock, now=clock.now)


@pytest.fixture
def server(tmp_path):
    with named_server(tmp_path) as one:
        yield one


@pytest.fixture
def servers(tmp_path):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(named_server(tmp_path)) for _ in range(2)]


def instance(*ports: str, running: bool = True, protocols: str = "?") -> Instance:
    """One whose services are on these ports, with TLS from the first byte."""
    settings = {
        "smtpd_tls_wrappermode": "yes",
        "smtpd_tls_cert_file": "/x",
        "smtpd_tls_mandatory_protocols": protocols,
    }
    return Instance(
        config_directory="/etc/postfix",
        version="3.7.11",
        openssl="3.0.17",
        map_types=(),
        parameters={
            name: Parameter(value=value, where="main.cf:1") for name, value in settings.items()
        },
        defaults={},
        services=tuple(
            Service(name=service(port), command="smtpd", where="master.cf:1", role=Role.MX)
            for port in ports
        ),
        running=running,
    )


def service(port: str) -> str:
    return f"127.0.0.1:{port}/inet"


def facts(ports, **held: str) -> Certificates:
    """What the files hold for the default and each name, all of them used by all services."""
    uses, loaded = [], {}
    for name, digest in held.items():
        credential = Credential(kind=Kind.CHAIN, files=(f"/{name}",))
        leaf = Certificate(
            subject="CN=x",
            issuer="CN=y",
            serial="1",
            begins=MOMENT,
            ends=MOMENT,
            key=Key(algorithm="EC"),
            signature="",
            digest="",
            sha256=digest,
            key_sha256="",
            file="/x",
            line=1,
        )
        chain = Chain(certificates=(leaf,), trust=Trust.COMPLETE)
        loaded[credential] = Loaded(chains=(chain,))
        sni = "" if name == "default" else name
        uses.append(
            Use(
                credential=credential,
                services=tuple(map(service, ports)),
                parameter="smtpd_tls_chain_files",
                where="main.cf:1",
                table="hash:/sni" if sni else "",
                name=sni,
            )
        )
    return Certificates(uses=tuple(uses), loaded=loaded)


def test_a_postfix_that_does_not_run_serves_nothing(kept, server):
    found = kept.of(instance(server.port, running=False), facts([server.port]))
    assert (found.handshakes, found.problem) == ((), "Postfix is not running")
    assert server.counted() == []


def test_what_is_right_is_not_asked_again(kept, server, clock):
    held = facts([server.port], default=server.shows(""), **{"a.test": server.shows("a.test")})
    first = kept.of(instance(server.port), held)
    assert [(one.name, one.ok) for one in first.handshakes] == [("", True), ("a.test", True)]
    assert server.counted() == ["", "a.test"]
    clock.seconds += KEPT_SECONDS - 1
    assert kept.of(instance(server.port), held) == first
    assert server.counted() == []
    clock.seconds += 1
    assert kept.of(instance(server.port), held) == first
    assert server.counted() == ["", "a.test"]
    assert kept.of(instance(server.port), held) == first
    assert server.counted() == []


def test_a_restarted_postfix_is_asked_anew(kept, server):
    held = facts([server.port], default=server.shows(""))
    kept.of(instance(server.port), held)
    kept.of(instance(server.port, running=False), held)
    server.counted()
    assert kept.of(instance(server.port), held).handshakes[0].ok
    assert server.counted() == [""]


def test_only_what_changed_is_asked_for(kept, server):
    default, old = server.shows(""), server.shows("a.test")
    kept.of(instance(server.port), facts([server.port], default=default, **{"a.test": old}))
    server.counted()
    renewed = facts([server.port], default=default, **{"a.test": "0" * 64})
    found = kept.of(instance(server.port), renewed)
    assert server.counted() == ["a.test"]
    assert [one.ok for one in found.handshakes] == [True, False]
    assert found.handshakes[1].certificate_sha256 == old


def test_what_is_not_right_is_asked_for_until_it_is(kept, server):
    server.shows("")
    wrong = facts([server.port], default="0" * 64)
    for _ in range(2):
        assert not kept.of(instance(server.port), wrong).handshakes[0].ok
        assert server.counted() == [""]
    right = facts([server.port], default=server.shows(""))
    assert kept.of(instance(server.port), right).handshakes[0].ok
    assert server.counted() == [""] * 9, "one that is right, and whether others are"
    assert kept.of(instance(server.port), right).handshakes[0].ok
    assert server.counted() == []


def test_names_that_come_and_go(kept, server):
    default, name = server.shows(""), {"a.test": server.shows("a.test")}
    kept.of(instance(server.port), facts([server.port], default=default))
    assert server.counted() == [""]
    found = kept.of(instance(server.port), facts([server.port], default=default, **name))
    assert [one.name for one in found.handshakes] == ["", "a.test"]
    assert server.counted() == ["a.test"]
    found = kept.of(instance(server.port), facts([server.port], default=default))
    assert [one.name for one in found.handshakes] == [""]
    assert server.counted() == []


def test_a_service_that_is_switched_on_later(kept, server):
    assert kept.of(instance(), facts([])).handshakes == ()
    held = facts([server.port], default=server.shows(""))
    assert kept.of(instance(server.port), held).handshakes[0].ok


def test_a_process_that_starts_does_not_speak_for_those_that_run(kept, servers):
    """The file is replaced: an smtpd that has just started shows the new one, others the old."""
    old, new = servers
    kept.of(instance(new.port), facts([new.port], default=new.shows("")))
    new.shows_beside(old)
    held = facts([new.port], default=new.shows(""))
    assert [one.ok for one in kept.of(instance(new.port), held).handshakes] == [False]
    new.shows_beside(new)
    assert [one.ok for one in kept.of(instance(new.port), held).handshakes] == [True]
    new.counted()
    kept.of(instance(new.port), held)
    assert new.counted() == []


def test_a_service_of_one_process_holds_nobody_up(kept, server):
    kept.of(instance(server.port), facts([server.port], default=server.shows("")))
    server.serves_at_once(1)
    held = facts([server.port], default=server.shows(""))
    began = time.monotonic()
    assert [one.ok for one in kept.of(instance(server.port), held).handshakes] == [True]
    assert time.monotonic() - began < 7


def many(servers, count: int) -> dict[str, str]:
    """Names that every server shows the certificate of; each server's default is one for all."""
    held = {"default": servers[0].shows("")}
    servers[1].shows_as(servers[0])
    return held | {f"n{number}.test": held["default"] for number in range(count)}


def test_of_many_names_each_is_asked_at_one_service_in_turn(kept, servers, clock):
    ports = [one.port for one in servers]
    held = many(servers, MOST_NAMES + 1)
    both = instance(*ports)
    first = kept.of(both, facts(ports, **held))
    assert len(first.handshakes) == 2 + MOST_NAMES + 1
    asked = [one.counted() for one in servers]
    assert [len(one) for one in asked] == [34, 33]
    assert set(asked[0]) & set(asked[1]) == {""}
    assert kept.of(both, facts(ports, **held)) == first
    assert [one.counted() for one in servers] == [[], []]
    clock.seconds += KEPT_SECONDS
    assert len(kept.of(both, facts(ports, **held)).handshakes) == 2 + 2 * (MOST_NAMES + 1)
    turned = [one.counted() for one in servers]
    assert set(turned[0]) == set(asked[1])
    assert set(turned[1]) == set(asked[0])


def test_of_many_names_a_changed_one_is_asked_for_everywhere(kept, servers):
    ports = [one.port for one in servers]
    held = many(servers, MOST_NAMES + 1)
    kept.of(instance(*ports), facts(ports, **held))
    assert all(one.counted() for one in servers)
    found = kept.of(instance(*ports), facts(ports, **(held | {"n7.test": "0" * 64})))
    assert [one.counted() for one in servers] == [["n7.test"], ["n7.test"]]
    assert sum(not one.ok for one in found.handshakes) == 2


def test_of_few_names_each_is_asked_everywhere(kept, servers):
    ports = [one.port for one in servers]
    held = many(servers, 3)
    kept.of(instance(*ports), facts(ports, **held))
    assert [len(one.counted()) for one in servers] == [4, 4]


def test_at_most_eight_connections_at_once(servers):
    ports = [one.port for one in servers]
    held = many(servers, 40)
    asks = under_test.asks_of(instance(*ports), facts(ports, **held))
    found = answers(asks, 20).values()
    assert len(found) == 82
    assert all(one.ok for one in found)
    assert all(one.most <= 4 for one in servers)
    alone = [one for one in asks if one.endpoint.port == ports[0]]
    assert all(one.ok for one in answers(alone, 20).values())
    assert 1 < servers[0].most <= 8


def test_who_is_silent_is_waited_for_once(kept, servers, clock, monkeypatch):
    monkeypatch.setattr(under_test, "LOOK_SECONDS", 1.5)
    quiet, server = servers
    ports = [quiet.port, server.port]
    name = {"a.test": server.shows("a.test")}
    held = facts(ports, default=server.shows(""), **name)
    with quiet.silence():
        found = kept.of(instance(*ports), held)
        assert [one.problem for one in found.handshakes] == ["no answer in time", "", ""]
        assert found.handshakes[0].endpoint.port == quiet.port
        assert found.problem.startswith("1 of 4 handshakes could not be made")

        def connections(held: Certificates) -> int:
            before = quiet.met
            again = kept.of(instance(*ports), held)
            assert again.handshakes[0].problem == "no answer in time"
            assert [one.ok for one in again.handshakes] == [False, True, True]
            return quiet.met - before

        assert connections(held) == 0
        clock.seconds += SILENT_SECONDS
        assert connections(held) == 1, "once, and not for each name"
        renewed = facts(ports, default=server.shows(""), **name)
        assert connections(renewed) == 0, "not even when its file changes"
        asks = kept.due(instance(*ports), renewed)
        assert [(one.endpoint.port, one.name) for one in asks] == [
            (quiet.port, ""),
            (quiet.port, "a.test"),
            (server.port, ""),
        ], "a proof waits"


def test_who_answers_again_is_asked_for_all(kept, server, clock, monkeypatch):
    monkeypatch.setattr(under_test, "LOOK_SECONDS", 0.3)
    held = facts([server.port], default=server.shows(""), **{"a.test": server.shows("a.test")})
    with server.silence():
        assert [one.ok for one in kept.of(instance(server.port), held).handshakes] == [False]
    monkeypatch.undo()
    clock.seconds += SILENT_SECONDS
    server.counted()
    found = kept.of(instance(server.port), held)
    assert [one.ok for one in found.handshakes] == [True, True]
    assert found.problem == ""


def test_a_process_that_fails_is_told(kept, server, monkeypatch):
    """What a system without memory or processes does cannot be had for real in a test."""
    held = facts([server.port], default=server.shows(""))
    good = kept.of(instance(server.port), held)

    def fails(*_):
        raise PostkeelError("no process can be started")

    monkeypatch.setattr(under_test, "answers", fails)
    renewed = facts([server.port], default="0" * 64)
    found = kept.of(instance(server.port), renewed)
    assert found == replace(good, problem="no handshake was made: no process can be started")
    monkeypatch.undo()
    assert not kept.of(instance(server.port), renewed).handshakes[0].ok


def test_what_a_proof_has_shown_is_not_asked_again(kept, server):
    here = instance(server.port, protocols=">=TLSv1.2")
    default, name = server.shows(""), server.shows("a.test")
    other = {"b.test": server.shows("b.test")}
    kept.of(here, facts([server.port], default=default, **{"a.test": name}, **other))
    server.counted()
    renewed = facts([server.port], default=default, **{"a.test": server.shows("a.test")}, **other)
    asks = kept.due(here, renewed)
    assert [one.name for one in asks] == ["", "a.test"]
    proof = prove_until(here, lambda found: all(one.ok for one in found), asks)
    assert [(one.below, one.name) for one in proof] == [("", ""), ("TLSv1.2", ""), ("", "a.test")]
    assert [one.ok for one in proof] == [True, True, True]
    server.counted()
    noted = kept.note(here, renewed, proof)
    assert [one.name for one in noted.handshakes] == ["", "a.test", "b.test"]
    assert all(one.ok for one in noted.handshakes)
    assert noted.problem == ""
    assert kept.of(here, renewed) == noted
    assert server.counted() == []


def test_what_a_proof_did_not_show_is_asked_again(kept, server):
    here = instance(server.port)
    held = facts([server.port], default=server.shows(""), **{"a.test": server.shows("a.test")})
    asks = kept.due(here, held)
    assert [one.name for one in asks] == [""], "nothing is known, so nothing has changed"
    noted = kept.note(here, held, ())
    assert noted.handshakes == ()
    assert noted.problem.startswith("1 of 1 handshakes could not be made")
    assert [one.ok for one in kept.of(here, held).handshakes] == [True, True]


def test_proofs_of_wrong_certificates_end(server):
    here = instance(server.port)
    asks = under_test.asks_of(here, facts([server.port], default="0" * 64))
    began = time.monotonic()
    proof = prove_until(here, lambda found: all(one.ok for one in found), asks)
    assert 2.5 < time.monotonic() - began < 15
    assert [one.ok for one in proof] == [False]
    assert "its file holds 0000000000000000" in str(proof[0])


def test_a_proof_tries_only_that_again_which_was_not_right(server):
    held = {f"n{number}.test": server.shows("") for number in range(3)}
    held = dict.fromkeys(held, list(held.values())[-1]) | {"n1.test": "0" * 64}
    asks = under_test.asks_of(instance(server.port), facts([server.port], **held))
    tries = []
    prove_until(instance(server.port), lambda found: tries.append(1) or len(tries) == 3, asks)
    asked = server.counted()
    assert {name: asked.count(name) for name in asked} == {
        "": 1,
        "n0.test": 1,
        "n1.test": 3,
        "n2.test": 1,
    }


def test_all_is_tried_again_when_right_is_not_enough(server):
    calls = []
    proof = prove_until(instance(server.port), lambda found: calls.append(1) or len(calls) == 2)
    assert [one.ok for one in proof] == [True]
    assert server.counted() == ["", ""]


def test_nothing_to_ask():
    assert answers((), 1) == {}
    assert prove(instance()) == ()
    assert prove_until(instance(), lambda found: not found) == ()


def test_since_when_outlives_the_agent(server, clock, tmp_path):
    state = str(tmp_path / "state")
    digest = server.shows("")
    held = facts([server.port], default=digest)
    first = KeptServed(state, clock=clock, now=clock.now)
    assert first.of(instance(server.port), held).since == {digest: MOMENT}
    clock.seconds += 60
    assert first.of(instance(server.port), held).since == {digest: MOMENT}
    later = KeptServed(state, clock=clock, now=clock.now)
    assert later.of(instance(server.port), held).since == {digest: MOMENT}
    renewed = server.shows("")
    held = facts([server.port], default=renewed)
    found = later.of(instance(server.port), held)
    assert found.since == {renewed: MOMENT + timedelta(seconds=60)}
    assert set(json.loads((tmp_path / "state/served.json").read_text())["since"]) == {
        digest,
        renewed,
    }


ONE, TWO = "1" * 64, "2" * 64


def test_the_file_is_for_its_owner(tmp_path):
    ServedSince(str(tmp_path)).seen([ONE], MOMENT)
    assert (tmp_path / "served.json").stat().st_mode & 0o777 == 0o600


def test_a_command_writes_nothing(tmp_path):
    reads = ServedSince(str(tmp_path), write=False)
    assert reads.seen([ONE], MOMENT) == ({}, "")
    assert list(tmp_path.iterdir()) == []
    ServedSince(str(tmp_path)).seen([ONE], MOMENT)
    later = MOMENT + timedelta(days=1)
    assert reads.seen([ONE, TWO], later) == ({ONE: MOMENT}, "")


def test_no_directory_at_all():
    assert ServedSince(None).seen([ONE], MOMENT) == ({ONE: MOMENT}, "")


def test_what_is_known_is_not_written_again(tmp_path):
    kept = ServedSince(str(tmp_path))
    kept.seen([ONE, TWO], MOMENT)
    before = (tmp_path / "served.json").stat().st_ino
    kept.seen([TWO], MOMENT)
    assert (tmp_path / "served.json").stat().st_ino == before


def test_the_newest_are_kept_and_those_that_are_served(tmp_path):
    kept = ServedSince(str(tmp_path))
    kept.seen([ONE], MOMENT)
    old = [f"{number:064x}" for number in range(MOST_CERTIFICATES)]
    for at, one in enumerate((old[:5], old[5:])):
        kept.seen(one, MOMENT + timedelta(hours=1 + at))
    known = ServedSince(str(tmp_path), write=False)
    assert known.seen(old, MOMENT)[0] == dict.fromkeys(old[5:], MOMENT + timedelta(hours=2)) | {
        one: MOMENT + timedelta(hours=1) for one in old[:5]
    }
    assert known.seen([ONE], MOMENT + timedelta(days=9)) == ({}, "")
    assert (tmp_path / "served.json").stat().st_size < 1 << 20


def test_more_are_served_than_are_kept(tmp_path):
    kept = ServedSince(str(tmp_path))
    every = [f"{number:064x}" for number in range(MOST_CERTIFICATES + 10)]
    kept.seen(every, MOMENT)
    since, problem = kept.seen(every, MOMENT + timedelta(days=1))
    assert (len(since), problem) == (MOST_CERTIFICATES + 10, "")
    assert sum(one == MOMENT for one in since.values()) == MOST_CERTIFICATES
    assert sum(one == MOMENT for one in kept.seen(every, MOMENT + timedelta(2))[0].values()) == (
        MOST_CERTIFICATES
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"since": []}',
        b'{"since": {"x": "2026-11-23T12:00:00+00:00"}}',
        b'{"since": {"%s": 7}}' % ONE.encode(),
        b'{"since": {"%s": "yesterday"}}' % ONE.encode(),
        b'{"since": {"%s": "2026-11-23T12:00:00"}}' % ONE.encode(),
        b'{"since": {"%s": "2026-11-23T12:00:00+00:00"}}' % ONE.encode() + b" " * (1 << 20) + b"x",
    ],
)
def test_a_damaged_file_is_begun_anew_and_told(tmp_path, content):
    (tmp_path / "served.json").write_bytes(content)
    kept = ServedSince(str(tmp_path))
    since, problem = kept.seen([ONE], MOMENT)
    if content.endswith(b"x"):  # what stands behind a mebibyte is not read
        assert problem == ""
        return
    assert since == {ONE: MOMENT}
    assert problem.startswith(f"{tmp_path}/served.json: cannot be understood (")
    assert "begun anew" in problem
    assert "\n" not in problem
    assert kept.seen([ONE], MOMENT + timedelta(days=1)) == ({ONE: MOMENT}, "")


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "state").write_text("a file")
    since, problem = ServedSince(str(tmp_path / "state")).seen([ONE], MOMENT)
    assert since == {ONE: MOMENT}
    assert problem.startswith(f"{tmp_path}/state/served.json: cannot be ")


def test_the_problem_reaches_the_fact(server, clock, tmp_path):
    (tmp_path / "served.json").write_text("{")
    kept = KeptServed(str(tmp_path), clock=clock, now=clock.now)
    held = facts([server.port], default=server.shows(""))
    assert "begun anew" in kept.of(instance(server.port), held).problem
    assert kept.of(instance(server.port), held).problem == ""


def test_who_only_reads_does_not_say_since_when_what_nobody_has_seen(server, tmp_path):
    state = str(tmp_path / "state")
    digest = server.shows("")
    held = facts([server.port], default=digest)
    reader = KeptServed(state, write=False)
    found = reader.of(instance(server.port), held)
    assert ([one.certificate_sha256 for one in found.handshakes], found.since) == ([digest], {})
    assert not (tmp_path / "state").exists()
