"""Whether a certificate is valid now, and for how long it will be."""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.certificates.values import Certificate
from postkeel.contract import Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import LIFETIME
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import (
    day,
    minute,
    place,
    renewal,
    span,
    title,
)

_DAY = 86400
_MINUTE = 60
"""Authorities end a certificate a second before the day, and 89 days would be said of 90."""


_JUST_MADE = 60
"""Seconds: one made while the round runs begins after the event that led to it."""


def judge_lifetime(scene: Scene, case: Case) -> Iterator[Complaint]:
    for leaf in case.leaves:
        left = (leaf.ends - scene.now).total_seconds()
        if left <= 0:
            yield _expired(scene, case, leaf, -left)
        elif (leaf.begins - scene.now).total_seconds() > _JUST_MADE:
            yield _early(scene, case, leaf)
        else:
            yield from _running_low(scene, case, leaf, left)


def _expired(scene: Scene, case: Case, leaf: Certificate, since: float) -> Complaint:
    return Complaint(
        rule=LIFETIME,
        use=case.use,
        severity=Severity.ERROR,
        says=f"{place(leaf)}: {title(leaf)} expired {span(since)} ago, at {minute(leaf.ends)};"
        f" {renewal(scene.sources(case))}",
        effective=f"expired {day(leaf.ends)}",
        wanted="valid now",
        file=leaf.file,
        wrong=True,
    )


def _early(scene: Scene, case: Case, leaf: Certificate) -> Complaint:
    ahead = (leaf.begins - scene.now).total_seconds()
    return Complaint(
        rule=LIFETIME,
        use=case.use,
        severity=Severity.ERROR,
        says=f"{place(leaf)}: {title(leaf)} is not valid before {minute(leaf.begins)}, in"
        f" {span(ahead)}; where that is wrong, look at this host's clock: `timedatectl`",
        effective=f"not valid until {day(leaf.begins)}",
        wanted="valid now",
        file=leaf.file,
        wrong=True,
    )


def _running_low(scene: Scene, case: Case, leaf: Certificate, left: float) -> Iterator[Complaint]:
    """A new one with little left is no reason to keep the old one, which has less."""
    lifetime = (leaf.ends - leaf.begins).total_seconds()
    limits = scene.thresholds.of(case.paths, leaf.names)
    warning, error = limits.warning.of(lifetime), limits.error.of(lifetime)
    if left > max(warning, error):
        return
    needed = span(max(warning, error) + _MINUTE)
    yield Complaint(
        rule=LIFETIME,
        use=case.use,
        severity=Severity.ERROR if left <= error else Severity.WARNING,
        says=f"{place(leaf)}: {title(leaf)} expires {minute(leaf.ends)}, in {span(left)}; valid"
        f" since {day(leaf.begins)}; it should have been renewed when {needed} were left;"
        f" {renewal(scene.sources(case))} and see why it did not happen by itself",
        effective=f"expires {day(leaf.ends)}, {_rest(left, lifetime)}",
        wanted=f"renewed at {needed}",
        file=leaf.file,
    )


def _rest(left: float, lifetime: float) -> str:
    """ "9 days left of 90". Of the last day no hours, for each other text is told as news."""
    whole = span(lifetime + _MINUTE)
    if left < _DAY:
        return f"less than a day left of {whole}"
    return f"{span(left)} left of {whole.split(' ', 1)[0]}"
