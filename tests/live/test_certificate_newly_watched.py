"""A file that main.cf names only now, and that changes before the agent watches it."""

import hashlib
import os
import socket
import ssl
import subprocess

import pytest

import private_postfix as bed
from certificates import make_certificate
from guarded import guarded, until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(bed.why_not()), reason=str(bed.why_not())),
]
NAME = "mail.example.org"


def served(address):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 465), 20) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        return hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest()


def renew(pem):
    made = make_certificate("ecdsa", host=NAME, address="192.0.2.1")
    new = pem.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(made.key + made.certificate)
    new.rename(pem)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate)).hexdigest()


def test_a_renewal_during_the_round_that_learns_of_the_file_is_not_lost(tmp_path):
    with bed.private_postfix() as postfix, guarded(postfix) as postkeel:
        until(postkeel.history, 30)
        pem, source = tmp_path / "mail.pem", tmp_path / "sni"
        first = renew(pem)
        source.write_text(f"{NAME} {pem}\n")
        command = ["postmap", "-c", postfix.config_directory, "-F", f"hash:{source}"]
        subprocess.run(command, check=True)
        postfix.set_parameters({"tls_server_sni_maps": f"hash:{source}"})
        os.utime(postfix.main_cf)  # young: each smtpd that starts waits, and so does the proof
        postfix.reload()
        until(lambda: served(postfix.address) == first, 30)
        new = renew(pem)
        until(lambda: served(postfix.address) == new, 30)
