"""postkeel's own files: whole or not at all."""

import os
import signal
import subprocess
import sys
import time

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.whole_file import read_whole, write_whole

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")


def test_replaces_content_and_mode_and_makes_its_directory(tmp_path):
    path = str(tmp_path / "state" / "file")
    write_whole(path, b"old", mode=0o600, durable=True)
    write_whole(path, b"new", mode=0o644, durable=True)
    assert read_whole(path) == b"new"
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert os.listdir(os.path.dirname(path)) == ["file"]


def test_what_is_not_there_is_none_and_what_cannot_be_read_is_an_error(tmp_path):
    assert read_whole(str(tmp_path / "missing")) is None
    with pytest.raises(PostkeelError, match="cannot be read: Is a directory"):
        read_whole(str(tmp_path))


def test_a_link_left_in_the_way_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file.new").symlink_to("victim")
    write_whole(str(tmp_path / "file"), b"new", mode=0o600, durable=False)
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "file").is_symlink()


def test_a_directory_in_the_way_is_a_clear_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(PostkeelError, match="file: cannot be written: Is a directory"):
        write_whole(str(tmp_path / "file"), b"new", mode=0o600, durable=False)
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def small_disk(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@root_only
def test_a_full_disk_leaves_the_old_file_and_no_litter(small_disk):
    path = str(small_disk / "file")
    write_whole(path, b"old", mode=0o600, durable=True)
    with pytest.raises(PostkeelError, match="No space left on device"):
        write_whole(path, b"x" * 100_000, mode=0o600, durable=True)
    assert read_whole(path) == b"old"
    assert os.listdir(small_disk) == ["file"]


@root_only
def test_a_read_only_file_system_leaves_the_old_file(small_disk):
    path = str(small_disk / "file")
    write_whole(path, b"old", mode=0o600, durable=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(PostkeelError, match="Read-only file system"):
        write_whole(path, b"new", mode=0o600, durable=True)
    assert read_whole(path) == b"old"


WRITER = """
import sys
from postkeel.shell.whole_file import write_whole
for number in range(1_000_000):
    write_whole(sys.argv[1], b"%d " % (number % 10) * 20_000, mode=0o600, durable=False)
    number or print("began", flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = str(tmp_path / "file")
    for attempt in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            time.sleep(0.003 * attempt)
            process.send_signal(signal.SIGKILL)
        content = read_whole(path)
        assert len(content) == 40_000
        assert len(set(content.split())) == 1
