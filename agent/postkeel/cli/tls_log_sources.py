"""Where the figures of `postkeel tls-log` come from: files, or the agent's own history."""

from __future__ import annotations

import functools
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from postkeel.cli.tls_log_summary import recent
from postkeel.cli.wording import HOUR, counted
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.maillog.values import Notice, NoticeKind, Statistics

PLUGIN = "tls_log_monitor"
DAYS_OF_HISTORY = 30
_DAY = 24 * HOUR
_DAYS_BY_HOUR = 2


@frozen
class Source:
    """The statistics, what they were read from, and what to know about that.

    names: files as given, or the history's file. notes: one printable line each.
    complaint: the error to end with, for a file that could not be read to its end.
    shortest: seconds of the shortest stretch that the hours tell apart.
    """

    statistics: Statistics
    names: tuple[str, ...]
    history: bool = False
    notes: tuple[str, ...] = ()
    complaint: str = ""
    shortest: int = HOUR


class LocalZone(tzinfo):
    """This host's zone, with its summer time: of stamps that have none."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return moment.replace(tzinfo=None).astimezone().utcoffset() if moment else None

    def dst(self, _: datetime | None) -> timedelta | None:
        return None

    def tzname(self, _: datetime | None) -> str:
        return "local"


def of_files(arguments: Namespace) -> Source:
    """Read the mail logs given. Errors: PostkeelError for a file that cannot be read."""
    from postkeel.cli.progress import Progress
    from postkeel.maillog.prefix import whole_lines
    from postkeel.maillog.reader import Reader
    from postkeel.maillog.tally import Tally
    from postkeel.shell.log_archive import is_packed, read_log, total_bytes
    from postkeel.shell.log_parts import parts_of, read_parts

    paths = _with_older(arguments.files) if arguments.older else tuple(arguments.files)
    tally = Tally()
    now, zone = datetime.now(UTC), LocalZone()
    reader = Reader(tally, now=now, zone=zone)
    complaints: list[str] = []
    with Progress(total_bytes(paths)) as progress:
        for path in paths:
            try:
                parts = () if is_packed(path) or path == "-" else parts_of(path)
                if len(parts) > 1:
                    through = functools.partial(progress.counted, times=len(parts))
                    read_parts(path, parts, reader, tally, now=now, zone=zone, through=through)
                    continue
                for piece in whole_lines(progress.counted(read_log(path, progress.read))):
                    reader.read(piece)
            except PostkeelError as error:
                complaints.append(str(error))
    if complaints and not tally.lines:
        raise PostkeelError("\n".join(complaints))
    reader.finish()
    statistics = tally.statistics(lost=complaints)
    notes = [] if statistics.first else ["There is no line of Postfix in it."]
    notes += _debug_logging(statistics.notices)
    if arguments.days and statistics.last:
        if tally.width <= _DAY:
            statistics = recent(statistics, days_before(statistics.last, arguments.days))
        else:
            notes.append("There are too many different peers to tell days apart: this is all.")
    return Source(
        statistics=statistics,
        names=paths,
        notes=tuple(notes),
        complaint="\n".join(complaints),
        shortest=tally.width,
    )


def days_before(moment: datetime, days: int) -> int:
    """The beginning of the day, in UTC, that is so many days before; seconds of the epoch."""
    return int(moment.timestamp()) // _DAY * _DAY - days * _DAY


def _with_older(paths: Iterable[str]) -> tuple[str, ...]:
    from postkeel.shell.log_archive import older

    return tuple(dict.fromkeys(one for path in paths for one in (*older(path), path)))


def of_history(arguments: Namespace) -> Source:
    """What the agent has counted. Errors: PostkeelError when it has counted nothing yet."""
    import sqlite3  # noqa: F401  the owner may not read where Python is

    from postkeel.cli.opening import open_configuration
    from postkeel.maillog.stored import from_rows
    from postkeel.maillog.tables import TABLES
    from postkeel.shell.owner import as_owner
    from postkeel.shell.records import RecordStore

    configuration, _ = open_configuration(arguments)
    given = arguments.config_directory
    instance = os.path.abspath(given) if given else None
    days = arguments.days or DAYS_OF_HISTORY
    begin = days_before(datetime.now(UTC), days)
    tables = {one.name: one for one in TABLES}
    directory = configuration.monitor_state_directory
    with as_owner(directory), RecordStore(directory, read_only=True) as store:
        statistics = from_rows(
            lambda name: store.rows(PLUGIN, tables[name], instance=instance, since_hour=begin)
        )
        place = store.path
    notes = (*_debug_logging(statistics.notices), *_silent(arguments))
    if statistics.first is None:
        of = f" of {one_line(instance, 200)}" if instance else ""
        nothing = (
            f"{one_line(place, 200)}: the agent has counted no lines{of} in the last"
            f" {counted(days, 'day')}; give files: `postkeel tls-log /var/log/mail.log`"
        )
        raise PostkeelError("\n".join([nothing, *notes]))
    # The store may have added up by day what is older than two days.
    return Source(
        statistics=statistics,
        names=(place,),
        history=True,
        notes=notes,
        shortest=HOUR if days <= _DAYS_BY_HOUR else _DAY,
    )


def _debug_logging(notices: Iterable[Notice]) -> Iterator[str]:
    if any(one.kind is NoticeKind.DEBUG_LOGGING for one in notices):
        yield (
            "Lines of TLS log level 2 are in the log. That level is for debugging: it writes"
            " dozens of lines for each connection and tells no more of what was negotiated than"
            " level 1 does. smtpd_tls_loglevel = 1 and smtp_tls_loglevel = 1 are enough."
        )


def _silent(arguments: Namespace) -> Iterator[str]:
    """A sentence for each parameter that keeps an instance's TLS out of its log."""
    from postkeel.cli.opening import instances
    from postkeel.shell.postfix_facts import gather_instance

    try:
        found = [gather_instance(one, defaults=arguments.defaults) for one in instances(arguments)]
    except PostkeelError:
        return  # nothing to tell of a Postfix that is not there: the history stands by itself
    for instance in found:
        for name in ("smtpd_tls_loglevel", "smtp_tls_loglevel"):
            if instance.effective(name).value.strip() == "0":
                yield (
                    f"{one_line(instance.config_directory, 200)}: {name} is 0"
                    f" ({instance.where(name)}), so TLS is not logged and the figures lack it;"
                    " the rule tls-log-level sets 1: `postkeel diff`."
                )
