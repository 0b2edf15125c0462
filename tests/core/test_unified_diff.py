"""The diff that people read is one that patch(1) takes."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from postkeel.core.unified_diff import unified
from postkeel.postfix.editing import Texts


def texts(main_cf="", master_cf=""):
    return Texts(main_cf=main_cf, master_cf=master_cf)


CASES = [
    (texts("a = 1\n"), texts("a = 2\n")),
    (texts("a = 1"), texts("a = 1\nb = 2\n")),
    (texts("a = 1\n"), texts("a = 1\nb = 2")),
    (texts(""), texts("b = 2\n")),
    (texts("a = 1\n", "x\n"), texts("a = 2\n", "y\n")),
    (texts("a = 1\r\nb = 2\r\n"), texts("a = 1\r\nb = 3\r\n")),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_patch_makes_the_one_of_the_other(before, after, tmp_path):
    if shutil.which("patch") is None:
        pytest.skip("patch(1) is not installed")
    (tmp_path / "main.cf").write_bytes(before.main_cf.encode())
    (tmp_path / "master.cf").write_bytes(before.master_cf.encode())
    subprocess.run(
        ["patch", "--binary", "-p1", "-d", tmp_path],
        input=unified(before, after).encode(),
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "main.cf").read_bytes().decode() == after.main_cf
    assert (tmp_path / "master.cf").read_bytes().decode() == after.master_cf


def test_nothing_changed_is_no_diff():
    assert unified(texts("a = 1\n"), texts("a = 1\n")) == ""
