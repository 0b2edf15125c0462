"""Whether what is right in the files is what Postfix serves; a reload makes it so."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from postkeel.certificates.values import Use
from postkeel.contract import BuildTable, Change, Depth, Handshake, Reload, Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import SERVED
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import day, listed, reload_command, short


def judge_served(
    scene: Scene, case: Case, blocked: Mapping[str, str], waiting: Collection[str]
) -> Iterator[Complaint]:
    """blocked: the tables that must not be built, each with the file that is wrong.

    waiting: those of which a file is being written; the next look tells more.
    """
    behind = [use for use in case.uses if case.leaves and scene.is_behind(case, use)]
    old = [use for use in behind if use.table not in waiting]
    if old:
        yield _old_table(case, old, blocked)
    differing = [
        (use, one)
        for use, one in scene.shown(case)
        if use not in behind and _is_for(scene, case, one) and not one.ok
    ]
    if differing:
        yield _not_served(scene, case, differing)


def _old_table(case: Case, old: Sequence[Use], blocked: Mapping[str, str]) -> Complaint:
    tables = dict.fromkeys(use.table for use in old)
    remedy: tuple[Change, ...] = tuple(
        BuildTable(table=one) for one in tables if one not in blocked
    )
    because = "".join(
        f". {one} is not built anew, as that would take in what is wrong with {blocked[one]}"
        for one in tables
        if one in blocked
    )
    names = listed(use.name for use in old)
    return Complaint(
        rule=SERVED,
        use=old[0],
        severity=Severity.ERROR,
        says=f"{listed(tables)} holds another certificate for {names} than {case.file}, of which"
        f" it was built: run `postmap -F {next(iter(tables))}`{because}",
        effective=f"another certificate in {listed(tables)}",
        wanted=_wanted(case),
        file=case.file,
        depth=Depth.OBSERVED,
        remedy=(*remedy, Reload()) if remedy else (),
    )


def _is_for(scene: Scene, case: Case, shown: Handshake) -> bool:
    """Whether a handshake should have shown this credential, and not one beside it.

    One that was open to several is another's where a narrower one tells them apart.
    """
    own = {leaf.sha256 for leaf in case.leaves}
    if own.isdisjoint(shown.expected):
        return False
    if own.issuperset(shown.expected) or shown.algorithm:
        return True
    return not any(
        one.algorithm and one.expected and one.endpoint == shown.endpoint
        for one in scene.beside(shown)
    )


def _not_served(scene: Scene, case: Case, differing: Sequence[tuple[Use, Handshake]]) -> Complaint:
    use, first = differing[0]
    places = listed(_place(one) for _, one in differing)
    reason = f": {first.problem}" if first.problem else ""
    shown = short(first.certificate_sha256)
    effective = f"the certificate {shown}" if first.protocol else f"no TLS{reason}"
    what = f"another certificate ({shown})" if first.protocol else f"no TLS{reason}"
    return Complaint(
        rule=SERVED,
        use=use,
        severity=Severity.ERROR,
        says=f"{what} at {places}; {case.file} holds {_wanted(case)}, and Postfix has not read it"
        f" yet: {reload_command(scene.event.instance)}",
        effective=effective,
        wanted=_wanted(case),
        file=case.file,
        depth=Depth.OBSERVED,
        remedy=(Reload(),),
    )


def _place(one: Handshake) -> str:
    named = f" as {one.name}" if one.name else ""
    return f"{one.endpoint.service} ({one.endpoint}){named}"


def _wanted(case: Case) -> str:
    """The leaves of the files: "the certificate 1a2b3c4d5e6f7081 until 2027-02-01"."""
    leaves = (f"{short(leaf.sha256)} until {day(leaf.ends)}" for leaf in case.leaves)
    return f"the certificate {listed(leaves)}"
