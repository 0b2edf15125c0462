"""Tables of tls_server_sni_maps, as the installed postmap makes and reads them."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lineages import Issuer
from postkeel.certificates.stored import Listing
from postkeel.certificates.tables import files_of, is_remote
from postkeel.certificates.values import Table
from postkeel.shell import sni_tables as under_test
from postkeel.shell.sni_tables import SniTables, leaves

POSTMAP = "/usr/sbin/postmap"
NAMES = ("mx.example.org", "b.example.org")

pytestmark = pytest.mark.skipif(not os.path.exists(POSTMAP), reason="needs postmap")


class Desk:
    """A directory with a configuration that postmap takes, two certificates and a source."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("main.cf", "master.cf"):
            (directory / name).touch()
            os.utime(directory / name, (1, 1))
        issuer = Issuer(directory)
        self.issued = [issuer.issue(name) for name in NAMES]
        self.leaves = [one.leaf for one in self.issued]
        for number, one in enumerate(self.issued):
            (directory / f"{number}.pem").write_bytes(one.key + one.fullchain)
            (directory / f"{number}.key").write_bytes(one.key)
            (directory / f"{number}.crt").write_bytes(one.fullchain)
        self.source = directory / "sni"
        self.source.write_text(
            "# a comment\n"
            f"MX.example.org {directory}/0.pem\n"
            f".example.org   {directory}/1.key,\n   {directory}/1.crt\n"
            f"mx.example.org {directory}/1.pem\n"
        )

    @property
    def entries(self):
        at = self.directory
        return {"mx.example.org": (f"{at}/0.pem",), ".example.org": (f"{at}/1.key", f"{at}/1.crt")}

    def build(self, kind: str) -> str:
        table = f"{kind}:{self.source}"
        subprocess.run([POSTMAP, "-c", self.directory, "-F", table], check=True)
        return table

    def read(self, table: str, names: tuple[str, ...] = NAMES, **more: object):
        return SniTables(str(self.directory), names, **more).read(table)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("sni"))


@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb", "cdb"])
def test_an_indexed_table_holds_what_it_was_made_of(desk, kind):
    table = desk.build(kind)
    listing, held = desk.read(table)
    assert dict(listing.entries) == desk.entries
    leaf, other = desk.leaves
    assert listing.table == Table(
        name=table,
        indexed=True,
        source=str(desk.source),
        held={"mx.example.org": (leaf,), ".example.org": (other,)},
    )
    assert set(listing.stamps) == set(files_of(table))
    assert held == {}


@pytest.mark.parametrize("kind", ["hash", "cdb"])
def test_without_its_source_it_is_known_by_what_it_holds(desk, kind):
    table = desk.build(kind)
    text = desk.source.read_text()
    desk.source.unlink()
    try:
        listing, held = desk.read(table)
    finally:
        desk.source.write_text(text)
    assert sorted(listing.entries) == [(".example.org", ()), ("mx.example.org", ())]
    assert listing.table.source == ""
    assert held["mx.example.org"] == (desk.directory / "0.pem").read_bytes()
    assert leaves(held[".example.org"]) == (desk.leaves[1],)


def test_an_index_that_is_older_than_its_source(desk):
    table = desk.build("hash")
    text = desk.source.read_text()
    desk.source.write_text(f"new.example.org {desk.directory}/0.pem\n")
    try:
        listing, _ = desk.read(table)
    finally:
        desk.source.write_text(text)
    assert dict(listing.entries) == {"new.example.org": (f"{desk.directory}/0.pem",)}
    assert set(listing.table.held) == {"mx.example.org", ".example.org"}


def test_a_proxied_table_is_the_table_itself(desk):
    table = desk.build("hash")
    listing, _ = desk.read(f"proxy:{table}")
    assert dict(listing.entries) == desk.entries
    assert listing.table.name == f"proxy:{table}"
    assert listing.table.indexed


def test_tables_that_postfix_reads_as_they_are(desk):
    at = desk.directory
    listing, held = desk.read(f"texthash:{desk.source}")
    assert dict(listing.entries) == desk.entries
    assert listing.table == Table(name=f"texthash:{desk.source}", source=str(desk.source))
    assert held == {}
    table = f"inline:{{ {{a.example.org = {at}/1.key, {at}/1.crt}} }}"
    listing, _ = desk.read(table)
    assert listing == Listing(
        table=Table(name=table),
        entries=(("a.example.org", (f"{at}/1.key", f"{at}/1.crt")),),
    )
    assert desk.read("static:/x.pem")[0].entries == (("", ("/x.pem",)),)
    assert desk.read("static:{ /x.pem, /y.pem }")[0].entries == (("", ("/x.pem", "/y.pem")),)


def test_patterns_have_files_and_no_names(desk):
    path = desk.directory / "patterns"
    path.write_text(
        "# a comment\n  which goes on\n"
        "if /example/\n"
        r"/^mx [0-9]\/x$/i  /a.pem," + "\n   /b.pem\n"
        "!/other/ /c.pem\nendif\n!!/x/\n#\n"
    )
    listing, _ = desk.read(f"regexp:{path}")
    assert listing.entries == (("", ("/a.pem", "/b.pem")), ("", ("/c.pem",)))
    assert listing.table.source == str(path)
    path.write_text("192.0.2.0/24 /a.pem\n[::1] /b.pem\n2001:db8::/32\t/c.pem\nnothing\n")
    listing, _ = desk.read(f"cidr:{path}")
    assert [files for _, files in listing.entries] == [("/a.pem",), ("/b.pem",), ("/c.pem",)]


def test_what_cannot_be_listed_is_asked_for_the_servers_own_names(desk):
    """A pipemap is one; ldap and its kin are, too."""
    inside = desk.build("hash")
    table = f"pipemap:{{{inside}}}"
    listing, held = desk.read(table)
    assert listing.entries == (("mx.example.org", ()),)
    assert leaves(held["mx.example.org"]) == (desk.leaves[0],)
    assert listing.table == Table(
        name=table,
        problem=f"{table}: a table of this type cannot be listed; "
        "looked at was: mx.example.org, b.example.org",
    )
    assert is_remote(table)
    assert files_of(table) == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("hash:/no/such/table", "No such file"),
        ("cdb:/no/such/table", "No such file"),
        ("texthash:/no/such/table", "No such file"),
        ("regexp:/no/such/table", "No such file"),
        ("nosuchtype:/x", "unsupported dictionary type"),
        ("socketmap:unix:/no/such/socket:x", "No such file"),
    ],
)
def test_what_cannot_be_read_is_a_problem(desk, table, said):
    listing, held = desk.read(table)
    assert listing.entries == ()
    assert held == {}
    assert said in listing.table.problem
    assert listing.table.problem.startswith(f"{table}: ")
    assert "\n" not in listing.table.problem
    assert set(listing.stamps) == set(files_of(table))


def test_a_table_made_without_files_is_a_problem(desk):
    """`postmap` without -F: smtpd cannot use it."""
    plain = desk.directory / "plain"
    plain.write_text("mx.example.org /x.pem,\n")
    table = f"hash:{plain}"
    subprocess.run([POSTMAP, "-c", desk.directory, table], check=True)
    listing, _ = desk.read(table)
    assert listing.table.indexed
    assert listing.table.held == {"mx.example.org": ()}
    assert listing.table.problem.endswith(f"run `postmap -F {table}`")
    assert listing.entries == (("mx.example.org", ("/x.pem",)),)


@pytest.mark.parametrize(
    "damaged",
    [b"\xff" * 5000, b"\x00\x10\x00\x00" + b"\xff" * 6000, b"\x00\x10\x00\x00"],
    ids=("without a head", "a record without end", "cut short"),
)
def test_a_damaged_cdb_file(desk, damaged):
    (desk.directory / "damaged.cdb").write_bytes(damaged)
    listing, held = desk.read(f"cdb:{desk.directory}/damaged")
    assert held == {}
    assert listing.entries == ()
    assert listing.table.problem.endswith("the file is cut short or damaged")


def test_an_empty_cdb_file_has_no_entries(desk):
    (desk.directory / "empty.cdb").write_bytes(b"")
    listing, _ = desk.read(f"cdb:{desk.directory}/empty")
    assert listing.table.held == {}


def test_a_table_that_does_not_answer_ends_in_time(desk, monkeypatch):
    monkeypatch.setattr(under_test, "DEADLINE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        reader = SniTables(str(desk.directory), NAMES)
        before = time.monotonic()
        table = f"tcp:127.0.0.1:{silent.getsockname()[1]}"
        listing, _ = reader.read(table)
        assert "no end after" in listing.table.problem
        late, _ = reader.read("inline:{ a=b }")
        assert "not looked at" in late.table.problem
        assert time.monotonic() - before < 5


def test_not_more_entries_than_can_be_handled(desk, monkeypatch):
    monkeypatch.setattr(under_test, "MOST_ENTRIES", 1)
    for table in (desk.build("hash"), f"texthash:{desk.source}"):
        listing, _ = desk.read(table)
        assert len(listing.entries) == 1
        assert listing.table.problem == f"{table}: of 2 entries the first 1 were looked at"


def test_leaves_come_right_after_keys(desk):
    one, two = desk.issued
    assert leaves(one.key + one.fullchain + two.key + two.fullchain) == tuple(desk.leaves)
    assert leaves(one.fullchain) == ()
    assert leaves(b"") == ()
