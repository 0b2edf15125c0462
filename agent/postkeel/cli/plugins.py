"""`postkeel plugins`: what is loaded, what is not, and why not."""

from __future__ import annotations

from argparse import Namespace

from postkeel.cli.opening import open_all
from postkeel.cli.render import Paint, print_json
from postkeel.core.text import one_line


def main(arguments: Namespace) -> int:
    registry = open_all(arguments).registry
    if arguments.format == "json":
        print_json(
            plugins=[
                {
                    "name": one.name,
                    "summary": one.card.summary,
                    "side": one.card.side.value,
                    "source": one.source,
                    "options": dict(one.options),
                }
                for one in registry.plugins
            ],
            rejected=[
                {"name": one.name, "source": one.source, "reason": one.reason}
                for one in registry.rejected
            ],
        )
        return 2 if registry.rejected else 0
    paint = Paint(arguments)
    for plugin in registry.plugins:
        print(f"{plugin.name} ({plugin.card.side.value}): {plugin.card.summary}")
        print(f"  {paint('dim', plugin.source)}")
        for option in plugin.card.options:
            print(f"  {option.name} = {plugin.options[option.name]!r}: {option.help}")
    for rejected in registry.rejected:
        print(f"{paint('error', 'rejected')} {rejected.name}: {one_line(rejected.reason)}")
        print(f"  {paint('dim', rejected.source)}")
    return 2 if registry.rejected else 0
