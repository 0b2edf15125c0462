"""What a write changes and what it keeps."""

import os
import stat
import struct
import subprocess
from dataclasses import replace

import pytest

from postkeel.core.errors import EditError, PostfixError
from postkeel.shell.writer import accept, put_back, write


@pytest.mark.parametrize(
    ("added", "changed"),
    [
        (("a = 1\n", ""), ("main.cf",)),
        (("", "  -o a=1\n"), ("master.cf",)),
        (("a = 1\n", "  -o a=1\n"), ("main.cf", "master.cf")),
        (("", ""), ()),
    ],
)
def test_files_that_differ_are_written(instance, append, names, added, changed):
    old = {name: (instance / name).read_bytes() for name in names(instance)}
    inodes = {name: (instance / name).stat().st_ino for name in old}
    written = write(str(instance), append(*added), check=accept)
    assert written.changed == changed
    assert (instance / "main.cf").read_bytes() == old["main.cf"] + added[0].encode()
    assert (instance / "master.cf").read_bytes() == old["master.cf"] + added[1].encode()
    assert written.before.main_cf.encode() == old["main.cf"]
    assert written.after.master_cf.encode() == (instance / "master.cf").read_bytes()
    assert names(instance) == ["main.cf", "master.cf"]
    for name in old:
        assert ((instance / name).stat().st_ino != inodes[name]) == (name in changed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a = 1",
        b"a = 1\r\nb = 2\r\n",
        b"a = 1\r\nb = 2\nc = 3\r",
        b"# caf\xe9\na = \xff\xfe\n",
        b"\xef\xbb\xbfa = 1\n",
        b"a = 1\x00\n\x0cb = 2\x85\n",
        "# Zoë  \n".encode(),
        b"# " + b"x" * 300_000 + b"\n",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_every_other_byte_is_kept(instance, append, content):
    (instance / "main.cf").write_bytes(content)
    write(str(instance), append("\nb = 2\n"), check=accept)
    assert (instance / "main.cf").read_bytes() == content + b"\nb = 2\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600, 0o444])
def test_mode_is_kept(instance, append, mode):
    (instance / "main.cf").chmod(mode)
    write(str(instance), append("a = 1\n"), check=accept)
    assert stat.S_IMODE((instance / "main.cf").stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_owner_and_group_are_kept(instance, append):
    os.chown(instance / "main.cf", 12345, 54321)
    write(str(instance), append("a = 1\n"), check=accept)
    status = (instance / "main.cf").stat()
    assert (status.st_uid, status.st_gid) == (12345, 54321)


def access_list(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


NOBODY = 0xFFFFFFFF
# user::rw-, user:12345:r--, group::r--, mask::r--, other::---
ACL = access_list((1, 6, NOBODY), (2, 4, 12345), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))


def set_attribute(path, name, value):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"this file system has no {name}: {error.strerror}")


@pytest.mark.parametrize(
    ("name", "value"), [("system.posix_acl_access", ACL), ("user.note", b"kept by us")]
)
def test_attributes_are_kept(instance, append, name, value):
    set_attribute(instance / "main.cf", name, value)
    mode = (instance / "main.cf").stat().st_mode
    write(str(instance), append("a = 1\n"), check=accept)
    assert os.getxattr(instance / "main.cf", name) == value
    assert (instance / "main.cf").stat().st_mode == mode


def test_the_default_acl_of_the_directory_is_not_taken_on(instance, append):
    set_attribute(instance, "system.posix_acl_default", ACL)
    (instance / "main.cf").chmod(0o644)
    write(str(instance), append("a = 1\n"), check=accept)
    assert "system.posix_acl_access" not in os.listxattr(instance / "main.cf")
    assert stat.S_IMODE((instance / "main.cf").stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_symbolic_link_stays_and_its_file_is_replaced(instance, append, names, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (instance / name).rename(elsewhere / "real.cf")
    (elsewhere / "step.cf").symlink_to("real.cf")
    (instance / name).symlink_to("../elsewhere/step.cf")
    old = (elsewhere / "real.cf").read_bytes()
    write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    assert str((instance / name).readlink()) == "../elsewhere/step.cf"
    assert (elsewhere / "real.cf").read_bytes().startswith(old)
    assert (elsewhere / "real.cf").read_bytes().endswith(b"a=1\n" if "master" in name else b"= 1\n")
    assert names(instance) == ["main.cf", "master.cf"]
    assert names(elsewhere) == ["real.cf", "step.cf"]


def test_a_link_switched_meanwhile_counts(instance, append, tmp_path):
    old, new = tmp_path / "old.cf", tmp_path / "new.cf"
    old.write_bytes(b"a = old\n")
    new.write_bytes(b"a = new\n")
    (instance / "main.cf").unlink()
    (instance / "main.cf").symlink_to(old)

    def switch_and_revise(texts):
        (instance / "main.cf").unlink()
        (instance / "main.cf").symlink_to(new)
        return append("b = 1\n")(texts)

    write(str(instance), switch_and_revise, check=accept)
    assert old.read_bytes() == b"a = old\n"
    assert new.read_bytes() == b"a = new\nb = 1\n"


@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_what_a_crash_left_is_replaced(instance, append, names, name):
    left = instance / f"{name}.tmp"
    left.write_bytes(b"half a fi")
    left.chmod(0o666)
    with left.open("r+b") as stranger:
        write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
        stranger.write(b"written late")
    assert b"half" not in (instance / name).read_bytes()
    assert b"late" not in (instance / name).read_bytes()
    assert stat.S_IMODE((instance / name).stat().st_mode) == 0o644
    assert names(instance) == ["main.cf", "master.cf"]


def test_nothing_is_left_when_the_check_refuses(instance, append, names):
    old = (instance / "main.cf").read_bytes()

    def refuse(texts):
        assert texts.main_cf.endswith("a = 1\n")
        raise PostfixError("no")

    with pytest.raises(PostfixError, match=r"^no$"):
        write(str(instance), append("a = 1\n"), check=refuse)
    assert (instance / "main.cf").read_bytes() == old
    assert names(instance) == ["main.cf", "master.cf"]


def test_keep_sees_the_files_before_they_change(instance, append):
    seen = {}

    def keep(files):
        seen.update({name: file.content for name, file in files.items()})
        assert (instance / "main.cf").read_bytes() == seen["main.cf"]

    old = (instance / "main.cf").read_bytes()
    write(str(instance), append("a = 1\n"), check=accept, keep=keep)
    assert seen == {"main.cf": old}


def test_half_a_character_is_refused(instance, append, names):
    with pytest.raises(EditError, match="half a character"):
        write(str(instance), append("a = \ud800\n"), check=accept)
    assert names(instance) == ["main.cf", "master.cf"]


def test_postfix_reads_what_was_written_at_once(instance, append):
    """It sleeps one or two seconds over a main.cf of this second."""
    write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    ask = ["postconf", "-c", str(instance), "-n", "myhostname"]
    assert subprocess.run(ask, check=True, capture_output=True, timeout=0.9).stdout


def test_put_back_restores_the_bytes(instance, append):
    old = {name: (instance / name).read_bytes() for name in ("main.cf", "master.cf")}
    written = write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    put_back(written)
    assert {name: (instance / name).read_bytes() for name in old} == old
    put_back(written)  # once more changes nothing
    assert {name: (instance / name).read_bytes() for name in old} == old


def test_put_back_leaves_a_newer_edit_alone(instance, append):
    master = (instance / "master.cf").read_bytes()
    written = write(str(instance), append("a = 1\n", "  -o a=1\n"), check=accept)
    newer = (instance / "main.cf").read_bytes() + b"b = theirs\n"
    (instance / "main.cf").write_bytes(newer)
    with pytest.raises(PostfixError, match=r"postfix/main\.cf: edited by another since"):
        put_back(written)
    assert (instance / "main.cf").read_bytes() == newer
    assert (instance / "master.cf").read_bytes() == master


def test_put_back_leaves_a_file_that_was_not_changed_alone(instance, append):
    written = write(str(instance), append("a = 1\n"), check=accept)
    (instance / "master.cf").write_bytes(b"# theirs\n")
    put_back(written)
    assert (instance / "master.cf").read_bytes() == b"# theirs\n"


def test_an_editor_that_takes_no_lock_is_not_overwritten(instance, append):
    calls = []

    def revise(texts):
        calls.append(texts)
        if len(calls) == 1:
            other = instance / "main.cf.swp"
            other.write_bytes(texts.main_cf.encode() + b"theirs = 1\n")
            other.rename(instance / "main.cf")
        return append("ours = 1\n")(texts)

    written = write(str(instance), revise, check=accept)
    assert len(calls) == 2
    assert (instance / "main.cf").read_text().endswith("theirs = 1\nours = 1\n")
    assert written.before.main_cf.endswith("theirs = 1\n")


def test_master_cf_is_read_again_under_its_own_lock(instance, append):
    calls = []

    def revise(texts):
        calls.append(texts)
        if len(calls) == 1:
            (instance / "master.cf").write_text(texts.master_cf + "  -o theirs=1\n")
        return append(master_cf="  -o ours=1\n")(texts)

    write(str(instance), revise, check=accept)
    assert (instance / "master.cf").read_text().endswith("  -o theirs=1\n  -o ours=1\n")


def test_one_who_never_stops_editing_is_named_an_error(instance, append, names):
    def revise(texts):
        (instance / "main.cf").write_text(texts.main_cf + "theirs = 1\n")
        return append("ours = 1\n")(texts)

    with pytest.raises(PostfixError, match="another program keeps changing"):
        write(str(instance), revise, check=accept, deadline=0.05)
    assert "ours" not in (instance / "main.cf").read_text()
    assert names(instance) == ["main.cf", "master.cf"]


def test_a_revise_that_fails_changes_nothing(instance, names):
    old = (instance / "main.cf").read_bytes()

    def revise(texts):
        raise EditError(f"no such service in {len(texts.master_cf)} bytes")

    with pytest.raises(EditError):
        write(str(instance), revise, check=accept)
    assert (instance / "main.cf").read_bytes() == old
    assert names(instance) == ["main.cf", "master.cf"]


def test_texts_are_compared_by_content(instance, names):
    inode = (instance / "main.cf").stat().st_ino
    assert write(str(instance), replace, check=accept).changed == ()
    assert (instance / "main.cf").stat().st_ino == inode
    assert names(instance) == ["main.cf", "master.cf"]
