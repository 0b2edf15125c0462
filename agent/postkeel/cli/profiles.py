"""`postkeel profiles`: the profiles, one profile's rules, or what differs of two."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from enum import Enum

from postkeel.cli.opening import open_configuration
from postkeel.cli.render import print_json, table
from postkeel.core.errors import ConfigurationError, PostkeelError, Problem
from postkeel.core.profile import Profile, ProfileRule, VersionRange
from postkeel.shell.documents import Profiles

_COMPARED = (
    "parameters",
    "services",
    "scope",
    "comparison",
    "wanted",
    "values",
    "severity",
    "postfix",
)
_WRITTEN = ("wanted", "values")


def main(arguments: Namespace) -> int:
    configuration, profiles = open_configuration(arguments)
    match arguments.names:
        case []:
            found = [profiles.get(name) for name in sorted(profiles.documents)]
            show(arguments, [_summary(one, configuration.profile) for one in found], "profiles")
        case [name]:
            profile = _known(profiles, name)
            show(arguments, [_rule(one) for one in profile.rules], "rules")
        case [first, second]:
            pair = (_known(profiles, first), _known(profiles, second))
            show(arguments, list(_differences(*pair)), "differences")
        case _:
            raise PostkeelError("profiles takes none, one or two names")
    return 0


def _known(profiles: Profiles, name: str) -> Profile:
    if name not in profiles.documents:
        known = ", ".join(sorted(profiles.documents))
        message = f"unknown profile {name!r}; known are: {known}"
        raise ConfigurationError(Problem(file="profiles", line=0, message=message))
    return profiles.get(name)


def show(arguments: Namespace, rows: list[dict[str, str]], key: str) -> None:
    """The same rows as a table or as JSON."""
    if arguments.format == "json":
        print_json(**{key: rows})
        return
    for line in table([tuple(row.values()) for row in rows]):
        print(line)


def _summary(profile: Profile, default: str) -> dict[str, str]:
    notes = [
        f"extends {profile.lineage[1]}" if len(profile.lineage) > 1 else "",
        "outdated" if profile.outdated else "",
        "in use" if profile.name == default else "",
    ]
    return {
        "name": profile.name,
        "rules": str(len(profile.rules)),
        "notes": ", ".join(one for one in notes if one),
        "summary": profile.summary,
    }


def _wanted(rule: ProfileRule) -> str:
    values = dict.fromkeys(one.text for one in rule.values)
    return " | ".join(repr(one) for one in values) or ", ".join(rule.wanted)


def _rule(rule: ProfileRule) -> dict[str, str]:
    return {
        "rule": rule.id,
        "severity": rule.severity.value,
        "parameters": ", ".join(rule.parameters),
        "wanted": f"{rule.comparison}: {_wanted(rule)}",
    }


def _differences(first: Profile, second: Profile) -> Iterator[dict[str, str]]:
    for identity in dict.fromkeys(one.id for one in (*first.rules, *second.rules)):
        left, right = first.rule(identity), second.rule(identity)
        if left is None or right is None:
            yield {
                "rule": identity,
                first.name: "(no such rule)" if left is None else _wanted(left),
                second.name: "(no such rule)" if right is None else _wanted(right),
            }
        elif keys := [key for key in _COMPARED if getattr(left, key) != getattr(right, key)]:
            yield {"rule": identity, first.name: _told(left, keys), second.name: _told(right, keys)}


def _told(rule: ProfileRule, keys: list[str]) -> str:
    """What a rule has under these keys; the values to write without a name, for they say most."""
    written = [_wanted(rule)] if {"wanted", "values"} & set(keys) else []
    others = [f"{key} {_plain(getattr(rule, key))}" for key in keys if key not in _WRITTEN]
    return "; ".join(written + others)


def _plain(value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case VersionRange():
            return value.text or "every version"
        case tuple():
            return ", ".join(map(_plain, value))
        case _:
            return str(value)
