"""Without -c every instance that Postfix knows is looked at; one in trouble stops no other.

The default instance is /etc/postfix, so this runs in a mount namespace of its
own where that is a directory made for the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

MASTER = """\
smtp inet n - n - - smtpd
smtp unix - - n - - smtp
"""
DEFAULT = """\
compatibility_level = 3.6
myhostname = mx.example.test
multi_instance_wrapper = ${command_directory}/postmulti -p --
multi_instance_enable = yes
multi_instance_directories = /etc/postfix-out
"""
OTHER = """\
compatibility_level = 3.6
myhostname = out.example.test
multi_instance_name = postfix-out
multi_instance_enable = yes
queue_directory = /var/spool/postfix-out
data_directory = /var/lib/postfix-out
"""


def instance(directory, main_cf):
    directory.mkdir()
    (directory / "main.cf").write_text(main_cf)
    (directory / "master.cf").write_text(MASTER)
    past = time.time() - 5
    os.utime(directory / "main.cf", (past, past))


@pytest.fixture
def inside(tmp_path):
    """A function that runs a program where /etc/postfix and /etc/postfix-out are the test's."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare(1)")
    instance(tmp_path / "postfix", DEFAULT)
    instance(tmp_path / "postfix-out", OTHER)
    upper, work = tmp_path / "upper", tmp_path / "work"
    upper.mkdir()
    work.mkdir()
    script = (
        f"mount -t tmpfs tmpfs {work} && mkdir {work}/u {work}/w &&"
        f" mount -t overlay overlay -o lowerdir=/etc,upperdir={work}/u,workdir={work}/w /etc &&"
        " mkdir -p /etc/postfix /etc/postfix-out &&"
        f" mount --bind {tmp_path}/postfix /etc/postfix &&"
        f' mount --bind {tmp_path}/postfix-out /etc/postfix-out && exec "$@"'
    )

    def run(*argv):
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *argv],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    return run


def postkeel(inside, *words):
    return inside(sys.executable, "-m", "postkeel", *words)


def test_all_that_postmulti_lists_are_looked_at(inside):
    listed = inside("postmulti", "-l").stdout
    assert listed, "postmulti says nothing: is the namespace in order?"
    answer = postkeel(inside, "check", "--format", "json")
    found = [one["config_directory"] for one in json.loads(answer.stdout)["instances"]]
    assert found == [line.split()[-1] for line in listed.splitlines()]
    assert found == ["/etc/postfix", "/etc/postfix-out"]


def test_one_that_cannot_be_read_stops_no_other(inside, tmp_path):
    (tmp_path / "postfix-out" / "main.cf").unlink()
    for command in ("check", "diff", "facts"):
        answer = postkeel(inside, command, "--format", "json")
        assert answer.returncode == 1
        assert "postkeel: /etc/postfix-out/main.cf: No such file" in answer.stderr
        found = json.loads(answer.stdout)["instances"]
        assert [one["config_directory"] for one in found] == ["/etc/postfix"]


def test_without_any_that_can_be_read_nothing_is_shown(inside, tmp_path):
    for name in ("postfix", "postfix-out"):
        (tmp_path / name / "master.cf").unlink()
    answer = postkeel(inside, "check", "--format", "json")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("master.cf: No such file") == 2
