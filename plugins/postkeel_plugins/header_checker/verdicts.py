"""What a round of probes came to: each probe with its outcome, and all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from postkeel.contract import Probed, ProbeResult, Severity, frozen
from postkeel.postfix.instance import Instance
from postkeel_plugins.header_checker import rules, tables
from postkeel_plugins.header_checker.complaints import Complaint, sentence
from postkeel_plugins.header_checker.judging import judged
from postkeel_plugins.header_checker.refusals import complaint_of
from postkeel_plugins.header_checker.setting import Setting
from postkeel_plugins.header_checker.witnesses import Testimony, testimony

_PROXY: Final = "smtpd_proxy_filter"
_OF_COMPLAINT: Final = {
    rules.NOT_DELIVERED.id: tables.NOT_DELIVERED,
    rules.WITHOUT_TLS.id: tables.WITHOUT_TLS,
    rules.REFUSED.id: tables.REFUSED,
}


@frozen
class Seen:
    """One probe: what the witnesses say, the outcome in a word of `tables`, what is wrong."""

    probed: Probed
    told: Testimony
    outcome: str
    complaints: tuple[Complaint, ...] = ()


def see(probed: Probed, instance: Instance | None, *, again: bool) -> Seen:
    """Judge one probe. again: the last one was taken there and not delivered."""
    setting = Setting(instance=instance, service=probed.target.service)
    told = testimony(probed, proxied=bool(setting.value(_PROXY)))
    if probed.stage:
        found = complaint_of(probed, setting, again=again)
        outcome = _OF_COMPLAINT[found.rule]
        return Seen(probed=probed, told=told, outcome=outcome, complaints=(found,))
    complaints = tuple(judged(probed, told, setting))
    return Seen(probed=probed, told=told, outcome=_outcome(told, complaints), complaints=complaints)


def _outcome(told: Testimony, complaints: tuple[Complaint, ...]) -> str:
    if told.contradicted:
        return tables.DISAGREE
    return tables.SILENT if complaints else tables.AGREE


def complaints_of(result: ProbeResult, seen: Iterable[Seen]) -> Iterator[Complaint]:
    """All that is wrong. Who cannot look into the mailbox does not know what is not in it."""
    for one in seen:
        if not (result.problem and one.outcome == tables.NOT_DELIVERED):
            yield from one.complaints
    yield from _about_mailbox(result)


def _about_mailbox(result: ProbeResult) -> Iterator[Complaint]:
    """What is wrong with the mailbox, and what came into it from earlier probes."""
    if result.problem:
        yield _mailbox(Severity.WARNING, "it cannot be used", sentence(result.problem))
    if result.others > 0:
        yield _mailbox(
            Severity.INFO,
            "other mail lies in it",
            f"messages in it that are no probes, and are left alone: {result.others}",
        )
    if result.left > 0:
        yield _mailbox(
            Severity.INFO,
            "probes are left in it",
            f"probes that cannot be removed from it: {result.left}",
        )
    if result.late:
        yield Complaint(
            rule=rules.LATE.id,
            severity=Severity.INFO,
            parameter="queue_run_delay",
            effective="a probe came late",
            wanted="delivered within seconds",
            says=f"earlier probes that came only now: {len(result.late)}, after"
            f" {max(result.late):.0f} s at most",
        )


def _mailbox(severity: Severity, effective: str, says: str) -> Complaint:
    return Complaint(
        rule=rules.MAILBOX.id,
        severity=severity,
        parameter="mail_spool_directory",
        effective=effective,
        wanted="a mailbox for probes alone",
        says=says,
    )
