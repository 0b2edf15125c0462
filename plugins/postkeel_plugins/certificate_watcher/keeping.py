"""Keeping what is wrong from going live, as long as something else is served.

Running smtpd processes keep what they read when they began; each one that begins reads the
files, and one lives for a hundred connections or a hundred idle seconds. So without a reload a
wrong file goes live later, and there is time to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import listed


def kept_out(scene: Scene, case: Case, complaints: Iterable[Complaint]) -> Iterator[Complaint]:
    """The complaints; those about what must not go live forbid a reload while it is not."""
    for one in complaints:
        if not one.wrong:
            yield one
            continue
        services = _still_serving(scene, case, breaks=one.breaks)
        tables = [use.table for use in case.uses if scene.is_behind(case, use)]
        if services:
            yield replace(
                one, says=f"{one.says}. {_not_reloaded(services, breaks=one.breaks)}", forbids=True
            )
        elif tables:
            kept = f"The table {listed(tables)} keeps what it holds until `postmap -F` is run"
            yield replace(one, says=f"{one.says}. {kept}")
        else:
            yield one


def _not_reloaded(services: Iterable[str], *, breaks: bool) -> str:
    still = "TLS with what was read before" if breaks else "another certificate"
    return (
        f"Not reloaded: there is still {still} at {listed(services)}. smtpd processes that run"
        " keep it, each one that starts reads the new file"
    )


def _still_serving(scene: Scene, case: Case, *, breaks: bool) -> list[str]:
    """The services with TLS that a reload would harm, as far as handshakes showed."""
    own = {leaf.sha256 for leaf in case.leaves}
    found = []
    for use, shown in scene.shown(case):
        if not shown.protocol or scene.is_indexed(use):
            continue
        elsewhere = shown.certificate_sha256 in scene.leaves
        if breaks:
            # With one of its files broken an smtpd has no TLS at all; an entry by SNI stands alone.
            harmed = not use.name or shown.certificate_sha256 in own or not elsewhere
        else:
            harmed = not elsewhere
        if harmed:
            found.append(shown.endpoint.service)
    return found
