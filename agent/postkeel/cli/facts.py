"""`postkeel facts`: everything known of the host's Postfix instances."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from postkeel.cli.opening import Opened, finish, instances, looked, looking_round, of_each, open_all
from postkeel.cli.render import print_json, table
from postkeel.contract import Absent
from postkeel.core.errors import PostfixError
from postkeel.core.text import one_line
from postkeel.postfix.instance import Instance, Parameter
from postkeel.postfix.meaning import TlsMeaning, tls_meaning


def main(arguments: Namespace) -> int:
    opened = open_all(arguments)
    known, complaint = of_each(instances(arguments), lambda one: _instance(opened, one))
    if arguments.format == "json":
        print_json(instances=[_data(one) for one in known])
    else:
        for one in known:
            _print(one)
    return finish(complaint, 0)


def _instance(opened: Opened, directory: str) -> Instance:
    instance = looked(looking_round(opened, directory)).instance(directory)
    if instance is None:
        raise PostfixError(f"{directory}: nothing is known of this instance")
    return instance


def _parameters(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    return {name: {"value": one.value, "where": one.where} for name, one in parameters.items()}


def _data(instance: Instance) -> dict[str, object]:
    return {
        "config_directory": instance.config_directory,
        "postfix": instance.version,
        "openssl": instance.openssl,
        "running": instance.running,
        "map_types": list(instance.map_types),
        "parameters": _parameters(instance.parameters),
        "services": {
            one.name: {
                "command": one.command,
                "role": one.role.value,
                "where": one.where,
                "parameters": _parameters(one.overrides),
                "tls": [_meaning_data(meaning) for meaning in tls_meaning(instance, one)],
            }
            for one in instance.services
        },
        "warnings": list(instance.warnings),
    }


def _meaning_data(meaning: TlsMeaning) -> dict[str, object]:
    suites = meaning.suites
    return {
        "strength": meaning.strength,
        "level": meaning.level,
        "protocols": list(meaning.protocols),
        "cipher_string": meaning.cipher_string,
        "suites": None if isinstance(suites, Absent) else [one.name for one in suites],
    }


def _print(instance: Instance) -> None:
    state = "running" if instance.running else "not running"
    directory = one_line(instance.config_directory)
    print(f"{directory}: Postfix {instance.version}, {instance.openssl}, {state}")
    print(f"  map types: {' '.join(instance.map_types)}")
    for warning in instance.warnings:
        print(f"  postconf warns: {one_line(warning)}")
    print("  main.cf")
    rows = [
        (one.where, one_line(name), one_line(one.value))
        for name, one in instance.parameters.items()
    ]
    for line in table(rows, indent="    "):
        print(line)
    for service in instance.services:
        _print_service(instance, service.name)


def _print_service(instance: Instance, name: str) -> None:
    service = instance.service(name)
    meanings = tls_meaning(instance, service) if service else ()
    if service is None or not (service.overrides or meanings):
        return
    named = f"{one_line(service.name)} ({one_line(service.command)}"
    print(f"  {named}, {service.role.value}, {service.where})")
    for key, one in service.overrides.items():
        print(f"    {one.where}  -o {one_line(key)}={one_line(one.value)}")
    for meaning in meanings:
        suites = meaning.suites
        count = suites.reason if isinstance(suites, Absent) else f"{len(suites)} cipher suites"
        protocols = " ".join(meaning.protocols) or "none"
        print(f"    TLS {meaning.strength}: level {meaning.level}, {protocols}, {count}")
