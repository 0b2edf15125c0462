"""What of a plan is done beside the edits, before they are written: files joined, tables made."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from postkeel.contract import BuildTable, Change, Finding, JoinFiles, Plan
from postkeel.core.errors import PostkeelError


def prepare(plan: Plan, config_directory: str) -> dict[Change, str]:
    """Join the files and make the tables of a plan; what could not be, and why.

    Each is whole before it gets its name. A joined file waits for the reload; a table is what
    each smtpd looks into from now on.
    """
    failed: dict[Change, str] = {}
    for planned in plan.changes:
        try:
            _do(planned.change, config_directory)
        except PostkeelError as error:
            failed[planned.change] = str(error)
    return failed


def without(plan: Plan, drifts: Iterable[Finding], failed: Collection[Change]) -> Plan:
    """The plan for those drifts alone of whose remedy nothing failed."""
    if not failed:
        return plan
    whole = (one for one in drifts if set(failed).isdisjoint(one.remedy))
    wanted = {change for drift in whole for change in drift.remedy}
    return replace(plan, changes=tuple(one for one in plan.changes if one.change in wanted))


def _do(change: Change, config_directory: str) -> None:
    if isinstance(change, JoinFiles):
        from postkeel.shell.joining import join

        join(change)
    elif isinstance(change, BuildTable):
        from postkeel.shell.table_building import build

        build(change.table, config_directory)
