"""What cannot be written: one clear sentence, the files as they were, no litter."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from postkeel.core.errors import PostfixError
from postkeel.shell.writer import accept, write


def make_directory(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_second_name(path):
    victim = path.with_name("victim")
    victim.write_bytes(b"precious\n")
    path.hardlink_to(victim)


def make_link(path):
    victim = path.with_name("victim")
    victim.write_bytes(b"precious\n")
    path.symlink_to(victim)


def make_dead_link(path):
    path.symlink_to("nowhere")


def make_circle(path):
    path.symlink_to(path.name)


def make_huge(path):
    path.write_bytes(b"#" * ((1 << 20) + 1))


def make_nothing(path):
    pass


ODD_FILES = [
    (make_directory, "is not a file|Is a directory"),
    (make_pipe, "is not a file"),
    (make_second_name, "has 2 names"),
    (make_dead_link, "No such file"),
    (make_circle, "Too many levels"),
    (make_huge, "larger than 1 MiB"),
    (make_nothing, "No such file"),
]


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
@pytest.mark.parametrize("odd", ODD_FILES)
def test_an_odd_file_is_refused(instance, append, names, name, odd):
    make, message = odd
    (instance / name).unlink()
    make(instance / name)
    before = names(instance)
    with pytest.raises(PostfixError, match=message) as caught:
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(instance) == before


ODD_LOCKS = [
    (make_directory, "Is a directory"),
    (make_pipe, "not a plain file"),
    (make_second_name, "not a plain file"),
    (make_link, "symbolic link"),
    (make_dead_link, "symbolic link"),
    (make_circle, "symbolic link"),
]


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
@pytest.mark.parametrize("odd", ODD_LOCKS)
def test_an_odd_file_at_the_place_of_the_lock_is_refused(instance, append, names, name, odd):
    make, message = odd
    make(instance / f"{name}.tmp")
    before = names(instance)
    old = (instance / name).read_bytes()
    with pytest.raises(PostfixError, match=message):
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert (instance / name).read_bytes() == old
    assert names(instance) == before
    if (instance / "victim").exists():
        assert (instance / "victim").read_bytes() == b"precious\n"


def test_a_missing_directory(tmp_path, append):
    with pytest.raises(PostfixError, match=r"nowhere.*No such file"):
        write(str(tmp_path / "nowhere"), append("a = 1\n"), check=accept)


def contents(directory):
    return {one.name: one.read_bytes() for one in directory.iterdir() if one.name != "filler"}


def test_a_full_disk(small_disk, append, fill_up):
    old = contents(small_disk)
    fill_up(small_disk)
    with pytest.raises(PostfixError, match="No space left on device"):
        write(str(small_disk), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert contents(small_disk) == old
    (small_disk / "filler").unlink()
    assert write(str(small_disk), append("a = 1\n"), check=accept).changed


def test_a_disk_that_is_full_after_the_first_file(small_disk, append, fill_up):
    """main.cf still fits; master.cf does not: neither is changed."""
    old = contents(small_disk)
    fill_up(small_disk)
    os.truncate(small_disk / "filler", (small_disk / "filler").stat().st_size - 4096)
    with pytest.raises(PostfixError, match="No space left on device"):
        write(str(small_disk), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert contents(small_disk) == old


def test_a_read_only_file_system(small_disk, append):
    old = contents(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(PostfixError, match="Read-only file system"):
        write(str(small_disk), append("a = 1\n"), check=accept)
    assert contents(small_disk) == old


def test_an_immutable_file(instance, append, immutable):
    old = contents(instance)
    immutable(instance / "main.cf")
    with pytest.raises(PostfixError, match=r"Operation not permitted.*immutable"):
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert contents(instance) == old


def test_an_immutable_directory(instance, append, immutable):
    old = contents(instance)
    immutable(instance)
    with pytest.raises(PostfixError, match=r"Operation not permitted|Permission denied"):
        write(str(instance), append("a = 1\n"), check=accept)
    assert contents(instance) == old


@pytest.mark.parametrize("linked", [False, True])
def test_main_cf_is_put_back_when_master_cf_cannot_be_replaced(
    instance, append, immutable, tmp_path, linked
):
    if linked:
        (instance / "main.cf").rename(tmp_path / "real.cf")
        (instance / "main.cf").symlink_to(tmp_path / "real.cf")
    old = contents(instance)
    os.utime(instance / "main.cf", (0, 0))
    immutable(instance / "master.cf")
    with pytest.raises(PostfixError, match=r"master\.cf: Operation not permitted") as caught:
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert "main.cf" not in str(caught.value)
    assert contents(instance) == old
    assert (instance / "main.cf").stat().st_mtime > 0  # it was replaced, and put back


@pytest.fixture
def stranger(instance):
    """The instance in a place that an ordinary user reaches, and that user's rights."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    place = Path(tempfile.mkdtemp(prefix="postkeel-test-"))
    try:
        shutil.copytree(instance, place / "postfix")
        place.chmod(0o755)
        os.seteuid(65534)
        yield place / "postfix"
    finally:
        os.seteuid(0)
        shutil.rmtree(place)


def test_a_directory_that_we_may_not_write(stranger, append):
    old = contents(stranger)
    with pytest.raises(PostfixError, match=r"main\.cf\.tmp: Permission denied"):
        write(str(stranger), append("a = 1\n"), check=accept)
    assert contents(stranger) == old


def test_an_owner_that_is_not_ours_to_give(stranger, append):
    os.seteuid(0)
    stranger.chmod(0o777)
    os.seteuid(65534)
    old = contents(stranger)
    kept = []
    with pytest.raises(PostfixError, match=r"owner or group cannot be kept.*run: chown root:root"):
        write(str(stranger), append("a = 1\n"), check=accept, keep=kept.append)
    assert contents(stranger) == old
    assert (stranger / "main.cf").stat().st_uid == 0
    assert not kept


AS_NOBODY_ELSE = """\
import sys
from dataclasses import replace
from postkeel.core.errors import PostfixError
from postkeel.shell.writer import accept, write

def revise(texts):
    return replace(texts, main_cf=texts.main_cf + "a = 1\\n")

try:
    write(sys.argv[1], revise, check=accept, keep=lambda files: print("kept"))
except PostfixError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("owner", "group", "refused"), [(0, 0, False), (0, 7, True), (7, 0, True), (0, 65534, True)]
)
def test_who_is_masked_in_a_user_namespace_keeps_the_file(instance, owner, group, refused):
    main_cf = instance / "main.cf"
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    os.chown(main_cf, owner, group)
    old = contents(instance)
    alone = ["unshare", "--user", "--map-root-user"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("user namespaces are not allowed here")
    done = subprocess.run(
        [*alone, sys.executable, "-c", AS_NOBODY_ELSE, str(instance)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    if refused:
        assert "main.cf: not changed, for its owner or group cannot be kept" in done.stdout
        assert "kept\n" not in done.stdout
        assert contents(instance) == old
    else:
        assert done.stdout == "kept\n"
        assert contents(instance) != old
    status = main_cf.stat()
    assert (status.st_uid, status.st_gid) == (owner, group)
