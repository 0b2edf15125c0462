"""`postkeel diff`: what enforce would change, with the rules beside each hunk."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from postkeel.cli.opening import (
    Opened,
    deciding_round,
    finish,
    instances,
    looked,
    of_each,
    open_all,
)
from postkeel.cli.render import Paint, print_json
from postkeel.core.changes import Edit, Plan, done
from postkeel.core.text import one_line
from postkeel.core.unified_diff import unified
from postkeel.postfix.editing import Texts, edit

_LONGEST = 1 << 16


def main(arguments: Namespace) -> int:
    opened = open_all(arguments)
    diffs, complaint = of_each(instances(arguments), lambda one: (one, *_diff(opened, one)))
    if arguments.format == "json":
        print_json(
            instances=[
                {
                    "config_directory": directory,
                    "changes": [change_data(plan, index) for index in range(len(plan.changes))],
                    "diff": text,
                }
                for directory, plan, text in diffs
            ]
        )
    else:
        paint = Paint(arguments)
        for directory, plan, text in diffs:
            lines = [*_beside(directory, plan), *_painted(text, paint)]
            print("\n".join(lines) or f"{one_line(directory)}: nothing to change")
    return finish(complaint, 2 if any(plan.changes for _, plan, _ in diffs) else 0)


def _diff(opened: Opened, directory: str) -> tuple[Plan, str]:
    seen = looked(deciding_round(opened, directory))
    instance = seen.instance(directory)
    plan = seen.decision.plan
    if instance is None or not plan.edits:
        return plan, ""
    before = Texts(main_cf=instance.main_cf, master_cf=instance.master_cf)
    after = edit(before, plan.edits)
    text = unified(before, after)
    located = text.replace("--- a/", f"--- {directory}/").replace("+++ b/", f"+++ {directory}/")
    return plan, "\n".join(annotated(located, plan))


def change_data(plan: Plan, index: int) -> dict[str, object]:
    """One planned change for JSON: its kind, what it names, the rules that ask for it."""
    planned = plan.changes[index]
    change = planned.change
    return {
        "change": type(change).__name__,
        "service": getattr(change, "service", None),
        "parameter": getattr(change, "name", None),
        "does": done(change),
        "value": getattr(change, "value", None),
        "rules": list(planned.rules),
    }


def annotated(text: str, plan: Plan) -> Iterator[str]:
    """The diff with each hunk's header naming the rules whose parameters it touches."""
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines):
        if not line.startswith("@@"):
            yield line
            continue
        hunk = []
        for one in lines[number + 1 :]:
            if one.startswith(("@@", "---")):
                break
            hunk.append(one)
        touched = " ".join(one[1:] for one in hunk if one.startswith(("+", "-")))
        rules = [
            rule
            for one in plan.changes
            if isinstance(one.change, Edit) and one.change.name in touched
            for rule in one.rules
        ]
        yield f"{line} {', '.join(dict.fromkeys(rules))}"


def _beside(directory: str, plan: Plan) -> Iterator[str]:
    """What is done beside edits; patch(1) passes over these lines."""
    for one in plan.changes:
        if said := done(one.change):
            yield one_line(f"{directory}: {said} ({', '.join(one.rules)})", _LONGEST)


def _painted(text: str, paint: Paint) -> Iterator[str]:
    styles = {"+": "good", "-": "error", "@": "info"}
    for line in text.split("\n") if text else ():
        # A tab is layout here; all else that a terminal would act on is shown instead.
        shown = "\t".join(one_line(part, _LONGEST) for part in line.split("\t"))
        style = styles.get(shown[:1])
        yield paint(style, shown) if style else shown
