"""`postkeel config`: check postkeel's own configuration and show what it comes to."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

from postkeel.cli.opening import Opened, open_all
from postkeel.cli.render import Paint, print_json
from postkeel.core.configuration import Configuration
from postkeel.core.errors import Problem
from postkeel.core.model import Waiver
from postkeel.core.text import did_you_mean, one_line


def main(arguments: Namespace) -> int:
    opened = open_all(arguments)
    configuration = opened.configuration
    document: dict[str, object] = {
        "files": [one.file for one in configuration.documents],
        "mode": configuration.mode.value,
        "profile": configuration.profile,
        "state_directory": configuration.state_directory,
        "runtime_directory": configuration.runtime_directory,
        "plugin_directory": configuration.plugin_directory,
        "contest": {
            "corrections": configuration.contest.corrections,
            "seconds": configuration.contest.seconds,
        },
        "instance": {name: dict(one) for name, one in configuration.instances.items()},
        "plugins": {one.name: dict(one.options) for one in opened.registry.plugins if one.options},
        "waiver": [
            {
                "rule": one.rule,
                "service": one.service,
                "parameter": one.parameter,
                "reason": one.reason,
                "owner": one.owner,
                "until": one.until.isoformat(),
            }
            for one in configuration.waivers
        ],
    }
    warnings = [str(one) for one in _without_effect(opened)]
    if arguments.format == "json":
        print_json(**document, warnings=warnings)
        return 2 if warnings else 0
    files = ", ".join(str(one.file) for one in configuration.documents)
    print(f"configuration is valid: {files or 'no file, all defaults'}")
    for key, value in document.items():
        if key != "files" and value not in ({}, [], ""):
            print(f"  {key} = {one_line(str(value))}")
    for warning in warnings:
        print(f"{Paint(arguments)('warning', 'warning')} {one_line(warning)}")
    return 2 if warnings else 0


def _without_effect(opened: Opened) -> Iterator[Problem]:
    """Waivers that waive nothing: ended ones, and those whose rule does not exist."""
    configuration = opened.configuration
    in_use = {
        configuration.profile,
        *(one["profile"] for one in configuration.instances.values() if "profile" in one),
    }
    known = {rule.id for name in in_use for rule in opened.profiles.get(name).rules}
    known |= {rule.id for plugin in opened.registry.plugins for rule in plugin.card.rules}
    today = datetime.now(UTC).date()
    for waiver in configuration.waivers:
        if waiver.rule not in known:
            guess = did_you_mean(waiver.rule, sorted(known))
            message = f"waiver of an unknown rule {waiver.rule!r}{guess}"
        elif waiver.until < today:
            message = f"the waiver of {waiver.rule} ended on {waiver.until} ({waiver.owner})"
        else:
            continue
        yield _located(configuration, waiver, message)


def _located(configuration: Configuration, waiver: Waiver, message: str) -> Problem:
    for document in configuration.documents:
        for nth, table in enumerate(
            cast("list[dict[str, object]]", document.data.get("waiver", []))
        ):
            if Waiver(**table) == waiver:  # type: ignore[arg-type]
                return document.problem(message, "waiver", "rule", nth=nth)
    return Problem(file="postkeel.toml", line=0, message=message)
