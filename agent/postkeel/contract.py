"""The public contract: all that a plugin may import, with the packages that it names.

These are `postkeel.certificates`, `.postfix`, `.maillog` and `.reporting`, and
`postkeel.database`.

A plugin is a module or object with functions marked `@hookimpl`, found by the
entry-point group `postkeel.plugins`:

    [project.entry-points."postkeel.plugins"]
    banner = "banner_plugin"

Each plugin is called alone and guarded: an exception or a missed deadline is
counted against it and named in the report, and does not reach the others.
After three in a row of one hook the plugin is set aside until the agent is
reloaded; a reporter is asked again instead, for what it hands on to may be away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Union

from postkeel.core.changes import (
    BuildTable,
    Change,
    Edit,
    JoinFiles,
    Plan,
    Reload,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
)
from postkeel.core.frozen import frozen
from postkeel.core.mail import LogLines, Mailboxes, Probe, Probed, ProbeResult, Target
from postkeel.core.model import (
    Absent,
    CheckNow,
    DefaultChange,
    Depth,
    Event,
    EventKind,
    Facts,
    Finding,
    Judged,
    LogBatch,
    LookAgain,
    Need,
    Outcome,
    PackageChange,
    Records,
    Report,
    Row,
    Severity,
    Side,
    Table,
    Upgrade,
)
from postkeel.core.profile import Profile, ProfileRule
from postkeel.core.text import one_line
from postkeel.deferred import pluggy
from postkeel.postfix.handshake import Handshake

if TYPE_CHECKING:
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

    def hookspec(function: F) -> F: ...
    def hookimpl(function: F) -> F: ...

else:
    hookspec = pluggy.HookspecMarker("postkeel")
    hookimpl = pluggy.HookimplMarker("postkeel")

__all__ = [
    "Absent",
    "BuildTable",
    "Card",
    "Change",
    "CheckNow",
    "DefaultChange",
    "Depth",
    "Edit",
    "Event",
    "EventKind",
    "Facts",
    "Finding",
    "Handshake",
    "Interest",
    "JoinFiles",
    "Judged",
    "LogBatch",
    "LogLines",
    "LookAgain",
    "Mailboxes",
    "Need",
    "Observation",
    "Option",
    "Options",
    "Outcome",
    "PackageChange",
    "Place",
    "Plan",
    "Probe",
    "ProbeResult",
    "Probed",
    "Profile",
    "ProfileRule",
    "Records",
    "Reload",
    "RemoveOverride",
    "RemoveParameter",
    "Report",
    "Row",
    "Rule",
    "SetOverride",
    "SetParameter",
    "Severity",
    "Side",
    "Standing",
    "Table",
    "Target",
    "Timer",
    "Upgrade",
    "frozen",
    "hookimpl",
    "hookspec",
    "keel_begin",
    "keel_card",
    "keel_deliver",
    "keel_gather",
    "keel_interests",
    "keel_observe",
    "keel_status",
    "one_line",
]

Options = Mapping[str, object]
"""A plugin's `[plugins.NAME]`, checked against its card, defaults filled in."""


Observation = Union[Finding, Records, CheckNow, LookAgain]
"""What `keel_observe` may give."""


@frozen
class Option:
    """One key of `[plugins.NAME]`: its type is that of `default`; `help` is one line.

    A number below `least` is refused as an error in the configuration, and so is a value
    for which `fault` says what is wrong with it, such as "must be a URL"; "" is right. Pure.
    """

    name: str
    default: str | int | bool | tuple[str, ...]
    help: str
    least: int | None = None
    fault: Callable[[Any], str] | None = None


@frozen
class Rule:
    """A requirement that lives in code, not in a profile: id, rationale, references."""

    id: str
    why: str
    references: tuple[str, ...]


@frozen
class Card:
    """Who a plugin is."""

    name: str
    summary: str
    side: Side
    options: tuple[Option, ...] = ()
    rules: tuple[Rule, ...] = ()
    tables: tuple[Table, ...] = ()


@frozen
class Timer:
    """Wake me every so many seconds, later by up to `splay` seconds, drawn anew each time."""

    name: str
    every: float
    splay: float = 0.0


@frozen
class Interest:
    """What wakes a plugin, and the facts that it then needs.

    `paths` are absolute names of files; each one's directory is watched, so a
    file that is replaced, renamed away or not there yet is seen all the same.
    """

    paths: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    needs: tuple[Need, ...] = ()
    log: LogLines | None = None
    probe: Probe | None = None
    mailboxes: Mailboxes | None = None


@frozen
class Place:
    """Directories of the side that runs the plugin: it may write there, and nowhere else.

    state: survives a reboot, and is for nobody else to read. runtime: everybody may read
    it, and it is empty after a reboot. Either may not be there yet.
    """

    state: str
    runtime: str


@frozen
class Standing:
    """How a reporter stands: sentences for `postkeel status`, and reports for the metrics.

    waiting: not yet handed on. dropped: never to be handed on, since the reporter keeps count.
    """

    said: tuple[str, ...] = ()
    waiting: int = 0
    dropped: int = 0


@hookspec
def keel_card() -> Card:
    """Say who you are: name, summary, side, options, rules.

    Diagnostics: a card that cannot be had, or that names an option or rule
    twice, has the plugin listed as rejected with the reason.
    Security: called once, before anything of the host is known.
    """
    raise NotImplementedError


@hookspec
def keel_interests(instance: str, options: Options, facts: Facts) -> Interest:
    """Say what should wake you for this instance and which facts you need.

    instance: configuration directory, absolute.
    facts: empty at first; after each round, what that round gathered, so that
    paths which the configuration names can be watched too. Pure.
    """
    raise NotImplementedError


@hookspec
def keel_gather(need: Need) -> object | None:
    """Turn a need into a fact; None when it is not yours to answer.

    The first plugin that knows the need answers. May do I/O: runs in a thread
    with a deadline of ten seconds. Return `Absent(reason=...)` for a fact that
    cannot be had; raise only for a defect of your own.
    Security: whatever you read may have been written by a stranger.
    """
    raise NotImplementedError


@hookspec
def keel_observe(
    event: Event, instance: str, facts: Facts, options: Options
) -> Iterable[Observation]:
    """Judge the facts: findings, each with its remedy where there is a safe one.

    A plugin with tables may add one `Records`: what to keep. A plugin of side "monitor"
    may add a `CheckNow`, and no remedy: that side cannot write. One of side "root" may add a
    `LookAgain`. Findings are all that stand at this moment, not only the new ones.
    Deterministic in its arguments: no clock (use `event.time`), file, network
    or log. Called again with fresh facts after a correction.
    """
    raise NotImplementedError


@hookspec
def keel_deliver(report: Report, options: Options, place: Place) -> None:
    """Hand a report on. May do I/O: runs in a thread with a deadline of five seconds.

    A reporter of side "monitor" is given the reports of both sides, those of side "root"
    without their diff: it quotes files that only root may read.
    Diagnostics: a failure is counted and the same report is offered again
    later, so deliver must stand being called twice for one report.
    Security: texts in a report may hold what strangers wrote; escape for where they go.
    """
    raise NotImplementedError


@hookspec
def keel_begin(options: Options, place: Place) -> None:
    """Begin: the agent has started, or read its configuration again.

    For a reporter that works between reports, to take up what an earlier process left.
    Commands do not call it. May do I/O: runs in a thread with a deadline of five seconds.
    """
    raise NotImplementedError


@hookspec
def keel_status(options: Options, place: Place) -> Standing | None:
    """Say how you stand, as far as your own files tell: asked by `postkeel status` as well.

    May do I/O: runs in a thread with a deadline of five seconds. Writes nothing.
    """
    raise NotImplementedError
