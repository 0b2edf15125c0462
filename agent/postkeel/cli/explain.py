"""`postkeel explain`: why a rule or parameter matters, and what is wanted here."""

from __future__ import annotations

import textwrap
from argparse import Namespace

from postkeel.cli.opening import instances, open_all
from postkeel.cli.render import print_json
from postkeel.contract import Need, Rule
from postkeel.core.errors import PostkeelError
from postkeel.core.profile import Profile, ProfileRule
from postkeel.core.text import did_you_mean
from postkeel.postfix.instance import Instance, parse_version
from postkeel.registry import Registry


def main(arguments: Namespace) -> int:
    opened = open_all(arguments)
    profile = opened.profiles.get(opened.configuration.profile)
    rules = [one for one in profile.rules if arguments.topic in (one.id, *one.parameters)]
    of_plugins = [
        (one, plugin.name) for plugin in opened.registry.plugins for one in plugin.card.rules
    ]
    coded = [(one, plugin) for one, plugin in of_plugins if one.id == arguments.topic]
    if not rules and not coded:
        raise PostkeelError(_nothing(arguments.topic, profile, [one.id for one, _ in of_plugins]))
    version = _version(arguments, opened.registry)
    if arguments.format == "json":
        print_json(
            profile=profile.name,
            rules=[
                *(_data(one, version) for one in rules),
                *(_coded_data(one, plugin) for one, plugin in coded),
            ],
        )
        return 0
    for rule in rules:
        _print(rule, profile, version)
    for one, plugin in coded:
        print(f"{one.id} (plugin {plugin})\n{_wrapped(one.why)}")
        print(f"  see: {'; '.join(one.references)}")
    return 0


def _version(arguments: Namespace, registry: Registry) -> str:
    """The first instance's Postfix version; empty where there is no Postfix to ask."""
    try:
        directory = instances(arguments)[0]
    except PostkeelError:
        return ""
    need = Need(kind="postfix", subject=directory)
    fact = registry.gather([need], [])[need]
    return fact.version if isinstance(fact, Instance) else ""


def _nothing(topic: str, profile: Profile, coded: list[str]) -> str:
    names = {name for one in profile.rules for name in (one.id, *one.parameters)}
    hint = did_you_mean(topic, sorted(names.union(coded)))
    return f"profile {profile.name} and the plugins have no rule or parameter {topic!r}{hint}"


def _values(rule: ProfileRule) -> list[tuple[str, str]]:
    return [(one.postfix.text or "every version", one.text) for one in rule.values]


def _data(rule: ProfileRule, version: str) -> dict[str, object]:
    return {
        "rule": rule.id,
        "parameters": list(rule.parameters),
        "services": [one.value for one in rule.services],
        "comparison": rule.comparison,
        "wanted": list(rule.wanted),
        "here": rule.value(parse_version(version)) if version else None,
        "values": [{"postfix": condition, "is": text} for condition, text in _values(rule)],
        "severity": rule.severity.value,
        "why": rule.why,
        "references": list(rule.references),
    }


def _coded_data(rule: Rule, plugin: str) -> dict[str, object]:
    return {
        "rule": rule.id,
        "plugin": plugin,
        "why": rule.why,
        "references": list(rule.references),
    }


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 88, initial_indent="  ", subsequent_indent="  ")


def _print(rule: ProfileRule, profile: Profile, version: str) -> None:
    print(f"{rule.id} ({rule.severity.value}, profile {profile.name})")
    print(_wrapped(rule.why))
    print(f"  parameters: {', '.join(rule.parameters)}")
    print(f"  services: {', '.join(one.value for one in rule.services)}")
    print(f"  comparison: {rule.comparison} {', '.join(rule.wanted)}".rstrip())
    if version and rule.postfix.includes(parse_version(version)):
        value = rule.value(parse_version(version))
        print(f"  written here, Postfix {version}: {'(nothing)' if value is None else value!r}")
    elif version:
        print(f"  does not apply to Postfix {version}, only to {rule.postfix.text}")
    else:
        for condition, text in _values(rule):
            print(f"  written for Postfix {condition}: {text!r}")
    print(f"  see: {'; '.join(rule.references)}")
