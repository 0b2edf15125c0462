"""`postkeel certificates` beside a running Postfix: is served what the files hold?"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from collector_certificates import Authority
from guarded import guarded
from ordinary_user import run_as_nobody, why_not

pytestmark = pytest.mark.live

HOST = "mail.example.test"
SHOP = "shop.example.test"


def chained(pair, path: Path) -> Path:
    """Key and certificate in one file, as tls_server_sni_maps wants them."""
    path.write_bytes(pair.key.read_bytes() + pair.certificate.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def running(start_postfix, authority, tmp_path):
    """A function that starts Postfix with a certificate of its own, and one by SNI."""

    def start(kind: str = "texthash", **more: str):
        own, shop = authority.issue(HOST), authority.issue(SHOP, file="shop")
        chained(shop, tmp_path / "shop.pem")
        table = tmp_path / "sni"
        table.write_text(f"{SHOP} {tmp_path}/shop.pem\n")
        parameters = {
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": str(own.certificate),
            "smtpd_tls_key_file": str(own.key),
            "tls_server_sni_maps": f"{kind}:{table}",
        }
        postfix = start_postfix(parameters=parameters | more, certificates=(), start=False)
        if kind == "hash":
            directory = postfix.config_directory
            subprocess.run(["postmap", "-c", directory, "-F", f"hash:{table}"], check=True)
        postfix.start()
        return postfix

    return start


def roots(authority):
    return f'certificates.roots = "{authority.file}"'


def shown(one, *words, status):
    """The certificates of the document by what they are called."""
    done = one.run("certificates", *words, "--format", "json")
    assert (done.returncode, done.stderr) == (status, ""), done.stdout
    (instance,) = json.loads(done.stdout)["instances"]
    return {each["chains"][0]["names"][0]: each for each in instance["certificates"]}


def row(one, name, *words):
    text = one.run("certificates", *words).stdout
    return next(line for line in text.splitlines() if f"  {name} " in line)


def test_all_that_is_served_is_looked_at(running, authority):
    postfix = running()
    with guarded(postfix, start=False, more=roots(authority)) as one:
        known = shown(one, status=0)
        assert {each["service"] for each in known[HOST]["served"]} == {
            "smtp/inet",
            "submission/inet",
            "submissions/inet",
        }
        assert {each["name"] for each in known[SHOP]["served"]} == {SHOP}
        for each in known.values():
            assert all(handshake["same"] for handshake in each["served"])
            assert {handshake["sha256"] for handshake in each["served"]} == {
                each["chains"][0]["sha256"]
            }
            assert each["chains"][0]["served_since"] is None  # no agent has seen it
        assert row(one, HOST).endswith(" yes")
        assert row(one, SHOP).endswith(" yes")
        assert row(one, HOST, "--offline").endswith(" -")
        assert all(not each["served"] for each in shown(one, "--offline", status=0).values())


def test_what_is_served_instead_is_named(running, authority, tmp_path):
    """A table that nobody built anew: the file is right, and clients get the old one."""
    postfix = running("hash")
    with guarded(postfix, start=False, more=roots(authority)) as one:
        before = shown(one, status=0)[SHOP]["chains"][0]["sha256"]
        chained(authority.issue(SHOP, days=61, file="shop"), tmp_path / "shop.pem")
        stale = shown(one, status=2)[SHOP]
        assert {each["sha256"] for each in stale["served"]} == {before}
        assert not any(each["same"] for each in stale["served"])
        assert "certificate-served" in {each["rule"] for each in stale["findings"]}
        text = " ".join(one.run("certificates").stdout.split())
        assert f"another certificate, sha256 {before[:16]}" in text
        assert "`postkeel enforce` corrects it" in text
        assert row(one, SHOP).startswith("!")
        assert row(one, SHOP).endswith(" no")
        assert row(one, HOST).startswith(" ")


def test_a_new_certificate_is_judged_before_it_goes_live(running, authority, tmp_path):
    postfix = running()
    new = authority.issue(HOST, days=61, file="new")
    wrong = authority.issue("elsewhere.example.test", file="wrong")
    with guarded(postfix, start=False, more=roots(authority)) as one:
        (given,) = shown(one, str(new.key), str(new.certificate), status=0).values()
        assert given["served"] == []
        assert given["files"] == [str(new.certificate), str(new.key)]
        (refused,) = shown(one, str(wrong.certificate), str(wrong.key), status=2).values()
        assert {each["rule"] for each in refused["findings"]} == {"certificate-names"}


def test_a_postfix_that_does_not_run(running, authority):
    postfix = running()
    postfix.stop()
    with guarded(postfix, start=False, more=roots(authority)) as one:
        done = one.run("certificates")
        assert done.stdout.count("not known: Postfix is not running") == 2
        assert done.returncode == 0


def test_an_ordinary_user_sees_what_is_served(running, authority, tmp_path):
    """Whether Postfix runs only root can tell; who answers runs."""
    if reason := why_not():
        pytest.skip(reason)
    postfix = running()
    with guarded(postfix, start=False, more=roots(authority)) as one:
        one.directory.chmod(0o755)
        words = ["-c", postfix.config_directory, "--config", str(one.config), "--format", "json"]
        done = run_as_nobody("-m", "postkeel", "certificates", *words)
    assert "Traceback" not in done.stderr
    (instance,) = json.loads(done.stdout)["instances"]
    served = [each for known in instance["certificates"] for each in known["served"]]
    assert {each["service"] for each in served} >= {"smtp/inet", "submissions/inet"}
    assert all(each["sha256"] for each in served)
