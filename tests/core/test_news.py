"""What of a report is news, and what stands after it."""

from dataclasses import replace

import pytest

from postkeel.conformance import sample_event
from postkeel.contract import Depth, Finding, Judged, Outcome, Plan, Report, Severity
from postkeel.core.news import standing

FINDING = Finding(
    rule="smtpd-protocols",
    severity=Severity.ERROR,
    depth=Depth.DECLARED,
    parameter="smtpd_tls_protocols",
    where="main.cf:27",
    effective="TLSv1",
    wanted=">=TLSv1.2",
    why="RFC 8996",
)
REPORT = Report(
    instance="/etc/postfix",
    event=sample_event(),
    outcome=Outcome.CLEAN,
    judged=(),
    plan=Plan(),
    seconds=0.1,
)


@pytest.mark.parametrize("outcome", Outcome)
def test_what_was_neither_corrected_nor_waived_stands(outcome):
    judged = Judged(finding=FINDING, outcome=outcome)
    stands = outcome not in (Outcome.FIXED, Outcome.WAIVED)
    assert standing(replace(REPORT, judged=(judged,))) == ([judged] if stands else [])
