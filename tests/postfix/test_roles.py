"""What a service is for."""

from __future__ import annotations

import pytest

from postkeel.postfix.instance import Role
from postkeel.postfix.roles import role_of

YES_AUTH = {"smtpd_sasl_auth_enable": "yes"}
WRAPPED = {"smtpd_tls_wrappermode": "yes"}
MAIN = {"house_port": "587", "house_yes": "yes", "smtpd_tls_wrappermode": "no"}


@pytest.mark.parametrize(
    ("service", "command", "own", "role"),
    [
        ("smtp/inet", "smtpd", {}, Role.MX),
        ("25/inet", "smtpd", {}, Role.MX),
        ("127.0.0.1:smtp/inet", "smtpd", {}, Role.MX),
        ("[::1]:25/inet", "smtpd", {}, Role.MX),
        ("SMTP/inet", "smtpd", {}, Role.MX),
        ("025/inet", "smtpd", {}, Role.MX),
        ("25/inet", "/usr/lib/postfix/sbin/smtpd", {}, Role.MX),
        ("25/inet", "smtpd", YES_AUTH, Role.MX),
        ("smtpd/pass", "smtpd", {}, Role.MX),
        ("smtp/inet", "postscreen", {}, Role.POSTSCREEN),
        ("submission/inet", "smtpd", {}, Role.SUBMISSION),
        ("192.0.2.1:587/inet", "smtpd", {}, Role.SUBMISSION),
        ("$house_port/inet", "smtpd", {}, Role.SUBMISSION),
        ("[::1]:${house_port}/inet", "smtpd", {}, Role.SUBMISSION),
        ("submissions/inet", "smtpd", {}, Role.SUBMISSIONS),
        ("smtps/inet", "smtpd", {}, Role.SUBMISSIONS),
        ("127.0.0.1:465/inet", "smtpd", {}, Role.SUBMISSIONS),
        ("10465/inet", "smtpd", WRAPPED, Role.SUBMISSIONS),
        ("10465/inet", "smtpd", WRAPPED | YES_AUTH, Role.SUBMISSIONS),
        ("10587/inet", "smtpd", YES_AUTH, Role.SUBMISSION),
        ("10587/inet", "smtpd", {"smtpd_sasl_auth_enable": "$house_yes"}, Role.SUBMISSION),
        ("10587/inet", "smtpd", {"smtpd_sasl_auth_enable": "no"}, Role.OTHER_SMTPD),
        ("127.0.0.1:10025/inet", "smtpd", {}, Role.OTHER_SMTPD),
        ("10025/inet", "smtpd", {}, Role.OTHER_SMTPD),
        ("smtp/unix", "smtpd", {}, Role.OTHER_SMTPD),
        ("smtp/unix", "smtp", {}, Role.SMTP_CLIENT),
        ("relay/unix", "smtp", {}, Role.SMTP_CLIENT),
        ("slow/unix", "smtp", {}, Role.SMTP_CLIENT),
        ("lmtp/unix", "lmtp", {}, Role.LMTP_CLIENT),
        ("dovecot/unix", "lmtp", {}, Role.LMTP_CLIENT),
        ("tlsproxy/unix", "tlsproxy", {}, Role.TLSPROXY),
        ("cleanup/unix", "cleanup", {}, Role.OTHER),
        ("maildrop/unix", "pipe", {}, Role.OTHER),
    ],
)
def test_role(service, command, own, role):
    assert role_of(service, command, own.get, (MAIN | own).get) is role


def test_authentication_in_main_cf_makes_no_submission_service():
    world = MAIN | YES_AUTH
    assert role_of("10025/inet", "smtpd", {}.get, world.get) is Role.OTHER_SMTPD


def test_wrapper_mode_in_main_cf_counts_for_every_smtpd_of_unknown_port():
    assert role_of("10465/inet", "smtpd", {}.get, WRAPPED.get) is Role.SUBMISSIONS
