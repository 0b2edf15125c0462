"""Whether a chain is whole, and what extension it promises too much by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from postkeel.certificates.values import Chain, Trust
from postkeel.contract import Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import CHAIN, STAPLING
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import day, place, renewal, title

_WHOLE = "a chain up to a root that others have"
_DANE = "opportunistic TLS and DANE work with it all the same"


def judge_chains(scene: Scene, case: Case) -> Iterator[Complaint]:
    for chain in case.chains:
        match chain.trust:
            case Trust.INCOMPLETE:
                yield _incomplete(scene, case, chain)
            case Trust.SELF_SIGNED:
                yield _unknown_root(scene, case, chain, "signed itself")
            case Trust.FOREIGN:
                says = "leads to a root that this host does not trust"
                yield _unknown_root(scene, case, chain, says)
            case Trust.UNKNOWN:
                yield _no_roots(scene, case)
            case Trust.COMPLETE:
                pass
            case _:
                assert_never(chain.trust)
        yield from _outdated(case, chain, scene.now)


def _incomplete(scene: Scene, case: Case, chain: Chain) -> Complaint:
    leaf = chain.leaf
    missing = chain.missing or "its issuer"
    return Complaint(
        rule=CHAIN,
        use=case.use,
        severity=Severity.ERROR,
        says=f"{place(leaf)}: the chain of {title(leaf)} has a gap: {missing} is neither"
        f" in the file nor in {scene.certificates.roots[0] or 'the store'}; {_help(leaf.file)}",
        effective=f"incomplete, without {missing}",
        wanted=_WHOLE,
        file=leaf.file,
        wrong=True,
    )


def _help(file: str) -> str:
    directory, _, name = file.rpartition("/")
    if name == "cert.pem" and "/letsencrypt/" in directory:
        return f"name {directory}/fullchain.pem instead"
    return (
        "append the issuer's certificate; where it is to be had may stand in the output of"
        f" `openssl x509 -noout -ext authorityInfoAccess -in {file}`"
    )


def _unknown_root(scene: Scene, case: Case, chain: Chain, says: str) -> Complaint:
    """Mail programs verify, other servers seldom do."""
    logins = not scene.logins.isdisjoint(case.services)
    who = "mail programs refuse it or ask their users" if logins else "who verifies refuses it"
    return Complaint(
        rule=CHAIN,
        use=case.use,
        severity=Severity.WARNING if logins else Severity.INFO,
        says=f"{place(chain.leaf)}: {title(chain.leaf)} {says}: {who}; {_DANE}",
        effective=chain.trust.value,
        wanted=_WHOLE,
        file=chain.leaf.file,
    )


def _no_roots(scene: Scene, case: Case) -> Complaint:
    """About the store, so the credentials that one parameter names have it in common."""
    store = scene.certificates.roots[0]
    return Complaint(
        rule=CHAIN,
        use=case.use,
        severity=Severity.INFO,
        says=f"whether chains are whole cannot be judged: no roots in {store or 'the store'};"
        " on Debian they are in the package ca-certificates",
        effective="not known",
        wanted=_WHOLE,
        file=store,
    )


def _outdated(case: Case, chain: Chain, now: datetime) -> Iterator[Complaint]:
    """The issuer is needed by everybody who verifies; those above it may have a way around."""
    for position, one in enumerate(chain.certificates[1:], start=1):
        if one.begins <= now < one.ends:
            continue
        when = (
            f"expired {day(one.ends)}" if one.ends <= now else f"not valid until {day(one.begins)}"
        )
        yield Complaint(
            rule=CHAIN,
            use=case.use,
            severity=Severity.ERROR if position == 1 else Severity.WARNING,
            says=f"{place(one)}: {title(one)}, in the chain of {title(chain.leaf)}, {when};"
            " replace it by the issuer's present one",
            effective=f"{title(one)} {when}",
            wanted="a chain that is valid now",
            file=one.file,
            wrong=position == 1,
        )


def judge_stapling(case: Case) -> Iterator[Complaint]:
    for leaf in case.leaves:
        if leaf.must_staple:
            yield Complaint(
                rule=STAPLING,
                use=case.use,
                severity=Severity.WARNING,
                says=f"{place(leaf)}: {title(leaf)} demands a stapled OCSP answer (must staple);"
                f" issue one without: {_without_staple(case)}",
                effective="must staple",
                wanted="a certificate without it",
                file=leaf.file,
            )


def _without_staple(case: Case) -> str:
    command = renewal(case.paths, force=True)
    if "certbot" not in command:
        return command
    return f"take must_staple out of its file in /etc/letsencrypt/renewal, then {command}"
