"""How to put a setting right: the first candidate that does it and weakens nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from postkeel.contract import (
    Edit,
    RemoveOverride,
    RemoveParameter,
    SetOverride,
    SetParameter,
    frozen,
)
from postkeel.postfix.instance import Instance, Parameter, Service
from postkeel.postfix.question import Assignment, Comparison, Question


@frozen
class Remedy:
    """The changes that put a setting right, and the value it then has."""

    changes: tuple[Edit, ...]
    wanted: str


Place = tuple[str, str]
"""The service, "" for main.cf, and the parameter that a change is about."""

NO_REMEDY = Remedy(changes=(), wanted="")


def remedy_in_main(comparison: Comparison, question: Question) -> Remedy:
    """Changes to main.cf, or none when no candidate will do."""
    for assignment in comparison.mend(question):
        changes = tuple(_in_main(assignment))
        after = replace(question, instance=applied(question.instance, changes))
        if does_it(comparison, question, after) and _spares(comparison, after, question):
            return Remedy(changes=changes, wanted=assignment[question.parameter] or "unset")
    return NO_REMEDY


def remedy_in_service(
    comparison: Comparison,
    question: Question,
    service: Service,
    after_main: Question,
    main: Remedy,
) -> Remedy:
    """Changes to a service: fall back on main.cf where that is right, else say it there.

    A fallback brings main.cf's own remedy along, so that it can be relied on.
    """
    if comparison.inherits and question.values and question.parameter in service.overrides:
        drop: Edit = RemoveOverride(service=service.name, name=question.parameter)
        after = _of(applied(after_main.instance, (drop,)), question, service)
        if does_it(comparison, question, after):
            return Remedy(changes=(*main.changes, drop), wanted=after.value or "unset")
    for assignment in comparison.mend(question):
        changes = tuple(_in_service(service, assignment))
        after = _of(applied(question.instance, changes), question, service)
        if does_it(comparison, question, after):
            return Remedy(changes=changes, wanted=assignment[question.parameter] or "unset")
    return NO_REMEDY


def does_it(comparison: Comparison, before: Question, after: Question) -> bool:
    """Whether the rule is met afterwards, and the setting is no weaker than it was."""
    if comparison.judge(after) is not None:
        return False
    old, new = comparison.strength(before), comparison.strength(after)
    return old is None or (new is not None and new >= old)


def _spares(comparison: Comparison, after: Question, before: Question) -> bool:
    """Whether a change to main.cf leaves every service with overrides as strong as it was."""
    for service in before.instance.services:
        if service.overrides:
            old = comparison.strength(replace(before, service=service))
            new = comparison.strength(replace(after, service=service))
            if old is not None and (new is None or new < old):
                return False
    return True


def place(change: Edit) -> Place:
    if isinstance(change, (SetOverride, RemoveOverride)):
        return (change.service, change.name)
    return ("", change.name)


def applied(instance: Instance, changes: Iterable[Edit]) -> Instance:
    """The instance as it is after these changes, as far as its settings go."""
    parameters = dict(instance.parameters)
    services = {service.name: service for service in instance.services}
    for change in changes:
        if isinstance(change, SetParameter):
            parameters[change.name] = Parameter(value=change.value, where="main.cf")
        elif isinstance(change, RemoveParameter):
            parameters.pop(change.name, None)
        else:
            services[change.service] = _with_override(services[change.service], change)
    return replace(instance, parameters=parameters, services=tuple(services.values()))


def _with_override(service: Service, change: SetOverride | RemoveOverride) -> Service:
    overrides = dict(service.overrides)
    overrides.pop(change.name, None)
    if isinstance(change, SetOverride):
        overrides[change.name] = Parameter(value=change.value, where="master.cf")
    return replace(service, overrides=overrides)


def _of(instance: Instance, question: Question, service: Service) -> Question:
    """The same question, asked of the same service in another instance."""
    return replace(question, instance=instance, service=instance.service(service.name))


def _in_main(assignment: Assignment) -> Iterable[Edit]:
    for name, value in assignment.items():
        if value is None:
            yield RemoveParameter(name=name)
        else:
            yield SetParameter(name=name, value=value)


def _in_service(service: Service, assignment: Assignment) -> Iterable[Edit]:
    for name, value in assignment.items():
        if value is None:
            yield RemoveOverride(service=service.name, name=name)
        else:
            yield SetOverride(service=service.name, name=name, value=value)
