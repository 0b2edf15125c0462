"""The words of postkeel as values: event, fact, finding, change, plan, report.

All are frozen and compared by content, so a round can be replayed and two
plans held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

from postkeel.core.changes import Change, Edit, Plan
from postkeel.core.frozen import frozen
from postkeel.core.mail import ProbeResult


class Severity(str, Enum):
    """How bad a finding is; `compliant` hangs on errors alone."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Depth(str, Enum):
    """Where a finding was seen: in the files, in a service, or on the wire."""

    DECLARED = "declared"
    EFFECTIVE = "effective"
    OBSERVED = "observed"


class Side(str, Enum):
    """Which of the two processes runs a plugin: root, or the unprivileged one."""

    ROOT = "root"
    MONITOR = "monitor"


class Mode(str, Enum):
    """Whether drift is corrected or only reported."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class Outcome(str, Enum):
    """What became of a finding, and of a round: the worst of its findings."""

    CLEAN = "clean"
    WAIVED = "waived"
    FIXED = "fixed"
    AUDITED = "audited"
    HELD = "held"
    CONTESTED = "contested"
    REVERTED = "reverted"
    FAILED = "failed"


class EventKind(str, Enum):
    """Why a round is run."""

    STARTED = "started"
    PATHS_CHANGED = "paths changed"
    TIMER = "timer due"
    LOG_LINES = "mail log lines"
    PROBED = "probe made"
    MESSAGES = "messages arrived"
    PACKAGES = "packages changed"
    REQUESTED = "requested"
    HEARTBEAT = "heartbeat"
    DIGEST = "digest"


@frozen
class LogBatch:
    """Whole lines of the mail log, in the order in which they were written.

    source: "journal", or the file's name. text: the lines, each ended by a newline;
    of a journal in the form of RFC 3339 syslog files. proven: whether journald
    vouches for who wrote them. lost: what is missing before them, one sentence each.
    """

    source: str
    text: bytes
    proven: bool = False
    lost: tuple[str, ...] = ()


@frozen
class Event:
    """Something happened to one instance; `time` is aware.

    `batch` comes with mail log lines only, `probe` with a probe that was made, `headers` with
    messages that arrived, as `Mailboxes` says. A plugin of side "monitor" is given the
    time in the host's zone, in which old syslog stamps are.
    """

    kind: EventKind
    instance: str
    time: datetime
    detail: tuple[str, ...] = ()
    batch: LogBatch | None = None
    probe: ProbeResult | None = None
    headers: tuple[bytes, ...] = ()


@frozen
class Need:
    """A fact that is wanted: its kind, and the thing it is about.

    Kinds that the agent itself answers: "postfix" (an `Instance`; subject is
    the configuration directory), "profile" (a `Profile`; same subject) and
    "handshakes" (a tuple of `Handshake`; same subject), and of `postkeel.certificates.values`
    "certificates" (`Certificates`), "served" (`Served`) and "tlsa" (`Tlsa`), the last two only
    in rounds that may correct or were asked to look live. For plugins with
    tables: "state" (what the plugin's last `Records` said, None at first; same
    subject), "records" (rows of its own; subject "TABLE VALUE", VALUE of the column
    that the table folds) and "secret" (32 bytes of this host; same subject).
    """

    kind: str
    subject: str


@frozen
class Absent:
    """A fact that could not be had, with the reason an administrator can act on."""

    reason: str


Facts = Mapping[Need, object]
"""What is known at one moment; a need nobody could meet maps to `Absent`."""


@frozen
class Finding:
    """Something is wrong; with a remedy it is a drift.

    `service` is None for main.cf as a whole, else a master.cf service such as
    "submission/inet". `where` is "main.cf:LINE", "master.cf:LINE" or "default".
    `effective` and `wanted` are values as an administrator would write them. `file` is the
    absolute name of another file that the finding is about, such as a certificate's.
    `forbids_reload`: a reload would make live what is wrong, so none is made while it stands.
    """

    rule: str
    severity: Severity
    depth: Depth
    parameter: str
    where: str
    effective: str
    wanted: str
    why: str
    service: str | None = None
    remedy: tuple[Change, ...] = ()
    file: str = ""
    forbids_reload: bool = False

    @property
    def subject(self) -> tuple[str, str | None, str]:
        """What the finding is about, alike in every round: rule, service, parameter and file."""
        named = f"{self.parameter} {self.file}" if self.file else self.parameter
        return (self.rule, self.service, named)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Of the remedy what changes main.cf or master.cf."""
        return tuple(one for one in self.remedy if isinstance(one, Edit))


@frozen
class Table:
    """Counters that a plugin keeps, by the hour. Names are made of letters and _.

    key: the columns after the hour that tell rows apart. counters: whole
    numbers that are added up. folds: the key column whose rare values are
    added up as "(others)" when the table is full. kept_days: older rows are forgotten; a
    number that the plugin has as an option of this name counts in its place.
    """

    name: str
    key: tuple[str, ...]
    counters: tuple[str, ...]
    folds: str = ""
    kept_days: int = 90
    most_rows: int = 200_000


Row = tuple[int | str, ...]
"""Key of a row: the hour's beginning in seconds of the epoch, then the key columns."""


@frozen
class Records:
    """What a plugin wants kept, in one transaction with the position of the event's lines.

    add: for each table of the plugin's card, what to add to the counters of which row.
    state: what the plugin wants to be given at its next call, of JSON's types.
    """

    add: Mapping[str, Mapping[Row, tuple[int, ...]]]
    state: object = None


@frozen
class CheckNow:
    """Asks the side that corrects for a full check now. It takes no value from here."""

    reason: str


@frozen
class LookAgain:
    """Asks for another look after so many seconds, and for no reload until then.

    For what is under way, such as a renewal of which only one of two files is there yet.
    """

    seconds: float
    reason: str


@frozen
class Waiver:
    """This rule does not apply here: why, who says so, until which day (inclusive).

    A `service` or `parameter` of None means every one.
    """

    rule: str
    reason: str
    owner: str
    until: date
    service: str | None = None
    parameter: str | None = None


@frozen
class Hold:
    """Do not correct this instance until then; None is until released."""

    instance: str
    reason: str
    since: datetime
    until: datetime | None = None


@frozen
class Judged:
    """A finding, what became of it, and why, when that needs saying."""

    finding: Finding
    outcome: Outcome
    reason: str = ""


@frozen
class PackageChange:
    """A package that came, went, or has another version; None is "not installed".

    Equal versions: it was installed again, or changed and changed back.
    """

    name: str
    before: str | None
    after: str | None


@frozen
class DefaultChange:
    """A value that Postfix itself has for a parameter is another one than before.

    None is a Postfix that does not know the parameter.
    """

    parameter: str
    before: str | None
    after: str | None


@frozen
class Upgrade:
    """What changed under the configuration since the last report that told of it.

    `time`, `command` (apt's, shortened) and `requester` are those of the first package, as
    far as dpkg's and apt's logs tell. `warnings` are those of postconf that are new.
    """

    packages: tuple[PackageChange, ...] = ()
    defaults: tuple[DefaultChange, ...] = ()
    warnings: tuple[str, ...] = ()
    time: datetime | None = None
    command: str = ""
    requester: str = ""

    @property
    def found(self) -> bool:
        """False: it was asked, and nothing changed."""
        return bool(self.packages or self.defaults)


@frozen
class Report:
    """The record of one round. `seconds` is the time it took, by a steady clock.

    `problems` are facts that could not be had and plugins that failed; `proof`
    is what was observed after a correction, one sentence a service, or which alarms
    are over. `upgrade` is None where nobody asked, or nothing to compare with was kept.
    `told` are the named values of a heartbeat or digest; names are made of small letters and _.
    """

    instance: str
    event: Event
    outcome: Outcome
    judged: tuple[Judged, ...]
    plan: Plan
    seconds: float
    cause: str = ""
    problems: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()
    diff: str = ""
    upgrade: Upgrade | None = None
    told: tuple[tuple[str, str], ...] = ()
