"""Checks plugins and calls each one alone and guarded.

pluggy loses every plugin's result when one raises, so each call goes through a
caller that sees one plugin only. A plugin one of whose hooks fails three times in a row is
quarantined: it is not called again until the registry is built anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from postkeel import contract
from postkeel.contract import (
    Absent,
    Card,
    Event,
    Facts,
    Interest,
    Need,
    Observation,
    Options,
    Report,
    Side,
    Table,
)
from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError, Problem
from postkeel.core.frozen import frozen
from postkeel.deferred import pluggy
from postkeel.discovery import Found

GATHER_SECONDS = 10.0
DELIVER_SECONDS = 5.0
QUARANTINE_AFTER = 3

_LEAST_ROWS = 100  # below that adding up rare rows cannot spare any


@frozen
class Rejected:
    """A plugin that was found and not taken, and why."""

    name: str
    source: str
    reason: str


class Loaded:
    """A registered plugin: its card, its checked options, its record."""

    def __init__(self, name: str, source: str, card: Card, options: Options) -> None:
        self.name = name
        self.source = source
        self.card = card
        self.options = options
        self.failures: dict[str, int] = {}
        self.last_failure = ""

    @property
    def quarantined(self) -> bool:
        """Whether one of its hooks failed so often in a row. What works does not make up for it.

        A reporter is asked again instead: what it hands on to may be away for a while.
        """
        return any(
            count >= QUARANTINE_AFTER
            for hook, count in self.failures.items()
            if hook != "keel_deliver"
        )


class Registry:
    """The plugins of one agent. `rejected` and each plugin's record are for `postkeel plugins`."""

    def __init__(self, found: Iterable[Found], configuration: Configuration) -> None:
        self.plugins: list[Loaded] = []
        self.rejected: list[Rejected] = []
        self._manager = pluggy.PluginManager("postkeel")
        self._manager.add_hookspecs(contract)
        self._callers: dict[tuple[str, str], Any] = {}
        for one in found:
            self._register(one, configuration)
        self._check_configured(configuration)

    def _register(self, found: Found, configuration: Configuration) -> None:
        def reject(reason: str) -> None:
            self.rejected.append(Rejected(name=found.name, source=found.source, reason=reason))

        try:
            plugin = found.load()
            self._manager.register(plugin, name=found.name)
            self._manager.check_pending()
            card: Any = next(iter(self._caller(found.name, "keel_card")()), None)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plugin's defect is listed as its own
            self._manager.set_blocked(found.name)
            return reject(f"{type(error).__name__}: {error}")
        reason = _faulty(card, found.name)
        if reason:
            self._manager.unregister(name=found.name)
            return reject(reason)
        options = _options(card, configuration)
        self.plugins.append(Loaded(found.name, found.source, card, options))
        return None

    def _check_configured(self, configuration: Configuration) -> None:
        known = {one.name for one in self.plugins} | {one.name for one in self.rejected}
        for name in configuration.plugins:
            if name not in known:
                names = ", ".join(sorted(known))
                message = f"no plugin is called {name!r}; installed are: {names}"
                raise ConfigurationError(configuration.problem(message, "plugins", name))

    def _caller(self, name: str, hook: str) -> Any:
        """The hook as only this plugin answers it."""
        if (name, hook) not in self._callers:
            others = [one for other, one in self._manager.list_name_plugin() if other != name]
            self._callers[name, hook] = self._manager.subset_hook_caller(hook, others)
        return self._callers[name, hook]

    def _call(
        self,
        plugin: Loaded,
        hook: str,
        problems: list[str],
        seconds: float | None,
        shape: Callable[[Any], Any] = lambda answer: answer,
        **given: object,
    ) -> Any:
        """The plugin's answer, or None; a failure is named in `problems` and counted.

        shape: makes of the answer what is wanted, within the guard: a generator fails late.
        """
        caller = self._caller(plugin.name, hook)
        if plugin.quarantined or not caller.get_hookimpls():
            return None
        try:
            if seconds is None:
                answers = caller(**given)
            else:
                answers = _within(seconds, lambda: caller(**given))
            answer = shape(answers[0]) if answers else None
        except (Exception, SystemExit) as error:  # noqa: BLE001  keeps one plugin from the rest
            self.blame(plugin, hook, error, problems)
            return None
        plugin.failures.pop(hook, None)
        return answer

    def blame(self, plugin: Loaded, what: str, error: BaseException, problems: list[str]) -> None:
        """Name this failure of the plugin in `problems`, and count it.

        what: the hook, or what else of the plugin's cannot be used.
        """
        plugin.failures[what] = plugin.failures.get(what, 0) + 1
        plugin.last_failure = f"{what}: {type(error).__name__}: {error}"
        problems.append(f"plugin {plugin.name}: {plugin.last_failure}")
        if plugin.quarantined:
            problems.append(
                f"plugin {plugin.name} is quarantined after"
                f" {plugin.failures[what]} failures in a row"
            )

    def leave(self, side: Side) -> None:
        """Forget the plugins of this side: they run in a process of their own."""
        self.plugins = [one for one in self.plugins if one.card.side is not side]

    def of(self, side: Side) -> list[Loaded]:
        """The plugins that run on this side."""
        return [one for one in self.plugins if one.card.side is side]

    def interests(
        self,
        instance: str,
        facts: Facts,
        problems: list[str],
        plugins: Iterable[Loaded] | None = None,
    ) -> list[tuple[Loaded, Interest]]:
        """What these plugins, or all, want to be woken by, and need, for this instance."""
        found = []
        for plugin in self.plugins if plugins is None else plugins:
            answer = self._call(
                plugin,
                "keel_interests",
                problems,
                None,
                instance=instance,
                options=plugin.options,
                facts=facts,
            )
            if isinstance(answer, Interest):
                found.append((plugin, answer))
        return found

    def gather(self, needs: Iterable[Need], problems: list[str]) -> dict[Need, object]:
        """A fact for each need: the first plugin that knows it answers."""
        return {need: self._gather(need, problems) for need in dict.fromkeys(needs)}

    def _gather(self, need: Need, problems: list[str]) -> object:
        for plugin in self.plugins:
            answer = self._call(plugin, "keel_gather", problems, GATHER_SECONDS, need=need)
            if isinstance(answer, Absent):
                problems.append(answer.reason)
            if answer is not None:
                return answer
        reason = f"no plugin knows the fact {need.kind!r} of {need.subject}"
        return Absent(reason=reason)

    def observe(
        self,
        event: Event,
        instance: str,
        facts: Facts,
        problems: list[str],
        plugins: Iterable[Loaded] | None = None,
    ) -> tuple[Observation, ...]:
        """What these plugins, or all, observe, in the plugins' order."""
        observed: list[Observation] = []
        for plugin in self.plugins if plugins is None else plugins:
            answer = self._call(
                plugin,
                "keel_observe",
                problems,
                None,
                tuple,
                event=event,
                instance=instance,
                facts=facts,
                options=plugin.options,
            )
            observed += answer or ()
        return tuple(observed)

    def deliver(
        self, report: Report, problems: list[str], *, to: Sequence[str] | None = None
    ) -> list[str]:
        """Hand a report to every reporter, or to those named; the names of those that failed."""
        failed = []
        for plugin in self.plugins:
            if to is not None and plugin.name not in to:
                continue
            before = len(problems)
            self._call(
                plugin,
                "keel_deliver",
                problems,
                DELIVER_SECONDS,
                report=report,
                options=plugin.options,
            )
            if len(problems) > before:
                failed.append(plugin.name)
        return failed


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """The call's result; TimeoutError when it takes longer. Its thread is left to end by itself."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            result.append(call())
        except BaseException as error:  # noqa: BLE001  carried over to the calling thread
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return result[0]


def _faulty(card: object, name: str) -> str:
    if not isinstance(card, Card):
        return "keel_card() is missing or does not return a Card"
    if card.name != name:
        return f"its card says {card.name!r}, its entry point {name!r}"
    if card.side not in tuple(Side):
        return f"side {card.side!r} is not one of root, monitor"
    for what, names in (
        ("option", [one.name for one in card.options]),
        ("rule", [one.id for one in card.rules]),
        ("table", [one.name for one in card.tables]),
    ):
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice:
            return f"{what} {twice!r} stands twice on its card"
    return next(
        (
            f"rule {one.id!r} has no rationale or no reference"
            for one in card.rules
            if not one.why.strip() or not one.references
        ),
        "",
    ) or _faulty_tables(card)


def _faulty_tables(card: Card) -> str:
    if card.tables and card.side is not Side.MONITOR:
        return "it has tables, and only plugins of side monitor keep records"
    if card.tables and not _is_plain(card.name):
        return "it has tables, so its name must be made of small letters and _"
    for one in card.tables:
        reason = _faulty_table(one)
        if reason:
            return f"table {one.name!r}: {reason}"
    return ""


def _faulty_table(table: Table) -> str:
    """The names become names in SQL, which knows no upper case and no second column of one name."""
    columns = ("instance", "hour", *table.key, *table.counters)
    plain = all(_is_plain(one) for one in (table.name, *table.key, *table.counters))
    complaints = {
        "names of tables and columns are made of small letters and _": not plain,
        "a column stands twice, or is called instance or hour": len({*columns}) < len(columns),
        "key and counters must be tuples of a name or more": not _both_tuples(table),
        f"it folds {table.folds!r}, which is no key column": table.folds not in ("", *table.key),
        "most_rows must be 100 or more": table.most_rows < _LEAST_ROWS,
        "kept_days must be 1 or more": table.kept_days < 1,
    }
    return next((text for text, true in complaints.items() if true), "")


def _both_tuples(table: Table) -> bool:
    return all(isinstance(one, tuple) and one for one in (table.key, table.counters))


def _is_plain(name: str) -> bool:
    letters = name.replace("_", "")
    return letters.isascii() and letters.isalpha() and letters.islower()


def _options(card: Card, configuration: Configuration) -> dict[str, object]:
    """The plugin's options, defaults filled in; ConfigurationError for what its card lacks."""
    given = configuration.plugins.get(card.name, {})
    known = {one.name: one for one in card.options}
    problems: list[Problem] = []
    for key, value in given.items():
        if key not in known:
            message = (
                f"plugin {card.name} has no option {key!r}; it has: {', '.join(known) or 'none'}"
            )
        elif not _same_type(value, known[key].default):
            kind = type(known[key].default).__name__.replace("tuple", "list of texts")
            message = f"option {key!r} must be a {kind}, not {value!r}"
        elif _too_small(value, known[key].least):
            message = f"option {key!r} must be at least {known[key].least}, not {value!r}"
        else:
            continue
        problems.append(configuration.problem(message, "plugins", card.name, key))
    if problems:
        raise ConfigurationError(*problems)
    chosen = {name: given.get(name, one.default) for name, one in known.items()}
    return {name: tuple(one) if isinstance(one, list) else one for name, one in chosen.items()}


def _too_small(value: object, least: int | None) -> bool:
    return least is not None and isinstance(value, int) and value < least


def _same_type(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return type(value) is type(default)
