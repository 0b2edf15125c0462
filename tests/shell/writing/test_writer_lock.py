"""postconf and the writer wait for each other, and nobody's update is lost."""

import os
import subprocess
import threading
import time

import pytest

from postkeel.core.errors import PostfixError
from postkeel.shell.edit_lock import EditLock
from postkeel.shell.writer import accept, write


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("main.cf", ["-e", "myhostname=theirs.example.test"]),
        ("master.cf", ["-P", "smtp/inet/myhostname=theirs.example.test"]),
    ],
)
def test_postconf_waits_for_our_lock(instance, names, name, command):
    with EditLock(str(instance / name), time.monotonic() + 5):
        postconf = subprocess.Popen(["postconf", "-c", str(instance), *command])
        with pytest.raises(subprocess.TimeoutExpired):
            postconf.wait(0.2)
        assert "theirs" not in (instance / name).read_text()
    assert postconf.wait(5) == 0
    assert "theirs.example.test" in (instance / name).read_text()
    assert names(instance) == ["main.cf", "master.cf"]


def test_we_wait_for_the_lock_of_postconf(instance, append, names):
    slow = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=fsync:delay_enter=400000"]
    edit = ["postconf", "-c", str(instance), "-e", "theirs=1"]
    postconf = subprocess.Popen([*slow, *edit], stderr=subprocess.PIPE)
    staged = instance / "main.cf.tmp"
    while not (staged.exists() and b"theirs" in staged.read_bytes()):
        if postconf.poll() is not None:
            pytest.skip(f"strace may not trace here: {postconf.communicate()[1].decode()}")
        time.sleep(0.005)
    began = time.monotonic()
    write(str(instance), append("ours = 1\n"), check=accept)
    waited = time.monotonic() - began
    assert postconf.wait(5) == 0
    postconf.stderr.close()
    assert waited > 0.1
    assert (instance / "main.cf").read_text().endswith("theirs = 1\nours = 1\n")
    assert names(instance) == ["main.cf", "master.cf"]


def test_a_second_writer_waits(instance, append):
    def revise(texts):
        second.start()
        time.sleep(0.1)
        assert second.is_alive()
        return append("first = 1\n")(texts)

    second = threading.Thread(
        target=write, args=(str(instance), append("second = 1\n")), kwargs={"check": accept}
    )
    write(str(instance), revise, check=accept)
    second.join(5)
    assert (instance / "main.cf").read_text().endswith("first = 1\nsecond = 1\n")


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_lock_held_past_the_deadline_is_an_error_that_names_the_holder(
    instance, append, names, name
):
    old = (instance / name).read_bytes()
    process = rf"locked by \S+.* \(process {os.getpid()}\); nothing changed"
    with (
        EditLock(str(instance / name), time.monotonic() + 5),
        pytest.raises(PostfixError, match=process),
    ):
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept, deadline=0.05)
    assert (instance / name).read_bytes() == old
    assert names(instance) == ["main.cf", "master.cf"]


@pytest.mark.parametrize("locked", ["postfix/main.cf", "real.cf"])
def test_a_link_is_locked_at_both_ends(instance, append, tmp_path, locked):
    (instance / "main.cf").rename(tmp_path / "real.cf")
    (instance / "main.cf").symlink_to(tmp_path / "real.cf")
    with (
        EditLock(str(tmp_path / locked), time.monotonic() + 5),
        pytest.raises(PostfixError, match="locked by"),
    ):
        write(str(instance), append("a = 1\n"), check=accept, deadline=0.05)
    assert write(str(instance), append("a = 1\n"), check=accept).changed == ("main.cf",)


LOOPS = (
    ("a", 'for n in $(seq 40); do postconf -c "$0" -e loop_a_$n=yes || exit 1; done'),
    ("b", 'for n in $(seq 40); do postconf -c "$0" -e loop_b_$n=yes || exit 1; done'),
    ("c", 'for n in $(seq 40); do postconf -c "$0" -P smtp/inet/loop_c_$n=yes || exit 1; done'),
)


def test_no_update_is_lost_beside_three_loops_of_postconf(instance, append, names):
    loops = [subprocess.Popen(["/bin/sh", "-c", script, str(instance)]) for _, script in LOOPS]
    ours = 0
    while any(loop.poll() is None for loop in loops):
        ours += 1
        added = append(f"own_{ours} = yes\n", f"  -o own_{ours}=yes\n")
        write(str(instance), added, check=accept)
        time.sleep(0.005)
    assert [loop.returncode for loop in loops] == [0, 0, 0]
    main_cf, master_cf = ((instance / one).read_text() for one in ("main.cf", "master.cf"))
    assert ours > 10
    for n in range(1, 41):
        assert f"\nloop_a_{n} = yes\n" in main_cf
        assert f"\nloop_b_{n} = yes\n" in main_cf
        assert f"-o loop_c_{n}=yes\n" in master_cf
    for n in range(1, ours + 1):
        assert f"\nown_{n} = yes\n" in main_cf
        assert f"-o own_{n}=yes\n" in master_cf
    assert names(instance) == ["main.cf", "master.cf"]
