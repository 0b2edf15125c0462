"""Indexed tables of certificates made anew by a real postmap: whole, or the old one stays."""

import hashlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import private_postfix as bed
from certificates import make_certificate
from postkeel.core.errors import PostkeelError
from postkeel.shell import table_building
from postkeel.shell.table_building import build

NAMES = ("a.example.org", "b.example.org", "c.example.org")
INDEXES = {"hash": "sni.db", "btree": "sni.db", "lmdb": "sni.lmdb", "cdb": "sni.cdb"}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def types():
    """Those that this Postfix has; asked with an empty main.cf, for the host may have none."""
    with tempfile.TemporaryDirectory() as place:
        Path(place, "main.cf").touch()
        os.utime(f"{place}/main.cf", (0, 0))
        command = ["postconf", "-c", place, "-m"]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
    return [one for one in INDEXES if one in said.stdout.split()]


class Tables:
    """A directory of configuration with a table's source, and the files that it names."""

    def __init__(self, place):
        self.place = place
        self.main_cf = place / "main.cf"
        self.main_cf.write_text("compatibility_level = 3.6\n")
        self.source = place / "sni"
        self.source.write_text("".join(f"{name} {place}/{name}.pem\n" for name in NAMES))
        for name in NAMES:
            self.renew(name)

    def renew(self, name):
        """Its new certificate's sha256."""
        made = make_certificate("ecdsa", host=name, address="192.0.2.1")
        (self.place / f"{name}.pem").write_text(made.key + made.certificate)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate)).hexdigest()

    def build(self, kind="hash"):
        build(f"{kind}:{self.source}", str(self.place))

    def held(self, kind="hash"):
        """What the table holds of each name, as Postfix reads it."""
        os.utime(self.main_cf, (0, 0))
        command = ["postmap", "-c", str(self.place), "-F", "-q"]
        answers = {
            name: subprocess.run(
                [*command, name, f"{kind}:{self.source}"],
                capture_output=True,
                text=True,
                check=False,
            ).stdout.strip()
            for name in NAMES
        }
        return {name: text for name, text in answers.items() if text}

    def files(self):
        """What the files hold of each name."""
        return {name: (self.place / f"{name}.pem").read_text().strip() for name in NAMES}

    def left(self):
        return sorted(one.name for one in self.place.iterdir() if not one.name.endswith(".pem"))


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)


@pytest.mark.parametrize("kind", types())
def test_follows_a_renewal(tables, kind):
    tables.build(kind)
    assert tables.held(kind) == tables.files()
    index = tables.place / INDEXES[kind]
    assert stat.S_IMODE(index.stat().st_mode) == 0o600
    index.chmod(0o640)
    tables.renew("b.example.org")
    assert tables.held(kind) != tables.files()
    began = time.monotonic()
    tables.build(f"proxy:{kind}")
    assert time.monotonic() - began < 1.9, "postmap waited for a main.cf that is young"
    assert tables.held(kind) == tables.files()
    assert stat.S_IMODE(index.stat().st_mode) == 0o640
    assert tables.left() == ["main.cf", "sni", INDEXES[kind]]


def test_postmap_itself_leaves_a_name_out_and_says_that_all_is_well(tables):
    """Why the private directory is there: should this fail one day, it can go."""
    tables.build()
    (tables.place / "b.example.org.pem").unlink()
    os.utime(tables.main_cf, (0, 0))
    command = ["postmap", "-c", str(tables.place), "-F", f"hash:{tables.source}"]
    subprocess.run(command, check=True, capture_output=True)
    assert "b.example.org" not in tables.held()


@pytest.mark.parametrize("kind", types())
def test_a_file_that_is_missing_leaves_the_old_table_whole(tables, kind):
    tables.build(kind)
    before = tables.held(kind)
    tables.renew("a.example.org")
    (tables.place / "b.example.org.pem").unlink()
    with pytest.raises(PostkeelError) as refusal:
        tables.build(kind)
    said = str(refusal.value)
    assert f"{tables.source}, line 2: open {tables.place}/b.example.org.pem: No such file" in said
    assert "the table stays as it was" in said
    assert ".postkeel" not in said
    assert tables.held(kind) == before
    assert tables.left() == ["main.cf", "sni", INDEXES[kind]]


def no_source(tables):
    tables.source.unlink()


def source_is_a_directory(tables):
    tables.source.unlink()
    tables.source.mkdir()


def no_main_cf(tables):
    tables.main_cf.unlink()


def something_in_the_way(tables):
    (tables.place / "sni.db.postkeel").write_text("mine")


def a_link_in_the_way(tables):
    (tables.place / "elsewhere").mkdir()
    (tables.place / "elsewhere" / "precious").touch()
    (tables.place / "sni.db.postkeel").symlink_to("elsewhere")


def a_dangling_index(tables):
    (tables.place / "sni.db").unlink()
    (tables.place / "sni.db").symlink_to("nowhere")


def an_unknown_value(tables):
    tables.main_cf.write_text("berkeley_db_create_buffer_size = many\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_source, "sni: No such file or directory"),
        (source_is_a_directory, "run: chown root .*/sni"),
        (no_main_cf, r"main\.cf: there is none"),
        (something_in_the_way, r"not built: .*sni\.db\.postkeel: Not a directory"),
        (a_link_in_the_way, r"not built: .*sni\.db\.postkeel: "),
        (a_dangling_index, "is a symbolic link: "),
        (an_unknown_value, "postmap says: fatal: .*berkeley_db_create_buffer_size"),
    ],
)
def test_what_goes_wrong_is_said_and_nothing_else_is_touched(tables, spoil, said):
    tables.build()
    before = (tables.place / "sni.db").read_bytes()
    spoil(tables)
    left = tables.left()
    with pytest.raises(PostkeelError, match=said) as refusal:
        tables.build()
    assert "\n" not in str(refusal.value)
    assert tables.left() == left
    if (tables.place / "sni.db").is_file():
        assert (tables.place / "sni.db").read_bytes() == before
    if (tables.place / "elsewhere").exists():
        assert (tables.place / "elsewhere" / "precious").exists()


@pytest.mark.parametrize("table", ["texthash:/etc/postfix/sni", "sdbm:/etc/postfix/sni", "sni"])
def test_other_types_are_left_to_the_administrator(tables, table):
    with pytest.raises(PostkeelError, match=f"run: postmap -F {table}"):
        build(table, str(tables.place))


@root_only
def test_a_source_of_another_user_is_refused(tables):
    os.chown(tables.source, 65534, 65534)
    with pytest.raises(PostkeelError, match="run: chown root"):
        tables.build()


@root_only
def test_owner_and_group_of_source_and_table_are_kept(tables):
    os.chown(tables.source, 0, 12345)
    tables.build()
    index = tables.place / "sni.db"
    os.chown(index, 12345, 12346)
    tables.renew("a.example.org")
    tables.build()
    assert (index.stat().st_uid, index.stat().st_gid) == (12345, 12346)
    assert tables.held() == tables.files()


def test_a_table_behind_a_link_stays_behind_it(tables):
    (tables.place / "real").mkdir()
    tables.build()
    (tables.place / "sni.db").rename(tables.place / "real" / "sni.db")
    (tables.place / "sni.db").symlink_to("real/sni.db")
    tables.renew("a.example.org")
    tables.build()
    assert (tables.place / "sni.db").is_symlink()
    assert os.listdir(tables.place / "real") == ["sni.db"]
    assert tables.held() == tables.files()


def edits(tables, monkeypatch, most):
    """Have the source edited while postmap runs, so many times. How often it ran."""
    ran = []
    really = table_building._run_postmap

    def run_while_edited(*words):
        really(*words)
        ran.append(words)
        if len(ran) <= most:
            tables.source.write_text(tables.source.read_text() + f"# {len(ran)}\n")

    monkeypatch.setattr(table_building, "_run_postmap", run_while_edited)
    return ran


def test_a_source_that_was_edited_meanwhile_is_read_again(tables, monkeypatch):
    ran = edits(tables, monkeypatch, 1)
    tables.build()
    assert len(ran) == 2


def test_a_source_that_is_edited_all_the_time_is_no_endless_work(tables, monkeypatch):
    edits(tables, monkeypatch, 100)
    with pytest.raises(PostkeelError, match="is written all the time; run: postmap -F hash:"):
        tables.build()
    assert tables.left() == ["main.cf", "sni", "sni.db"]


def test_killed_at_any_time_the_table_is_whole(tables):
    """The parent of postmap dies at random moments; what is left is tidied by the next."""
    tables.build()
    versions = [tables.held()]
    for milliseconds in range(0, 60, 3):
        tables.renew("a.example.org")
        versions = [*versions[-1:], tables.files()]
        child = os.fork()
        if child == 0:
            try:
                tables.build()
            finally:
                os._exit(0)
        time.sleep(milliseconds / 1000)  # the moment is what varies here
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        held = tables.held()
        assert held in versions, milliseconds
        versions = [held]
        assert len(tables.left()) <= 4
    tables.build()
    assert tables.held() == tables.files()
    assert tables.left() == ["main.cf", "sni", "sni.db"]


def served(address, name):
    """The sha256 of what port 465 shows to who asks for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, 465), 20) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        return hashlib.sha256(secured.getpeercert(binary_form=True)).hexdigest()


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.skipif(bool(bed.why_not()), reason=str(bed.why_not()))
@pytest.mark.parametrize("kind", types())
def test_clients_meet_no_failure_while_tables_are_built(tmp_path, kind):
    """Two clients that never stop: each handshake shows the certificate of its own name."""
    place = tmp_path / "tables"
    place.mkdir()
    tables = Tables(place)
    tables.build(kind)
    current = {name: {tables.renew(name)} for name in NAMES}
    done = threading.Event()
    seen = []

    def client(name):
        while not done.is_set():
            seen.append((name, served(postfix.address, name)))

    level = {"tls_server_sni_maps": f"{kind}:{tables.source}"}
    with bed.private_postfix(parameters=level) as postfix, ThreadPoolExecutor() as pool:
        build(f"{kind}:{tables.source}", postfix.config_directory)
        clients = [pool.submit(client, name) for name in NAMES[:2]]
        try:
            for _ in range(15):
                for name in NAMES:
                    current[name].add(tables.renew(name))
                count = len(seen)
                build(f"{kind}:{tables.source}", postfix.config_directory)
                while len(seen) < count + 4 and not any(one.done() for one in clients):
                    time.sleep(0.01)
        finally:
            done.set()
        for one in clients:
            one.result()  # the failed handshake, if there was one
        newest = tables.renew("a.example.org")
        build(f"{kind}:{tables.source}", postfix.config_directory)
        # No reload: an smtpd notices by itself, before it serves another client.
        assert served(postfix.address, "a.example.org") == newest
    assert len(seen) >= 60
    assert all(shown in current[name] for name, shown in seen)
