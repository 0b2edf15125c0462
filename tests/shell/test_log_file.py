"""Following a mail log: each scenario is played to one reader, and to a new one for each look."""

import contextlib
import gzip
import json
import os
import shutil

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell import log_file
from postkeel.shell.log_file import LONGEST_LINE, LogFile, take_lines

ANEW = "begins anew"
GONE = "is gone"


class Bed:
    """A log, all that was written to it, and all that was read of it."""

    def __init__(self, root, *, restarts=False):
        self.path = f"{root}/mail.log"
        self.written = b""
        self.read = b""
        self.lost = []
        self.positions = []
        self._restarts = restarts
        self._log = LogFile(self.path)
        self._lines = 0
        self._days = 0
        self._kept = []

    def write(self, lines, suffix=""):
        text = b"".join(
            b"2026-11-22T13:09:20+00:00 mx postfix/smtpd[7]: line %d\n" % (self._lines + number)
            for number in range(lines)
        )
        self._lines += lines
        self.write_octets(text, suffix)

    def write_octets(self, text, suffix=""):
        with open(self.path + suffix, "ab") as file:
            file.write(text)
        self.written += text

    def look(self):
        if self._restarts:
            self._log.close()
            self._log = LogFile(self.path, json.loads(json.dumps(self._log.position)))
        while batch := self._log.read():
            assert batch.source == self.path
            assert not batch.proven
            assert batch.text.endswith(b"\n")
            self.read += batch.text
            self.lost += batch.lost
            self.positions.append((self._log.position, len(self.read)))

    def close(self):
        self._log.close()
        while self._kept:
            self._kept.pop().close()

    def compress_with_another_program(self, suffix):
        self.compress(suffix, dated_back=False)

    def rotate(self, style="number"):
        os.rename(self.path, self._older(style))

    def copy_and_truncate(self, style="number"):
        shutil.copyfile(self.path, self._older(style))
        os.truncate(self.path, 0)

    def _older(self, style):
        """The name for a piece that is older by now; numbers move up."""
        if style == "date":
            self._days += 1
            return f"{self.path}-202611{self._days:02}"
        for number in range(9, 0, -1):
            for end in ("", ".gz"):
                if os.path.exists(f"{self.path}.{number}{end}"):
                    os.rename(f"{self.path}.{number}{end}", f"{self.path}.{number + 1}{end}")
        return f"{self.path}.1"

    def compress(self, suffix, *, dated_back=True):
        file = open(self.path + suffix, "rb")  # noqa: SIM115  else its inode is given again
        self._kept.append(file)
        with open(f"{self.path}{suffix}.gz", "wb") as to:
            to.write(gzip.compress(file.read()))
        if dated_back:  # as gzip and logrotate do
            shutil.copystat(self.path + suffix, f"{self.path}{suffix}.gz")
        os.unlink(self.path + suffix)


@pytest.fixture(params=[False, True], ids=["one reader", "restarts"])
def bed(tmp_path, request):
    with contextlib.closing(Bed(tmp_path, restarts=request.param)) as bed:
        yield bed


@pytest.fixture
def lay(tmp_path):
    """A function that lays a bed."""
    with contextlib.ExitStack() as stack:
        yield lambda **how: stack.enter_context(contextlib.closing(Bed(tmp_path, **how)))


W, L = ("write", 9), ("look",)
ROTATE, NEW, TRUNCATE = ("rotate",), ("write", 0), ("copy_and_truncate",)
SCENARIOS = {
    "grows": [W, L, W, L, L, W, L],
    "empty": [NEW, L, W, L],
    "missing at first": [L, L, W, L],
    "missing for a while": [W, L, ROTATE, L, L, W, L],
    "rotated": [W, L, W, ROTATE, NEW, L, W, L],
    "rotated, the new file written to already": [W, L, W, ROTATE, W, L],
    "written to late": [W, L, ROTATE, NEW, ("write", 5, ".1"), L, ("write", 5, ".1"), L, W, L],
    "written to late and then no more": [W, L, ROTATE, ("write", 5, ".1"), W, L],
    "rotated twice before a look": [W, L, W, ROTATE, W, ROTATE, W, L],
    "rotated empty": [W, L, ROTATE, NEW, ROTATE, NEW, L, ROTATE, W, L],
    "compressed": [W, L, W, ROTATE, ("compress", ".1"), W, L],
    "compressed, dated now": [W, L, W, ROTATE, ("compress_with_another_program", ".1"), W, L],
    "compressed unread": [W, L, *[W, ROTATE, ("compress", ".1")] * 4, W, L],
    "compressed a rotation later": [W, L, W, ROTATE, W, ROTATE, ("compress", ".2"), W, L],
    "compressed, nothing new": [W, L, ROTATE, ("compress", ".1"), L, NEW, L, W, L],
    "by date": [W, L, W, ("rotate", "date"), W, ("rotate", "date"), W, L],
    "by date, compressed": [W, L, W, ("rotate", "date"), ("compress", "-20261101"), W, L],
}
TRUNCATIONS = {
    "truncated": [W, L, W, TRUNCATE, L, W, L],
    "truncated, grown past the offset": [W, L, TRUNCATE, W, W, W, L],
    "truncated, grown to the offset": [W, L, TRUNCATE, W, L],
    "truncated twice": [W, L, W, TRUNCATE, W, TRUNCATE, W, L],
    "truncated, the copy compressed": [W, L, W, TRUNCATE, ("compress", ".1"), W, L],
    "truncated, by date": [W, L, W, ("copy_and_truncate", "date"), W, L],
    "truncated, then rotated": [W, L, W, TRUNCATE, W, ROTATE, W, L],
    "truncated when all was read, longer than a beginning": [("write", 99), L, TRUNCATE, W, L],
}


def play(bed, steps):
    for name, *arguments in steps:
        getattr(bed, name)(*arguments)


@pytest.mark.parametrize("name", SCENARIOS)
def test_rotation_loses_nothing_and_doubles_nothing(bed, name):
    play(bed, SCENARIOS[name])
    assert bed.read == bed.written
    assert bed.lost == []


@pytest.mark.parametrize("name", TRUNCATIONS)
def test_truncation_loses_nothing_of_the_copy_and_is_said(bed, name):
    play(bed, TRUNCATIONS[name])
    assert bed.read == bed.written
    assert bed.lost
    assert all(one.startswith(f"{bed.path}: ") and ANEW in one for one in bed.lost)


def test_a_copy_is_not_read_beside_its_original(bed):
    many = ("write", 30)  # more than a beginning
    play(bed, [many, L, TRUNCATE, L, many])
    shutil.copyfile(bed.path, bed._older("number"))
    play(bed, [L, many, L])  # further lines come before it is truncated
    os.truncate(bed.path, 0)
    play(bed, [many, L])
    assert bed.read == bed.written
    assert len(bed.lost) == 2
    assert all(ANEW in one for one in bed.lost)


def test_truncated_without_a_copy(bed):
    play(bed, [W, L, W])
    os.truncate(bed.path, 0)
    kept, bed.written = bed.read, b""
    play(bed, [L, L, W, L, W, L])
    assert bed.read == kept + bed.written
    assert len(bed.lost) == 1
    assert GONE in bed.lost[0]


def test_deleted_is_lost_only_to_who_had_not_opened_it(bed, request):
    play(bed, [W, L])
    seen = bed.written
    play(bed, [W])
    unread = bed.written[len(seen) :]
    os.unlink(bed.path)
    bed.written = b""
    play(bed, [W, L])
    if "restarts" in request.node.name:
        assert bed.read == seen + bed.written
        assert len(bed.lost) == 1
        assert GONE in bed.lost[0]
    else:
        assert bed.read == seen + unread + bed.written
        assert bed.lost == []


def test_pieces_after_a_gone_one_are_read(lay):
    bed = lay(restarts=True)
    play(bed, [W, L, ROTATE])
    os.unlink(bed.path + ".1")
    play(bed, [W, ROTATE, W, L])
    assert bed.read == bed.written
    assert len(bed.lost) == 1


def test_an_inode_used_again_by_the_next_file(lay):
    bed = lay(restarts=True)
    play(bed, [W, L, W, ROTATE, ("compress", ".1"), W])
    position = bed._log.position
    position["inode"] = os.stat(bed.path).st_ino  # as file systems do give them again
    play(bed, [L])
    assert bed.read == bed.written
    assert len(bed.lost) == 1  # nobody can tell it from a truncated file
    assert ANEW in bed.lost[0]


def test_another_device_number_after_a_boot(lay):
    bed = lay(restarts=True)
    play(bed, [W, L, W])
    bed._log.position["device"] += 1
    play(bed, [L, W, L])
    assert (bed.read, bed.lost) == (bed.written, [])


def test_an_end_that_a_crash_took_away(lay):
    bed = lay()
    play(bed, [("write", 99), L])
    os.truncate(bed.path, len(bed.written) - 20)
    play(bed, [L])
    kept, bed.written = bed.read, b""
    bed.write_octets(b" the rest of a line\n")
    play(bed, [W, L])
    assert bed.read == kept + bed.written
    assert len(bed.lost) == 1
    assert "taken away" in bed.lost[0]


def test_an_end_that_was_written_anew_between_two_lives(lay):
    bed = lay(restarts=True)
    play(bed, [("write", 99), L])
    os.truncate(bed.path, len(bed.written) - 20)
    bed.write_octets(b"the log goes on after the crash\n")
    kept, bed.written = bed.read, b""
    play(bed, [W, L, W, L])
    assert bed.read == kept + bed.written
    assert len(bed.lost) == 1
    assert "taken away" in bed.lost[0]


def test_a_line_is_handed_out_when_its_end_is_written(bed):
    text = b"first\n\nsecond \xff\x00\x1b[2J\r\nthird\n"
    for at in range(len(text)):
        bed.write_octets(text[at : at + 1])
        bed.look()
        assert bed.read == text[: text.rfind(b"\n", 0, at + 1) + 1]


def test_half_a_line_at_the_end_of_an_old_piece_is_said(bed):
    play(bed, [W, L, ("write_octets", b"cut off by a cra"), L, ROTATE, L])
    assert bed.lost == []
    play(bed, [W, L])
    assert bed.read == bed.written.replace(b"cut off by a cra", b"")
    assert len(bed.lost) == 1
    assert "has no end" in bed.lost[0]


def test_half_a_line_is_ended_late_by_who_still_writes_there(bed):
    play(bed, [W, L, ("write_octets", b"first "), ROTATE, L, ("write_octets", b"half\n", ".1")])
    play(bed, [W, L])
    assert (bed.read, bed.lost) == (bed.written, [])


def test_octets_of_any_kind_pass_through(bed):
    bed.write_octets(bytes(range(256)) * 50 + b"\n" + b"\0" * 5000 + b"\n")
    bed.look()
    assert bed.read == bed.written


LENGTHS = [
    (LONGEST_LINE - 1, 0),
    (LONGEST_LINE, 0),
    (LONGEST_LINE + 1, 1),
    (3 * LONGEST_LINE, 1),
    (3 * LONGEST_LINE - 1, 1),
    (1 << 20, 1),
]


@pytest.mark.parametrize(("length", "cut"), LENGTHS)
@pytest.mark.parametrize("steps", [1, 3])
def test_a_long_line_is_cut_and_said(bed, length, cut, steps):
    line = b"x" * length + b"\n"
    text = b"before\n" + line + b"after\n" + line + b"end\n"
    for step in range(steps):
        bed.write_octets(text[len(text) * step // steps : len(text) * (step + 1) // steps])
        bed.look()
    short = b"x" * min(length, LONGEST_LINE) + b"\n"
    assert bed.read == b"before\n" + short + b"after\n" + short + b"end\n"
    said = [one.split(": ")[1].split()[1] for one in bed.lost]
    assert sum(map(int, said)) == 2 * cut


def test_a_batch_is_no_more_than_promised(lay):
    bed = lay()
    bed.write_octets((b"y" * 50_000 + b"\n") * 20 + (b"z" * 70_000 + b"\n") * 20 + b"\n" * 500_000)
    log = LogFile(bed.path)
    sizes = []
    while batch := log.read():
        sizes.append(len(batch.text))
    log.close()
    assert max(sizes) <= 256 * 1024
    assert sum(sizes) == 50_001 * 20 + 65_537 * 20 + 500_000


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_lines_are_the_same_however_the_octets_come(size):
    text = b"a\n\nbb\nccc"
    got, at, inside = b"", 0, False
    for end in range(size, len(text) + size, size):
        found = take_lines(text[at:end], inside=inside)
        got += found.text
        at += found.taken
        inside = found.inside
    assert (got, text[at:]) == (b"a\n\nbb\n", b"ccc")


def test_from_every_position_exactly_the_rest_follows(lay, monkeypatch):
    monkeypatch.setattr(log_file, "_MOST", 700)
    bed = lay()
    look = [W, L, ("write", 60), L]
    play(bed, [*look, ROTATE, *look, ("write", 40), ROTATE, ("compress", ".2"), *look])
    play(bed, [TRUNCATE, *look, ROTATE, ("compress", ".1"), ("write", 30), L])
    bed.close()
    assert bed.read == bed.written
    assert len(bed.positions) > 20
    for position, length in bed.positions:
        log = LogFile(bed.path, json.loads(json.dumps(position)))
        rest = b""
        while batch := log.read():
            rest += batch.text
        log.close()
        assert rest == bed.written[length:]
        assert len(json.dumps(position)) < 250


def test_a_position_counts_only_what_was_handed_out(lay):
    bed = lay()
    play(bed, [W, L])
    before = bed._log.position
    play(bed, [ROTATE, NEW, L, ("write_octets", b"half a line"), L])
    assert bed._log.position == before


def test_a_damaged_older_piece_is_said(lay):
    bed = lay(restarts=True)
    play(bed, [W, L, ("write", 5000), ROTATE, ("compress", ".1")])
    size = os.path.getsize(bed.path + ".1.gz")
    os.truncate(bed.path + ".1.gz", size // 2)
    bed.written = b""
    play(bed, [W, L])
    assert bed.read.endswith(b"\n" + bed.written)
    assert len(bed.lost) == 1
    assert bed.lost[0].endswith("mail.log.1.gz: cut off: the end of the archive is missing")


def test_a_link_that_is_turned_to_another_file(bed):
    for day in ("monday", "tuesday"):
        target = f"{os.path.dirname(bed.path)}/{day}"
        with open(target, "ab"):
            pass
        os.symlink(target, bed.path + ".new")
        os.rename(bed.path + ".new", bed.path)
        play(bed, [W, L, W])
        if day == "monday":
            bed.look()
    bed.look()
    assert bed.read == bed.written


def test_a_log_for_others_names_the_group(lay, as_nobody):
    bed = lay()
    bed.write(3)
    os.chmod(bed.path, 0o600)
    with as_nobody, pytest.raises(PostkeelError, match=r"permission denied.*group adm"):
        bed.look()
    bed.look()
    assert bed.read == bed.written


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "mail.log")
    for _ in range(2):
        with pytest.raises(PostkeelError, match="no regular file"):
            LogFile(str(tmp_path / "mail.log")).read()


def test_after_an_error_everything_is_opened_anew(lay, monkeypatch):
    bed = lay()
    play(bed, [W, L, W])
    with monkeypatch.context() as patch:
        # No real file system fails at will.
        patch.setattr(os, "pread", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(PostkeelError, match="cannot be read: I/O error"):
            bed.look()
    bed.look()
    assert bed.read == bed.written
