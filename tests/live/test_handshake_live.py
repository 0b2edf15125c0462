"""Handshakes with the real Postfix."""

from __future__ import annotations

import time

import pytest

from postkeel.certificates.asking import proof_of
from postkeel.postfix.handshake import Endpoint, endpoints
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.handshake import handshake
from postkeel.shell.postfix_facts import gather_instance
from postkeel.shell.proof import prove, prove_until
from postkeel.shell.proving import make_until

pytestmark = pytest.mark.live

FLOOR = {"smtpd_tls_protocols": ">=TLSv1.2", "smtpd_tls_mandatory_protocols": ">=TLSv1.2"}


def facts(postfix):
    return gather_instance(postfix.config_directory, defaults=DefaultsCache())


def at(postfix, port: int, *, direct: bool = False) -> Endpoint:
    return Endpoint(
        service="smtp/inet", host=postfix.address, port=str(port), direct=direct, floor=""
    )


def test_each_endpoint_is_proved(start_postfix):
    proof = prove(facts(start_postfix(parameters=FLOOR)))
    assert [one.endpoint.port for one in proof] == ["25", "25", "587", "587", "465", "465"]
    assert [one.below for one in proof] == ["", "TLSv1.2"] * 3
    assert all(one.ok for one in proof), [str(one) for one in proof]
    assert {one.protocol for one in proof if not one.below} == {"TLSv1.3"}
    assert len({one.certificate_sha256 for one in proof if not one.below}) == 1


@pytest.mark.parametrize("port", [25, 587, 465])
@pytest.mark.parametrize(
    ("list_", "below", "protocol"),
    [
        (">=TLSv1", "TLSv1.1", "TLSv1"),
        (">=TLSv1", "TLSv1.2", "TLSv1.1"),
        (">=TLSv1", "TLSv1.3", "TLSv1.2"),
        (">=TLSv1.2", "TLSv1.2", ""),
        (">=TLSv1.3", "TLSv1.3", ""),
        ("TLSv1.2, TLSv1.1, !TLSv1", "TLSv1.2", "TLSv1.1"),
    ],
)
def test_older_protocols(list_, below, protocol, port, each_list):
    """What is older than `below` is accepted or refused as the list says."""
    shown = handshake(at(each_list(list_), port, direct=port == 465), deadline=5, below=below)
    assert shown.protocol == protocol
    assert shown.refused == (not protocol)
    assert shown.ok == (not protocol)


@pytest.fixture(scope="module")
def each_list(shared_postfix):
    """The shared Postfix, with this protocol list; restarted when the list is another."""
    current = [""]

    def use(list_: str):
        if current[0] != list_:
            shared_postfix.stop()
            settings = dict.fromkeys(
                ("smtpd_tls_protocols", "smtpd_tls_mandatory_protocols"), list_
            )
            shared_postfix.set_parameters(settings)
            shared_postfix.start()
            current[0] = list_
        return shared_postfix

    return use


def test_article_list_drops_the_newest(each_list):
    """The positive handshake shows what a modern client gets."""
    shown = handshake(at(each_list("TLSv1.2, TLSv1.1, !TLSv1"), 25), deadline=5)
    assert shown.protocol == "TLSv1.2"


def test_ciphers_tell_rsa_from_ecdsa(start_postfix):
    postfix = start_postfix(
        certificates=("rsa", "ecdsa"), parameters={"smtpd_tls_protocols": "!TLSv1.3"}
    )
    shown = [
        handshake(at(postfix, 25), deadline=5, ciphers=one)
        for one in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256")
    ]
    assert [one.cipher for one in shown] == [
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ]
    assert shown[0].certificate_sha256 != shown[1].certificate_sha256


def test_refusal_of_every_cipher_is_no_success(start_postfix):
    postfix = start_postfix(parameters={"smtpd_tls_protocols": "!TLSv1.3"})
    shown = handshake(at(postfix, 25), deadline=5, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    assert (shown.refused, shown.ok, shown.protocol) == (True, False, "")


def test_without_certificate_there_is_nothing_to_prove(start_postfix):
    postfix = start_postfix(certificates=(), parameters={"smtpd_tls_security_level": "may"})
    assert prove(facts(postfix)) == ()
    shown = handshake(at(postfix, 25), deadline=5)
    assert "STARTTLS" in shown.problem


def test_level_none_is_no_endpoint(start_postfix):
    postfix = start_postfix(parameters={"smtpd_tls_security_level": "none"})
    found = endpoints(facts(postfix))
    assert [one.service for one in found] == ["submission/inet", "submissions/inet"]
    assert handshake(at(postfix, 25), deadline=5).problem == "STARTTLS is not offered"


def test_after_a_reload_the_new_floor_is_seen(start_postfix):
    """The old smtpd may answer once more; prove_until outlasts it."""
    postfix = start_postfix()
    assert prove(facts(postfix))[0].ok
    postfix.set_parameters(FLOOR)
    postfix.reload()
    began = time.monotonic()
    proof = prove_until(facts(postfix), lambda shown: all(one.ok for one in shown))
    assert all(one.ok for one in proof), [str(one) for one in proof]
    assert time.monotonic() - began < 2


def test_prove_until_gives_up_with_the_last_proof(start_postfix):
    postfix = start_postfix(certificates=("ecdsa",))
    instance = facts(postfix)
    postfix.stop()
    began = time.monotonic()
    blanks = dict(enumerate(proof_of(instance)))
    proof = make_until(blanks, lambda shown: all(one.ok for one in shown), 0.3).values()
    assert time.monotonic() - began < 1
    # An smtpd that has not yet seen its master's end keeps the port, and answers nobody.
    problems = {one.problem for one in proof}
    assert problems
    assert problems <= {"connection: Connection refused", "no answer in time"}


def test_services_on_ipv6_and_of_their_own_address(start_postfix):
    postfix = start_postfix(
        parameters={"inet_protocols": "all"},
        master_cf="[::1]:10587 inet n - n - - smtpd\n",
    )
    shown = [one for one in prove(facts(postfix)) if one.endpoint.port == "10587"]
    assert [str(one.endpoint) for one in shown] == ["[::1]:10587"]
    assert shown[0].ok
