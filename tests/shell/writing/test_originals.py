"""The originals are kept once, whole, and come back."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.originals import keep_originals, originals_directory, restore
from postkeel.shell.writer import accept, write

NOW = datetime(2026, 11, 23, 1, 16, 23, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def change(instance, append, state):
    """A write as the agent makes it."""

    def make(main_cf="", master_cf=""):
        keep = keep_originals(str(instance), str(state))
        return write(str(instance), append(main_cf, master_cf), check=accept, keep=keep)

    return make


@pytest.fixture
def place(instance, state):
    return Path(originals_directory(str(instance), str(state)))


@pytest.fixture
def back(instance, state):
    return lambda: restore(str(instance), str(state), now=NOW)


@pytest.mark.parametrize(
    ("config_directory", "name"),
    [
        ("/etc/postfix", "%2Fetc%2Fpostfix"),
        ("/etc/postfix/", "%2Fetc%2Fpostfix"),
        ("/etc/postfix-out", "%2Fetc%2Fpostfix-out"),
        ("/etc/100%2Fx", "%2Fetc%2F100%252Fx"),
    ],
)
def test_each_instance_has_its_own_place(config_directory, name):
    assert originals_directory(config_directory, "/state") == f"/state/originals/{name}"


def test_only_what_is_changed_is_kept_and_only_once(instance, change, names, place):
    old = (instance / "main.cf").read_bytes()
    master = (instance / "master.cf").read_bytes()
    change("a = 1\n")
    assert names(place) == ["main.cf", "main.cf.owner"]
    change("b = 1\n", "  -o b=1\n")
    assert names(place) == ["main.cf", "main.cf.owner", "master.cf", "master.cf.owner"]
    assert (place / "main.cf").read_bytes() == old
    assert (place / "master.cf").read_bytes() == master


def test_the_originals_are_private(change, place, state):
    change("a = 1\n")
    assert stat.S_IMODE((place / "main.cf").stat().st_mode) == 0o600
    assert {stat.S_IMODE(one.stat().st_mode) for one in (state, place, place.parent)} == {0o700}


def test_a_write_of_nothing_keeps_nothing(change, state):
    change()
    assert not state.exists()


def test_restore_puts_bytes_mode_and_owner_back(instance, change, back, place):
    (instance / "main.cf").chmod(0o640)
    if os.geteuid() == 0:
        os.chown(instance / "main.cf", 12345, 54321)
    status = (instance / "main.cf").stat()
    old = {name: (instance / name).read_bytes() for name in ("main.cf", "master.cf")}
    change("a = 1\n", "  -o a=1\n")
    later = (instance / "main.cf").read_bytes() + b"theirs = 1\n"
    (instance / "main.cf").write_bytes(later)
    (instance / "main.cf").chmod(0o644)
    if os.geteuid() == 0:
        os.chown(instance / "main.cf", 0, 0)
    restored = back()
    assert restored.files == ("main.cf", "master.cf")
    assert {name: (instance / name).read_bytes() for name in old} == old
    now = (instance / "main.cf").stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (status.st_mode, status.st_uid, status.st_gid)
    assert restored.kept_in == str(place / "before-restore-20261123T011623Z")
    assert (Path(restored.kept_in) / "main.cf").read_bytes() == later
    assert (Path(restored.kept_in) / "main.cf.owner").read_text() == "0644 0 0\n" or os.geteuid()


def test_restore_leaves_a_file_alone_that_was_never_changed(instance, change, back):
    change("a = 1\n")
    (instance / "master.cf").write_bytes(b"# theirs\n")
    assert back().files == ("main.cf",)
    assert (instance / "master.cf").read_bytes() == b"# theirs\n"


def test_two_restores_in_one_second_keep_both(instance, change, back):
    change("a = 1\n")
    first = back()
    change("b = 1\n")
    second = back()
    assert first.kept_in != second.kept_in
    assert b"a = 1" in (Path(first.kept_in) / "main.cf").read_bytes()
    assert b"b = 1" in (Path(second.kept_in) / "main.cf").read_bytes()


def test_restoring_twice_changes_nothing(change, back, names, place):
    change("a = 1\n")
    back()
    before = names(place)
    again = back()
    assert (again.files, again.kept_in) == ((), "")
    assert names(place) == before


def test_restore_through_a_link_sets_the_mode_of_the_file(instance, change, back, tmp_path):
    (instance / "main.cf").rename(tmp_path / "real.cf")
    (instance / "main.cf").symlink_to(tmp_path / "real.cf")
    (tmp_path / "real.cf").chmod(0o640)
    change("a = 1\n")
    (tmp_path / "real.cf").chmod(0o600)
    back()
    assert (instance / "main.cf").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.cf").stat().st_mode) == 0o640


def test_no_originals_is_a_clear_error(instance, back):
    with pytest.raises(PostkeelError, match=r"no originals in .*: postkeel has not changed"):
        back()


@pytest.mark.parametrize("owner", [b"", b"0644\n", b"rw root root\n", None])
def test_a_damaged_original_is_not_put_back(instance, change, back, place, owner):
    change("a = 1\n")
    changed = (instance / "main.cf").read_bytes()
    (place / "main.cf.owner").unlink()
    if owner is not None:
        (place / "main.cf.owner").write_bytes(owner)
    with pytest.raises(PostkeelError, match=r"main\.cf\.owner: does not say"):
        back()
    assert (instance / "main.cf").read_bytes() == changed


@pytest.mark.parametrize("left", ["main.cf.owner", "main.cf.new", "main.cf.owner.new"])
def test_what_a_crash_left_among_the_originals_is_no_original(instance, change, place, left):
    old = (instance / "main.cf").read_bytes()
    place.mkdir(parents=True)
    (place / left).write_bytes(b"half")
    change("a = 1\n")
    assert (place / "main.cf").read_bytes() == old
    assert (place / "main.cf.owner").read_text().startswith("0644 ")


def test_an_original_that_cannot_be_kept_stops_the_write(instance, append, small_disk, fill_up):
    old = (instance / "main.cf").read_bytes()
    fill_up(small_disk)
    keep = keep_originals(str(instance), str(small_disk / "state"))
    with pytest.raises(PostkeelError, match="No space left on device"):
        write(str(instance), append("a = 1\n"), check=accept, keep=keep)
    assert (instance / "main.cf").read_bytes() == old
