"""A probe that did not arrive: how far it came, and what is to be done about it."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Probed, Severity
from postkeel_plugins.header_checker.complaints import Complaint, sentence
from postkeel_plugins.header_checker.rules import NOT_DELIVERED, REFUSED, WITHOUT_TLS
from postkeel_plugins.header_checker.setting import Setting, place_of

DELIVERY: Final = "delivery"
_WITHOUT_TLS: Final = ("STARTTLS", "TLS")
_DECIDES: Final = {
    "connection": "inet_interfaces",
    "greeting": "smtpd_client_restrictions",
    "EHLO": "smtpd_helo_restrictions",
    "AUTH": "smtpd_sasl_auth_enable",
    "MAIL": "smtpd_sender_restrictions",
    "RCPT": "smtpd_recipient_restrictions",
    "DATA": "smtpd_data_restrictions",
}
"""The parameter that most often decides what happens at a stage."""
_ADVICE: Final = {
    "connection": "Postfix does not run, or not there",
    "AUTH": "look at the file of the option credentials",
    "RCPT": "let mail from <> to the probe's address through, or set probe_address",
}
_TEMPORARY: Final = range(400, 500)


def not_delivered(probed: Probed, setting: Setting, *, again: bool) -> Complaint:
    """Taken and not seen in the mailbox. again: as the last time."""
    filtered = setting.value("content_filter")
    return Complaint(
        rule=NOT_DELIVERED.id,
        severity=Severity.ERROR if again else Severity.WARNING,
        parameter="content_filter" if filtered else "mydestination",
        effective="taken, and not in the mailbox in time",
        wanted="delivered within seconds",
        says=sentence(probed.problem) or "It was taken and did not come",
        service=probed.target.service,
        place=place_of(probed.target),
    )


def without_tls(probed: Probed) -> Complaint:
    at_start = probed.stage == "STARTTLS"
    return Complaint(
        rule=WITHOUT_TLS.id,
        severity=Severity.ERROR,
        parameter="smtpd_tls_security_level",
        effective="no STARTTLS" if at_start else "the TLS handshake fails",
        wanted="TLS",
        says=sentence(probed.problem) or "No TLS came about",
        service=probed.target.service,
        place=place_of(probed.target),
    )


def refused(probed: Probed) -> Complaint:
    temporary = probed.code in _TEMPORARY
    advice = _ADVICE.get(probed.stage, "")
    if temporary:
        advice = (
            "it is temporary, such as greylisting or a limit; exempt clients of this host, with"
            " permit_mynetworks ahead of it"
        )
    said = sentence(probed.problem) or "It was not taken"
    answer = f"{probed.code} " if probed.code else "no usable answer "
    stage = probed.stage if probed.stage in _DECIDES else "an unknown stage"
    return Complaint(
        rule=REFUSED.id,
        severity=Severity.WARNING if temporary else Severity.ERROR,
        parameter=_DECIDES.get(probed.stage, "smtpd_recipient_restrictions"),
        effective=f"{answer}at {stage}",
        wanted="the probe taken",
        says=f"{said}; {advice}" if advice else said,
        service=probed.target.service,
        place=place_of(probed.target),
    )


def complaint_of(probed: Probed, setting: Setting, *, again: bool) -> Complaint:
    """Why this one, which has a stage, did not arrive."""
    if probed.stage == DELIVERY:
        return not_delivered(probed, setting, again=again)
    return without_tls(probed) if probed.stage in _WITHOUT_TLS else refused(probed)
