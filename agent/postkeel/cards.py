"""Is a plugin's card sound, and are its `[plugins.NAME]` what the card says?"""

from __future__ import annotations

from typing import Any

from postkeel.contract import Card, Option, Side, Table
from postkeel.core.configuration import Configuration
from postkeel.core.errors import ConfigurationError, Problem

_LEAST_ROWS = 100  # below that adding up rare rows cannot spare any


def faulty(card: object, name: str) -> str:
    """Why a plugin with this entry point and card is not taken; "" for one that is."""
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


def options_of(card: Card, configuration: Configuration) -> dict[str, object]:
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
        elif _fault(value, known[key]):
            message = f"option {key!r} {_fault(value, known[key])}"
        else:
            continue
        problems.append(configuration.problem(message, "plugins", card.name, key))
    if problems:
        raise ConfigurationError(*problems)
    chosen = {name: given.get(name, one.default) for name, one in known.items()}
    return {name: tuple(one) if isinstance(one, list) else one for name, one in chosen.items()}


def _fault(value: Any, option: Option) -> str:
    if option.fault is None:
        return ""
    try:
        return option.fault(tuple(value) if isinstance(value, list) else value)
    except Exception as error:  # noqa: BLE001  a plugin's defect must not stop the agent unnamed
        return f"cannot be checked: {type(error).__name__}: {error}"


def _too_small(value: object, least: int | None) -> bool:
    return least is not None and isinstance(value, int) and value < least


def _same_type(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return type(value) is type(default)
