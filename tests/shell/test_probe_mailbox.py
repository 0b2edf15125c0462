"""Mailboxes that probes come to: ours are taken out, and nothing else is touched."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.core.errors import PostkeelError
from postkeel.shell import probe_maildir, probe_mbox
from postkeel.shell.forked import Forked
from postkeel.shell.probe_mailbox import MOST_HEADER, BusyError, mailbox_of
from postkeel.shell.probe_session import letter
from postkeel.shell.probe_token import new_token, read_token

SECRET = b"x" * 32
STAMP = b"From MAILER-DAEMON  Mon Nov 23 10:00:00 2026\n"
MADE = time.mktime((2026, 11, 23, 9, 59, 58, 0, 0, -1))
OTHER = b"From a@example.test  Mon Nov 23 10:00:00 2026\nSubject: x\n\nText.\n>From him\n\n"


def ours(secret: bytes = SECRET) -> tuple[str, bytes]:
    """A probe as local(8) delivers it: its token, and the message with its line "From "."""
    token = new_token(secret, MADE)
    text = letter("a@example.test", token).replace(b"\r\n", b"\n")
    received = b"Received: from x\n\tby y (Postfix) with ESMTPS id 1;\n"
    return token.text, STAMP + received + text + b"\n"


@pytest.fixture
def mbox(tmp_path):
    """The mailbox, and a function that has the file hold something."""

    def hold(*messages: bytes) -> Path:
        path = tmp_path / "mail"
        path.write_bytes(b"".join(messages))
        return path

    return mailbox_of("mail", str(tmp_path), SECRET), hold


def tokens(taken) -> list[str]:
    return [one.token.text for one in taken]


def test_a_probe_is_taken_out_and_the_file_is_empty(mbox):
    mailbox, hold = mbox
    token, probe = ours()
    path = hold(probe)
    (taken,) = mailbox.take()
    assert taken.token.text == token
    assert taken.token.made == MADE
    assert taken.came == MADE + 2
    assert taken.header.startswith(b"Received: from x\n\tby y")
    assert taken.header.endswith(b"\n")
    assert b"removes it again" not in taken.header
    assert path.read_bytes() == b""
    assert (mailbox.others, mailbox.left) == (0, 0)
    assert not Path(f"{path}.lock").exists()
    assert mailbox.take() == []


@pytest.mark.parametrize("places", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 3), (0, 1, 2, 3)])
def test_others_keep_their_place_and_every_octet(mbox, places):
    mailbox, hold = mbox
    made = [ours() if place in places else ("", OTHER * (place + 1)) for place in range(4)]
    path = hold(*(text for _, text in made))
    assert tokens(mailbox.take()) == [token for token, _ in made if token]
    assert path.read_bytes() == b"".join(text for token, text in made if not token)
    assert mailbox.others == sum(place + 1 for place in range(4) if place not in places)


def test_what_comes_later_is_taken_and_the_others_are_counted_once(mbox):
    mailbox, hold = mbox
    path = hold(OTHER, OTHER)
    assert (mailbox.take(), mailbox.others) == ([], 2)
    token, probe = ours()
    with path.open("ab") as file:
        file.write(probe + OTHER)
    assert tokens(mailbox.take()) == [token]
    assert (path.read_bytes(), mailbox.others) == (OTHER * 3, 3)
    path.write_bytes(OTHER)
    assert (mailbox.take(), mailbox.others) == ([], 1)
    path.unlink()
    assert (mailbox.take(), mailbox.others) == ([], 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"X-Postkeel-Probe: 1", b"X-Postkeel-Probe: 2"),
        lambda text: text.replace(b"X-Postkeel-Probe", b"X-Postkeel-Prope"),
        lambda text: text.replace(b"\nX-Postkeel-Probe", b"\n\nX-Postkeel-Probe"),
        lambda text: text.replace(b"\nX-Postkeel-Probe:", b"\nX: X-Postkeel-Probe:"),
        lambda _: ours(b"y" * 32)[1],
    ],
)
def test_what_only_looks_like_a_probe_stays(mbox, change):
    mailbox, hold = mbox
    other = change(ours()[1])
    path = hold(other)
    assert mailbox.take() == []
    assert (path.read_bytes(), mailbox.others) == (other, 1)


def test_a_token_with_one_digit_changed_is_none():
    text = new_token(SECRET, time.time()).text
    for place, digit in enumerate(text):
        if digit != ".":
            changed = text[:place] + ("0" if digit != "0" else "1") + text[place + 1 :]
            assert read_token(changed, SECRET) is None
    assert read_token(text, SECRET).text == text
    assert read_token(text, b"y" * 32) is None
    assert read_token(f"{text}0", SECRET) is None


def test_a_header_of_ten_megabytes_is_cut_at_its_beginning(mbox):
    mailbox, hold = mbox
    token, probe = ours()
    hold(STAMP + b"X-Milter: y\n" * 900_000 + probe[len(STAMP) :])
    (taken,) = mailbox.take()
    assert taken.token.text == token
    assert len(taken.header) == MOST_HEADER
    assert b"Received: from x" in taken.header


def test_a_stamp_that_cannot_be_read_is_now(mbox):
    mailbox, hold = mbox
    hold(ours()[1].replace(STAMP, b"From nobody\n"))
    (taken,) = mailbox.take()
    assert abs(taken.came - time.time()) < 60


@given(st.lists(st.binary(max_size=60) | st.just(OTHER) | st.just(b"\nFrom \n"), max_size=8))
def test_octets_of_others_are_never_lost(tmp_path_factory, pieces):
    directory = tmp_path_factory.mktemp("mbox")
    text = b"From x\n\n" + b"".join(pieces)
    path = directory / "mail"
    token, probe = ours()
    path.write_bytes(text + b"\n" + probe)
    assert tokens(mailbox_of(str(path), "/", SECRET).take()) == [token]
    assert path.read_bytes() == text + b"\n"


def test_a_kill_while_others_are_moved_loses_nothing(tmp_path, monkeypatch):
    """Killed after each of its writes in turn."""
    monkeypatch.setattr(probe_mbox, "_PIECE", 100)
    path = tmp_path / "mail"
    behind = b"".join(b"From x\n\nMessage %d %b\n\n" % (one, b"z" * 90) for one in range(12))
    for most in range(1, 20):
        path.write_bytes(OTHER + ours()[1] + behind)

        def work(_pipe, most=most):
            written = []

            def pwrite(*arguments, real=os.pwrite):
                if len(written) == most:
                    os.kill(os.getpid(), signal.SIGKILL)
                written.append(1)
                return real(*arguments)

            os.pwrite = pwrite
            mailbox_of(str(path), "/", SECRET).take()

        process = Forked(work, 20)
        assert os.read(process.output, 1) == b""
        process.close()
        left = path.read_bytes()
        assert left.startswith(OTHER)
        rest = left[len(OTHER) :]
        from_the_end = alike(rest[::-1], behind[::-1])
        assert alike(rest, behind) + from_the_end >= len(behind)
        if most > 1:
            assert alike(rest, behind) > 0


def alike(one: bytes, other: bytes) -> int:
    """How many octets they begin with are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def locked_by_another(path: Path, work) -> None:
    """Runs `work` while a process of its own has the fcntl lock."""

    def hold(pipe) -> None:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            pipe.write(b"x")
            pipe.flush()
            time.sleep(60)

    process = Forked(hold, 60)
    try:
        assert os.read(process.output, 1) == b"x"
        work()
    finally:
        process.close()


def test_a_lock_is_respected(mbox):
    mailbox, hold = mbox
    path = hold(ours()[1])

    def busy() -> None:
        with pytest.raises(BusyError):
            mailbox.take()

    locked_by_another(path, busy)
    lock = Path(f"{path}.lock")
    lock.touch()
    busy()
    old = time.time() - 600
    os.utime(lock, (old, old))  # as Postfix's stale_lock_time has it
    assert len(mailbox.take()) == 1
    assert not lock.exists()


def symlink(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(ours()[1])
    path.symlink_to(other)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (symlink, "a symbolic link, which is not followed"),
        (os.mkfifo, "no regular file"),
        (os.mkdir, "Is a directory"),
        (sparse, "holds 1024 MiB, more than the 32 MiB"),
    ],
)
def test_what_is_no_mailbox_is_refused_at_once(tmp_path, make, says):
    path = tmp_path / "mail"
    make(path)
    began = time.monotonic()
    with pytest.raises(PostkeelError, match=says) as told:
        mailbox_of("mail", str(tmp_path), SECRET).take()
    assert time.monotonic() - began < 2
    assert str(told.value).startswith(str(path))
    assert not Path(f"{path}.lock").exists()


def test_a_directory_that_is_missing_is_said(tmp_path):
    with pytest.raises(PostkeelError, match="no such directory"):
        mailbox_of("none/mail", str(tmp_path), SECRET).take()
    with pytest.raises(PostkeelError, match="none/mail: No such file or directory"):
        mailbox_of("none/mail/", str(tmp_path), SECRET).take()
    with pytest.raises(PostkeelError, match="no mailbox is known"):
        mailbox_of("", str(tmp_path), SECRET)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
@pytest.mark.parametrize("kind", ["mail", "Maildir/"])
def test_the_mailbox_of_another_user_is_refused(tmp_path, kind, as_nobody):
    tmp_path.chmod(0o777)
    for directory in tmp_path.parents:
        if directory.owner() == "root" and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    path = tmp_path / kind
    path.mkdir() if kind.endswith("/") else path.write_bytes(ours()[1])
    path.chmod(0o777)
    with as_nobody, pytest.raises(PostkeelError, match="belongs to user 0 and not to user 65534"):
        mailbox_of(kind, str(tmp_path), SECRET).take()


@pytest.fixture
def maildir(tmp_path):
    mailbox = mailbox_of("Maildir/", str(tmp_path), SECRET)
    assert mailbox.take() == []
    return mailbox, tmp_path / "Maildir"


def test_a_maildir_is_made_where_it_is_missing(maildir):
    _, path = maildir
    assert sorted(os.listdir(path)) == ["cur", "new", "tmp"]
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("place", ["new", "cur"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_probes_are_taken_out_of_a_maildir(maildir, place, ending):
    mailbox, path = maildir
    token, probe = ours()
    message = probe[len(STAMP) :].replace(b"\n", ending)
    (path / place / "1.2.host").write_bytes(message)
    (path / place / "2.2.host").write_bytes(OTHER)
    (path / place / ".hidden").write_bytes(message)
    (path / "tmp" / "3.2.host").write_bytes(message)
    (taken,) = mailbox.take()
    assert taken.token.text == token
    assert abs(taken.came - time.time()) < 60
    assert b"removes it again" not in taken.header
    assert (mailbox.others, mailbox.left) == (1, 0)
    assert sorted(os.listdir(path / place)) == [".hidden", "2.2.host"]
    (path / place / "2.2.host").unlink()
    assert (mailbox.take(), mailbox.others) == ([], 0)


def test_what_is_no_message_is_counted_and_left(maildir):
    mailbox, path = maildir
    new = path / "new"
    (new / "link").symlink_to(new)
    os.mkfifo(new / "pipe")
    (new / "directory").mkdir()
    (new / "empty").touch()
    (new / "endless").write_bytes(b"x: y\n" * 1_000_000)
    assert (mailbox.take(), mailbox.others) == ([], 5)


def test_a_probe_that_cannot_be_removed_is_told(maildir, monkeypatch):
    mailbox, path = maildir
    (path / "new" / "1").write_bytes(ours()[1][len(STAMP) :])

    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(probe_maildir.os, "unlink", refuse)
    assert len(mailbox.take()) == 1
    assert mailbox.left == 1


def test_a_maildir_with_too_many_messages_is_refused(maildir, monkeypatch):
    mailbox, path = maildir
    monkeypatch.setattr(probe_maildir, "MOST_MESSAGES", 3)
    for number in range(4):
        (path / "new" / str(number)).touch()
    with pytest.raises(PostkeelError, match="holds more than the 3 messages"):
        mailbox.take()


def test_a_link_in_the_place_of_a_maildir_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "Maildir").symlink_to(tmp_path / "other")
    with pytest.raises(PostkeelError, match="a symbolic link"):
        mailbox_of("Maildir/", str(tmp_path), SECRET).take()
