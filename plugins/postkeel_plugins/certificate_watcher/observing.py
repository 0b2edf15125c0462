"""From facts to findings: each credential judged, kept out, or made live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Union

from postkeel.certificates.values import Certificates, Served, Tlsa
from postkeel.contract import (
    Event,
    Facts,
    Interest,
    LookAgain,
    Need,
    Observation,
    Options,
    Profile,
    Severity,
    Timer,
)
from postkeel.postfix.instance import Instance
from postkeel_plugins.certificate_watcher.chains import judge_chains, judge_stapling
from postkeel_plugins.certificate_watcher.complaints import Complaint, findings
from postkeel_plugins.certificate_watcher.dane import judge_tlsa
from postkeel_plugins.certificate_watcher.files import judge_faults, judge_files
from postkeel_plugins.certificate_watcher.joined_files import offer, rejoin
from postkeel_plugins.certificate_watcher.keeping import kept_out
from postkeel_plugins.certificate_watcher.lifetime import judge_lifetime
from postkeel_plugins.certificate_watcher.naming import judge_names
from postkeel_plugins.certificate_watcher.options import INTERVAL, SETTLE, SPLAY, seconds
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.serving import judge_served
from postkeel_plugins.certificate_watcher.settling import under_way
from postkeel_plugins.certificate_watcher.strength import judge_strength

_KINDS = ("postfix", "profile", "certificates", "served", "tlsa")

Verdict = Union[LookAgain, tuple[Complaint, ...]]


def interests(instance: str, options: Options, facts: Facts) -> Interest:
    known = facts.get(Need(kind="certificates", subject=instance))
    timer = Timer(
        name="certificates", every=seconds(options, INTERVAL), splay=seconds(options, SPLAY)
    )
    return Interest(
        paths=known.watched if isinstance(known, Certificates) else (),
        timers=(timer,),
        needs=tuple(Need(kind=kind, subject=instance) for kind in _KINDS),
    )


def observe(event: Event, instance: str, facts: Facts, options: Options) -> Iterable[Observation]:
    scene = _scene(event, instance, facts, options)
    return () if scene is None else _Round(scene, seconds(options, SETTLE)).observations()


def _scene(event: Event, instance: str, facts: Facts, options: Options) -> Scene | None:
    """None without the facts on which all hangs; the round reports why they are missing."""
    postfix, profile, certificates, served, tlsa = (
        facts.get(Need(kind=kind, subject=instance)) for kind in _KINDS
    )
    if not isinstance(postfix, Instance) or not isinstance(certificates, Certificates):
        return None
    return Scene(
        event,
        postfix,
        certificates,
        served=served if isinstance(served, Served) else None,
        tlsa=tlsa if isinstance(tlsa, Tlsa) else None,
        profile=profile if isinstance(profile, Profile) else None,
        options=options,
    )


class _Round:
    """The verdicts on every credential, and what follows from them together."""

    def __init__(self, scene: Scene, settle: float) -> None:
        self._scene = scene
        self._settle = settle

    def observations(self) -> tuple[Observation, ...]:
        """Findings, then the reasons to look again."""
        scene = self._scene
        rejoining = rejoin(scene, self._judge)
        offered, again = offer(scene, self._judge)
        verdicts = [
            (case, self._judge(case))
            for case in scene.cases
            if rejoining.mended.isdisjoint(case.credential.files)
        ]
        waits = [one for _, one in verdicts if isinstance(one, LookAgain)]
        waiting = {
            use.table for case, one in verdicts if isinstance(one, LookAgain) for use in case.uses
        }
        blocked = dict(_blocked(verdicts))
        complaints: list[Complaint] = [*rejoining.complaints, *offered]
        for case, verdict in verdicts:
            if isinstance(verdict, tuple):
                complaints += kept_out(scene, case, verdict)
                if not case.client and not any(one.wrong for one in verdict):
                    complaints += judge_served(scene, case, blocked, waiting)
        return (*findings(complaints), *dict.fromkeys((*rejoining.again, *again, *waits)))

    def _judge(self, case: Case) -> Verdict:
        complaints = tuple(self._of_client(case) if case.client else self._of_server(case))
        again = under_way(self._scene, case, complaints, self._settle)
        if again is not None:
            return again
        return tuple(map(_softened, complaints)) if case.client else complaints

    def _of_client(self, case: Case) -> Iterator[Complaint]:
        yield from judge_faults(case)
        yield from judge_files(self._scene, case)
        yield from judge_lifetime(self._scene, case)

    def _of_server(self, case: Case) -> Iterator[Complaint]:
        scene = self._scene
        yield from judge_faults(case)
        yield from judge_files(scene, case)
        yield from judge_chains(scene, case)
        yield from judge_lifetime(scene, case)
        yield from judge_names(scene, case)
        yield from judge_strength(scene, case)
        yield from judge_tlsa(scene, case)
        yield from judge_stapling(case)


def _softened(complaint: Complaint) -> Complaint:
    """Few servers ask for a client's certificate, and mail goes on without."""
    warned = complaint.severity is Severity.ERROR
    severity = Severity.WARNING if warned else complaint.severity
    return replace(complaint, severity=severity)


def _blocked(verdicts: Iterable[tuple[Case, Verdict]]) -> Iterator[tuple[str, str]]:
    """The tables of which a file is not right, with that file: postmap would take it in."""
    for case, verdict in verdicts:
        if isinstance(verdict, tuple) and any(one.wrong for one in verdict):
            yield from ((use.table, case.file) for use in case.uses if use.table)
