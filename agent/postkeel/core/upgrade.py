"""What changed under a configuration that nobody touched: packages, and with them defaults."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from postkeel.core.frozen import frozen
from postkeel.core.model import DefaultChange, PackageChange, Upgrade
from postkeel.core.packages import AptRun, Done, LogPart
from postkeel.core.text import one_line

SENTENCE_LIMIT = 480
"""Octets: with outcome, findings and proof it has to fit one line of syslog."""
_NAMED = 4
_WARNING_LIMIT = 160
_PACKAGES = ("postfix", "postkeel", "openssl", "libssl")
_DEFAULTS = ("tls_", "smtpd_", "smtp_")
_ALSO = frozenset({"compatibility_level", "inet_protocols"})


NO_LOG = LogPart(done=(), known=False, last="")


@frozen
class Mark:
    """The state that the last report of an instance knew of.

    status: what tells one state of dpkg's status file from another; empty without dpkg.
    log: dpkg.log's last line then. defaults: of the parameters that matter to TLS.
    """

    status: tuple[int, ...]
    versions: Mapping[str, str]
    log: str
    defaults: Mapping[str, str]
    warnings: tuple[str, ...]


def tls_defaults(defaults: Mapping[str, str]) -> dict[str, str]:
    """The defaults that TLS hangs on."""
    return {
        name: one_line(value) for name, value in defaults.items() if "tls" in name or name in _ALSO
    }


def upgrade_between(
    before: Mark, after: Mark, log: LogPart = NO_LOG, runs: Sequence[AptRun] = ()
) -> Upgrade:
    """What changed from one mark to the other, by dpkg's log since the first and apt's runs.

    The versions are the truth. The log says when and, where it is known what of it is
    new, what was installed again.
    """
    again = {one.name for one in log.done if log.known and one.after is not None}
    packages = _packages(before.versions, after.versions, again)
    defaults = _defaults(before.defaults, after.defaults)
    if not packages and not defaults:
        return Upgrade()
    time = _time_of(packages, log.done)
    run = _run_of(packages, time, runs)
    return Upgrade(
        packages=packages,
        defaults=defaults,
        warnings=tuple(one for one in after.warnings if one not in before.warnings),
        time=time,
        command=run.command if run else "",
        requester=run.requester if run else "",
    )


def _packages(
    before: Mapping[str, str], after: Mapping[str, str], again: Collection[str]
) -> tuple[PackageChange, ...]:
    changes = [
        PackageChange(name=name, before=before.get(name), after=after.get(name))
        for name in {*before, *after}
        if before.get(name) != after.get(name) or name in again
    ]
    return tuple(sorted(changes, key=lambda one: (_rank(one.name, _PACKAGES), one.name)))


def _defaults(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[DefaultChange, ...]:
    changes = [
        DefaultChange(parameter=name, before=before.get(name), after=after.get(name))
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    ]
    return tuple(sorted(changes, key=lambda one: (_rank(one.parameter, _DEFAULTS), one.parameter)))


def _rank(name: str, order: Sequence[str]) -> int:
    return next((i for i, start in enumerate(order) if name.startswith(start)), len(order))


def _time_of(packages: Iterable[PackageChange], done: Iterable[Done]) -> datetime | None:
    """When the first of these packages that the log knows got its version."""
    last = {(one.name, one.after): one.time for one in done}
    times = (last.get((one.name, one.after)) for one in packages)
    return next((one for one in times if one is not None), None)


def _run_of(
    packages: Iterable[PackageChange], time: datetime | None, runs: Sequence[AptRun]
) -> AptRun | None:
    """The last run that left the first package possible as it is; at that time, if it is known."""
    for package in packages:
        for run in reversed(runs):
            if (package.name, package.after) in run.left and (time is None or run.covers(time)):
                return run
    return None


def told(upgrade: Upgrade) -> str:
    """The upgrade in one line of bounded length; empty when nothing changed."""
    changed = [one for one in upgrade.defaults if None not in (one.before, one.after)]
    new = sum(one.before is None for one in upgrade.defaults)
    gone = sum(one.after is None for one in upgrade.defaults)
    parts = [
        _told_packages(upgrade),
        _named(
            f"{_counted(len(changed), 'default')} changed",
            [one.parameter for one in changed],
        ),
        f"{_counted(new, 'parameter')} new" if new else "",
        f"{_counted(gone, 'parameter')} gone" if gone else "",
        _named("postconf now warns", [one_line(one, _WARNING_LIMIT) for one in upgrade.warnings]),
    ]
    return one_line("; ".join(filter(None, parts)), SENTENCE_LIMIT)


def _told_packages(upgrade: Upgrade) -> str:
    moved = any(one.before and one.after and one.before != one.after for one in upgrade.packages)
    head = "package upgrade" if moved else "packages"
    who = f" by {upgrade.requester}" if upgrade.requester else ""
    how = [
        upgrade.command and f"{upgrade.command}{who}",
        f"{upgrade.time:%Y-%m-%d %H:%M %Z}".rstrip() if upgrade.time else "",
    ]
    origin = ", ".join(filter(None, how))
    named = _named(head, [_told_package(one) for one in upgrade.packages])
    return f"{named} ({origin})" if origin else named


def _told_package(one: PackageChange) -> str:
    if one.before == one.after:
        return f"{one.name} {one.after} installed again"
    if one.before is None:
        return f"{one.name} {one.after} installed"
    if one.after is None:
        return f"{one.name} {one.before} removed"
    return f"{one.name} {one.before} -> {one.after}"


def _named(what: str, names: Sequence[str]) -> str:
    """ "what: a, b and 3 more", or nothing."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what}: {', '.join(names[:_NAMED])}{more}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
