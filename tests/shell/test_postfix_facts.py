"""The facts of an instance, gathered with the real postconf and postmap."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from postkeel.core.errors import PostfixError
from postkeel.core.model import Absent
from postkeel.postfix.instance import FileState, Parameter, Role
from postkeel.shell import built_in, postfix_facts
from postkeel.shell.built_in import DefaultsCache
from postkeel.shell.postfix_facts import (
    discover_instances,
    gather_instance,
)

MASTER = Path("/etc/postfix/master.cf").read_text()
CACHE = DefaultsCache()


@pytest.fixture
def place(tmp_path):
    """A configuration directory, its files dated back."""

    class Place:
        directory = str(tmp_path)

        def write(self, main_cf="", master_cf=MASTER, age=60.0):
            for name, text in (("main.cf", main_cf), ("master.cf", master_cf)):
                content = text if isinstance(text, bytes) else text.encode()
                (tmp_path / name).write_bytes(content)
                os.utime(tmp_path / name, (time.time() - age,) * 2)

        def gather(self, main_cf="", master_cf=MASTER, age=60.0):
            self.write(main_cf, master_cf, age)
            return gather_instance(self.directory, defaults=CACHE)

    return Place()


def postconf(*options):
    done = subprocess.run(["/usr/sbin/postconf", *options], capture_output=True, check=True)
    return done.stdout.decode()


def test_values_are_those_of_postconf_and_have_lines(place):
    found = place.gather(
        "# c\nsmtpd_tls_protocols = !SSLv2,\n# why\n  !SSLv3\nmail_name = a\nmail_name = b\n"
    )
    assert dict(found.parameters) == {
        "smtpd_tls_protocols": Parameter(value="!SSLv2, !SSLv3", where="main.cf:2"),
        "mail_name": Parameter(value="b", where="main.cf:6"),
    }
    assert found.where("smtpd_tls_loglevel") == "default"


def test_what_postfix_says_of_itself(place):
    found = place.gather()
    assert found.version == postconf("-dh", "mail_version").strip()
    assert found.openssl == postconf("-T", "run-version").strip()
    assert found.map_types == tuple(postconf("-c", place.directory, "-m").split())
    assert found.defaults["smtpd_tls_security_level"] == ""
    assert len(found.defaults) > 900


def test_services_have_roles_places_and_overrides(place):
    found = place.gather(
        "house = encrypt\n",
        "smtp inet n - y - - smtpd\n"
        "submission inet n - y - - smtpd\n"
        "# c\n"
        "  -o smtpd_tls_security_level=$house\n"
        "  -o smtpd_tls_security_level=may -o smtpd_tls_loglevel=1\n"
        "smtp unix - - y - - smtp\n",
    )
    service = found.service("submission/inet")
    assert (service.role, service.where, service.command) == (
        Role.SUBMISSION,
        "master.cf:2",
        "smtpd",
    )
    assert dict(service.overrides) == {
        "smtpd_tls_security_level": Parameter(value="may", where="master.cf:5"),
        "smtpd_tls_loglevel": Parameter(value="1", where="master.cf:5"),
    }
    assert [one.role for one in found.services] == [Role.MX, Role.SUBMISSION, Role.SMTP_CLIENT]
    assert found.effective("smtpd_tls_loglevel", service).value == "1"


def test_an_override_that_names_a_parameter_of_the_house_is_expanded(place):
    found = place.gather(
        "house = encrypt\n", "smtp inet n - y - - smtpd -o smtpd_tls_security_level=$house\n"
    )
    service = found.service("smtp/inet")
    assert found.effective("smtpd_tls_security_level", service).value == "encrypt"


def test_a_misspelt_name_is_unused_and_warned_of(place):
    found = place.gather("smtpd_tls_PSD = yes\nmail_name = x\n")
    assert found.unused == {"smtpd_tls_PSD": Parameter(value="yes", where="main.cf:1")}
    assert "smtpd_tls_PSD" not in found.parameters
    assert found.warnings == (f"{place.directory}/main.cf: unused parameter: smtpd_tls_PSD=yes",)


def test_a_parameter_of_the_house_is_used(place):
    found = place.gather("house = may\nsmtpd_tls_security_level = $house\n")
    assert found.unused == {}
    assert found.parameters["house"].value == "may"


def test_warnings_hold_no_control_characters(place):
    found = place.gather("smtpd_tls_PSD = \x1b[2Jx\n")
    assert found.warnings
    assert all(one.isprintable() for one in found.warnings)


def test_what_postconf_is_silent_about_is_warned_of(place):
    twice = "smtp inet n - y - - smtpd\nsmtp inet n - y - - smtpd\n  -o mail_name = x\n"
    found = place.gather("  mail_name = x\n", twice)
    assert "main.cf:1: indented text with no parameter before it; Postfix ignores it" in (
        found.warnings
    )
    assert any(one.startswith("master.cf:3: -o mail_name: missing '='") for one in found.warnings)
    assert "master.cf:2: smtp/inet is there again; this entry counts" in found.warnings
    assert len(found.services) == 1


@pytest.mark.parametrize(("given", "listed"), [("", False), ("config_directory = {}\n", True)])
def test_config_directory_is_there_only_when_main_cf_sets_it(place, given, listed):
    found = place.gather(given.format(place.directory))
    assert ("config_directory" in found.parameters) is listed


def test_an_empty_main_cf_is_a_configuration(place):
    assert place.gather("").parameters == {}


def test_a_fresh_main_cf_costs_no_waiting(place):
    place.gather("mail_name = a\n")
    began = time.monotonic()
    found = place.gather("mail_name = b\n", age=0)
    assert time.monotonic() - began < 0.8  # postconf itself waits for over a second
    assert found.parameters["mail_name"] == Parameter(value="b", where="main.cf:1")


def test_warnings_of_a_fresh_main_cf_name_the_real_file(place):
    found = place.gather("smtpd_tls_PSD = yes\n", age=0)
    assert found.warnings[0].startswith(f"{place.directory}/main.cf: unused parameter")


@pytest.mark.parametrize("age", [0, 60])
def test_nothing_is_left_behind(place, monkeypatch, tmp_path_factory, age):
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(scratch))
    place.gather("mail_name = a\n", age=age)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("main_cf", "master_cf", "said"),
    [
        ("mail_name = x\nsmtpd_tls_loglevel 1\n", MASTER, "main.cf:2: missing '=' after attribute"),
        ("", "smtp inet n - y - - smtpd\nsmtps inet n\n", "master.cf:2: bad field count"),
        ("", "smtp inet n - x - - smtpd\n", 'master.cf:1: invalid chroot field "x"'),
        (b"\x00\x01\x02binary", MASTER, "main.cf:1: missing attribute name"),
        (b"x" * (5 << 20), MASTER, "main.cf: larger than 1 MiB"),
    ],
    ids=["no equals", "few fields", "bad field", "binary", "huge"],
)
def test_a_file_that_postfix_refuses_is_located(place, main_cf, master_cf, said):
    with pytest.raises(PostfixError) as caught:
        place.gather(main_cf, master_cf)
    assert said in str(caught.value)
    assert f"{place.directory}" in str(caught.value)


def test_a_loop_of_names_is_left_to_postconf(place):
    # Fatal for postconf -n where it must know the value; else each daemon would stop at it.
    with pytest.raises(PostfixError, match="postconf refuses the configuration: "):
        place.gather("smtpd_restriction_classes = $smtpd_restriction_classes\n")


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_missing_file_is_named(place, name):
    place.write()
    (Path(place.directory) / name).unlink()
    with pytest.raises(PostfixError, match=f"{name}: No such file or directory"):
        gather_instance(place.directory, defaults=CACHE)


def test_a_directory_in_place_of_a_file_is_named(place):
    place.write()
    (Path(place.directory) / "main.cf").unlink()
    (Path(place.directory) / "main.cf").mkdir()
    with pytest.raises(PostfixError, match=r"main\.cf: Is a directory"):
        gather_instance(place.directory, defaults=CACHE)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(place):
    place.write()
    (Path(place.directory) / "main.cf").unlink()
    os.mkfifo(Path(place.directory) / "main.cf")
    with pytest.raises(PostfixError, match=r"main\.cf: not a file"):
        gather_instance(place.directory, defaults=CACHE)


def test_no_postfix_says_what_to_install(place, monkeypatch):
    place.write()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("postkeel.shell.command._DIRECTORIES", ())
    with pytest.raises(PostfixError, match="postconf is not installed here"):
        gather_instance(place.directory, defaults=CACHE)


def test_files_that_tls_settings_name_are_known(place):
    key = Path(place.directory) / "key.pem"
    key.write_text("x")
    key.chmod(0o640)
    found = place.gather(
        f"house = {place.directory}\n"
        "smtpd_tls_chain_files = $house/key.pem, $house/absent.pem\n"
        "smtpd_tls_dh1024_param_file = auto\n"
        "smtp_tls_policy_maps = proxy:hash:$house/policy, inline:{x=may}\n",
        "smtp inet n - y - - smtpd -o smtpd_tls_chain_files=$house/other.pem\n",
    )
    states = {os.path.basename(path): state for path, state in found.references.items()}
    assert states["key.pem"] == FileState(mode=0o640, owner=os.getuid())
    assert states["absent.pem"].problem == "No such file or directory"
    assert set(states) == {"key.pem", "absent.pem", "policy", "other.pem"}


def test_policies_are_read_from_local_tables(place):
    table = Path(place.directory) / "policy"
    table.write_text("example.org encrypt\nexample.net none\n")
    subprocess.run(["/usr/sbin/postmap", "-o", f"hash:{table}"], check=False, capture_output=True)
    found = place.gather(
        f"smtp_tls_policy_maps = texthash:{table}, inline:{{a=may, {{b = dane x}}}}, static:may,"
        f" cidr:{table}, hash:/nowhere/policy\n"
    )
    assert found.policies[f"texthash:{table}"] == {
        "example.org": "encrypt",
        "example.net": "none",
    }
    assert found.policies["inline:{a=may, {b = dane x}}"] == {"a": "may", "b": "dane x"}
    assert found.policies["static:may"] == {"*": "may"}
    assert isinstance(found.policies[f"cidr:{table}"], Absent)
    assert isinstance(found.policies["hash:/nowhere/policy"], Absent)


def test_built_in_facts_are_asked_for_once(place, monkeypatch):
    place.write("mail_name = a\n")
    started = []
    real = postfix_facts.start
    for module in (postfix_facts, built_in):
        monkeypatch.setattr(module, "start", lambda argv: started.append(argv) or real(argv))
    cache = DefaultsCache()
    first = gather_instance(place.directory, defaults=cache)
    assert len(started) == 4
    assert gather_instance(place.directory, defaults=cache) == first
    assert len(started) == 5


def test_built_in_facts_are_asked_for_again_when_a_library_was_replaced(
    place, monkeypatch, tmp_path
):
    place.write("mail_name = a\n")
    stamp = tmp_path / "ld.so.cache"
    stamp.write_text("1")
    monkeypatch.setattr(built_in, "LOOSE_PARTS", (str(stamp),))
    cache = DefaultsCache()
    gather_instance(place.directory, defaults=cache)
    stamp.write_text("22")
    started = []
    real = postfix_facts.start
    for module in (postfix_facts, built_in):
        monkeypatch.setattr(module, "start", lambda argv: started.append(argv) or real(argv))
    gather_instance(place.directory, defaults=cache)
    assert len(started) == 4


def test_the_default_instance_is_discovered():
    assert discover_instances()[0] == postconf("-dh", "config_directory").strip()
