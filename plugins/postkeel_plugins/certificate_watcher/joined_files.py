"""The files that postkeel joins of a renewer's two: kept up to date, and offered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Union

from postkeel.certificates.values import Credential, Joined, Kind, Use
from postkeel.contract import (
    Change,
    JoinFiles,
    LookAgain,
    Reload,
    SetParameter,
    Severity,
    frozen,
)
from postkeel.postfix.instance import Role
from postkeel.postfix.levels import RANKS, security_level
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import JOINED, OFFERED
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import day, listed

CHAIN_FILES = "smtpd_tls_chain_files"

Judge = Callable[[Case], "Union[LookAgain, tuple[Complaint, ...]]"]
"""What is wrong with a credential, or when to look again as it is being written."""


@frozen
class Rejoining:
    """What becomes of the joined files that are not current.

    mended: those that a right pair will be joined to anew, so whatever is wrong with
    them now keeps nobody from reloading.
    """

    complaints: tuple[Complaint, ...]
    again: tuple[LookAgain, ...]
    mended: frozenset[str]


def rejoin(scene: Scene, judge: Judge) -> Rejoining:
    complaints: list[Complaint] = []
    again: list[LookAgain] = []
    mended: set[str] = set()
    for joined in scene.certificates.joined:
        case = next((one for one in scene.cases if joined.path in one.credential.files), None)
        if joined.current or case is None:
            continue
        pair = _pair(scene, joined, case.use)
        found = judge(pair)
        if isinstance(found, LookAgain):
            again.append(found)
            continue
        known = judge(case)
        before = () if isinstance(known, LookAgain) else known
        worse = _worse(found, before)
        if _is_known(pair, joined) and not worse:
            mended.add(joined.path)
            complaints.append(_outdated(case, joined))
        else:
            complaints.append(_left_as_it_is(case.use, joined, worse))
    return Rejoining(complaints=tuple(complaints), again=tuple(again), mended=frozenset(mended))


def _pair(scene: Scene, joined: Joined, use: Use) -> Case:
    credential = Credential(kind=Kind.PAIR, files=(joined.certificate, joined.key))
    return scene.case(credential, (use,))


def _is_known(pair: Case, joined: Joined) -> bool:
    """Whether both files were read, and what was judged is what would be joined."""
    return bool(joined.contents and pair.chains)


def _worse(found: Iterable[Complaint], before: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """What is wrong with the pair, but for what is as wrong with the file that is there.

    Else a renewal would be kept out until the old one expires, for the sake of an old problem.
    """
    known = {(one.rule.id, one.effective) for one in before if one.wrong}
    return tuple(
        one
        for one in found
        if one.wrong and (one.breaks or (one.rule.id, one.effective) not in known)
    )


def _join(joined: Joined) -> JoinFiles:
    return JoinFiles(
        path=joined.path,
        certificate=joined.certificate,
        key=joined.key,
        contents=joined.contents,
    )


def _outdated(case: Case, joined: Joined) -> Complaint:
    until = listed(day(leaf.ends) for leaf in case.leaves)
    return Complaint(
        rule=JOINED,
        use=case.use,
        severity=Severity.ERROR,
        says=f"{joined.path} is older than {joined.certificate} and {joined.key}, of which it is"
        " joined",
        effective=f"certificate until {until}" if until else "no certificate",
        wanted=f"joined anew of {joined.certificate} and {joined.key}",
        file=joined.path,
        remedy=(_join(joined), Reload()),
    )


def _left_as_it_is(use: Use, joined: Joined, worse: Iterable[Complaint]) -> Complaint:
    reasons = listed((one.says for one in worse), 1) or "they cannot be read"
    return Complaint(
        rule=JOINED,
        use=use,
        severity=Severity.ERROR,
        says=f"{joined.certificate} and {joined.key} are not joined anew: {reasons}."
        f" {joined.path} keeps the certificate that it has",
        effective="a renewal that is not right",
        wanted="a certificate, its chain and its key that are right",
        file=joined.path,
    )


def offer(scene: Scene, judge: Judge) -> tuple[tuple[Complaint, ...], tuple[LookAgain, ...]]:
    """The certificate that a renewer keeps for a server that has none and wants TLS."""
    joined = next(iter(scene.certificates.offered), None)
    services = tuple(_wanting(scene))
    if joined is None or not services or CHAIN_FILES not in scene.instance.defaults:
        return (), ()
    use = Use(
        credential=Credential(kind=Kind.CHAIN, files=(joined.path,)),
        services=services,
        parameter=CHAIN_FILES,
        where=scene.instance.where(CHAIN_FILES),
    )
    pair = _pair(scene, joined, use)
    found = judge(pair)
    if isinstance(found, LookAgain):
        return (), (found,)
    return (_offered(pair, joined, [one for one in found if one.wrong]),), ()


def _offered(pair: Case, joined: Joined, wrong: Collection[Complaint]) -> Complaint:
    right = _is_known(pair, joined) and not wrong
    remedy: tuple[Change, ...] = (
        _join(joined),
        SetParameter(name=CHAIN_FILES, value=joined.path),
    )
    reasons = listed((one.says for one in wrong), 1) or "the two cannot be read"
    says = (
        f"no certificate is set, and a renewer keeps {joined.certificate} for this server:"
        f" {joined.path} is joined of it and its key, and follows its renewals"
        if right
        else f"no certificate is set, and {joined.certificate}, which a renewer keeps for this"
        f" server, is not right: {reasons}"
    )
    return Complaint(
        rule=OFFERED,
        use=pair.use,
        severity=Severity.ERROR,
        says=says,
        effective="no certificate",
        wanted=joined.path,
        file=joined.certificate,
        remedy=remedy if right else (),
    )


def _wanting(scene: Scene) -> Iterator[str]:
    """The services for mail and logins where TLS is on, or the profile wants it."""
    rules = scene.profile.rules if scene.profile else ()
    for service in scene.instance.of_role(Role.MX, Role.SUBMISSION, Role.SUBMISSIONS):
        demanded = any(
            rule.comparison == "level-at-least"
            and service.role in rule.services
            and "smtpd_tls_security_level" in rule.parameters
            and any(RANKS.get(one, 0) for one in rule.wanted)
            for rule in rules
        )
        if demanded or security_level(scene.instance, "smtpd", service) not in ("none", None):
            yield service.name
