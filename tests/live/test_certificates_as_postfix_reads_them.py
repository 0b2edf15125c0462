"""What is said of a credential that it breaks is what the real Postfix does with it.

Each case of the corpus has a service of its own in one Postfix. That TLS comes about there is
the opposite of a fault that breaks.
"""

from __future__ import annotations

import smtplib
import ssl

import pytest

from hostile_certificates import Case, corpus, store
from postkeel.certificates.reading import load
from postkeel.certificates.trust import read_roots
from postkeel.certificates.values import Kind
from postkeel.shell.credential_loading import refusal

pytestmark = pytest.mark.live

FIRST_PORT = 10025


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A Postfix with a service for each case: its address."""
    import private_postfix as bed

    if reason := bed.why_not():
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("credentials")
    with bed.private_postfix(certificates=(), start=False) as postfix:
        lines = "".join(
            _service(f"{postfix.address}:{port}", case, str(directory))
            for port, case in enumerate(corpus(), FIRST_PORT)
        )
        for case in corpus():
            for file, content in case.contents(str(directory)).items():
                with open(file, "wb") as opened:
                    opened.write(content)
        postfix.master_cf.write_text(postfix.master_cf.read_text() + lines)
        postfix.start()
        yield postfix


def _service(endpoint: str, case: Case, directory: str) -> str:
    files = case.credential(directory).files
    if case.kind is Kind.PAIR:
        settings = {"smtpd_tls_cert_file": files[0], "smtpd_tls_key_file": files[1]}
    else:
        settings = {"smtpd_tls_chain_files": ",".join(files)}
    settings |= {"smtpd_tls_security_level": "may"}
    options = "".join(f"\n  -o {name}={value}" for name, value in settings.items())
    return f"{endpoint} inet n - n - - smtpd{options}\n"


def _served(address: str, port: int) -> str:
    """The fingerprint of what the service shows; empty when TLS did not come about."""
    from hashlib import sha256

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with smtplib.SMTP(address, port, local_hostname="client.example.test", timeout=30) as client:
        try:
            client.starttls(context=context)
        except (smtplib.SMTPNotSupportedError, smtplib.SMTPResponseException, ssl.SSLError):
            return ""
        certificate = client.sock.getpeercert(binary_form=True)
        return sha256(certificate).hexdigest() if certificate else ""


@pytest.mark.parametrize(
    ("port", "case"), list(enumerate(corpus(), FIRST_PORT)), ids=[one.name for one in corpus()]
)
def test_what_breaks_is_what_postfix_refuses(serving, port, case):
    if case.varies and ssl.OPENSSL_VERSION not in serving.postconf("-T", "run-version"):
        pytest.skip("Python has another OpenSSL than Postfix, and they differ in this")
    roots = read_roots(store())
    chains, faults = load(case.credential("/"), case.contents("/"), roots, refusal)
    served = _served(serving.address, port)
    assert bool(served) is not any(one.breaks for one in faults), serving.log()[-2000:]
    if served:
        assert served in [one.leaf.sha256 for one in chains]
