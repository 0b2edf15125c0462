"""The deploy hook of certbot: a renewed certificate is served, and no renewal fails by it."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

import private_postfix as bed
from certificates import make_certificate
from guarded import POSTKEEL, guarded, until

HOOK = Path(__file__).resolve().parents[2] / "conf/certbot/postkeel"
DEBIAN = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def hook(tmp_path):
    """A function that runs the hook with these programs before all others: (status, words)."""

    def run(*words, path=str(tmp_path), **programs):
        for name, does in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(
            ["sh", str(HOOK), *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PATH": f"{path}:{DEBIAN}"},
        )
        assert done.stdout == ""  # certbot tells of what is said to standard error
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize(
    ("postkeel", "said"),
    [
        ("exit 0", ""),
        ("echo a finding; exit 2", "a finding\n"),
        ("exit 1", "postkeel: not in use yet; run: postkeel certificates\n"),
        ("exit 127", "not installed, so the renewed certificate may not be served yet\n"),
        ("kill -9 $$", "no end after two minutes; see: postkeel certificates\n"),
    ],
)
def test_whatever_comes_of_it_the_renewal_has_succeeded(hook, postkeel, said):
    status, words = hook(systemctl="exit 3", postkeel=postkeel)
    assert status == 0
    assert words.endswith(said)
    assert bool(words) == bool(said)


def test_it_asks_for_one_round_and_hands_arguments_on(hook):
    said = hook("-c", "/etc/a b", systemctl="exit 3", postkeel='printf "<%s>" "$@"')
    assert said == (0, "<enforce><-c></etc/a b>")


def test_where_the_agent_runs_it_does_nothing(hook):
    said = hook(systemctl='[ "$*" = "is-active --quiet postkeel.service" ]', postkeel="echo ran")
    assert said == (0, "")


def test_it_says_how_it_is_installed():
    text = re.sub(r"\\\n#\s*", "", HOOK.read_text())
    target = "/etc/letsencrypt/renewal-hooks/deploy/postkeel"
    assert f"install -m 755 /usr/share/doc/postkeel/examples/certbot/postkeel {target}\n" in text
    shipped = (HOOK.parents[2] / "packaging/debian/postkeel.examples").read_text().split()
    assert "conf/certbot" in shipped


def served(address):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 465), 20) as plain,
        context.wrap_socket(plain) as secured,
    ):
        return hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest()


@pytest.mark.live
@pytest.mark.skipif(bool(bed.why_not()), reason=str(bed.why_not()))
def test_a_renewed_certificate_is_served(hook):
    with bed.private_postfix() as postfix, guarded(postfix, start=False) as postkeel:
        postkeel.run("enforce")  # what is left to do then is the certificate's
        before = served(postfix.address)  # and a process that would show it once more
        place = Path(postfix.config_directory)
        made = make_certificate("rsa", host="mail.example.test", address=postfix.address)
        (place / "smtpd_tls_cert_file.pem").write_text(made.certificate)
        (place / "smtpd_tls_key_file.pem").write_text(made.key)
        new = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate)).hexdigest()
        assert before != new
        words = postkeel.command("enforce")[2:]
        status, said = hook(*words, path=os.path.dirname(POSTKEEL))
        assert status == 0
        assert "not in use" not in said, said
        until(lambda: served(postfix.address) == new)
