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
from postkeel.cards import faulty, options_of
from postkeel.contract import (
    Absent,
    Card,
    Event,
    Facts,
    Interest,
    Need,
    Observation,
    Options,
    Place,
    Report,
    Side,
    Standing,
)
from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError
from postkeel.core.frozen import frozen
from postkeel.deferred import pluggy
from postkeel.discovery import Found

GATHER_SECONDS = 10.0
DELIVER_SECONDS = 5.0
QUARANTINE_AFTER = 3


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
            if hook not in ("keel_begin", "keel_deliver", "keel_status")
        )


class Registry:
    """The plugins of one agent. `rejected` and each plugin's record are for `postkeel plugins`."""

    def __init__(self, found: Iterable[Found], configuration: Configuration) -> None:
        self.plugins: list[Loaded] = []
        self.rejected: list[Rejected] = []
        self._manager = pluggy.PluginManager("postkeel")
        self._manager.add_hookspecs(contract)
        self._callers: dict[tuple[str, str], Any] = {}
        self._places = {one: _place(configuration, one) for one in Side}
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
        reason = faulty(card, found.name)
        if reason:
            self._manager.unregister(name=found.name)
            return reject(reason)
        options = options_of(card, configuration)
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
                place=self._places[plugin.card.side],
            )
            if len(problems) > before:
                failed.append(plugin.name)
        return failed

    def begin(self, problems: list[str]) -> None:
        """Have the plugins begin that work by themselves."""
        for plugin in self.plugins:
            self._call(
                plugin,
                "keel_begin",
                problems,
                DELIVER_SECONDS,
                options=plugin.options,
                place=self._places[plugin.card.side],
            )

    def standings(self, problems: list[str], side: Side) -> dict[str, Standing]:
        """How the reporters of this side stand, by name; those that have nothing to say are not."""
        found = {}
        for plugin in self.of(side):
            answer = self._call(
                plugin,
                "keel_status",
                problems,
                DELIVER_SECONDS,
                options=plugin.options,
                place=self._places[side],
            )
            if isinstance(answer, Standing):
                found[plugin.name] = answer
        return found


def _place(configuration: Configuration, side: Side) -> Place:
    if side is Side.ROOT:
        state, runtime = configuration.state_directory, configuration.runtime_directory
    else:
        state = configuration.monitor_state_directory
        runtime = configuration.monitor_runtime_directory
    return Place(state=state, runtime=runtime)


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
