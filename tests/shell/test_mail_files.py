"""Mail where it lies: messages, mboxes, Maildirs; hostile, and moved while they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import mailbox
import os
import socket
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.shell import maildir
from postkeel.shell.mail_files import read_messages, work_in
from postkeel.shell.maildir import read_maildir
from postkeel.shell.mbox import MOST_HEADER, TOO_LONG, headers_in

FROM = b"From a@example.org Mon Nov 23 10:00:00 2026\n"
AS_NOBODY = 65534


def message(number, body=b"Hello.\n"):
    return header(number) + b"\n" + body


def header(number):
    return b"Received: by mx%d.example.org;\n\tSun, 22 Nov 2026\nSubject: %d\n" % (number, number)


def mbox_of(*bodies):
    return b"".join(FROM + message(number, body) + b"\n" for number, body in enumerate(bodies, 1))


def told(chunks):
    """The headers of a stream, and their numbers."""
    return [(one.octets, one.number, one.problem) for one in headers_in(chunks)]


def read(path):
    """What a path gives: headers by what is behind the last slash, and the complaints."""
    complaints = []
    found = list(read_messages(str(path), complaints.append))
    return found, complaints


def headers(path):
    found, complaints = read(path)
    assert complaints == []
    assert [one.problem for one in found] == [""] * len(found)
    return [one.header for one in found]


def complaint(path):
    found, complaints = read(path)
    assert found == []
    (text,) = complaints
    return text.replace(str(path), "PATH")


@pytest.fixture
def box(tmp_path):
    """An empty Maildir."""
    for one in ("cur", "new", "tmp"):
        (tmp_path / "Maildir" / one).mkdir(parents=True)
    return tmp_path / "Maildir"


@pytest.fixture
def open_directory():
    """A directory that others may enter, as pytest's own is closed to them."""
    with tempfile.TemporaryDirectory(prefix="postkeel-mail-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def as_nobody():
    os.seteuid(AS_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def file_in(box, name, content, directory="cur"):
    (box / directory / name).write_bytes(content)


class TestOneMessage:
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_only_its_header_is_read(self, tmp_path, end):
        path = tmp_path / "message"
        path.write_bytes((message(1) + b"Received: by evil.example\n" + FROM).replace(b"\n", end))
        (octets,) = headers(path)
        assert octets.replace(b"\r\n", b"\n").rstrip(b"\n") == header(1).rstrip(b"\n")

    def test_a_header_that_somebody_pasted(self):
        expected = [(header(1), 0, "")]
        assert told([header(1)[:-1]]) == expected
        assert told([b"\r\n\n\n" + header(1)[:-1]]) == expected
        assert told([b"\xef\xbb\xbf", header(1)[:-1]]) == expected

    @pytest.mark.parametrize("octets", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
    def test_nothing_is_no_message(self, octets, tmp_path):
        path = tmp_path / "empty"
        path.write_bytes(octets)
        assert headers(path) == []

    def test_what_begins_as_no_message_does(self):
        assert told([b"\x7fELF\0\0\1" + b"\0" * 40]) == [
            (b"\x7fELF\0\0\1" + b"\0" * 40 + b"\n", 0, "")
        ]
        assert told([b"From here on"]) == [(b"From here on\n", 0, "")]

    def test_a_header_without_end_is_cut(self):
        ((octets, _, problem),) = told([b"X: 1\n"] * 1_000_000)
        assert (len(octets), problem) == (MOST_HEADER + 1, TOO_LONG)

    def test_the_longest_header(self):
        whole = b"X: 1\n" * (MOST_HEADER // 5)
        ((octets, _, problem),) = told([whole + b"\nbody"])
        assert (octets, problem) == (whole, "")
        ((octets, _, problem),) = told([whole + b"Y: 1\n\nbody"])
        assert problem == TOO_LONG
        assert octets == (whole + b"Y: 1\n")[:MOST_HEADER] + b"\n"


class TestMbox:
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    @pytest.mark.parametrize("size", [1, 7, 100, 10_000_000])
    def test_its_messages_however_they_are_read(self, end, size):
        octets = mbox_of(b"One.\n" * 900, b"", b"Three.\n\nAnd more.\n" * 90).replace(b"\n", end)
        chunks = (octets[place : place + size] for place in range(0, len(octets), size))
        assert told(chunks) == [
            (header(number).replace(b"\n", end), number, "") for number in (1, 2, 3)
        ]

    @pytest.mark.parametrize(
        "line",
        [
            b"From a@example.org Mon Nov 23 10:00:00 2026",
            b"From MAILER-DAEMON Mon Nov  2 10:00:00 2026",
            b"From - Mon Nov 23 10:00:00 2026",
            b"From a@example.org Mon Nov 23 10:00 2026",
            b"From 1789@xxx Mon Nov 23 10:00:00 +0000 2026",
            b"From a@example.org Mon Nov 23 10:00:00 CET 2026",
            b"From a@example.org Mon Nov 23 10:00:00 2026 +0100",
            b"From a b@example.org  Mon, 23 Nov 2026 10:00:00 +0100",
            b"From ???@??? Mon Nov 23 10:00:00 2026",
            b"From a Mon Nov 23 10:00:00 2026 remote from there",
        ],
    )
    def test_lines_that_messages_begin_with(self, line):
        octets = mbox_of(b"One.\n") + line + b"\n" + message(2)
        assert [number for _, number, _ in told([octets])] == [1, 2]

    @pytest.mark.parametrize(
        "body",
        [
            b"From here on all is well.\n",
            b"\nFrom here on all is well.\n",
            b"\n>" + FROM + header(9),
            b"\n>>" + FROM + header(9),
            b"text\n" + FROM + header(9),
            b"\nFrom " + b"a" * 2000 + b" Mon Nov 23 10:00:00 2026\n" + header(9),
            b"\n From a Mon Nov 23 10:00:00 2026\n",
            b"\nFrom:a Mon Nov 23 10:00:00 2026\n",
            b"\nFrom a Mon Nov 23 10:00:00 2026",
        ],
    )
    def test_lines_in_bodies_that_do_not(self, body):
        octets = FROM + message(1, body) + (b"\n\n" if body.endswith(b"\n") else b"")
        assert told([octets]) == [(header(1), 1, "")]

    def test_content_length_is_the_word_of_a_stranger(self):
        lies = b"".join(
            FROM + b"Content-Length: %d\n" % size + message(number) + b"\n"
            for number, size in enumerate((0, 10**9, 5, -1))
        )
        assert len(told([lies])) == 4

    def test_a_header_that_was_cut_off(self):
        octets = FROM + b"Subject: 1\n" + FROM + message(2)
        assert told([octets]) == [(b"Subject: 1\n", 1, "the header has no end"), (header(2), 2, "")]
        assert told([FROM + FROM + message(2)])[0] == (b"\n", 1, "the header has no end")
        assert told([FROM[:-1]]) == [(FROM, 0, "")]

    def test_the_end_of_the_last_one(self):
        for end in (b"", b"\n", b"\n\n"):
            assert told([FROM + header(1)[:-1] + end])[0][0].rstrip() == header(1).rstrip()
            assert len(told([FROM + message(1).rstrip() + end])) == 1
        assert told([FROM]) == [(b"\n", 1, "")]

    def test_memory_and_time_are_bounded_whatever_comes(self, tmp_path):
        path = tmp_path / "mbox"
        with path.open("wb") as file:
            file.write(mbox_of(b"x" * 10_000_000 + b"\n"))
            file.write(FROM + b"X: " + b"x" * 10_000_000 + b"\n\n\n")
            for _ in range(20):
                file.write(mbox_of(b"\nFrom " * 200_000 + b"\n"))
        tracemalloc.start()
        try:
            found, complaints = read(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert complaints == []
        assert [one.number for one in found] == list(range(1, 23))
        assert [one.problem for one in found] == ["", TOO_LONG, *[""] * 20]
        assert peak < 8 * MOST_HEADER

    def test_one_octet_behind_the_other_takes_no_longer_for_more(self):
        """A pipe may give single octets; they are not looked at again and again."""
        octets = mbox_of(*[b"Hello.\n"] * 50)
        assert len(told(octets[place : place + 1] for place in range(len(octets)))) == 50

    @given(st.lists(st.binary(max_size=60) | st.sampled_from([FROM, b"\n\n", b"\r\n", b"From "])))
    def test_any_octets_in_any_chunks(self, chunks):
        assert told(chunks) == told([b"".join(chunks)])


class TestMailboxesThatOthersWrite:
    """Python's own writer of mailboxes, which escapes as Postfix's does."""

    BODIES = st.text(
        st.sampled_from("From a>\n\r:") | st.characters(blacklist_categories=["Cs"]), max_size=80
    )

    @given(st.lists(BODIES | st.just("\nFrom a Mon Nov 23 10:00:00 2026\nX: y\n"), max_size=6))
    def test_mbox(self, bodies):
        with tempfile.TemporaryDirectory(prefix="postkeel-mail-") as name:
            written = mailbox.mbox(f"{name}/mbox")
            for number, body in enumerate(bodies):
                written.add(b"Subject: %d\n\n" % number + body.encode())
            written.close()
            assert [one.rstrip(b"\n") for one in headers(f"{name}/mbox")] == [
                b"Subject: %d" % number for number in range(len(bodies))
            ]

    def test_maildir(self, tmp_path):
        written = mailbox.Maildir(tmp_path / "Maildir")
        for number in range(5):
            written.add(message(number))
        assert sorted(headers(tmp_path / "Maildir")) == [header(number) for number in range(5)]


class TestStandardInputAndPipes:
    def test_standard_input(self, tmp_path):
        (tmp_path / "mbox").write_bytes(mbox_of(b"1\n", b"2\n"))
        code = (
            "from postkeel.shell.mail_files import read_messages\n"
            "print([(one.source, one.number) for one in read_messages('-', print)])\n"
        )
        with (tmp_path / "mbox").open("rb") as file:
            done = run_python(code, stdin=file)
        assert done.stdout == "[('-', 1), ('-', 2)]\n"

    def test_who_writes_a_message_may_write_to_its_end(self):
        """`mutt` and `curl` take it for an error that nobody reads on."""
        code = (
            "from postkeel.shell.mail_files import read_messages\n"
            "print(len(list(read_messages('-', print))))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        ) as one:
            one.stdin.write(message(1, b"x" * (4 << 20)))
            one.stdin.close()
            assert one.stdout.read() == b"1\n"

    def test_a_message_on_standard_input_that_never_ends(self):
        code = (
            "from postkeel.shell.mail_files import read_messages\n"
            "print([one.problem for one in read_messages('-', print)])\n"
        )
        with open("/dev/zero", "rb") as file:
            assert run_python(code, stdin=file).stdout == f"['{TOO_LONG}']\n"

    def test_a_named_pipe(self, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        writer = threading.Thread(target=lambda: path.write_bytes(mbox_of(b"1\n", b"2\n")))
        writer.start()
        assert len(headers(path)) == 2
        writer.join()


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run_python(code, **settings):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        **settings,
    )


class TestCompressed:
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_message_and_mbox(self, tmp_path, pack):
        path = tmp_path / "packed"
        path.write_bytes(pack(mbox_of(b"1\n", b"2\n")))
        assert headers(path) == [header(1), header(2)]
        path.write_bytes(pack(message(3)))
        assert headers(path) == [header(3)]

    def test_zstandard_names_the_way_out(self, tmp_path):
        path = tmp_path / "packed.zst"
        path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" * 50)
        assert complaint(path) == (
            "PATH: compressed with zstd, which is not unpacked here:"
            " zstdcat FILE | postkeel headers -"
        )

    def test_one_that_was_cut_off_is_read_as_far_as_it_goes(self, tmp_path):
        path = tmp_path / "mbox.gz"
        path.write_bytes(gzip.compress(mbox_of(*[os.urandom(99_000)] * 9))[:-30_000])
        found, complaints = read(path)
        assert found
        assert complaints == [f"{path}: cut off: the end of the archive is missing"]

    def test_a_bomb(self, tmp_path):
        path = tmp_path / "bomb"
        path.write_bytes(gzip.compress(b"X" * (200 << 20), 9))
        (one,), complaints = read(path)
        assert (one.problem, complaints) == (TOO_LONG, [])

    def test_messages_that_dovecot_packed(self, box):
        file_in(box, "1", gzip.compress(message(1)))
        file_in(box, "2", gzip.compress(message(2))[:20])
        found, (text,) = read(box)
        assert [one.header for one in found] == [header(1)]
        assert text == f"{box}/cur/2: cut off: the end of the archive is missing"


class TestComplaints:
    def test_what_is_not_there(self, tmp_path):
        missing = tmp_path / "missing"
        assert complaint(missing) == "PATH: cannot be read: No such file or directory"
        assert work_in(str(missing)) == 0

    def test_a_directory_that_is_no_maildir(self, tmp_path):
        assert complaint(tmp_path) == (
            "PATH: a directory that is no Maildir, as it has no cur and new; of other"
            " directories give the files"
        )

    def test_a_part_of_a_maildir(self, box):
        text = complaint(box / "cur")
        assert text == f"PATH: a part of a Maildir; give the Maildir itself, {box}"

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
    def test_what_is_closed(self, open_directory):
        mbox, box = open_directory / "mbox", open_directory / "Maildir"
        mbox.write_bytes(FROM)
        mbox.chmod(0)
        for one in ("cur", "new"):
            (box / one).mkdir(parents=True)
        file_in(box, "1", message(1))
        file_in(box, "2", message(2))
        (box / "cur" / "1").chmod(0)
        closed = "permission denied: a mailbox is its user's; read it as that user, or as root"
        with as_nobody():
            assert complaint(mbox) == f"PATH: {closed}"
            found, complaints = read(box)
        assert [one.header for one in found] == [header(2)]
        assert complaints == [f"{box}/cur/1: {closed}"]
        (box / "new").chmod(0)
        with as_nobody():
            assert complaint(box) == f"PATH: {closed}"

    def test_a_file_that_fails_while_it_is_read(self):
        assert complaint("/proc/self/mem") == "PATH: cannot be read: Input/output error"


class TestMaildir:
    def test_messages_in_the_order_of_delivery(self, box):
        for number in (3, 1, 2):
            file_in(box, f"176300000{number}.M1.mx,S=9:2,S", message(number))
        file_in(box, "1763000000.M1.mx", message(0), "new")
        file_in(box, ".hidden", message(9))
        (box / "dovecot-uidlist").write_bytes(b"3 V1\n")
        found, complaints = read(box)
        assert complaints == []
        assert [one.header for one in found] == [header(number) for number in range(4)]
        assert found[0].source == f"{box}/new/1763000000.M1.mx"
        assert [one.number for one in found] == [0] * 4

    def test_a_message_is_one_whatever_is_in_it(self, box):
        file_in(box, "1", mbox_of(b"1\n", b"2\n"))
        file_in(box, "2", b"\n" + message(2))
        file_in(box, "3", b"")
        found, _ = read(box)
        assert [one.header for one in found] == [FROM + header(1), b"\n", b"\n"]

    def test_what_is_no_file_is_left_alone(self, box, tmp_path):
        (tmp_path / "secret").write_bytes(message(9))
        os.mkfifo(box / "cur" / "1")
        (box / "cur" / "2").mkdir()
        (box / "cur" / "3").symlink_to(tmp_path / "secret")
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(box / "cur" / "4"))
            found, complaints = read(box)
        assert found == []
        assert complaints == [
            f"{box}/cur/{number}: no regular file, so it is no message; left out"
            for number in (1, 2, 3, 4)
        ]

    def test_names_that_were_made_to_be_odd(self, box):
        file_in(box, "1\n\x1b[31m\udcff", gzip.compress(message(1))[:9])
        ((), (text,)) = read(box)
        assert text.isprintable()

    def test_messages_that_are_filed_flagged_and_deleted_meanwhile(self, box):
        for number in range(6):
            file_in(box, str(number), message(number), "new")
        reading = read_maildir(str(box), pytest.fail)
        seen = [next(reading).header]
        (box / "new" / "0").rename(box / "cur" / "0:2,S")  # read already
        (box / "new" / "1").rename(box / "cur" / "1:2,")
        (box / "new" / "2").rename(box / "cur" / "2:2,")
        (box / "new" / "3").unlink()
        file_in(box, "9", message(9), "new")  # only now delivered
        seen.extend(one.header for one in reading)
        assert sorted(seen) == [header(number) for number in (0, 1, 2, 4, 5)]

    def test_messages_that_move_on_each_time(self, box, monkeypatch):
        file_in(box, "1:2,", message(1))
        looks = []

        def listed_and_moved(path):
            names = messages_in(path)
            for one in (box / "cur").iterdir():
                one.rename(f"{one}S")
                looks.append(one.name)
            return names

        messages_in = maildir.messages_in
        monkeypatch.setattr(maildir, "messages_in", listed_and_moved)
        assert list(read_maildir(str(box), pytest.fail)) == []
        assert len(looks) < 10

    def test_filed_between_the_two_lists(self, box):
        """A message in both lists is read where it is."""
        file_in(box, "1", message(1), "new")
        file_in(box, "1:2,S", message(1))
        assert headers(box) == [header(1)]

    def test_an_mbox_that_is_as_large_as_told(self, box, tmp_path):
        path = tmp_path / "mbox"
        path.write_bytes(mbox_of(*[b"1\n" * 9000] * 20))
        counted = []
        list(read_messages(str(path), pytest.fail, counted.append))
        assert sum(counted) == path.stat().st_size == work_in(str(path))
        for number in range(5):
            file_in(box, str(number), message(number))
        counted.clear()
        list(read_messages(str(box), pytest.fail, counted.append))
        assert sum(counted) == work_in(str(box)) == 5
        assert work_in("-") == work_in("/dev/null") == work_in(str(tmp_path)) == 0
