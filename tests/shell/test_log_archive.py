"""Reading logs from disk: compressed, damaged, huge, and the older ones beside them."""

import bz2
import gzip
import lzma
import os
import subprocess
import sys
import zlib

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.log_archive import CHUNK, older, read_log, total_bytes

LINES = b"".join(
    b"2026-11-22T13:%02d:%02d.%06d+00:00 mx postfix/smtpd[%d]: connect from h%d.example\n"
    % (number // 60 % 60, number % 60, number * 7919 % 1_000_000, number, number * 31 % 977)
    for number in range(9000)
)
PACK = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
PACKED = [kind for kind in PACK if kind]


def stored(tmp_path, data, name="mail.log"):
    path = str(tmp_path / name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def read_until_error(path):
    chunks = []
    with pytest.raises(PostkeelError) as raised:
        chunks.extend(read_log(path))  # what came before the error stays
    return b"".join(chunks), str(raised.value)


@pytest.mark.parametrize("kind", PACK)
def test_every_kind_gives_the_same_octets(tmp_path, kind):
    path = stored(tmp_path, PACK[kind](LINES), "mail.log" + kind)
    told = []
    chunks = list(read_log(path, told.append))
    assert b"".join(chunks) == LINES
    assert max(map(len, chunks)) <= CHUNK
    assert sum(told) == os.path.getsize(path) == total_bytes([path])


@pytest.mark.parametrize("kind", PACKED)
def test_archives_behind_each_other_are_one_log(tmp_path, kind):
    one = PACK[kind](LINES)
    # The padding begins and ends in every place of a chunk that is read.
    for padding in (0, 4, 32768 - len(one) % 32768, 70000):
        path = stored(tmp_path, one + b"\0" * padding + one + b"\0" * padding)
        assert b"".join(read_log(path)) == LINES * 2


def test_the_name_says_nothing_of_the_content(tmp_path):
    assert b"".join(read_log(stored(tmp_path, gzip.compress(LINES), "mail.log"))) == LINES
    assert b"".join(read_log(stored(tmp_path, LINES, "mail.log.1.gz"))) == LINES


@pytest.mark.parametrize("data", [b"", b"\n", b"half", b"\0" * 5000, bytes(range(256)) * 3])
def test_any_octets_pass_through(tmp_path, data):
    assert b"".join(read_log(stored(tmp_path, data))) == data


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_cut_off_gives_what_it_has(tmp_path, kind):
    whole = PACK[kind](LINES)
    path = stored(tmp_path, whole[: len(whole) * 3 // 4], "mail.log.2" + kind)
    text, error = read_until_error(path)
    assert LINES.startswith(text)
    assert kind == ".bz2" or len(text) > len(LINES) // 2  # of bzip2's blocks only whole ones
    assert error == f"{path}: cut off: the end of the archive is missing"


@pytest.mark.parametrize("kind", PACKED)
def test_a_damaged_archive_gives_what_stands_before(tmp_path, kind):
    second = bytearray(PACK[kind](LINES))
    second[len(second) // 2 : len(second) // 2 + 64] = b"\xff" * 64
    path = stored(tmp_path, PACK[kind](LINES) + second, "mail.log.2" + kind)
    text, error = read_until_error(path)
    assert text.startswith(LINES)
    assert error.startswith(f"{path}: damaged; what follows cannot be read: ")
    assert "\n" not in error


@pytest.mark.parametrize("tail", [b"not an archive", b"\x1f\x8b\x08"])
def test_what_is_no_archive_behind_one_is_said(tmp_path, tail):
    text, error = read_until_error(stored(tmp_path, gzip.compress(LINES) + tail))
    assert text == LINES
    assert "damaged" in error or "cut off" in error


def test_zstandard_is_for_a_pipe(tmp_path):
    path = stored(tmp_path, b"\x28\xb5\x2f\xfd" + b"x" * 50, "mail.log.2.zst")
    text, error = read_until_error(path)
    assert text == b""
    assert error.endswith("zstdcat FILE | postkeel tls-log -")


def test_missing_file_and_directory(tmp_path):
    missing = f"{tmp_path}/mail\n.log"
    assert read_until_error(missing) == (
        b"",
        f"{tmp_path}/mail\\n.log: cannot be read: No such file or directory",
    )
    assert read_until_error(str(tmp_path))[1].endswith("cannot be read: Is a directory")
    assert total_bytes([stored(tmp_path, LINES), missing]) == 0
    assert total_bytes([str(tmp_path)]) == total_bytes(["-"]) == 0


def test_a_file_for_others_names_the_group(tmp_path, as_nobody):
    path = stored(tmp_path, LINES)
    os.chmod(path, 0o000)
    with as_nobody:
        error = read_until_error(path)[1]
    assert "permission denied" in error
    assert "group adm" in error


READ = """
import sys
from postkeel.shell.log_archive import read_log
octets = sum(map(len, read_log(sys.argv[1])))
with open("/proc/self/status") as file:
    print(octets, next(line.split()[1] for line in file if line.startswith("VmHWM")))
"""


def run_reader(path, data=None):
    done = subprocess.run(
        [sys.executable, "-c", READ, path], input=data, capture_output=True, check=True
    )
    return tuple(map(int, done.stdout.split()))


@pytest.mark.parametrize("kind", ["", ".gz", ".xz"])
def test_standard_input_is_unpacked_too(kind):
    octets, _ = run_reader("-", PACK[kind](LINES))
    assert octets == len(LINES)


def test_a_decompression_bomb_takes_no_memory(tmp_path):
    size = 1 << 28
    packer = zlib.compressobj(wbits=31)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    octets, kilobytes = run_reader(stored(tmp_path, data))
    assert octets == size
    assert kilobytes < 40 * 1024


def test_an_xz_file_that_claims_much_memory_is_refused(tmp_path):
    data = bytearray(lzma.compress(LINES))
    size = (data[12] + 1) * 4  # of the block header: see the .xz file format, 3.1
    data[16] = 38  # a dictionary of 2 GiB
    data[12 + size - 4 : 12 + size] = zlib.crc32(data[12 : 12 + size - 4]).to_bytes(4, "little")
    text, error = read_until_error(stored(tmp_path, data))
    assert text == b""
    assert "Memory usage limit" in error


OLDER = {
    "Debian's logrotate": (
        ["mail.log", "mail.log.1", "mail.log.2.gz", "mail.log.10.gz", "mail.log.3.gz"],
        ["mail.log.10.gz", "mail.log.3.gz", "mail.log.2.gz", "mail.log.1"],
    ),
    "dateext": (
        ["mail.log", "mail.log-20261122", "mail.log-20251231.gz", "mail.log-20261121.xz"],
        ["mail.log-20251231.gz", "mail.log-20261121.xz", "mail.log-20261122"],
    ),
    "dateext with hours": (
        ["mail.log-20261122-03", "mail.log-2026112204", "mail.log-2026-11-22_05"],
        ["mail.log-20261122-03", "mail.log-2026112204", "mail.log-2026-11-22_05"],
    ),
    "postfix logrotate": (
        ["mail.log.20261122-031500", "mail.log.20261121-031500.gz"],
        ["mail.log.20261121-031500.gz", "mail.log.20261122-031500"],
    ),
    "savelog": (["mail.log.0", "mail.log.1.gz"], ["mail.log.1.gz", "mail.log.0"]),
    "numbers before dates": (
        ["mail.log-20261122", "mail.log.1"],
        ["mail.log.1", "mail.log-20261122"],
    ),
    "being compressed": (["mail.log.1", "mail.log.1.gz"], ["mail.log.1"]),
    "others": (
        [
            "mail.log.gz",
            "mail.log.old",
            "mail.log.1.swp",
            "mail.logs.1",
            "mail.err.1",
            "xmail.log.1",
            "mail.log.1~",
            "mail.log.",
            "mail.log1",
            "mail.log.\u0661",
        ],
        [],
    ),
}


@pytest.mark.parametrize("name", OLDER)
def test_older_pieces_are_found_in_order(tmp_path, monkeypatch, name):
    names, expected = OLDER[name]
    for one in names:
        (tmp_path / one).touch()
    assert older(str(tmp_path / "mail.log")) == tuple(str(tmp_path / one) for one in expected)
    monkeypatch.chdir(tmp_path)
    assert older("mail.log") == tuple(expected)


def test_no_directory_no_older_pieces(tmp_path):
    assert older(f"{tmp_path}/nothing/mail.log") == ()
