"""One plugin of side "monitor" that watches one instance.

    log source ─► batch ─► observe (pure) ─► records and position (one transaction) ─► report
    probe, samples of mail ─►

Whatever fails on that way, the next attempt begins with the state and position that
were kept last: nothing is counted twice, and nothing is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from postkeel.contract import (
    CheckNow,
    Event,
    EventKind,
    Facts,
    Finding,
    Interest,
    LogBatch,
    LogLines,
    Observation,
    ProbeResult,
    Records,
    Report,
    Table,
)
from postkeel.core.changes import Plan
from postkeel.core.configuration import Configuration
from postkeel.core.decide import Policy, decide, dry, worst
from postkeel.core.errors import PostkeelError
from postkeel.core.model import Mode
from postkeel.core.news import SEEN_IN_MAIL, SEEN_IN_THE_LOG
from postkeel.registry import Loaded, Registry
from postkeel.shell.log_source import LogSource
from postkeel.shell.loop import Loop
from postkeel.shell.monitor_facts import MonitorFacts
from postkeel.shell.monitor_mail import MonitorMail
from postkeel.shell.records import FaultyRecordsError, RecordStore

RETRY_SECONDS = 60.0


class Watch(Protocol):
    """Who hears of what the monitors find."""

    def heard(self, plugin: str, report: Report) -> object: ...

    def check_now(self, directory: str, reason: str) -> object: ...

    def kept(self, directory: str, records: Records) -> object:
        """These counts are in the store now."""

    def refresh(self) -> object:
        """What `Monitor.said` says is another thing now."""

    def complain(self, error: Exception) -> object: ...


class Monitor:
    """Nothing it is handed raises: what fails is complained of, once, and tried again."""

    def __init__(
        self,
        loop: Loop,
        configuration: Configuration,
        registry: Registry,
        store: RecordStore,
        plugin: Loaded,
        directory: str,
        watch: Watch,
    ) -> None:
        self._loop = loop
        self._waivers = configuration.waivers
        self._registry = registry
        self._store = store
        self._plugin = plugin
        self._directory = directory
        self._watch = watch
        self._name = f"{directory} {plugin.name}"
        self._tables = _tables(plugin)
        self._facts = MonitorFacts(registry, store, plugin, self._tables, directory)
        self._asked = Interest()
        self._followed: LogLines | None = None
        self._source: LogSource | None = None
        self._going = False
        self._complaints: dict[str, tuple[str, ...]] = {}
        self._log_said = ""
        self._mail = MonitorMail(
            loop,
            self._name,
            configuration.monitor_state_directory,
            self._facts.secret,
            self._mail_happened,
            self._mail_complaint,
        )
        self._mail_said = ""

    def begin(self, facts: Facts) -> None:
        """Take up what was kept, say what stands, and follow the log."""
        self._facts.learn(facts)
        self._start()

    def learn(self, facts: Facts) -> None:
        """Facts of the instance have changed, and with them perhaps which log to follow."""
        self._facts.learn(facts)
        if self._going:
            problems: list[str] = []
            self._ask(problems)
            self._complain("interests", *problems)
            if self._guard(self._follow):
                self._attend()

    @property
    def said(self) -> tuple[str, ...]:
        """What it follows and does, or why it does not, one sentence each."""
        return tuple(one for one in (self._log_said, self._mail_said) if one)

    def corrected(self) -> None:
        """The configuration was corrected."""
        if self._going:
            self._mail.corrected()

    def close(self) -> None:
        """Nothing is called back, and nothing is written, from now on."""
        self._going = False
        self._leave()
        self._mail.close()
        self._loop.cancel(self._retry)
        for timer in self._asked.timers:
            self._loop.cancel(self._timer(timer.name))
        self._asked = Interest()

    @property
    def _retry(self) -> str:
        return f"{self._name}: try again"

    def _timer(self, name: str) -> str:
        return f"{self._name} {name}"

    def _start(self) -> None:
        self._guard(self._take_up)

    def _take_up(self) -> None:
        self._facts.state = self._store.kept(self._plugin.name, self._directory).state
        self._going = True
        self._happened(EventKind.STARTED)

    def _guard(self, act: Callable[[], object]) -> bool:
        """Whether it could be done. What cannot be kept now is tried again later, from the start.

        Until then the plugin is asked nothing, for its state would be another than that
        which is kept.
        """
        try:
            act()
        except PostkeelError as error:
            self._going = False
            self._leave()
            self._mail.close()
            self._complain("keeping", str(error))
            self._say(f"{self._plugin.name}: {error}")
            self._loop.after(self._retry, RETRY_SECONDS, self._start)
            return False
        return True

    def _ask(self, problems: list[str]) -> None:
        """What the plugin wants, knowing these facts; arms its timers.

        Of a plugin that fails to say so, what it said last stands.
        """
        found = self._registry.interests(
            self._directory, self._facts.known, problems, [self._plugin]
        )
        if not found:
            return
        before, self._asked = self._asked, found[0][1]
        for timer in before.timers:
            if timer not in self._asked.timers:
                self._loop.cancel(self._timer(timer.name))
        for timer in self._asked.timers:
            if timer not in before.timers:
                due = functools.partial(self._due, timer.name)
                name = self._timer(timer.name)
                self._loop.repeat(name, due, every=timer.every, splay=timer.splay)

    def _attend(self) -> None:
        """Do what is asked for of mail."""
        self._mail.want(self._asked)
        said = f"{self._plugin.name} {self._mail.said}" if self._mail.said else ""
        if said != self._mail_said:
            self._mail_said = said
            self._watch.refresh()

    def _mail_happened(
        self, kind: EventKind, why: str, probe: ProbeResult | None, headers: tuple[bytes, ...]
    ) -> None:
        detail = (why,) if why else ()
        self._guard(functools.partial(self._happened, kind, *detail, probe=probe, headers=headers))

    def _mail_complaint(self, text: str) -> None:
        self._complain("mail", *([text] if text else ()))

    def _due(self, timer: str) -> None:
        if self._going:
            self._guard(functools.partial(self._happened, EventKind.TIMER, timer))

    def _follow(self) -> None:
        """Follow the log that is asked for, unless it is followed already.

        Errors: PostkeelError when it cannot be watched, or where to go on is not known.
        """
        wanted = self._asked.log
        if wanted == self._followed:
            return
        self._leave()
        self._followed = wanted
        if wanted is None:
            self._say("")
            return
        kept = self._store.kept(self._plugin.name, self._directory)
        source = _source(wanted, kept.positions)
        read = functools.partial(self._read, source)
        self._source = source
        source.watch(self._loop, read)
        self._say(f"{self._plugin.name} follows {source.name}")
        self._loop.wake(read)

    def _leave(self) -> None:
        self._followed = None
        if self._source is not None:
            self._source.close()
            self._source = None

    def _read(self, source: LogSource) -> None:
        """One batch; what is left after it comes in a later turn of the loop."""
        if source is not self._source:  # left meanwhile
            return
        try:
            batch = source.read()
        except PostkeelError as error:
            # The source calls again by itself.
            self._complain("log", str(error))
            self._say(f"{self._plugin.name}: {error}")
            return
        self._complain("log")
        self._say(f"{self._plugin.name} follows {source.name}")
        if batch is None:
            return
        count = functools.partial(self._happened, EventKind.LOG_LINES, source=source, batch=batch)
        if self._guard(count):
            self._loop.wake(functools.partial(self._read, source))

    def _happened(
        self,
        kind: EventKind,
        *detail: str,
        source: LogSource | None = None,
        batch: LogBatch | None = None,
        probe: ProbeResult | None = None,
        headers: tuple[bytes, ...] = (),
    ) -> None:
        """Have the plugin observe, and then follow the log and the mail that it asks for.

        Errors: PostkeelError when what is to be kept cannot be; then nothing of it is.
        """
        problems: list[str] = []
        self._ask(problems)
        self._facts.ask(self._asked.needs, problems, anew=not (batch or headers))
        if self._plugin.quarantined:
            self.close()
            self._say(f"{self._plugin.name} is quarantined: nothing is followed")
            return
        # RFC 3164 stamps are in local time: the event carries the zone.
        now = datetime.now(UTC).astimezone()
        event = Event(
            kind=kind,
            instance=self._directory,
            time=now,
            detail=detail,
            batch=batch,
            probe=probe,
            headers=headers,
        )
        self._observe(event, source, problems)
        self._complain(kind.value, *problems)
        self._follow()
        self._attend()

    def _observe(self, event: Event, source: LogSource | None, problems: list[str]) -> None:
        began = self._loop.clock()
        faults: list[str] = []
        observed = self._registry.observe(
            event, self._directory, self._facts.known, faults, [self._plugin]
        )
        records = next((one for one in observed if isinstance(one, Records)), None)
        self._keep(records, source, event.time, faults)
        if not faults:  # else what stood before stands: who has failed knows of no end
            self._report(event, observed, began)
        elif event.batch is not None:
            lines = event.batch.text.count(b"\n")
            faults.append(
                f"plugin {self._plugin.name}: {lines} lines of {event.batch.source} are not counted"
            )
        problems += faults

    def _keep(
        self, records: Records | None, source: LogSource | None, now: datetime, faults: list[str]
    ) -> None:
        if records is None and source is None:
            return
        commit = functools.partial(
            self._store.commit,
            self._plugin.name,
            self._directory,
            self._tables,
            source=source.name if source else None,
            position=source.position if source else None,
            now=now,
        )
        try:
            commit(records)
        except FaultyRecordsError as error:
            self._registry.blame(self._plugin, "records", error, faults)
            # What these lines said is lost; but the same lines again would be refused again.
            commit(None)
            return
        self._complain("keeping")
        if records is not None:
            self._plugin.failures.pop("records", None)
            self._facts.state = records.state
            self._watch.kept(self._directory, records)

    def _report(self, event: Event, observed: Iterable[Observation], began: float) -> None:
        time = event.time.astimezone(UTC)
        findings = [replace(one, remedy=()) for one in observed if isinstance(one, Finding)]
        policy = Policy(mode=Mode.AUDIT, today=time.date(), waivers=self._waivers)
        judged = dry(decide(findings, policy))
        report = Report(
            instance=self._directory,
            event=replace(event, time=time, batch=None, probe=None, headers=()),
            outcome=worst(judged),
            judged=judged,
            plan=Plan(),
            seconds=self._loop.clock() - began,
            cause=self._cause,
        )
        self._watch.heard(self._plugin.name, report)
        for one in observed:
            if isinstance(one, CheckNow):
                self._watch.check_now(self._directory, one.reason)

    @property
    def _cause(self) -> str:
        return SEEN_IN_THE_LOG if self._asked.log else SEEN_IN_MAIL

    def _say(self, text: str) -> None:
        if text != self._log_said:
            self._log_said = text
            self._watch.refresh()

    def _complain(self, about: str, *texts: str) -> None:
        """All that is wrong with this now; each is said once while it goes on."""
        before = self._complaints.get(about, ())
        self._complaints[about] = texts
        for text in texts:
            if text not in before:
                self._watch.complain(PostkeelError(text))


def _tables(plugin: Loaded) -> tuple[Table, ...]:
    """The card's tables; the plugin's option `kept_days`, where it has one, rules them all."""
    days = plugin.options.get("kept_days")
    if not isinstance(days, int):
        return plugin.card.tables
    return tuple(replace(one, kept_days=days) for one in plugin.card.tables)


def _source(wanted: LogLines, positions: Mapping[str, object]) -> LogSource:
    """The log, from where its position says."""
    if wanted.file:
        from postkeel.shell.log_file import LogFile

        return LogFile(wanted.file, positions.get(wanted.file))
    from postkeel.shell.log_journal import Journal

    return Journal(wanted.units, wanted.programs, wanted.users, positions.get(Journal.name))
