"""Postfix's files as they should not be: a clear line, exit 1, and no byte changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

LONG = b"#" * (5 << 20)


def unlinked(place, name):
    (place.etc / name).unlink()
    return place.etc / name


def dangling(place):
    unlinked(place, "main.cf").symlink_to("nowhere.cf")


def circular(place):
    unlinked(place, "main.cf").symlink_to("main.cf")


def a_directory(place):
    unlinked(place, "main.cf").mkdir()


def a_pipe(place):
    os.mkfifo(unlinked(place, "master.cf"))


def no_main(place):
    unlinked(place, "main.cf")


def no_master(place):
    unlinked(place, "master.cf")


# name: (what main.cf holds, what master.cf holds, what is said); None leaves the good file.
REFUSED = {
    "no equals sign": ("a = b\nsmtpd_tls_loglevel 1\n", None, "main.cf:2: missing '=' after"),
    "half-written": ("a = b\nsmtpd_tls_pro", None, "main.cf:2: missing '=' after"),
    "binary": (bytes(range(256)), None, "main.cf:1: missing attribute name"),
    "5 MiB": (LONG, None, "main.cf: larger than 1 MiB"),
    "a name that names itself": (
        "smtpd_tls_protocols = $smtpd_tls_protocols\n",
        None,
        'refuses the configuration: warning: unreasonable macro call nesting: "smtpd_tls_proto',
    ),
    "an open brace": ("mail_name = ${x\nsmtpd_banner = $mail_name\n", None, "truncated macro"),
    "few fields": (None, "smtp inet n - n - - smtpd\nx inet n\n", "master.cf:2: bad field count"),
    "bad chroot field": (None, "smtp inet n - x - - smtpd\n", "master.cf:1: invalid chroot field"),
    "binary master.cf": (None, bytes(range(256)), "master.cf:"),
    "5 MiB master.cf": (None, LONG, "master.cf: larger than 1 MiB"),
    "empty master.cf": (None, "", "master.cf: no services; perhaps half-written"),
    "comments only in master.cf": (None, "# soon\n", "master.cf: no services"),
}
OUT_OF_PLACE = {
    "dangling link": (dangling, "main.cf: No such file or directory"),
    "link to itself": (circular, "main.cf: Too many levels of symbolic links"),
    "directory": (a_directory, "main.cf: Is a directory"),
    "pipe": (a_pipe, "master.cf: not a file"),
    "no main.cf": (no_main, "main.cf: No such file or directory"),
    "no master.cf": (no_master, "master.cf: No such file or directory"),
}


def refused(place, said):
    """The command that could write says so, in one line, and leaves the files alone."""
    before = place.sums()
    text = place.error("enforce")
    assert said in text
    assert text.startswith("postkeel: etc")
    assert text.count("\n") == 1
    assert place.sums() == before


@pytest.mark.parametrize(("main_cf", "master_cf", "said"), REFUSED.values(), ids=REFUSED)
def test_what_postfix_refuses_or_nobody_meant(place, main_cf, master_cf, said):
    for name, content in (("main.cf", main_cf), ("master.cf", master_cf)):
        if content is not None:
            place.write(name, content)
    refused(place, said)


@pytest.mark.parametrize(("spoil", "said"), OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_a_file_that_is_none(place, spoil, said):
    spoil(place)
    refused(place, said)


def test_json_mode_keeps_standard_output_for_documents(place):
    place.write("main.cf", "nonsense")
    done = place.run("check", "--format", "json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "main.cf:1" in done.stderr


def test_an_empty_main_cf_is_looked_at_and_not_corrected(place):
    # Postfix runs with it, on built-in defaults; but mostly somebody is about to write it.
    place.write("main.cf", "")
    before = place.sums()
    assert place.run("check").returncode == 2
    assert "main.cf: empty, so perhaps half-written; not corrected" in place.error("enforce")
    assert place.sums() == before


def test_a_file_of_two_names_is_not_replaced(place):
    os.link(place.etc / "main.cf", place.etc / "second")
    before = place.sums()
    assert "main.cf has 2 names (hard links)" in place.error("enforce")
    assert place.sums() == before


def test_a_link_is_followed_and_stays(place):
    (place.etc / "main.cf").rename(place.directory / "real.cf")
    (place.etc / "main.cf").symlink_to("../real.cf")
    assert place.run("enforce").returncode == 0
    assert os.readlink(place.etc / "main.cf") == "../real.cf"
    assert "smtpd_tls_protocols" in (place.directory / "real.cf").read_text()


def test_windows_line_ends_stay(place):
    lines = (place.etc / "main.cf").read_bytes().replace(b"\n", b"\r\n")
    place.write("main.cf", lines)
    assert place.run("enforce").returncode == 0
    written = (place.etc / "main.cf").read_bytes()
    assert written.startswith(lines)
    assert place.run("check").returncode == 0


needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="becomes another user, or hides /usr/sbin"
)


@needs_root
@pytest.mark.parametrize("closed", ["etc", "etc/main.cf", "etc/master.cf"])
def test_what_may_not_be_read_is_named(place, closed):
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if not shutil.which(nobody[0]):
        pytest.skip("there is no setpriv here")
    for one in (place.directory, *place.directory.parents):
        if one.owner() == "root" and str(one).startswith("/tmp/pytest"):
            one.chmod(0o755)
    (place.directory / closed).chmod(0o000)
    done = subprocess.run(
        [*nobody, sys.executable, "-m", "postkeel", "check", *place.options],
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (place.directory / closed).chmod(0o700)
    if done.returncode in {126, 127}:
        pytest.skip("this Python lies where other users cannot start it")
    name = "etc/main.cf" if closed == "etc" else closed
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"postkeel: {place.directory}/{name}: Permission denied\n"


def without_postfix(place, *words):
    """A command where /usr/sbin, and with it Postfix, is not there."""
    script = 'mount -t tmpfs none /usr/sbin && exec "$@"'
    options = ["--config", str(place.own / "postkeel.toml")]
    ours = [sys.executable, "-m", "postkeel", *words, *options]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *ours],
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    return done


@needs_root
@pytest.mark.parametrize("command", ["check", "enforce", "facts"])
def test_without_postfix_it_says_what_to_install(place, command):
    before = place.sums()
    done = without_postfix(place, command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "postkeel: postconf is not installed here (Debian package postfix)\n"
    assert place.sums() == before


@needs_root
def test_without_postfix_a_plug_in_says_unknown(place):
    done = without_postfix(place, "check", "--format", "nagios")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("POSTKEEL UNKNOWN - postconf is not installed here")


@needs_root
def test_explain_works_without_postfix(place):
    done = without_postfix(place, "explain", "smtpd-protocols")
    assert (done.returncode, done.stderr) == (0, "")
    assert "written for Postfix" in done.stdout


@pytest.mark.parametrize("version", ["2.11.1", "", "snapshot"])
@pytest.mark.parametrize("command", ["check", "enforce"])
def test_a_version_that_there_are_no_rules_for(place, tmp_path, monkeypatch, version, command):
    """The real postconf's answers, with another version in them."""
    real = shutil.which("postconf", path="/usr/sbin:/usr/bin")
    own = tmp_path / "bin" / "postconf"
    own.parent.mkdir()
    own.write_text(
        f"#!/bin/sh\n{real} \"$@\" | sed 's/^mail_version = .*/mail_version = {version}/'\n"
    )
    own.chmod(0o755)
    monkeypatch.setenv("PATH", f"{own.parent}:{os.environ['PATH']}")
    before = place.sums()
    text = place.error(command)
    assert f"mail_version is '{version}': postkeel knows 3.4 and later" in text
    assert place.sums() == before
