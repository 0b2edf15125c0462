"""`postkeel plugins`: what is loaded, what is not, and why not."""

from __future__ import annotations

import json
from argparse import Namespace

from postkeel.cli.opening import open_all
from postkeel.cli.render import Paint, print_json
from postkeel.contract import Options, Table
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
                    "rules": [rule.id for rule in one.card.rules],
                    "tables": [_data(table, one.options) for table in one.card.tables],
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
            print(f"  {option.name} = {_as_toml(plugin.options[option.name])}: {option.help}")
        if plugin.card.rules:
            print(f"  rules: {', '.join(one.id for one in plugin.card.rules)}")
        for table in plugin.card.tables:
            print(f"  {_told(table, plugin.options)}")
    for rejected in registry.rejected:
        print(f"{paint('error', 'rejected')} {rejected.name}: {one_line(rejected.reason)}")
        print(f"  {paint('dim', rejected.source)}")
    return 2 if registry.rejected else 0


def _as_toml(value: object) -> str:
    """As it would stand in postkeel.toml: JSON writes texts, numbers, truth and lists alike."""
    return json.dumps(value, ensure_ascii=False)


def _kept_days(table: Table, options: Options) -> object:
    """The plugin's option of that name, where it has one, rules all its tables."""
    return options.get("kept_days", table.kept_days)


def _data(table: Table, options: Options) -> dict[str, object]:
    return {
        "name": table.name,
        "key": ["hour", *table.key],
        "counters": list(table.counters),
        "folds": table.folds or None,
        "kept_days": _kept_days(table, options),
        "most_rows": table.most_rows,
    }


def _told(table: Table, options: Options) -> str:
    """What is kept, told apart by what, for how long and how much of it."""
    rare = f"; rare values of {table.folds} become (others)" if table.folds else ""
    return (
        f"table {table.name}: {', '.join(table.counters)} by {', '.join(('hour', *table.key))};"
        f" kept {_kept_days(table, options)} days, {table.most_rows:,} rows at most{rare}"
    )
