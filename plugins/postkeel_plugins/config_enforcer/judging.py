"""Each rule of the profile, held against the services that it is for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from postkeel.contract import Absent, Depth, Edit, Finding, Profile, ProfileRule, Severity
from postkeel.postfix.comparisons import COMPARISONS
from postkeel.postfix.instance import Instance, Service, parse_version
from postkeel.postfix.levels import family_of
from postkeel.postfix.question import Comparison, Question
from postkeel_plugins.config_enforcer.remedies import (
    NO_REMEDY,
    Place,
    Remedy,
    applied,
    place,
    remedy_in_main,
    remedy_in_service,
)

Judged = Collection[tuple[str, str]]
"""Each comparison with a parameter that some rule of the profile holds against it."""


def judge(instance: Instance, profile: Profile) -> Iterator[Finding]:
    """What is wrong with an instance, in the profile's order, with remedies that agree."""
    # What main.cf sets without effect is declared all the same: misspelt names are.
    instance = replace(instance, parameters={**instance.unused, **instance.parameters})
    judged = {(rule.comparison, name) for rule in profile.rules for name in rule.parameters}
    planned: dict[Place, Edit] = {}
    found: list[tuple[ProfileRule, Finding]] = []
    for rule in profile.rules:
        for finding in _judge_rule(rule, instance, judged):
            agreed = _agreed(finding, planned, rule, instance, judged)
            planned |= {place(one): one for one in agreed.edits}
            found.append((rule, agreed))
    for rule, finding in found:
        yield _final(finding, planned, rule, instance, judged)


def _agreed(
    finding: Finding,
    planned: Mapping[Place, Edit],
    rule: ProfileRule,
    instance: Instance,
    judged: Judged,
) -> Finding:
    """The finding with a remedy that goes with what earlier rules change at the same place."""
    other = [planned.get(place(one), one) for one in finding.edits]
    if tuple(other) == finding.edits:
        return finding
    once_mended = _judge_rule(rule, applied(instance, planned.values()), judged)
    rest = next((one.edits for one in once_mended if one.subject == finding.subject), ())
    contested = [one for one in other if one not in finding.edits]
    merged = {place(one): one for one in (*contested, *rest)}
    return replace(finding, remedy=tuple(merged.values()))


def _final(
    finding: Finding,
    planned: Mapping[Place, Edit],
    rule: ProfileRule,
    instance: Instance,
    judged: Judged,
) -> Finding:
    """The finding with what later rules made of its changes, where that still puts it right."""
    final = tuple(planned[place(one)] for one in finding.edits)
    if final == finding.edits:
        return finding
    after = _judge_rule(rule, applied(instance, planned.values()), judged)
    still = any(one.subject == finding.subject for one in after)
    return finding if still else replace(finding, remedy=final)


def _judge_rule(rule: ProfileRule, instance: Instance, judged: Judged) -> Iterator[Finding]:
    services = instance.of_role(*rule.services)
    if not services or not rule.postfix.includes(parse_version(instance.version)):
        return
    for parameter in _parameters(rule, instance, services):
        case = _Case(rule, instance, parameter, judged)
        if rule.scope == "service":
            yield from case.judge_services(services, NO_REMEDY)
        else:
            yield from case.judge_main_cf(services)


def _parameters(
    rule: ProfileRule, instance: Instance, services: tuple[Service, ...]
) -> tuple[str, ...]:
    """The rule's parameters that this Postfix has or somebody set; "*tls*" is every one set."""
    declared = dict.fromkeys(instance.parameters)
    for service in services:
        declared |= dict.fromkeys(service.overrides)
    found: dict[str, None] = {}
    for name in rule.parameters:
        if "*" in name:
            found |= {one: None for one in declared if name.strip("*") in one}
        elif name in declared or name in instance.defaults:
            found[name] = None
    return tuple(found)


class _Case:
    """One parameter of one rule on one instance."""

    def __init__(
        self,
        rule: ProfileRule,
        instance: Instance,
        parameter: str,
        judged: Judged,
    ) -> None:
        self.rule = rule
        self.judged = judged
        self.instance = instance
        self.parameter = parameter
        self.comparison: Comparison = COMPARISONS[rule.comparison]
        version = parse_version(instance.version)
        self.values = tuple(one.text for one in rule.values if one.postfix.includes(version))

    def judge_main_cf(self, services: tuple[Service, ...]) -> Iterator[Finding]:
        """main.cf's value once, then the services that differ from it."""
        question = self.question(self.instance, None)
        remedy, verdict = NO_REMEDY, None
        if self.counts_in_main_cf():
            verdict = self.comparison.judge(question)
            if isinstance(verdict, str):
                remedy = remedy_in_main(self.comparison, question)
            if verdict is not None:
                yield self.finding(question, verdict, remedy)
        for finding in self.judge_services(tuple(filter(self.differs, services)), remedy):
            inherited = finding.where == self.instance.where(self.parameter)
            if not inherited or verdict is None or finding.edits:
                yield finding

    def judge_services(self, services: tuple[Service, ...], main: Remedy) -> Iterator[Finding]:
        """What each service gets; `main` is what will be done to main.cf anyhow."""
        mended = applied(self.instance, main.changes)
        for service in services:
            question = self.question(self.instance, service)
            verdict = self.comparison.judge(question)
            if verdict is None:
                continue
            after = self.question(mended, service)
            overridden = self.parameter in service.overrides
            if main.changes and not overridden and self.comparison.judge(after) is None:
                continue
            remedy = NO_REMEDY
            if isinstance(verdict, str):
                remedy = remedy_in_service(self.comparison, question, service, after, main)
            yield self.finding(question, verdict, remedy)

    def differs(self, service: Service) -> bool:
        """Whether the service sets this parameter, one that its value names, or one that
        the verdict hangs on."""
        if not service.overrides:
            return False
        family = family_of(self.parameter)
        names = (self.parameter, *(one.format(family=family) for one in self.comparison.also))
        if any(name in service.overrides for name in names):
            return True
        ours = self.instance.effective(self.parameter).value
        return self.instance.effective(self.parameter, service).value != ours

    def counts_in_main_cf(self) -> bool:
        """Whether main.cf sets it, or leaves it at a default of its own.

        A default that is another parameter's value is judged under that name.
        """
        if self.parameter in self.instance.parameters:
            return True
        default = self.instance.defaults.get(self.parameter)
        lender = (self.rule.comparison, (default or "").removeprefix("$"))
        return default is not None and lender not in self.judged

    def question(self, instance: Instance, service: Service | None) -> Question:
        return Question(
            instance=instance,
            service=service,
            parameter=self.parameter,
            wanted=self.rule.wanted,
            values=self.values,
        )

    def finding(self, question: Question, verdict: str | Absent, remedy: Remedy) -> Finding:
        service = question.service
        declared = service is None and self.parameter in self.instance.parameters
        if isinstance(verdict, Absent):
            severity, sentence = Severity.INFO, f"cannot be judged: {verdict.reason}"
        else:
            severity, sentence = self.rule.severity, verdict
        return Finding(
            rule=self.rule.id,
            severity=severity,
            depth=Depth.DECLARED if declared else Depth.EFFECTIVE,
            parameter=self.parameter,
            where=self.instance.where(self.parameter, service),
            effective=question.value,
            wanted=remedy.wanted if remedy.changes else self.wanted(),
            why=f"{sentence}. {self.rule.why}",
            service=None if service is None else service.name,
            remedy=remedy.changes,
        )

    def wanted(self) -> str:
        """What the profile would write, or what the comparison asks for, in words."""
        written = next((one for one in self.values if one), "")
        return written or self.comparison.states or ", ".join(self.rule.wanted)
