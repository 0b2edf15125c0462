"""An instance's two files in a directory of their own, and places where writing fails."""

import contextlib
import errno
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

MAIN = b"""\
# A comment that stays
compatibility_level = 3.6
myhostname = mail.example.test
mydestination = $myhostname,
# in between
    localhost
smtpd_tls_security_level = may
"""
MASTER = b"""\
smtp       inet  n       -       y       -       -       smtpd
submission inet  n       -       y       -       -       smtpd
  -o smtpd_tls_security_level=encrypt
"""


@pytest.fixture
def instance(tmp_path):
    """A configuration directory that postconf reads."""
    directory = tmp_path / "postfix"
    directory.mkdir()
    fill(directory)
    return directory


def fill(directory: Path) -> None:
    (directory / "main.cf").write_bytes(MAIN)
    (directory / "master.cf").write_bytes(MASTER)


@pytest.fixture
def append():
    """append(main_cf=..., master_cf=...): a revise that adds these texts."""

    def make(main_cf="", master_cf=""):
        return lambda texts: replace(
            texts, main_cf=texts.main_cf + main_cf, master_cf=texts.master_cf + master_cf
        )

    return make


@pytest.fixture
def names():
    """What a directory holds."""
    return lambda directory: sorted(one.name for one in directory.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB with an instance on it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "postkeel-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of one's own needs root and mount")
    try:
        fill(place)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def fill_up():
    """fill_up(directory): nothing more fits on its disk."""

    def fill_disk(directory):
        with (directory / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017  any other is not what is wanted

    return fill_disk


@pytest.fixture
def immutable():
    """immutable(path): nobody may change or replace it until the test ends."""
    with contextlib.ExitStack() as undo:

        def freeze(path):
            done = subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True)
            if done.returncode:
                pytest.skip("chattr +i needs root and a file system that knows it")
            undo.callback(subprocess.run, ["chattr", "-i", str(path)], check=True)

        yield freeze
