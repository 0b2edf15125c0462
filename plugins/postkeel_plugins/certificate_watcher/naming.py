"""Whether a certificate is for the names that clients ask for."""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.certificates.asking import asked_name
from postkeel.certificates.names import covers
from postkeel.certificates.values import Certificate, Use
from postkeel.contract import Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import NAMES
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import listed, place


def judge_names(scene: Scene, case: Case) -> Iterator[Complaint]:
    """myhostname for what a service shows by itself; by SNI the name that is asked for."""
    for leaf in case.leaves:
        for use in case.uses:
            if use.table:
                yield from _asked_for(leaf, use)
            elif not use.client:
                yield from _own(scene, leaf, use)


def _asked_for(leaf: Certificate, use: Use) -> Iterator[Complaint]:
    if not use.name or covers(leaf.names, asked_name(use.name)):
        return
    below = f"the names below {use.name}" if use.name.startswith(".") else use.name
    yield Complaint(
        rule=NAMES,
        use=use,
        severity=Severity.ERROR,
        says=f"{place(leaf)} is shown to clients that ask for {below}, and {_for(leaf)}",
        effective=_names(leaf),
        wanted=use.name,
        file=leaf.file,
    )


def _own(scene: Scene, leaf: Certificate, use: Use) -> Iterator[Complaint]:
    for name, services in scene.names(use.services).items():
        if not covers(leaf.names, name):
            yield Complaint(
                rule=NAMES,
                use=use,
                severity=Severity.WARNING,
                says=f"{place(leaf)}: {listed(services)} is called {name}, and the certificate"
                f" {_for(leaf)}",
                effective=_names(leaf),
                wanted=name,
                file=leaf.file,
            )


def _for(leaf: Certificate) -> str:
    return f"is for {listed(leaf.names)}" if leaf.names else "has no DNS names in it"


def _names(leaf: Certificate) -> str:
    return listed(leaf.names) or "no DNS names"
