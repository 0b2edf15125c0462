"""A probe that arrived: do the witnesses agree, and if one keeps silent, why?"""

from __future__ import annotations

from collections.abc import Iterator

from postkeel.contract import Probed, Severity
from postkeel_plugins.header_checker.complaints import Complaint, sentence
from postkeel_plugins.header_checker.rules import DISAGREE
from postkeel_plugins.header_checker.setting import Setting, place_of
from postkeel_plugins.header_checker.witnesses import QUIET, Account, Testimony

HEADER = "smtpd_tls_received_header"
LOG_LEVEL = "smtpd_tls_loglevel"
LEVEL = "smtpd_tls_security_level"


def judged(probed: Probed, told: Testimony, setting: Setting) -> Iterator[Complaint]:
    """One complaint where witnesses contradict, else one for each that keeps silent."""
    others = {"the Received line": told.header, "the mail log": told.log}
    contradicting = [name for name, one in others.items() if told.contradicts(one)]
    if contradicting:
        yield _complaint(
            probed,
            told,
            LEVEL,
            Severity.ERROR,
            f"another session than the probe's is told of by {' and '.join(contradicting)}: a proxy"
            " that ends TLS, or a filter that rewrites mail, stands between",
        )
        return
    if told.header.account in QUIET:
        yield _complaint(probed, told, HEADER, Severity.WARNING, _silent_header(told, setting))
    if told.log.account in QUIET:
        yield _silent_log(probed, told, setting)


def _silent_header(told: Testimony, setting: Setting) -> str:
    if setting.is_off(HEADER):
        return f"{HEADER} is off, so no message proves what it came over"
    if told.header.account is Account.UNTOLD:
        return (
            f"{HEADER} is on and the Received line does not say which TLS: Postfix was not"
            " reloaded, or something rewrites the line"
        )
    return "the message came without a Received line that can be read: header checks or a filter"


def _silent_log(probed: Probed, told: Testimony, setting: Setting) -> Complaint:
    """A log that cannot say, or whose lines come late, is no fault of TLS."""
    if setting.value(LOG_LEVEL) == "0":
        says, severity = f"with {LOG_LEVEL} 0 there are two witnesses only", Severity.INFO
    elif probed.log_problem:
        says, severity = sentence(probed.log_problem), Severity.INFO
    elif not probed.lines:
        says, severity = "the mail log has no lines of this session", Severity.INFO
    else:
        says = (
            f"{LOG_LEVEL} is {setting.value(LOG_LEVEL)} and the session has no line on TLS: Postfix"
            " was not reloaded, or lines are dropped"
        )
        severity = Severity.WARNING
    return _complaint(probed, told, LOG_LEVEL, severity, says)


def _complaint(
    probed: Probed, told: Testimony, parameter: str, severity: Severity, says: str
) -> Complaint:
    return Complaint(
        rule=DISAGREE.id,
        severity=severity,
        parameter=parameter,
        effective=str(told),
        wanted="all three alike",
        says=says,
        service=probed.target.service,
        place=place_of(probed.target),
    )
