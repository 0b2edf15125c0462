"""What is known of certificates: read when it changes, kept otherwise, and never an exception."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from guarded import until
from hostile_certificates import corpus
from lineages import Issuer, Lineage
from postkeel.certificates.joining import FILE, contents, joined
from postkeel.certificates.stored import understood
from postkeel.certificates.values import Credential, FaultKind, Joined, Kind, Trust
from postkeel.core.configuration import CertificateSources
from postkeel.core.errors import PostkeelError
from postkeel.shell import certificate_facts as under_test
from postkeel.shell import certificate_files, certificate_look, forked, wanted_certificates
from postkeel.shell.certificate_facts import KeptCertificates
from postkeel.shell.certificate_files import are_same, read_file, stamp
from postkeel.shell.certificate_look import look
from postkeel.shell.early_look import EarlyLook
from postkeel.shell.watch import Watcher
from written_instance import written

NAME = "mx.example.org"
MAY = "smtpd_tls_security_level = may"
POSTMAP = "/usr/sbin/postmap"


class Desk:
    """A configuration directory, an authority whose root is the store, and a renewer's files."""

    def __init__(self, directory: Path, issuer: Issuer) -> None:
        self.directory = directory
        self.etc = directory / "etc"
        self.etc.mkdir()
        for name in ("main.cf", "master.cf"):
            (self.etc / name).touch()
            os.utime(self.etc / name, (1, 1))
        self.issuer = issuer
        self.renewer = directory / "letsencrypt"
        self.clock = 0.0
        self.kept = KeptCertificates(self.sources(), clock=lambda: self.clock)

    def sources(self, **more) -> CertificateSources:
        given = {"roots": str(self.issuer.roots), "lineages": (f"{self.renewer}/live",)}
        return CertificateSources(**(given | more))

    def lineage(self, name: str = NAME, *names: str) -> Lineage:
        return Lineage(self.renewer, name, self.issuer, *names)

    def put(self, name: str, content: bytes) -> str:
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return str(path)

    def pair(self, name: str = "mx", *hosts: str) -> tuple[str, str]:
        issued = self.issuer.issue(*(hosts or (NAME,)))
        return self.put(f"{name}.crt", issued.fullchain), self.put(f"{name}.key", issued.key)

    def of(self, *lines: str, **more):
        return self.kept.of(written(MAY, *lines, directory=str(self.etc), **more))

    def loaded(self, certificate: str, key: str):
        """What is known when these two are in use."""
        found = self.of(f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
        (one,) = found.loaded.values()
        return one


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def desk(tmp_path, issuer) -> Desk:
    return Desk(tmp_path, issuer)


@pytest.fixture
def asked(monkeypatch):
    """Once for each process that looked."""
    found = []
    answer_of = under_test.answer_of

    def counting(work, seconds):
        found.append(seconds)
        return answer_of(work, seconds)

    monkeypatch.setattr(under_test, "answer_of", counting)
    return found


def of_lineage(lineage: Lineage) -> tuple[str, str]:
    return (
        f"smtpd_tls_cert_file = {lineage.fullchain}",
        f"smtpd_tls_key_file = {lineage.privkey}",
    )


def leaves(certificates) -> list[str]:
    return [chain.leaf.sha256 for one in certificates.loaded.values() for chain in one.chains]


def test_nothing_is_configured(desk, asked):
    found = desk.of()
    assert found.uses == ()
    assert found.loaded == {}
    assert found.names == (NAME,)
    assert asked == []


def test_certbots_files_are_followed(desk, asked):
    lineage = desk.lineage()
    before = datetime.now(UTC) - timedelta(seconds=1)
    leaf = lineage.renew()
    found = desk.of(*of_lineage(lineage))
    (use,) = found.uses
    assert use.credential == Credential(
        kind=Kind.PAIR, files=(str(lineage.fullchain), str(lineage.privkey))
    )
    loaded = found.loaded[use.credential]
    (chain,) = loaded.chains
    assert (chain.leaf.sha256, chain.trust, len(chain.certificates)) == (leaf, Trust.COMPLETE, 2)
    assert loaded.faults == ()
    certificate, key = loaded.files
    assert certificate.path == str(lineage.fullchain)
    assert certificate.real == f"{desk.renewer}/archive/{NAME}/fullchain1.pem"
    assert (key.mode, key.owner, key.problem) == (0o600, os.geteuid(), "")
    assert before < certificate.changed < datetime.now(UTC) + timedelta(seconds=1)
    assert found.roots == (str(desk.issuer.roots), 1)
    assert found.watched == (*use.credential.files, str(desk.issuer.roots))
    assert len(asked) == 1


def test_what_has_not_changed_is_kept(desk, asked):
    lineage = desk.lineage()
    lineage.renew()
    found = desk.of(*of_lineage(lineage))
    assert desk.of(*of_lineage(lineage)) is found
    again = desk.of(*of_lineage(lineage), "x = y")
    assert again == found
    assert len(asked) == 1


def test_only_what_has_changed_is_read(desk, asked, monkeypatch):
    lineage = desk.lineage()
    lineage.renew()
    certificate, key = desk.pair("other")
    lines = (
        *of_lineage(lineage),
        f"smtpd_tls_eccert_file = {certificate}",
        f"smtpd_tls_eckey_file = {key}",
    )
    before = desk.of(*lines)
    told = []
    monkeypatch.setattr(
        under_test, "understood", lambda data: told.append(data) or understood(data)
    )
    leaf = lineage.renew()
    after = desk.of(*lines)
    assert leaves(after)[0] == leaf
    assert leaves(after)[1] == leaves(before)[1]
    assert [one[0][1] for one in told[0][1]] == [[str(lineage.fullchain), str(lineage.privkey)]]
    assert len(asked) == 2


def test_a_renewal_that_is_half_done(desk):
    """Key and chain do not agree between certbot's two links; then they do."""
    lineage = desk.lineage()
    lineage.renew()
    key = str(lineage.privkey)
    desk.of(*of_lineage(lineage))
    issued = lineage.issued()
    lineage.privkey.unlink()
    one = desk.loaded(str(lineage.fullchain), key)
    assert [fault.what for fault in one.faults if fault.kind is FaultKind.FILE] == [
        "there is no such file"
    ]
    assert one.files[1].problem == "there is no such file"
    assert datetime.now(UTC) - one.files[1].changed < timedelta(seconds=10)
    lineage.privkey.write_bytes(issued.key)
    one = desk.loaded(str(lineage.fullchain), key)
    assert [fault.kind for fault in one.faults] == [FaultKind.KEY]
    lineage.write(issued)
    one = desk.loaded(str(lineage.fullchain), key)
    assert one.faults == ()
    assert one.chains[0].leaf.sha256 == issued.leaf


def test_a_hand_that_copies(desk, asked):
    """Over the file in place, by renaming, and with the times of the original."""
    certificate, key = desk.pair()
    first = desk.loaded(certificate, key)
    other, other_key = desk.pair("new")
    shutil.copyfile(other, certificate)
    shutil.copyfile(other_key, key)
    second = desk.loaded(certificate, key)
    assert second.chains[0].leaf.sha256 != first.chains[0].leaf.sha256
    third = desk.issuer.issue(NAME)
    for path, content in ((certificate, third.fullchain), (key, third.key)):
        aside = desk.put("aside", content)
        os.utime(aside, ns=(os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns))
        os.rename(aside, path)
    assert desk.loaded(certificate, key).chains[0].leaf.sha256 == third.leaf
    os.link(certificate, f"{certificate}.again")
    assert desk.loaded(certificate, key).chains[0].leaf.sha256 == third.leaf
    os.chmod(key, 0o644)
    assert desk.loaded(certificate, key).files[1].mode == 0o644


def test_a_directory_that_appears_later(desk):
    where = desk.directory / "later"
    certificate, key = str(where / "c.pem"), str(where / "k.pem")
    assert len(desk.loaded(certificate, key).faults) == 2
    issued = desk.issuer.issue(NAME)
    where.mkdir()
    (where / "c.pem").write_bytes(issued.fullchain)
    (where / "k.pem").write_bytes(issued.key)
    assert desk.loaded(certificate, key).faults == ()


def test_another_store_of_roots(desk, tmp_path, asked):
    certificate, key = desk.pair()
    assert desk.loaded(certificate, key).chains[0].trust is Trust.COMPLETE
    other = Issuer(tmp_path / "other")
    desk.kept.sources = desk.sources(roots=str(other.roots))
    assert desk.loaded(certificate, key).chains[0].trust is not Trust.COMPLETE
    other.roots.write_bytes(desk.issuer.roots.read_bytes())
    assert desk.loaded(certificate, key).chains[0].trust is Trust.COMPLETE
    assert len(asked) == 3
    desk.kept.sources = desk.sources(roots=str(tmp_path))
    assert desk.loaded(certificate, key).chains[0].trust is Trust.UNKNOWN


def make_dangling(path: Path) -> None:
    path.symlink_to("../nowhere.pem")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


WRONG = {
    "dangling": (make_dangling, "leads to {0}/../nowhere.pem, which is not there", "ls -l {1}"),
    "loop": (make_loop, "symbolic links lead in a circle", "ls -l {1}"),
    "pipe": (os.mkfifo, "this is no file, but a directory, pipe or device", ""),
    "directory": (os.mkdir, "this is no file, but a directory, pipe or device", ""),
    "missing": (lambda path: None, "there is no such file", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_cannot_be_read(desk, name, asked):
    make, what, help_ = WRONG[name]
    certificate, _ = desk.pair()
    key = desk.directory / "wrong"
    make(key)
    loaded = desk.loaded(certificate, str(key))
    (fault,) = (one for one in loaded.faults if one.kind is FaultKind.FILE)
    assert fault.what.endswith(what.format(desk.directory, key))
    assert fault.help == help_.format(desk.directory, key)
    assert (fault.file, fault.line, fault.breaks) == (str(key), 0, True)
    assert loaded.files[1].problem == fault.what
    assert desk.loaded(certificate, str(key)) is loaded
    assert len(asked) == 1


def test_a_key_that_is_not_named(desk):
    certificate, _ = desk.pair()
    loaded = desk.loaded(certificate, "")
    fault = loaded.faults[0]
    assert fault.what == "there is a certificate, and no file with its key is named"
    assert fault.breaks


def test_a_file_below_a_file(desk):
    certificate, _ = desk.pair()
    loaded = desk.loaded(certificate, f"{certificate}/key.pem")
    assert loaded.faults[0].what == "Not a directory"


def test_a_name_with_a_nul(desk):
    certificate, _ = desk.pair()
    assert any("null " in one.what for one in desk.loaded(certificate, "/a\0b").faults)


def test_a_file_of_ten_megabytes(desk):
    certificate, key = desk.pair()
    desk.put("mx.crt", b"x" * (10 << 20))
    before = time.monotonic()
    loaded = desk.loaded(certificate, key)
    assert time.monotonic() - before < 5
    assert any("larger than" in one.what for one in loaded.faults)


def test_what_only_its_owner_may_read(as_nobody):
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # noqa: S103  for nobody to enter
        key = f"{directory}/key.pem"
        os.mkfifo(key, 0)
        with as_nobody:
            fault = read_file(key).fault
    assert fault.what == "the service may read only what root owns"
    assert fault.help == f"chown root {key}"
    assert not fault.breaks


def test_what_the_packaged_service_does_not_see(desk, monkeypatch):
    """ProtectHome=yes: below /root and /home there is nothing."""
    monkeypatch.setattr(certificate_files, "_HIDDEN", (f"{desk.directory}/home/",))
    inside = f"{desk.directory}/home/user/key.pem"
    link = desk.directory / "link.pem"
    link.symlink_to(inside)
    for path in (inside, str(link)):
        fault = read_file(path).fault
        assert fault.what == "it is not to be seen from here"
        assert "ProtectHome=read-only" in fault.help
        assert not fault.breaks


def test_names_that_are_no_utf_8(desk):
    issued = desk.issuer.issue(NAME)
    path = os.fsencode(desk.directory) + b"/k\xff\xe9y.pem"
    with open(path, "wb") as file:
        file.write(issued.key + issued.fullchain)
    found = desk.of(f"smtpd_tls_chain_files = {os.fsdecode(path)}")
    assert leaves(found) == [issued.leaf]
    assert found.watched[0] == os.fsdecode(path)


def test_times_that_no_calendar_has(desk):
    certificate, key = desk.pair()
    os.utime(certificate, ns=(0, 2**63 - 1))
    loaded = desk.loaded(certificate, key)
    assert loaded.faults == ()


def test_a_file_that_changes_while_it_is_read(desk, monkeypatch):
    certificate, _ = desk.pair()
    marks = iter(range(100))
    monkeypatch.setattr(certificate_files, "stamp", lambda path: (next(marks),))
    read = read_file(certificate)
    assert read.content == Path(certificate).read_bytes()
    assert next(marks) == 3
    monkeypatch.undo()
    assert not are_same(read.stamps)
    assert are_same({certificate: stamp(certificate)})


def test_a_storm_of_renames(desk):
    """Whoever renames a thousand times a second costs no more than a look each time."""
    certificate, key = desk.pair()
    one, two = (desk.issuer.issue(NAME) for _ in range(2))
    ends = threading.Event()

    def storm() -> None:
        while not ends.is_set():
            for issued in (one, two):
                desk.put("aside", issued.fullchain)
                os.rename(desk.directory / "aside", certificate)
                desk.put("aside", issued.key)
                os.rename(desk.directory / "aside", key)
            time.sleep(0.003)

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for _ in range(10):
            before = time.monotonic()
            loaded = desk.loaded(certificate, key)
            assert len(loaded.files) == 2
            assert time.monotonic() - before < 8
    finally:
        ends.set()
        thread.join()
    loaded = desk.loaded(certificate, key)
    assert loaded.faults == ()
    assert loaded.chains[0].leaf.sha256 == two.leaf


def test_several_instances(desk, tmp_path):
    certificate, key = desk.pair()
    found = desk.of(f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
    other = desk.kept.of(written(directory=str(tmp_path)))
    assert other.uses == ()
    again = desk.of(f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
    assert again is found


def test_a_process_that_fails_is_a_fault_of_each_certificate(desk, monkeypatch):
    certificate, key = desk.pair()
    table = f"texthash:{desk.put('sni', b'a /b')}"
    lines = (
        f"smtpd_tls_cert_file = {certificate}",
        f"smtpd_tls_key_file = {key}",
        f"tls_server_sni_maps = {table}",
    )

    def fails(work, seconds):
        raise PostkeelError("the process that was to answer was ended")

    with monkeypatch.context() as failing:
        failing.setattr(under_test, "answer_of", fails)
        found = desk.of(*lines)
        assert desk.of(*lines) == found
    (loaded,) = found.loaded.values()
    (fault,) = loaded.faults
    assert fault.what == "not looked at: the process that was to answer was ended"
    assert not fault.breaks
    assert [one.problem for one in loaded.files] == [fault.what] * 2
    assert found.tables[table].problem == "the process that was to answer was ended"
    assert desk.of(*lines[:2]).loaded[found.uses[0].credential].faults == ()


def test_what_is_known_is_told_while_the_rest_fails(desk, monkeypatch):
    certificate, key = desk.pair()
    other, other_key = desk.pair("other")
    lines = (f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
    more = (f"smtpd_tls_eccert_file = {other}", f"smtpd_tls_eckey_file = {other_key}")
    desk.of(*lines, *more)
    desk.put("mx.crt", b"")
    monkeypatch.setattr(under_test, "SECONDS", 0.0)
    found = desk.of(*lines, *more)
    mine, others = found.loaded.values()
    assert mine.faults[0].what == "not looked at: no answer within 0 s"
    assert mine.chains == ()
    assert others.faults == ()


def test_not_more_certificates_than_can_be_handled(desk, monkeypatch):
    monkeypatch.setattr(wanted_certificates, "MOST_CREDENTIALS", 1)
    certificate, key = desk.pair()
    found = desk.of(
        f"smtpd_tls_cert_file = {certificate}",
        f"smtpd_tls_key_file = {key}",
        "smtpd_tls_eccert_file = /e.pem",
    )
    mine, other = (found.loaded[one.credential] for one in found.uses)
    assert mine.faults == ()
    assert "only the first" in other.faults[0].what
    assert not other.faults[0].breaks


needs_postmap = pytest.mark.skipif(not os.path.exists(POSTMAP), reason="needs postmap")


def built(desk: Desk, table: str) -> str:
    subprocess.run([POSTMAP, "-c", desk.etc, "-F", table], check=True)
    return table


@needs_postmap
def test_a_table_by_names(desk, asked):
    issued = [desk.issuer.issue(one) for one in ("a.example.org", "b.example.org")]
    files = [desk.put(f"{n}.pem", one.key + one.fullchain) for n, one in enumerate(issued)]
    source = desk.put("sni", f"a.example.org {files[0]}\n.b.example.org {files[1]}\n".encode())
    table = built(desk, f"hash:{source}")
    line = f"tls_server_sni_maps = {table}"
    found = desk.of(line)
    assert {one.name: found.loaded[one.credential].chains[0].leaf.sha256 for one in found.uses} == {
        "a.example.org": issued[0].leaf,
        ".b.example.org": issued[1].leaf,
    }
    assert found.tables[table].held == {
        "a.example.org": (issued[0].leaf,),
        ".b.example.org": (issued[1].leaf,),
    }
    assert set(found.watched) >= {*files, source, f"{source}.db"}
    assert desk.of(line) is found
    new = desk.issuer.issue("a.example.org")
    desk.put("0.pem", new.key + new.fullchain)
    found = desk.of(line)
    assert new.leaf in leaves(found)
    assert found.tables[table].held["a.example.org"] == (issued[0].leaf,)
    built(desk, table)
    assert desk.of(line).tables[table].held["a.example.org"] == (new.leaf,)
    assert len(asked) == 3


@needs_postmap
def test_a_table_without_its_source(desk, asked):
    issued = desk.issuer.issue("a.example.org")
    file = desk.put("0.pem", issued.key + issued.fullchain)
    source = desk.put("sni", f"a.example.org {file}\n".encode())
    table = built(desk, f"hash:{source}")
    os.unlink(source)
    found = desk.of(f"tls_server_sni_maps = {table}")
    (use,) = found.uses
    assert use.credential == Credential(kind=Kind.TABLE, files=(table, "a.example.org"))
    assert leaves(found) == [issued.leaf]
    assert file not in found.watched
    desk.kept.sources = desk.sources(roots=desk.put("none.pem", b""))
    again = desk.of(f"tls_server_sni_maps = {table}")
    assert again.loaded[use.credential].chains[0].trust is Trust.UNKNOWN
    assert len(asked) == 2
    failed = under_test._unread(use.credential, "no")
    assert failed.files[0].path == table


@needs_postmap
def test_a_table_elsewhere_is_asked_again_in_a_while(desk, asked):
    issued = desk.issuer.issue(NAME)
    file = desk.put("0.pem", issued.key + issued.fullchain)
    source = desk.put("sni", f"{NAME} {file}\n".encode())
    table = f"pipemap:{{{built(desk, f'hash:{source}')}}}"
    found = desk.of(f"tls_server_sni_maps = {table}")
    assert leaves(found) == [issued.leaf]
    assert "cannot be listed" in found.tables[table].problem
    new = desk.issuer.issue(NAME)
    desk.put("0.pem", new.key + new.fullchain)
    built(desk, f"hash:{source}")
    desk.clock += under_test.ASK_AGAIN - 1
    assert desk.of(f"tls_server_sni_maps = {table}") is found
    assert desk.of(f"tls_server_sni_maps = {table}", "x = y") == found
    desk.clock += 1
    assert leaves(desk.of(f"tls_server_sni_maps = {table}")) == [new.leaf]
    assert len(asked) == 2


@needs_postmap
def test_a_main_cf_that_was_just_written(desk):
    """postmap would wait for two seconds."""
    table = "inline:{ a.example.org=/x.pem }"
    ahead = time.time() + 1
    os.utime(desk.etc / "main.cf", (ahead, ahead))
    before = time.monotonic()
    assert desk.of(f"tls_server_sni_maps = {table}").uses[0].name == "a.example.org"
    assert time.monotonic() - before < 2


def test_a_file_that_postkeel_joined(desk, asked):
    lineage = desk.lineage()
    lineage.renew()
    sources = (str(lineage.fullchain), str(lineage.privkey))
    text = joined(lineage.fullchain.read_bytes(), lineage.privkey.read_bytes(), *sources)
    path = desk.put(FILE, text)
    line = f"smtpd_tls_chain_files = {path}"
    found = desk.of(line)
    (one,) = found.joined
    assert one == Joined(
        path=path, certificate=sources[0], key=sources[1], contents=contents(text), current=True
    )
    pair = Credential(kind=Kind.PAIR, files=sources)
    assert len(found.loaded) == 2
    assert found.loaded[pair].faults == ()
    assert set(found.watched) >= {path, *sources}
    assert desk.of(line) is found
    leaf = lineage.renew()
    found = desk.of(line)
    (one,) = found.joined
    assert not one.current
    assert found.loaded[pair].chains[0].leaf.sha256 == leaf
    desk.put(FILE, joined(lineage.fullchain.read_bytes(), lineage.privkey.read_bytes(), *sources))
    (now,) = desk.of(line).joined
    assert now.contents == one.contents
    assert now.current
    lineage.privkey.unlink()
    (gone,) = desk.of(line).joined
    assert (gone.contents, gone.current) == ("", False)
    assert len(asked) == 4


def test_what_a_renewer_has_is_offered(desk, asked):
    assert desk.of().offered == ()
    lineage = desk.lineage()
    leaf = lineage.renew()
    found = desk.of()
    (one,) = found.offered
    sources = (str(lineage.fullchain), str(lineage.privkey))
    text = joined(lineage.fullchain.read_bytes(), lineage.privkey.read_bytes(), *sources)
    assert one == Joined(
        path=f"{desk.etc}/{FILE}",
        certificate=sources[0],
        key=sources[1],
        contents=contents(text),
        current=False,
    )
    assert leaves(found) == [leaf]
    assert set(found.watched) >= {*sources, f"{desk.renewer}/live"}
    assert desk.of() is found
    leaf = lineage.renew()
    found = desk.of()
    assert leaves(found) == [leaf]
    assert found.offered[0].contents != one.contents
    certificate, key = desk.pair()
    used = desk.of(f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
    assert used.offered == ()
    assert len(used.loaded) == 1


def test_one_for_another_name_is_offered_when_it_covers_the_servers(desk):
    desk.lineage("other.example.net").renew()
    assert desk.of().offered == ()
    lineage = desk.lineage("example.org", "*.example.org")
    lineage.renew()
    (one,) = desk.of().offered
    assert one.certificate == str(lineage.fullchain)
    desk.lineage(NAME).renew()
    (one,) = desk.of().offered
    assert one.certificate == f"{desk.renewer}/live/{NAME}/fullchain.pem"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_only_what_root_owns_is_offered(desk):
    lineage = desk.lineage()
    lineage.renew()
    os.chown(lineage.privkey, 65534, 65534)
    assert desk.of().offered == ()
    os.chown(lineage.privkey, 0, 0)
    assert len(desk.of().offered) == 1
    os.chown(lineage.live, 65534, 65534)
    assert desk.of().offered == ()


def test_nothing_that_is_wrong_is_offered(desk):
    lineage = desk.lineage()
    lineage.renew()
    content = lineage.privkey.read_bytes()
    lineage.privkey.write_bytes(content[:100])
    assert desk.of().offered == ()
    lineage.privkey.write_bytes(content)
    assert len(desk.of().offered) == 1


def test_a_watcher_takes_what_is_watched(desk, tmp_path):
    """500 names: as many directories as hold them, and no second for it."""
    from postkeel.shell.loop import Loop

    paths = [f"{desk.renewer}/live/{n}.example.org/fullchain.pem" for n in range(500)]
    for n in range(0, 500, 2):
        desk.lineage(f"{n}.example.org")
    watcher = Watcher(Loop(lambda error: None), lambda paths: None)
    try:
        before = time.monotonic()
        watcher.set_paths(paths)
        assert time.monotonic() - before < 2
        assert watcher.problems == ()
        assert len(watcher.directories) <= 250 + 3
    finally:
        watcher.close()


def test_five_hundred_names(desk, asked):
    """Nothing changed: a stat for each file. All changed: one process."""
    issued = desk.issuer.issue("a.example.org", "*.example.org")
    text = issued.key + issued.fullchain
    lines = [f"{n}.example.org {desk.put(f'{n}.pem', text)}\n" for n in range(500)]
    table = f"texthash:{desk.put('sni', ''.join(lines).encode())}"
    found = desk.of(f"tls_server_sni_maps = {table}")
    assert len(found.loaded) == 500
    assert set(leaves(found)) == {issued.leaf}
    before = time.process_time()
    assert desk.of(f"tls_server_sni_maps = {table}") is found
    assert time.process_time() - before < 0.1
    assert len(asked) == 1


def test_the_look_itself(desk, asked):
    """What runs in the other process, here: the same values, and nothing of what is known."""
    lineage = desk.lineage()
    lineage.renew()
    sources = (str(lineage.fullchain), str(lineage.privkey))
    text = joined(lineage.fullchain.read_bytes(), lineage.privkey.read_bytes(), *sources)
    dangling = desk.directory / "dangling.pem"
    make_dangling(dangling)
    joined_line = f"smtpd_tls_chain_files = {desk.put(FILE, text)}"
    for lines in (
        (),
        (joined_line,),
        (f"smtpd_tls_cert_file = {dangling}", "smtpd_tls_key_file ="),
        (f"smtpd_tls_chain_files = {sources[1]} {sources[0]} {desk.directory}",),
        (joined_line, "tls_server_sni_maps = inline:{ a.example.org=/x.pem }"),
    ):
        instance = written(MAY, *lines, directory=str(desk.etc))
        found = look(instance, desk.sources())
        fact = desk.kept.of(instance)
        assert {one: found.readings[one].loaded for one in fact.loaded} == fact.loaded
        assert found.roots == 1
        again = look(instance, desk.sources(), found)
        assert (again.listings, again.readings) == ({}, {})
    lineage.renew()
    again = look(instance, desk.sources(), found)
    assert [one.kind for one in again.readings] == [Kind.CHAIN, Kind.PAIR]
    os.chmod(dangling.parent / FILE, 0o640)
    again = look(instance, desk.sources(), again)
    assert Kind.CHAIN in [one.kind for one in again.readings]


def test_many_are_read_in_two_processes(desk, monkeypatch):
    """The halves come together, with the order of the whole."""
    monkeypatch.setattr(certificate_look, "MANY", 3)
    pairs = [desk.pair(name) for name in ("a", "b", "c")]
    kinds = ("cert", "eccert", "dcert")
    lines = [
        f"smtpd_tls_{kind}_file = {certificate}\nsmtpd_tls_{kind[:-4]}key_file = {key}"
        for kind, (certificate, key) in zip(kinds, pairs, strict=True)
    ]
    found = desk.of(*"\n".join(lines).split("\n"))
    assert [one.files for one in found.loaded] == pairs
    assert all(len(one.chains) == 1 for one in found.loaded.values())
    with monkeypatch.context() as failing:
        failing.setattr(certificate_look._Look, "_told", lambda look, credentials: 1 / 0)
        for certificate, _ in pairs:
            os.utime(certificate)
        found = desk.of(*"\n".join(lines).split("\n"))
        faults = {fault.what for one in found.loaded.values() for fault in one.faults}
        assert faults == {"not looked at: ZeroDivisionError: division by zero"}
    instance = written(MAY, *"\n".join(lines).split("\n"), directory=str(desk.etc))
    assert len(look(instance, desk.sources()).readings) == 3
    monkeypatch.setattr(certificate_look._Look, "_read_used", lambda look, credential: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        look(instance, desk.sources())


@needs_postmap
def test_the_look_itself_at_a_table(desk):
    issued = desk.issuer.issue("a.example.org")
    file = desk.put("0.pem", issued.key + issued.fullchain)
    source = desk.put("sni", f"a.example.org {file}\n".encode())
    table = built(desk, f"hash:{source}")
    os.unlink(source)
    instance = written(MAY, f"tls_server_sni_maps = {table}", directory=str(desk.etc))
    found = look(instance, desk.sources(roots=str(desk.etc)))
    (reading,) = found.readings.values()
    assert reading.loaded.chains[0].leaf.sha256 == issued.leaf
    assert found.roots == 0
    assert look(instance, desk.sources(), found).readings == {}


def test_whatever_is_wrong_with_files_a_look_ends(desk):
    """The corpus of files that nobody should have, whichever way Postfix is told to load them."""
    lines = []
    for number, case in enumerate(corpus()):
        parts = enumerate(case.files)
        paths = [desk.put(f"{number}-{part}.pem", content) for part, content in parts]
        lines.append(f"{number}.example.org {', '.join(paths)}\n")
    table = f"texthash:{desk.put('sni', ''.join(lines).encode())}"
    before = time.monotonic()
    found = desk.of(f"tls_server_sni_maps = {table}")
    assert time.monotonic() - before < 8
    assert len(found.loaded) == len(lines)
    assert all(len(one.files) == len(which.files) for which, one in found.loaded.items())
    assert desk.of(f"tls_server_sni_maps = {table}") is found


@pytest.fixture
def early():
    one = EarlyLook()
    one.begin()
    yield one
    one.close()


def test_a_look_that_was_begun_early(desk, early, asked):
    certificate, key = desk.pair()
    lines = (f"smtpd_tls_cert_file = {certificate}", f"smtpd_tls_key_file = {key}")
    expected = desk.of(*lines)
    assert len(asked) == 1
    instance = written(MAY, *lines, directory=str(desk.etc))
    kept = KeptCertificates(desk.sources(), early=early)
    assert kept.of(instance) == expected
    assert len(asked) == 1
    desk.put("mx.key", b"")
    assert kept.of(instance).loaded[expected.uses[0].credential].faults
    assert len(asked) == 2
    assert early.ask(instance, desk.sources(), 5) is None


def test_an_early_look_that_is_gone_is_made_anew(desk, early, asked):
    instance = written(MAY, directory=str(desk.etc))
    desk.lineage().renew()
    os.kill(early._process._process, signal.SIGKILL)
    kept = KeptCertificates(desk.sources(), early=early)
    assert len(kept.of(instance).offered) == 1
    assert len(asked) == 1


def test_an_early_look_that_nobody_asks_ends(early):
    number = early._process._process
    early.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    early.close()


def test_an_early_look_that_cannot_be_begun(monkeypatch, desk):
    def fails():
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(forked, "_fork", fails)
    one = EarlyLook()
    one.begin()
    one.close()
    assert one.ask(written(), desk.sources(), 5) is None


def test_an_early_look_ends_with_who_began_it():
    """Killed, it closes the pipe on which the question would come."""
    code = (
        "import os; from postkeel.shell.early_look import EarlyLook; one = EarlyLook();"
        "one.begin(); print(one._process._process, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, text=True, timeout=60
    )
    number = int(done.stdout)
    until(lambda: not Path(f"/proc/{number}/cmdline").exists() or _is_zombie(number), 30)


def _is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
