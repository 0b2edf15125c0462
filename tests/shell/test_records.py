"""Records, on real files: all of a commit or nothing, totals exact within bounds, never fatal."""

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Records, Table
from postkeel.maillog.values import OTHERS
from postkeel.shell.record_tables import MOST
from postkeel.shell.records import STATE_LIMIT, Kept, RecordStore

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
HOUR = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())
DAY = 86_400
TODAY = HOUR - HOUR % DAY
ETC, OUT = "/etc/postfix", "/etc/postfix-out"

PEERS = Table(
    name="peers",
    key=("protocol", "peer"),
    counters=("connections", "mails"),
    folds="peer",
    most_rows=100,
)
LINES = Table(name="lines", key=("source",), counters=("number",), most_rows=100)
CARD = (PEERS, LINES)
ONE = {(HOUR, "TLSv1.3", "example.com"): (1, 2)}

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a file system")


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state")


@pytest.fixture
def store(state):
    with RecordStore(state) as store:
        yield store


def commit(store, peers=(), *, instance=ETC, card=CARD, now=NOW, state=None, **more):
    records = Records(add={"peers": dict(peers)} if peers else {}, state=state)
    store.commit("tls_log", instance, card, records, now=now, **more)


def rows(store, table=PEERS, **wanted):
    return sorted(store.rows("tls_log", table, **wanted))


def total(store, table=PEERS):
    counters = -len(table.counters)
    return [sum(one) for one in zip(*(row[counters:] for row in rows(store, table)), strict=True)]


def test_counters_add_up_by_row(store):
    commit(store, ONE)
    commit(store, {**ONE, (HOUR, "TLSv1.2", "example.com"): (5, 0)})
    assert rows(store) == [
        (HOUR, "TLSv1.2", "example.com", 5, 0),
        (HOUR, "TLSv1.3", "example.com", 2, 4),
    ]
    assert rows(store, LINES) == []


def test_rows_are_found_by_instance_hour_and_folded_value(store):
    later = (HOUR + 3600, "TLSv1.3", "example.com")
    commit(store, {**ONE, later: (7, 7), (HOUR, "TLSv1.3", "example.org"): (3, 3)})
    assert rows(store, where="example.org") == [(HOUR, "TLSv1.3", "example.org", 3, 3)]
    (index,) = store._connection.execute("PRAGMA index_info('tls_log.peers.peer')").fetchall()
    assert index[2] == "peer"
    assert rows(store, since_hour=HOUR + 1) == [(*later, 7, 7)]
    commit(store, ONE, instance=OUT)
    assert rows(store, instance=OUT) == [(HOUR, "TLSv1.3", "example.com", 1, 2)]
    assert rows(store)[0] == (HOUR, "TLSv1.3", "example.com", 2, 4)
    assert rows(store, instance="/etc/other") == []
    assert list(store.rows("another_plugin", PEERS)) == []
    with pytest.raises(PostkeelError, match="table lines of tls_log folds no column"):
        rows(store, LINES, where="x")


def test_state_and_position_are_replaced_with_the_counters(store):
    assert store.kept("tls_log", ETC) == Kept(state=None, positions={})
    commit(store, ONE, state={"reader": [1, None]}, source="/var/log/\udce9", position={"at": 7})
    commit(store, state=[2.5, "caf\udce9 \0"], source="journal", position="s=abc")
    assert store.kept("tls_log", ETC) == Kept(
        state=[2.5, "caf\udce9 \0"], positions={"/var/log/\udce9": {"at": 7}, "journal": "s=abc"}
    )
    store.commit("tls_log", ETC, CARD, None, source="journal", position=None, now=NOW)
    kept = store.kept("tls_log", ETC)
    assert kept.state == [2.5, "caf\udce9 \0"]
    assert kept.positions["journal"] is None
    commit(store)
    assert store.kept("tls_log", ETC).state is None
    assert store.kept("tls_log", OUT) == store.kept("other", ETC) == Kept(state=None, positions={})


def test_without_a_file_there_is_nothing_and_none_is_made(state):
    with RecordStore(state, read_only=True) as store:
        assert rows(store) == []
        assert store.kept("tls_log", ETC) == Kept(state=None, positions={})
    assert not os.path.exists(state)


@pytest.mark.parametrize("begun", ["", "PRAGMA journal_mode = WAL"])
def test_a_file_that_was_only_begun_holds_nothing(state, begun):
    os.mkdir(state)
    with contextlib.closing(sqlite3.connect(f"{state}/records.sqlite3")) as connection:
        connection.execute(begun or "PRAGMA user_version")
    with RecordStore(state, read_only=True) as reader:
        assert rows(reader) == []
        assert reader.kept("tls_log", ETC) == Kept(state=None, positions={})
    with RecordStore(state) as store:
        commit(store, ONE)
        assert total(store) == [1, 2]


def test_is_for_its_owner_only(store):
    commit(store, ONE)
    modes = {os.stat(f"{store.path}{end}").st_mode & 0o777 for end in ("", "-wal", "-shm")}
    assert modes == {0o600}


KEYS = {
    "a number": (5, 5),
    "more than 32 bits": (-(2**63) + 1, -(2**63) + 1),
    "NUL": ("a\0b", "a\0b"),
    "no UTF-8": ("caf\udce9", "caf\\udce9"),
    "too long": ("x" * 1_000_000, "x" * 255),
    "too long once it is UTF-8": ("\udce9" * 300, "\\udce9" * 42 + "\\ud"),
    "quotes": ("a'b\"; DROP TABLE states", "a'b\"; DROP TABLE states"),
}


@pytest.mark.parametrize(("given", "kept"), KEYS.values(), ids=KEYS)
def test_any_key_comes_back(store, given, kept):
    for _ in range(2):
        commit(store, {(HOUR, "TLSv1.3", given): (1, 1)})
    assert rows(store) == [(HOUR, "TLSv1.3", kept, 2, 2)]
    if isinstance(given, str):
        assert rows(store, where=given) == rows(store)


def test_keys_that_are_one_once_cut_are_added_up(store):
    commit(store, {(HOUR, "", "x" * 300 + end): (1, 10) for end in "abc"})
    assert rows(store) == [(HOUR, "", "x" * 255, 3, 30)]


def test_a_counter_stops_where_numbers_of_json_end(store):
    for _ in range(3):
        commit(store, {(HOUR, "", "a"): (MOST, MOST - 1)})
        commit(store, {(HOUR, "", "a"): (MOST, 1)}, instance=OUT)
    assert rows(store) == [(HOUR, "", "a", MOST, MOST)]
    assert rows(store, instance=OUT) == [(HOUR, "", "a", MOST, 3)]


FAULTY = {
    "a key short": {"peers": {(HOUR, "TLSv1.3"): (1, 1)}},
    "a counter short": {"peers": {(HOUR, "TLSv1.3", "a"): (1,)}},
    "an hour in words": {"peers": {("noon", "TLSv1.3", "a"): (1, 1)}},
    "an hour before all hours": {"peers": {(-3600, "TLSv1.3", "a"): (1, 1)}},
    "a key of None": {"peers": {(HOUR, None, "a"): (1, 1)}},
    "a key of bytes": {"peers": {(HOUR, "TLSv1.3", b"a"): (1, 1)}},
    "a key beyond 64 bits": {"peers": {(HOUR, 2**63, "a"): (1, 1)}},
    "less than none": {"peers": {(HOUR, "TLSv1.3", "a"): (-1, 1)}},
    "a fraction": {"peers": {(HOUR, "TLSv1.3", "a"): (0.5, 1)}},
    "a counter beyond all": {"peers": {(HOUR, "TLSv1.3", "a"): (MOST + 1, 1)}},
    "no such table": {"peers": {}, 'x"; DROP TABLE states; --': ONE},
}


@pytest.mark.parametrize("add", FAULTY.values(), ids=FAULTY)
def test_records_that_are_none_of_the_card_are_refused_as_a_whole(store, add):
    commit(store, ONE, source="journal", position=1)
    add = {"lines": {(HOUR, "journal"): (1,)}, **add}
    with pytest.raises(PostkeelError, match=r"^records of tls_log"):
        store.commit("tls_log", ETC, CARD, Records(add=add), source="journal", position=2, now=NOW)
    assert rows(store, LINES) == []
    assert store.kept("tls_log", ETC).positions == {"journal": 1}


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


STATES = {
    "too large": ("x" * STATE_LIMIT, "4 MiB are the most"),
    "no number": (float("nan"), "not of JSON's types"),
    "bytes": (b"x", "not of JSON's types"),
    "too deep": (deep(), "not of JSON's types"),
}


@pytest.mark.parametrize(("odd", "reason"), STATES.values(), ids=STATES)
def test_a_state_or_position_that_cannot_be_kept_is_refused(store, odd, reason):
    commit(store, ONE, state="before")
    with pytest.raises(PostkeelError, match=f"state of tls_log: .*{reason}"):
        commit(store, ONE, state=odd)
    with pytest.raises(PostkeelError, match=f"position in journal: .*{reason}"):
        commit(store, ONE, source="journal", position=odd)
    assert store.kept("tls_log", ETC) == Kept(state="before", positions={})
    assert total(store) == [1, 2]


def test_a_state_of_the_largest_size_is_kept(store):
    large = "x" * (STATE_LIMIT - 2)
    commit(store, state=large)
    assert store.kept("tls_log", ETC).state == large


def test_rows_older_than_the_card_keeps_are_forgotten(store):
    card = (replace(PEERS, kept_days=10),)
    for days in range(20):
        commit(store, {(TODAY - days * DAY, "", "a"): (1, 1)}, card=card, instance=f"/{days % 2}")
    commit(store, card=card, now=NOW + timedelta(days=1))
    assert [row[0] for row in rows(store)] == [TODAY - days * DAY for days in range(8, -1, -1)]


def test_hours_of_older_days_are_added_up_before_any_name_is_lost(store):
    hours = [TODAY - 5 * DAY + hour * 3600 for hour in range(24 * 6)]
    commit(store, {(hour, "", "a"): (1, hour) for hour in hours[:100]})
    assert len(rows(store)) == 100
    commit(store, {(hour, "", "a"): (1, hour) for hour in hours[100:]})
    by_day = Counter()
    for hour in hours:
        by_day[hour - hour % DAY] += 1
    found = rows(store, where="a")
    assert found == rows(store)
    assert {row[0] for row in found} >= {hour for hour in hours if hour >= TODAY - 2 * DAY}
    assert (TODAY - 5 * DAY, "", "a", by_day[TODAY - 5 * DAY], sum(hours[:24])) in found
    assert total(store) == [len(hours), sum(hours)]


def test_no_more_days_are_added_up_than_is_needed(store):
    hours = [TODAY - 8 * DAY + hour * 3600 for hour in range(24 * 5)]
    commit(store, {(hour, "", "a"): (1, 1) for hour in hours})
    days = [(TODAY - 8 * DAY, "", "a", 24, 24), (TODAY - 7 * DAY, "", "a", 24, 24)]
    assert rows(store) == days + [(hour, "", "a", 1, 1) for hour in hours[48:]]


def test_the_hours_of_the_last_two_days_stay(store):
    hours = [TODAY - 3 * DAY + hour * 3600 for hour in range(20, 24 * 4)]
    commit(store, {(hour, "", "a"): (1, 1) for hour in hours})
    commit(store, {(HOUR, "", f"{number}"): (1, 1) for number in range(30)})
    kept = [(hour, "", "a", 1, 1) for hour in hours[4:]]
    assert rows(store, where="a") == [(TODAY - 3 * DAY, "", "a", 4, 4), *kept]
    assert total(store) == [len(hours) + 30] * 2


def test_the_rarest_are_added_up_and_those_seen_last_stay(store):
    peers = {(HOUR - 3600, "", f"once-{number}"): (1, 0) for number in range(40)}
    peers |= {(HOUR, "", f"lately-{number}"): (1, 0) for number in range(40)}
    peers |= {(HOUR, "", f"often-{number}"): (2, 0) for number in range(21)}
    peers |= {(HOUR - 7200, "", ""): (1, 0), (HOUR, "", OTHERS): (4, 0)}
    commit(store, peers)
    kept = {row[2]: row[3] for row in rows(store)}
    assert {f"lately-{number}" for number in range(40)} <= kept.keys()
    assert {f"often-{number}" for number in range(21)} <= kept.keys()
    gone = {f"once-{number}" for number in range(40)} - kept.keys()
    assert 13 <= len(gone) <= 14
    assert rows(store, where=OTHERS) == [
        (HOUR - 3600, "", OTHERS, len(gone), 0),
        (HOUR, "", OTHERS, 4, 0),
    ]
    assert kept[""] == 1


def test_what_cannot_be_added_up_is_forgotten_from_the_least(store):
    commit(store, {(HOUR, "", "a"): (1000, 0)})
    for start in range(0, 1000, 50):
        commit(store, {(HOUR, f"forged {start + one}", "a"): (1, 0) for one in range(50)})
        store.commit(
            "tls_log",
            ETC,
            CARD,
            Records(add={"lines": {(HOUR, str(start + one)): (one,) for one in range(50)}}),
            now=NOW,
        )
        assert len(rows(store)) <= 102
        assert len(rows(store, LINES)) <= 102
    assert (HOUR, "", OTHERS, 1000, 0) in rows(store)
    assert Counter(row[2] for row in rows(store, LINES)).items() >= {49: 20, 48: 20, 47: 20}.items()


KEY = st.tuples(
    st.sampled_from([TODAY - 9 * DAY, TODAY - 9 * DAY + 3600, TODAY - 5 * DAY, HOUR, HOUR + 3600]),
    st.sampled_from(["TLSv1.2", "TLSv1.3"]),
    st.one_of(st.integers(0, 400), st.sampled_from(["", OTHERS, "a.test", "b.test"])),
)
BATCH = st.tuples(
    st.sampled_from([ETC, OUT]),
    st.dictionaries(KEY, st.tuples(st.integers(0, 5), st.integers(0, MOST >> 20)), max_size=80),
)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(BATCH, min_size=3, max_size=12))
def test_totals_are_exact_within_the_bounds(tmp_path_factory, batches):
    given_to, found = Counter(), Counter()
    with RecordStore(str(tmp_path_factory.mktemp("state"))) as store:
        for instance, batch in batches:
            commit(store, batch, instance=instance)
            for (_, protocol, _), (connections, mails) in batch.items():
                given_to.update({(instance, protocol, 0): connections})
                given_to.update({(instance, protocol, 1): mails})
            kept = [
                (instance, row)
                for instance in (ETC, OUT)
                for row in store.rows("tls_log", PEERS, instance=instance)
            ]
            assert len(kept) <= PEERS.most_rows + 1
        for instance, (_, protocol, _, connections, mails) in kept:
            found.update({(instance, protocol, 0): connections, (instance, protocol, 1): mails})
        assert +found == +given_to
        together = list(store.rows("tls_log", PEERS))
        assert sum(row[-1] for row in together) == sum(row[-1] for _, row in kept)
        assert len({row[:3] for row in together}) == len(together)


def test_many_peers_leave_a_small_file_in_which_the_frequent_are_exact(store):
    card = (replace(PEERS, most_rows=2000),)
    frequent = [f"mx{number}.example.com" for number in range(50)]
    store.commit("tls_log", ETC, card, None, now=NOW)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for start in range(0, 50_000, 500):
        peers = {(HOUR, "", f"peer-{start + number}.test"): (1, 1) for number in range(500)}
        commit(store, peers | {(HOUR, "", peer): (2, 3) for peer in frequent}, card=card)
        assert len(rows(store)) <= 2040
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert total(store) == [50_000 + 100 * 50 * 2, 50_000 + 100 * 50 * 3]
    for peer in frequent:
        assert rows(store, where=peer) == [(HOUR, "", peer, 200, 300)]
    assert os.path.getsize(store.path) < 2_000_000
    assert os.path.getsize(f"{store.path}-wal") < 2_000_000
    assert grown < 8192  # KiB


WIDER = replace(PEERS, key=("peer", "cipher"), counters=("mails", "failures"))


def test_a_card_whose_columns_changed_keeps_what_fits(store, state):
    commit(store, {**ONE, (HOUR, "TLSv1.2", "example.com"): (10, 20)})
    with RecordStore(state, read_only=True) as reader:
        assert rows(reader, WIDER) == [(HOUR, "example.com", "", 22, 0)]
        assert rows(reader, replace(WIDER, folds="cipher"), where="") == rows(reader, WIDER)
    store.close()
    commit(store, {(HOUR, "example.com", "A"): (1, 1)}, card=(WIDER,))
    assert rows(store, WIDER) == [
        (HOUR, "example.com", "", 22, 0),
        (HOUR, "example.com", "A", 1, 1),
    ]
    tables = "SELECT count(*) FROM sqlite_master WHERE name LIKE '%former%'"
    assert store._connection.execute(tables).fetchone() == (0,)
    store.close()
    commit(store, card=(replace(WIDER, folds="cipher"),))
    assert len(rows(store, replace(WIDER, folds="cipher"), where="A")) == 1


def test_a_command_reads_beside_the_writer(store, state):
    commit(store, {(HOUR, "", f"{number}"): (1, 1) for number in range(90)})
    with RecordStore(state, read_only=True) as reader:
        assert total(reader) == [90, 90]
        half = reader.rows("tls_log", PEERS)
        next(half)
        commit(store, {(HOUR, "", f"{number}"): (1, 1) for number in range(80, 300)})
        assert len(list(half)) == 89
        assert total(reader) == [310, 310]
        with pytest.raises(PostkeelError, match="readonly"):
            commit(reader, ONE)


def test_adding_up_does_not_wait_for_rows_that_are_still_read(store):
    table = replace(PEERS, most_rows=3000)
    commit(store, {(HOUR, "", f"{number}"): (1, 1) for number in range(3000)}, card=(table,))
    half = store.rows("tls_log", table)
    next(half)
    for start in range(3000, 9000, 1000):
        peers = {(HOUR, "", f"{number}"): (1, 1) for number in range(start, start + 1000)}
        commit(store, peers, card=(table,))
    half.close()
    assert total(store, table) == [9000, 9000]


def test_rows_say_so_when_the_file_breaks_under_them(store):
    table = replace(PEERS, most_rows=5000)
    commit(store, {(HOUR, "", f"{number}"): (1, 1) for number in range(3000)}, card=(table,))
    half = store.rows("tls_log", table)
    next(half)
    store.close()
    with pytest.raises(PostkeelError, match=r"records\.sqlite3: .*closed"):
        list(half)


def test_another_writer_is_waited_for(store):
    commit(store, ONE, source="journal", position=1)
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(PostkeelError, match="locked"):
            commit(store, ONE, source="journal", position=2)
        other.execute("ROLLBACK")
    assert store.kept("tls_log", ETC).positions == {"journal": 1}
    commit(store, ONE, source="journal", position=2)
    assert total(store) == [2, 4]


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_records import *
with RecordStore(sys.argv[1]) as store:
    position = store.kept("tls_log", ETC).positions.get("journal", 0)
    print("begun", flush=True)
    while True:
        position += 1
        peers = {(HOUR - position % 5 * DAY, "", f"{position}-{one}"): (1, 2) for one in range(10)}
        commit(store, peers, state=position, source="journal", position=position)
"""


def test_position_and_counters_agree_however_often_the_writer_is_killed(state):
    words = [sys.executable, "-c", WRITER, state, os.path.dirname(__file__)]
    positions = [0]
    for moment in range(15):
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(moment * 0.01)
            process.send_signal(signal.SIGKILL)
        with RecordStore(state, read_only=True) as reader:
            kept = reader.kept("tls_log", ETC)
            positions.append(kept.positions.get("journal", 0))
            assert kept.state == kept.positions.get("journal")
            assert total(reader) in ([10 * positions[-1], 20 * positions[-1]], [])
    assert positions == sorted(positions)
    assert positions[-1] > 100


BEGINNER = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("CREATE TABLE begun (text)")
connection.execute("BEGIN IMMEDIATE")
for _ in range(3000):
    connection.execute("INSERT INTO begun VALUES (?)", ("x" * 500,))
os.kill(os.getpid(), 9)
"""


def test_a_file_whose_first_writer_was_killed_holds_nothing_for_a_reader(state):
    """Before there is a write-ahead log, what was half done can be undone by a writer only."""
    os.mkdir(state)
    file = os.path.join(state, "records.sqlite3")
    subprocess.run([sys.executable, "-c", BEGINNER, file], check=False)
    assert os.path.exists(f"{file}-journal")
    with RecordStore(state, read_only=True) as reader:
        assert reader.kept("tls_log", ETC).state is None


def damage_header(path):
    with open(path, "r+b") as file:
        file.write(b"no database at all" * 10)


def damage_pages(path):
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (os.path.getsize(path) - 4096))


@pytest.fixture(params=[damage_header, damage_pages])
def damaged(request, state):
    with RecordStore(state) as store:
        commit(store, ONE, source="journal", position=1)
    request.param(store.path)
    os.utime(store.path, (HOUR, HOUR))
    return store.path


def test_a_damaged_file_is_moved_aside_and_nothing_of_the_commit_is_kept(damaged, state):
    with RecordStore(state) as store:
        with pytest.raises(PostkeelError, match=r"moved to .*corrupt-20261123T123000Z, and a new"):
            commit(store, ONE, source="journal", position=2)
        assert rows(store) == []
        commit(store, ONE, source="journal", position=2)
        assert total(store) == [1, 2]
    assert os.path.getsize(f"{damaged}.corrupt-20261123T123000Z") > 0


def test_the_log_of_a_damaged_file_goes_with_it(store, state):
    commit(store, ONE)
    with RecordStore(state, read_only=True) as reader:
        assert total(reader) == [1, 2]
        store.close()
        with open(f"{store.path}-wal", "r+b") as file:
            file.write(b"\xff" * os.path.getsize(file.name))
        with pytest.raises(PostkeelError, match=r"moved to .*corrupt-20261123T123000Z, and a new"):
            commit(store, ONE)
        commit(store, ONE)
        assert total(store) == [1, 2]
    with open(f"{store.path}.corrupt-20261123T123000Z-wal", "rb") as file:
        assert file.read(8) == b"\xff" * 8


def test_a_writer_that_finds_damage_when_it_starts_begins_anew(damaged, state):
    with RecordStore(state) as store:
        with pytest.raises(PostkeelError, match=r"moved to .*corrupt-20261123T120000Z, and a new"):
            store.kept("tls_log", ETC)
        assert store.kept("tls_log", ETC) == Kept(state=None, positions={})


def test_a_reader_reports_damage_and_moves_nothing(damaged, state):
    with RecordStore(state, read_only=True) as reader:
        for look in (lambda: reader.kept("tls_log", ETC), lambda: rows(reader)):
            with pytest.raises(PostkeelError, match=r"not a database|malformed"):
                look()
    assert not any("corrupt" in one for one in os.listdir(state))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_file_is_left_alone(store, state, read_only):
    commit(store, ONE)
    store.close()
    with contextlib.closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with RecordStore(state, read_only=read_only) as newer:
        with pytest.raises(PostkeelError, match="written by a newer postkeel"):
            newer.kept("tls_log", ETC)
        with pytest.raises(PostkeelError, match="written by a newer postkeel"):
            commit(newer, ONE)


INSTEAD = {
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "dangling link": lambda path: path.symlink_to(path.parent / "nothing"),
    "pipe": os.mkfifo,
    "directory": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("make", INSTEAD.values(), ids=INSTEAD)
def test_what_is_no_file_is_refused(tmp_path, make, read_only):
    make(tmp_path / "records.sqlite3")
    with RecordStore(str(tmp_path), read_only=read_only) as store:
        with pytest.raises(PostkeelError, match=r"records\.sqlite3: not a regular file"):
            store.kept("tls_log", ETC)
        with pytest.raises(PostkeelError, match=r"records\.sqlite3: not a regular file"):
            commit(store, ONE)
    assert len(os.listdir(tmp_path)) == 1


@pytest.fixture
def small_disk(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def fill(path):
    with path.open("wb", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def commit_on(store, start, stop):
    for position in range(start, stop):
        peers = {(HOUR, "", f"{position}-{one}" + 200 * "x"): (1, 2) for one in range(50)}
        commit(store, peers, state=position, source="journal", position=position)


@root_only
def test_a_full_disk_is_an_error_and_over_when_there_is_room(small_disk):
    ballast = small_disk / "ballast"
    with RecordStore(str(small_disk)) as store:
        commit_on(store, 1, 5)
        position = 4
        for room in (0, 40_000, 400_000):
            store.close()
            fill(ballast)
            os.truncate(ballast, os.path.getsize(ballast) - room)
            with pytest.raises(PostkeelError, match=r"full|I/O|space|unable to open"):
                commit_on(store, position + 1, position + 1000)
            ballast.unlink()
            position = store.kept("tls_log", ETC).positions["journal"]
            assert total(store) == [50 * position, 100 * position]
            commit_on(store, position + 1, position + 3)
            position += 2
        assert total(store) == [50 * position, 100 * position]


@root_only
def test_a_disk_that_became_read_only_is_an_error(small_disk):
    with RecordStore(str(small_disk)) as store:
        commit(store, ONE)
        store.close()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(PostkeelError, match=r"records\.sqlite3: .*(readonly|unable)"):
            commit(store, ONE)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        commit(store, ONE)
        assert total(store) == [2, 4]


@root_only
@pytest.mark.parametrize("read_only", [False, True])
def test_what_one_may_not_read_is_not_taken_for_empty(as_nobody, tmp_path, read_only):
    state = tmp_path / "elsewhere" / "state"
    with RecordStore(str(state)) as store:
        commit(store, ONE)
    state.parent.chmod(0o700)
    with RecordStore(str(state), read_only=read_only) as store, as_nobody:
        with pytest.raises(PostkeelError, match="Permission denied"):
            rows(store)
        with pytest.raises(PostkeelError, match="Permission denied"):
            commit(store, ONE)


def test_a_state_directory_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "state").write_text("")
    with (
        RecordStore(str(tmp_path / "state")) as store,
        pytest.raises(PostkeelError, match="state"),
    ):
        commit(store, ONE)


def test_a_damaged_file_that_cannot_be_moved_is_an_error(damaged, state, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "rename", refuse)
    with (
        RecordStore(state) as store,
        pytest.raises(PostkeelError, match="cannot be moved aside: Read-only file system"),
    ):
        commit(store, ONE)
