"""Profiles: what is wanted, as data. Parsed from TOML tables, never from code.

A profile has a `summary`, may have `extends = "NAME"` and `outdated = true`,
and holds rules as `[rule.ID]`. A profile that extends another gives only what
differs: single keys of a rule, a new rule, or `enabled = false`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import cast

from postkeel.core.document import Document
from postkeel.core.errors import ConfigurationError, Problem
from postkeel.core.frozen import frozen
from postkeel.core.model import Severity
from postkeel.core.text import did_you_mean
from postkeel.postfix.instance import Role, Version, parse_version

_OPERATORS = (">=", "<=", "<", ">", "=")


@frozen
class VersionRange:
    """A condition on a version: ">=3.6,<3.9"; empty is every version."""

    text: str = ""

    def includes(self, version: Version) -> bool:
        return all(_holds(part.strip(), version) for part in self.text.split(",") if part.strip())


def _holds(condition: str, version: Version) -> bool:
    operator = next(one for one in _OPERATORS if condition.startswith(one))
    bound = parse_version(condition[len(operator) :].strip())
    have = version[: len(bound)] if operator in ("=", "<=", ">") else version
    match operator:
        case ">=":
            return have >= bound
        case "<=":
            return have <= bound
        case "<":
            return have < bound
        case ">":
            return have > bound
        case _:
            return have == bound


@frozen
class Value:
    """What to write, for the versions that take it."""

    postfix: VersionRange
    text: str


@frozen
class ProfileRule:
    """One requirement.

    `scope` "main.cf" judges main.cf's value once and the `-o` overrides of the
    services of these roles; "service" judges what each of these services gets.
    A rule whose roles no service has does not apply. `wanted` is what the
    comparison takes; `values` is what to write, first match first, and may be
    empty for a rule that only reports.
    """

    id: str
    parameters: tuple[str, ...]
    services: tuple[Role, ...]
    scope: str
    comparison: str
    wanted: tuple[str, ...]
    values: tuple[Value, ...]
    severity: Severity
    postfix: VersionRange
    why: str
    references: tuple[str, ...]

    def value(self, version: Version) -> str | None:
        """What to write for this version; None when there is nothing to write."""
        return next((one.text for one in self.values if one.postfix.includes(version)), None)


@frozen
class Profile:
    """A named hardened state. `lineage` is its own name, then those it extends."""

    name: str
    summary: str
    lineage: tuple[str, ...]
    outdated: bool
    rules: tuple[ProfileRule, ...]

    def rule(self, identity: str) -> ProfileRule | None:
        return next((one for one in self.rules if one.id == identity), None)


_KINDS = {"summary": str, "extends": str, "outdated": bool}
_TYPES = {str: "a text", bool: "true or false"}
_PROFILE_KEYS = {"summary", "extends", "outdated", "rule"}
_RULE_KEYS = ({one.name for one in fields(ProfileRule)} - {"id", "values"}) | {"value", "enabled"}
_SCOPES = ("main.cf", "service")


def resolve_profile(
    name: str, documents: Mapping[str, Document], comparisons: Collection[str]
) -> Profile:
    """The profile of this name with all that it extends.

    Errors: ConfigurationError with file and line for an unknown profile, rule
    key, comparison, role, version or a profile that extends itself.
    """
    chain = _chain(name, documents)
    merged: dict[str, dict[str, object]] = {}
    origin: dict[str, dict[str, Document]] = {}
    problems: list[Problem] = []
    for document in reversed(chain):
        tables = _rules(document)
        problems += _changes_of_nothing(document, tables, merged)
        for identity, table in tables.items():
            merged[identity] = {**merged.get(identity, {}), **table}
            # A key that is missing everywhere is missed in the profile nearest to the user.
            origin.setdefault(identity, {}).update({"": document} | dict.fromkeys(table, document))
    if problems:
        raise ConfigurationError(*problems)
    rules: list[ProfileRule] = []
    for identity, table in merged.items():
        if table.get("enabled", True) is False:
            continue
        reader = _RuleReader(origin[identity], identity, table)
        rules.append(reader.rule(comparisons))
        problems += reader.problems
    if problems:
        raise ConfigurationError(*problems)
    return Profile(
        name=name,
        summary=str(chain[0].data.get("summary", "")),
        lineage=tuple(_name(one) for one in chain),
        outdated=chain[0].data.get("outdated", False) is True,
        rules=tuple(rules),
    )


def _changes_of_nothing(
    document: Document, tables: Mapping[str, object], known: Collection[str]
) -> Iterator[Problem]:
    """Rules that say too little to be new, and that no extended profile has: misspelt ones."""
    for identity, table in tables.items():
        if "extends" in document.data and identity not in known and not _is_new(table):
            message = f"unknown rule {identity!r}: no profile that this one extends has it"
            yield document.problem(f"{message}{did_you_mean(identity, known)}", "rule", identity)


def _is_new(table: object) -> bool:
    return isinstance(table, dict) and ("parameters" in table or "comparison" in table)


def _name(document: Document) -> str:
    return document.file.rsplit("/", 1)[-1].removesuffix(".toml")


def _chain(name: str, documents: Mapping[str, Document]) -> list[Document]:
    chain: list[Document] = []
    asked: Problem | None = None
    wanted: object = name
    while wanted is not None:
        document = documents.get(str(wanted))
        if document is None:
            known = ", ".join(sorted(documents))
            message = f"unknown profile {str(wanted)!r}; known are: {known}"
            raise ConfigurationError(
                Problem(file=asked.file, line=asked.line, message=message)
                if asked
                else Problem(file="profile", line=0, message=message)
            )
        if document in chain:
            raise ConfigurationError(document.problem("profile extends itself", "extends"))
        chain.append(document)
        wanted = document.data.get("extends")
        asked = document.problem("'extends' must be a text", "extends")
        if not isinstance(wanted, str | None):
            raise ConfigurationError(asked)
    return chain


def _rules(document: Document) -> Mapping[str, Mapping[str, object]]:
    problems = [
        document.problem(f"unknown key {key!r} in a profile", key)
        for key in document.data
        if key not in _PROFILE_KEYS
    ]
    problems += [
        document.problem(f"{key!r} must be {_TYPES[kind]}", key)
        for key, kind in _KINDS.items()
        if not isinstance(document.data.get(key, kind()), kind)
    ]
    tables = document.data.get("rule", {})
    if not isinstance(tables, dict):
        problems.append(document.problem("rules are written as [rule.ID]", "rule"))
        tables = {}
    for identity, table in tables.items():
        if not isinstance(table, dict):
            problems.append(document.problem("a rule is a table: [rule.ID]", "rule", identity))
            continue
        problems += [
            document.problem(f"unknown key {key!r} in rule {identity!r}", "rule", identity, key)
            for key in table
            if key not in _RULE_KEYS
        ]
    if problems:
        raise ConfigurationError(*problems)
    return cast("Mapping[str, Mapping[str, object]]", tables)


class _RuleReader:
    """Reads one merged rule table and collects what is wrong with it."""

    def __init__(
        self, origin: Mapping[str, Document], identity: str, table: Mapping[str, object]
    ) -> None:
        self.origin = origin
        self.identity = identity
        self.table = table
        self.problems: list[Problem] = []

    def rule(self, comparisons: Collection[str]) -> ProfileRule:
        self.check_switch()
        return ProfileRule(
            id=self.identity,
            parameters=self.words("parameters"),
            services=tuple(
                Role(one) for one in self.words("services", [one.value for one in Role])
            ),
            scope=self.word("scope", _SCOPES, "main.cf"),
            comparison=self.word("comparison", comparisons),
            wanted=self.words("wanted", required=False),
            values=self.values(),
            severity=Severity(self.word("severity", [one.value for one in Severity])),
            postfix=self.version(self.table.get("postfix", ""), "postfix"),
            why=self.text("why"),
            references=self.words("references"),
        )

    def check_switch(self) -> None:
        if not isinstance(self.table.get("enabled", True), bool):
            self.complain("'enabled' must be true or false", "enabled")

    def complain(self, message: str, key: str) -> None:
        document = self.origin.get(key, self.origin[""])
        self.problems.append(
            document.problem(f"rule {self.identity!r}: {message}", "rule", self.identity, key)
        )

    def text(self, key: str) -> str:
        value = self.table.get(key)
        if not isinstance(value, str) or not value.strip():
            self.complain(f"{key!r} must be a text that is not empty", key)
            return ""
        return " ".join(value.split())

    def word(self, key: str, known: Collection[str], default: str | None = None) -> str:
        value = self.table.get(key, default)
        if value not in known:
            self.complain(f"unknown {key} {value!r}; known are: {', '.join(known)}", key)
            return next(iter(known))
        return str(value)

    def words(
        self, key: str, known: Collection[str] | None = None, *, required: bool = True
    ) -> tuple[str, ...]:
        value = self.table.get(key, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            self.complain(f"{key!r} must be a text or a list of texts", key)
            return ()
        if required and not found:
            self.complain(f"{key!r} is missing or empty", key)
        unknown = [one for one in found if known is not None and one not in known]
        if known is not None and unknown:
            self.complain(f"unknown {key} {unknown[0]!r}; known are: {', '.join(known)}", key)
            return ()
        return tuple(found)

    def version(self, value: object, key: str) -> VersionRange:
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        for part in parts:
            operator = next((one for one in _OPERATORS if part.startswith(one)), None)
            bound = part[len(operator) :].strip() if operator else ""
            if not bound or not all(piece.isdigit() for piece in bound.split(".")):
                self.complain(f"not a version condition: {part!r}; write one like '>=3.6'", key)
                return VersionRange()
        return VersionRange(text=",".join(parts))

    def values(self) -> tuple[Value, ...]:
        value = self.table.get("value")
        if value is None:
            return ()
        if isinstance(value, str):
            return (Value(postfix=VersionRange(), text=value),)
        if not isinstance(value, list):
            self.complain("'value' must be a text or a list of {postfix, is}", "value")
            return ()
        found = []
        for one in value:
            if not isinstance(one, dict) or not isinstance(one.get("is"), str):
                self.complain("each 'value' needs an 'is' text, and may have 'postfix'", "value")
                continue
            found.append(
                Value(postfix=self.version(one.get("postfix", ""), "value"), text=one["is"])
            )
        return tuple(found)
