"""`postkeel certificates` on real files: those in use, those given, and what cannot be read."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector_certificates import Authority
from ordinary_user import run_as_nobody, why_not
from postkeel.cli.certificates import _judged
from postkeel.cli.opening import Opened, looking_round
from postkeel.cli.progress import Waiting
from postkeel.core.configuration import Configuration
from postkeel.registry import Registry
from postkeel.shell.documents import Profiles

HOST = "mail.example.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pairs(authority):
    """Certificates of all sorts, by what they are."""
    return {
        "right": authority.issue(HOST),
        "of the shop": authority.issue("shop.example.test", file="shop"),
        "expired": authority.issue(HOST, days=-1, file="expired"),
        "self-signed": Authority(authority.directory / "stranger", "A stranger").issue(HOST),
    }


@pytest.fixture
def host(place, authority, pairs):
    """A place whose certificate is right."""
    use(place, pairs["right"])
    place.configure(f'certificates.roots = "{authority.file}"\n')
    return place


def use(place, pair, more=""):
    place.write(
        "main.cf",
        f"compatibility_level = 3.6\nmyhostname = {HOST}\nsmtpd_tls_security_level = may\n"
        f"smtpd_tls_cert_file = {pair.certificate}\nsmtpd_tls_key_file = {pair.key}\n{more}",
    )


def only(document):
    (instance,) = document["instances"]
    return instance


def flowing(text):
    return " ".join(text.split())


def test_all_is_right(host, pairs):
    done = host.run("certificates")
    assert (done.returncode, done.stderr) == (0, "")
    text = flowing(done.stdout)
    assert text.startswith(f"{host.etc}: 1 certificate; all as wanted left of its lifetime")
    assert f" days {HOST} EC P-256 smtp +1 ?" in text
    assert f"file {pairs['right'].certificate}" in text
    assert "chain complete: 1 certificate, up to the root CN=Authority of a test" in text
    assert "served not known: Postfix is not running" in text
    assert "`postkeel certificates --verbose`" not in text


def test_the_document(host, pairs, authority):
    instance = only(host.json("certificates", "--offline", status=0))
    assert instance["config_directory"] == str(host.etc)
    assert instance["roots"] == {"file": str(authority.file), "number": 1}
    assert instance["unjudged"] == ""
    assert (instance["offered"], instance["tables"], instance["findings"]) == ([], [], [])
    assert instance["resolver"] is instance["served_problem"] is None
    (one,) = instance["certificates"]
    assert one["files"] == [str(pairs["right"].certificate), str(pairs["right"].key)]
    assert one["kind"] == "pair"
    (place_of_use,) = one["uses"]
    assert place_of_use == {
        "services": ["smtp/inet", "submission/inet"],
        "parameter": "smtpd_tls_cert_file",
        "where": "main.cf:4",
        "client": False,
        "table": "",
        "sni_name": "",
    }
    (chain,) = one["chains"]
    assert (chain["names"], chain["issuer"]) == ([HOST], "CN=Authority of a test")
    assert chain["key"] == {"algorithm": "EC", "bits": 256, "curve": "secp256r1"}
    assert (chain["trust"], chain["must_staple"], len(chain["certificates"])) == (
        "complete",
        False,
        1,
    )
    assert 0.9 < chain["lifetime_left"] <= 1
    ends = datetime.fromisoformat(chain["ends"])
    at = datetime.fromisoformat(instance["at"])
    assert chain["ends"].endswith("Z")
    assert abs((ends - at).total_seconds() - chain["seconds_left"]) <= 1
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert (one["served"], one["findings"], one["faults"], one["joined_of"]) == ([], [], [], None)


def test_what_is_wrong_is_found_and_said(host, pairs):
    use(host, pairs["expired"])
    done = host.run("certificates", "--offline")
    assert (done.returncode, done.stderr) == (2, "")
    assert "1 certificate; 1 needs attention" in flowing(done.stdout)
    assert "error certificate-lifetime" in flowing(done.stdout)
    (one,) = only(host.json("certificates", "--offline", status=2))["certificates"]
    assert {found["rule"] for found in one["findings"]} == {"certificate-lifetime"}
    assert one["chains"][0]["lifetime_left"] == 0
    assert one["chains"][0]["seconds_left"] < 0


def test_a_waived_finding_stands_there_as_one(host, pairs, authority):
    use(host, pairs["expired"])
    host.configure(
        f'certificates.roots = "{authority.file}"\n'
        '[[waiver]]\nrule = "certificate-lifetime"\nreason = "the test host"\nowner = "me"\n'
        "until = 2999-12-31\n"
    )
    done = host.run("certificates", "--offline")
    assert done.returncode == 0
    assert "certificate-lifetime, waived: the test host (me, until 2999-12-31)" in flowing(
        done.stdout
    )
    (one,) = only(host.json("certificates", "--offline", status=0))["certificates"]
    assert [found["waived"] for found in one["findings"]] == [True]


def test_what_is_no_certificate_is_a_located_finding(place):
    place.write("certificate.pem", "a certificate and its key\n")
    done = place.run("certificates", "--offline")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert "unread" in done.stdout
    assert "error certificate-usable" in flowing(done.stdout)


def test_a_change_of_a_moment_ago_is_judged_as_it_is(host, pairs):
    """An agent would wait for the rest of a renewal; who asks wants to know now."""
    certificate = host.etc / "half.pem"
    certificate.write_bytes(pairs["right"].certificate.read_bytes()[:200])
    shutil.copy(pairs["right"].key, host.etc / "half.key")
    use(host, type(pairs["right"])(certificate=certificate, key=host.etc / "half.key"))
    done = host.run("certificates", "--offline")
    assert done.returncode == 2
    assert "error certificate-usable" in flowing(done.stdout)


GIVEN = {
    "both": (["right.certificate", "right.key"], 0, ""),
    "in any order": (["right.key", "right.certificate"], 0, ""),
    "without the key": (["right.certificate"], 0, "key not given, so it is not judged"),
    "the key found by its content": (
        ["of the shop.key", "right.certificate", "right.key"],
        2,
        "no certificate among the files given belongs to this key",
    ),
    "another's key": (
        ["right.certificate", "of the shop.key"],
        2,
        "the private key is not that of the certificate",
    ),
    "another's name": (["of the shop.certificate"], 2, "certificate-names"),
    "expired": (["expired.certificate", "expired.key"], 2, "certificate-lifetime"),
    "a key alone": (["right.key"], 2, "no certificate among the files given belongs to this key"),
}


@pytest.mark.parametrize(("names", "status", "said"), GIVEN.values(), ids=GIVEN)
def test_files_that_are_not_configured_yet(host, pairs, names, status, said):
    use(host, pairs["expired"])  # which is not asked about
    files = [str(getattr(pairs[name], kind)) for name, kind in (one.split(".") for one in names)]
    done = host.run("certificates", *files)
    assert (done.returncode, done.stderr) == (status, ""), done.stdout
    assert said in flowing(done.stdout)
    assert "given" in done.stdout
    if "expired" not in names[0]:
        assert str(pairs["expired"].certificate) not in done.stdout


def test_an_issuer_in_a_file_of_its_own(host, pairs, authority):
    """As some authorities send it."""
    files = [str(one) for one in (authority.file, pairs["right"].certificate)]
    alone = only(host.json("certificates", *files, status=0))["certificates"]
    assert [len(one["chains"][0]["certificates"]) for one in alone] == [2]
    key = str(pairs["right"].key)
    (one,) = only(host.json("certificates", *files, key, status=0))["certificates"]
    assert one["files"] == [key, files[1], files[0]]
    assert one["kind"] == "chain"
    text = flowing(host.run("certificates", *files, key).stdout)
    assert f"main.cf smtpd_tls_chain_files = {key}, {files[1]}, {files[0]}" in text
    (root,) = only(host.json("certificates", files[0]))["certificates"]
    assert root["chains"][0]["subject"] == "CN=Authority of a test"


@pytest.mark.parametrize("order", ["key first", "certificate first"])
def test_both_in_one_file(host, pairs, order, tmp_path):
    parts = [pairs["right"].key.read_bytes(), pairs["right"].certificate.read_bytes()]
    path = tmp_path / "both.pem"
    path.write_bytes(b"".join(parts if order == "key first" else reversed(parts)))
    (one,) = only(host.json("certificates", str(path), status=0))["certificates"]
    assert one["kind"] == ("chain" if order == "key first" else "pair")
    assert "not given" not in host.run("certificates", str(path)).stdout


def test_a_certificate_for_a_name_that_is_asked_for_by_sni(host, pairs, tmp_path):
    """Judged by where it would be used: the server's own name need not be in it."""
    shop = pairs["of the shop"]
    file = tmp_path / "shop.pem"
    file.write_bytes(shop.key.read_bytes() + shop.certificate.read_bytes())
    file.chmod(0o600)
    host.write("sni", f"shop.example.test {file}\n")
    use(host, pairs["right"], f"tls_server_sni_maps = texthash:{host.etc}/sni\n")
    instance = only(host.json("certificates", str(shop.certificate), str(shop.key), status=0))
    (one,) = instance["certificates"]
    assert [use["sni_name"] for use in one["uses"]] == ["shop.example.test"]
    used = only(host.json("certificates", "--offline", status=0))
    assert len(used["certificates"]) == 2


def test_relative_names(host, pairs):
    right = pairs["right"].certificate
    done = host.run("certificates", right.name, cwd=right.parent)
    assert done.returncode == 0
    assert str(right) in done.stdout
    wrong = host.run("certificates", pairs["expired"].certificate.name, cwd=right.parent)
    assert wrong.returncode == 2
    assert "certificate-lifetime" in wrong.stdout


@pytest.mark.parametrize(
    ("name", "said"), [("none.pem", "no such file"), (".", "cannot be read: Is a directory")]
)
def test_a_file_that_cannot_be_read_is_an_error(host, tmp_path, name, said):
    assert said in host.error("certificates", str(tmp_path / name))


def test_a_pipe_does_not_make_it_wait(host, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert host.run("certificates", str(tmp_path / "pipe")).returncode == 2


def test_too_many_files(host):
    words = [f"/tmp/{number}.pem" for number in range(33)]
    assert "at most 32" in host.error("certificates", *words)


def test_hostile_files(host, tmp_path):
    for number, content in enumerate(
        (b"", b"\x00" * 999, b"\x1b[2J", b"-----BEGIN CERTIFICATE-----\n" * 9, os.urandom(2 << 20))
    ):
        path = tmp_path / f"{number}\x1b[31m\u202e.pem"
        path.write_bytes(content)
        done = host.run("certificates", str(path), "--verbose")
        assert done.returncode == 2, done.stderr
        assert done.stdout.replace("\n", "").isprintable()
        assert host.json("certificates", str(path), status=2)


def test_nothing_is_used(host):
    host.write("main.cf", f"compatibility_level = 3.6\nmyhostname = {HOST}\n")
    done = host.run("certificates", "--offline")
    assert "no certificate is used" in flowing(done.stdout)
    assert only(host.json("certificates", "--offline"))["certificates"] == []


def test_a_configuration_that_cannot_be_read_is_an_error(host):
    (host.etc / "main.cf").unlink()
    assert host.run("certificates").returncode == 1


@pytest.fixture
def open_directory():
    """A directory that everybody may enter, as those of `tmp_path` are not."""
    made = Path(tempfile.mkdtemp(prefix="certificates-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_an_ordinary_user_sees_what_he_may_read(open_directory, place):
    """The key is not: no fault of Postfix's, which reads it as root."""
    if reason := why_not():
        pytest.skip(reason)
    mine = Authority(open_directory / "authority")
    pair = mine.issue(HOST)
    etc = open_directory / "etc"
    shutil.copytree(place.etc, etc)
    place.etc = etc
    use(place, pair)
    config = open_directory / "postkeel.toml"
    config.write_text(
        f'state_directory = "{open_directory}/state"\nruntime_directory = "{open_directory}/run"\n'
        f'certificates.roots = "{mine.file}"\n'
    )
    words = ("-m", "postkeel", "certificates", "-c", str(etc), "--config", str(config))
    done = run_as_nobody(*words, "--offline")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    text = flowing(done.stdout)
    assert f"key {pair.key} (you may not read it, so nothing is said of it" in text
    assert "all as wanted" in text
    assert "nothing answers; only root can tell" in flowing(run_as_nobody(*words).stdout)
    pair.certificate.chmod(0)
    hidden = run_as_nobody(*words, "--offline")
    assert hidden.returncode == 0
    assert "unread" in hidden.stdout
    (open_directory / "authority").chmod(0o700)
    assert run_as_nobody(*words, "--offline").returncode == 0
    refused = run_as_nobody(*words, str(pair.certificate))
    assert refused.returncode == 1
    assert "Permission denied" in refused.stderr


def test_without_the_plugin_nothing_is_called_right():
    configuration = Configuration()
    opened = Opened(
        configuration=configuration,
        profiles=Profiles(None),
        registry=Registry([], configuration),
    )
    judged, why = _judged(looking_round(opened, "/etc/postfix"), {})
    assert (judged, why) == ((), "plugin certificate_watcher: not loaded")


class Terminal(io.StringIO):
    def __init__(self, *, is_one=True):
        super().__init__()
        self.is_one = is_one

    def isatty(self):
        return self.is_one


def test_a_long_wait_is_told_and_taken_away():
    stream = Terminal()
    with Waiting("looking", stream, patience=0):
        deadline = time.monotonic() + 30
        while "looking" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.001)
    assert stream.getvalue() == "\rlooking ...\033[K\r\033[K"


def test_a_short_wait_and_a_pipe_are_told_nothing():
    for stream in (Terminal(), Terminal(is_one=False)):
        with Waiting("looking", stream, patience=60 if stream.is_one else 0):
            pass
        assert stream.getvalue() == ""
