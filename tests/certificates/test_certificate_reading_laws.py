"""Whatever is in the files, reading them ends, and ends with values."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forged_certificates import block, element
from hostile_certificates import corpus, store
from postkeel.certificates.der import DerError, first, identifier, number, parts
from postkeel.certificates.names import covers
from postkeel.certificates.pem import blocks
from postkeel.certificates.reading import MOST_FAULTS, load
from postkeel.certificates.trust import read_roots
from postkeel.certificates.values import Chain, Credential, Fault, Kind

ROOTS = read_roots(store())
LAW = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
GOOD = [one.files for one in corpus() if not one.faults]


def loaded(kind: Kind, contents: list[bytes]) -> None:
    files = tuple(f"/f{index}" for index, _ in enumerate(contents))
    credential = Credential(kind=kind, files=files)
    chains, faults = load(credential, dict(zip(files, contents, strict=True)), ROOTS)
    assert all(isinstance(one, Chain) and one.certificates for one in chains)
    assert all(isinstance(one, Fault) and one.what.isprintable() for one in faults)
    assert len(faults) <= MOST_FAULTS
    assert chains or any(one.breaks for one in faults)


@LAW
@given(st.sampled_from(Kind), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_any_octets(kind, contents):
    loaded(kind, contents)


@st.composite
def damaged(draw):
    """Files of a good case, with some octets changed, lines moved, parts cut out or doubled."""
    files = [bytearray(one) for one in draw(st.sampled_from(GOOD))]
    for _ in range(draw(st.integers(1, 4))):
        file = draw(st.sampled_from(files))
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(file))] * 2)))
        match draw(st.sampled_from(["cut", "double", "flip", "insert", "shuffle"])):
            case "cut":
                del file[start:end]
            case "double":
                file[end:end] = file[start:end]
            case "flip" if start < len(file):
                file[start] ^= draw(st.integers(1, 255))
            case "insert":
                file[start:start] = draw(st.binary(max_size=40))
            case _:
                lines = file.split(b"-----BEGIN ")
                file[:] = b"-----BEGIN ".join(draw(st.permutations(lines)))
    return [bytes(one) for one in files]


@LAW
@given(st.sampled_from(Kind), damaged())
def test_good_files_with_damage(kind, contents):
    loaded(kind, contents)


@st.composite
def damaged_inside(draw):
    """A good certificate or key whose encoding is damaged, whole again in PEM."""
    held = [one for file in draw(st.sampled_from(GOOD)) for one in blocks(file) if one.data]
    data = [bytearray(one.data) for one in held]
    for _ in range(draw(st.integers(1, 3))):
        one = draw(st.sampled_from(data))
        at = draw(st.integers(0, len(one) - 1))
        one[at] = draw(st.integers(0, 255))
    return [b"".join(block(one.label, bytes(made)) for one, made in zip(held, data, strict=True))]


@LAW
@given(st.sampled_from([Kind.CHAIN, Kind.PAIR]), damaged_inside())
def test_good_encodings_with_damage(kind, contents):
    loaded(kind, contents * 2 if kind is Kind.PAIR else contents)


@pytest.mark.parametrize(
    "content",
    [
        b"\n" * (1 << 20),
        b"-----BEGIN CERTIFICATE-----\n" * 37000,
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" * 17000,
        b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n" * 17000,
        b"\x30\x83\x0f\xff\xfb" + b"\x30\x00" * ((1 << 19) - 3),
        b"-----BEGIN " + b"-" * (1 << 19),
    ],
    ids=["line ends", "begins", "certificates", "keys", "elements", "dashes"],
)
@pytest.mark.parametrize("kind", [Kind.CHAIN, Kind.PAIR])
def test_a_mebibyte_of_the_worst_does_not_take_long(kind, content):
    before = time.process_time()
    loaded(kind, [content, content])
    assert time.process_time() - before < 10


@LAW
@given(st.binary(max_size=40))
def test_any_encoding(data):
    for read in (first, parts):
        try:
            found = read(data)
        except DerError:
            continue
        for one in found if read is parts else [found]:
            assert data.count(one.whole)


@LAW
@given(st.integers(0, 255).filter(lambda tag: tag & 31 != 31), st.binary(max_size=300))
def test_what_is_written_is_read(tag, content):
    made = element(tag, content)
    assert first(made + b"more") == (tag, content, made)
    assert parts(made * 3) == [(tag, content, made)] * 3


@LAW
@given(st.integers(-(1 << 400), 1 << 400))
def test_numbers(value):
    octets = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    assert number(first(element(2, octets))) == value


@LAW
@given(st.binary(max_size=20))
def test_any_identifier(octets):
    try:
        shown = identifier(first(element(6, octets)))
    except DerError:
        return
    assert shown.replace(".", "").isdigit()


@LAW
@given(st.lists(st.text(max_size=30), max_size=3), st.text(max_size=300))
def test_any_names(names, host):
    assert covers(names, host) in (True, False)
