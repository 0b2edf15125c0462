"""`postkeel check`: what is weaker than the profile wants."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from postkeel.cli.opening import Opened, finish, instances, looked, looking_round, of_each, open_all
from postkeel.cli.render import Paint, counted, finding_lines, print_json
from postkeel.contract import Outcome, Severity
from postkeel.core.decide import compliant, dry
from postkeel.core.model import Judged
from postkeel.core.report_json import finding_data
from postkeel.core.text import one_line
from postkeel.postfix.instance import Instance

if TYPE_CHECKING:
    from postkeel.cli.nagios import Seen


def main(arguments: Namespace) -> int:
    began = time.monotonic()
    opened = open_all(arguments)
    checked, complaint = of_each(
        instances(arguments), lambda one: _check(opened, one, live=arguments.live)
    )
    if arguments.format == "nagios":
        from postkeel.cli.nagios import show

        return show([_seen(*one) for one in checked], complaint, time.monotonic() - began)
    if arguments.format == "json":
        print_json(instances=[_data(*one) for one in checked])
    else:
        paint = Paint(arguments)
        for instance, profile, judged, problems in checked:
            _print(instance, profile, judged, problems, paint)
    return finish(complaint, 2 if any(pending(judged) for _, _, judged, _ in checked) else 0)


Checked = tuple[Instance, str, tuple[Judged, ...], list[str]]


def _check(opened: Opened, directory: str, *, live: bool) -> Checked:
    round_ = looking_round(opened, directory)
    seen = looked(round_, live=live)
    instance = seen.instance(directory)
    assert instance is not None  # noqa: S101  looked() raised otherwise
    profile = opened.configuration.settings(directory).profile
    return instance, profile, dry(seen.decision), round_.problems


def _seen(
    instance: Instance, profile: str, judged: tuple[Judged, ...], problems: list[str]
) -> Seen:
    from postkeel.cli.nagios import Seen

    return Seen(
        directory=instance.config_directory,
        profile=profile,
        judged=judged,
        problems=tuple(problems),
    )


def pending(judged: tuple[Judged, ...]) -> bool:
    """Whether anything is left for somebody to do: an error or warning that is not waived."""
    return any(
        one.outcome not in (Outcome.WAIVED, Outcome.FIXED)
        and one.finding.severity is not Severity.INFO
        for one in judged
    )


def _data(
    instance: Instance, profile: str, judged: tuple[Judged, ...], problems: list[str]
) -> dict[str, object]:
    return {
        "config_directory": instance.config_directory,
        "postfix": instance.version,
        "openssl": instance.openssl,
        "profile": profile,
        "compliant": compliant(judged),
        "findings": [
            {
                **finding_data(one.finding),
                "fixable": bool(one.finding.remedy),
                "waived": one.outcome is Outcome.WAIVED,
            }
            for one in judged
        ],
        "problems": problems,
    }


def _print(
    instance: Instance,
    profile: str,
    judged: tuple[Judged, ...],
    problems: list[str],
    paint: Paint,
) -> None:
    open_ones = [one.finding for one in judged if one.outcome is not Outcome.WAIVED]
    verdict = paint("error" if pending(judged) else "good", counted(open_ones))
    print(
        f"{one_line(instance.config_directory)}: Postfix {instance.version}, {instance.openssl},"
        f" profile {profile}: {verdict}"
    )
    for one in judged:
        note = f", waived: {one.reason}" if one.outcome is Outcome.WAIVED else ""
        for line in finding_lines(one.finding, paint, note):
            print(line)
    for problem in problems:
        print(f"  {paint('warning', 'problem ')}{one_line(problem)}")
    if any(one.remedy for one in open_ones):
        print("`postkeel diff` shows the corrections, `postkeel enforce` makes them.")
