"""`postkeel certificates`: those in use, whether they are right, and whether they are served."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Final

from postkeel.certificates.values import Certificates, Fault, FaultKind, Loaded, Served, Tlsa
from postkeel.cli.certificates_seen import Look, is_open
from postkeel.cli.opening import Opened, finish, instances, looking_round, of_each, open_all
from postkeel.cli.progress import Waiting
from postkeel.contract import Absent, Finding, Judged, LookAgain, Need
from postkeel.core.decide import dry
from postkeel.core.errors import PostkeelError
from postkeel.postfix.handshake import endpoints
from postkeel.postfix.instance import Instance
from postkeel.registry import Loaded as Plugin
from postkeel.shell.round import Round

JUDGE: Final = "certificate_watcher"
_LIVE: Final = ("served", "tlsa")
_KINDS: Final = ("postfix", "profile", "certificates", *_LIVE)


def main(arguments: Namespace) -> int:
    opened = open_all(arguments)
    with Waiting("looking at certificates, and at what is served"):
        looks, complaint = of_each(instances(arguments), lambda one: _look(opened, one, arguments))
    if arguments.format == "json":
        from postkeel.cli.certificates_json import document
        from postkeel.cli.render import print_json

        print_json(instances=[document(one) for one in looks])
    else:
        _print(arguments, looks)
    unjudged = next((one.unjudged for one in looks if one.unjudged), "")
    found = any(is_open(judged) for one in looks for judged in one.judged)
    return finish(complaint or unjudged, 2 if found else 0)


def _print(arguments: Namespace, looks: Iterable[Look]) -> None:
    from postkeel.cli.certificates_text import lines
    from postkeel.cli.text_page import Page

    page = Page(arguments)
    for number, look in enumerate(looks):
        if number:
            print()
        for line in lines(page, look, verbose=arguments.verbose):
            print(line)


def _look(opened: Opened, directory: str, arguments: Namespace) -> Look:
    """Gather and judge by one plugin alone: what the others want is not asked here.

    Errors: PostkeelError when the instance or its certificates cannot be had.
    """
    round_ = looking_round(opened, directory)
    facts = _facts(round_, _left_out(arguments))
    instance, known = facts[_need("postfix", directory)], facts[_need("certificates", directory)]
    if not isinstance(instance, Instance) or not isinstance(known, Certificates):
        raise PostkeelError(_reason(instance) or _reason(known))
    closed: frozenset[str] = frozenset()
    if not instance.running and _need("served", directory) in facts:
        facts[_need("served", directory)] = _asked_anyway(opened, instance, known)
    if arguments.files:
        from postkeel.cli.certificates_given import given

        known = given(arguments.files, instance, known)
    else:
        known, closed = _readable(known)
    facts[_need("certificates", directory)] = _settled(known)
    judged, unjudged = _judged(round_, facts)
    return Look(
        directory=directory,
        at=round_.event.time,
        certificates=known,
        served=_served(facts.get(_need("served", directory))),
        tlsa=_tlsa(facts.get(_need("tlsa", directory))),
        judged=judged,
        unjudged=unjudged,
        ports={one.service: one.port for one in endpoints(instance)},
        given=bool(arguments.files),
        closed=closed,
        problems=tuple(dict.fromkeys(round_.problems)),
    )


def _need(kind: str, directory: str) -> Need:
    return Need(kind=kind, subject=directory)


def _left_out(arguments: Namespace) -> tuple[str, ...]:
    """The kinds of facts that are not asked for: what is not in use is not served."""
    return _LIVE if arguments.offline else _LIVE[:1] if arguments.files else ()


def _facts(round_: Round, left_out: Container[str]) -> dict[Need, object]:
    """What the judge needs, and what is shown."""
    directory, problems = round_.directory, round_.problems
    interests = round_.registry.interests(directory, {}, problems, _judges(round_))
    wanted = [need for _, interest in interests for need in interest.needs]
    needs = [*(_need(kind, directory) for kind in _KINDS), *wanted]
    return round_.registry.gather((one for one in needs if one.kind not in left_out), problems)


def _judges(round_: Round) -> list[Plugin]:
    return [one for one in round_.registry.plugins if one.card.name == JUDGE]


def _judged(round_: Round, facts: dict[Need, object]) -> tuple[tuple[Judged, ...], str]:
    """What the plugin finds, as waivers have it; and why it finds nothing, where it cannot."""
    judges = _judges(round_)
    if not judges:
        rejected = {one.name: one.reason for one in round_.registry.rejected}
        return (), f"plugin {JUDGE}: {rejected.get(JUDGE, 'not loaded')}"
    before = len(round_.problems)
    observed = round_.registry.observe(
        round_.event, round_.directory, facts, round_.problems, judges
    )
    failed = round_.problems[before:]
    waits = [one.reason for one in observed if isinstance(one, LookAgain)]
    round_.problems.extend(f"looked at in the middle of a change: {one}" for one in waits)
    findings = tuple(one for one in observed if isinstance(one, Finding))
    return dry(round_.decide(findings, wait="", running=False)), failed[0] if failed else ""


def _reason(fact: object) -> str:
    return fact.reason if isinstance(fact, Absent) else ""


def _served(fact: object) -> Served | None:
    if isinstance(fact, Absent):
        return Served(problem=fact.reason)
    return fact if isinstance(fact, Served) else None


def _tlsa(fact: object) -> Tlsa | None:
    if isinstance(fact, Absent):
        return Tlsa(problem=fact.reason)
    return fact if isinstance(fact, Tlsa) else None


def _asked_anyway(opened: Opened, instance: Instance, known: Certificates) -> Served:
    """What is served by a Postfix of which an ordinary user cannot tell whether it runs."""
    if os.geteuid() == 0:
        return Served(problem="Postfix is not running")
    from postkeel.shell.served import KeptServed

    kept = KeptServed(opened.configuration.state_directory, write=False)
    served = kept.of(replace(instance, running=True), known)
    if any(one.certificate_sha256 for one in served.handshakes):
        return served
    return Served(problem="nothing answers; only root can tell whether Postfix is running")


def _readable(known: Certificates) -> tuple[Certificates, frozenset[str]]:
    """Without the faults of files that only this user cannot read, and these files.

    Root's Postfix reads them: what an ordinary user may not see is no fault of theirs.
    """
    if os.geteuid() == 0:
        return known, frozenset()
    paths = {
        fault.file
        for one in known.loaded.values()
        for fault in one.faults
        if fault.kind is FaultKind.FILE
    }
    closed = frozenset(one for one in paths if _is_closed(one))
    loaded = {
        credential: replace(one, faults=_but(one, closed))
        for credential, one in known.loaded.items()
    }
    return replace(known, loaded=loaded), closed


def _but(loaded: Loaded, closed: frozenset[str]) -> tuple[Fault, ...]:
    return tuple(
        one for one in loaded.faults if one.kind is not FaultKind.FILE or one.file not in closed
    )


def _settled(known: Certificates) -> Certificates:
    """As if nothing had changed just now: who asks wants to know how it is at this moment."""
    loaded = {
        credential: replace(one, files=tuple(replace(seen, changed=None) for seen in one.files))
        for credential, one in known.loaded.items()
    }
    return replace(known, loaded=loaded)


def _is_closed(path: str) -> bool:
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return not os.access(path, os.R_OK, effective_ids=True)
