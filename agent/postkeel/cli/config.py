"""`postkeel config`: check postkeel's own configuration and show what it comes to."""

from __future__ import annotations

from argparse import Namespace

from postkeel.cli.opening import open_all
from postkeel.cli.render import print_json


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
    if arguments.format == "json":
        print_json(**document)
        return 0
    files = ", ".join(str(one.file) for one in configuration.documents)
    print(f"configuration is valid: {files or 'no file, all defaults'}")
    for key, value in document.items():
        if key != "files" and value not in ({}, [], ""):
            print(f"  {key} = {value}")
    return 0
