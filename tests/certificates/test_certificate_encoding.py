"""DER, and names and PEM blocks in it and around it."""

from __future__ import annotations

import base64

import pytest

from forged_certificates import block, element
from postkeel.certificates import der
from postkeel.certificates.der import DerError, first
from postkeel.certificates.distinguished_names import LIMIT, canonical, shown
from postkeel.certificates.pem import blocks


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "missing"),
        (b"\x30", "missing"),
        (b"\x1f\x81\x00", "several octets"),
        (b"\x30\x80\x00\x00", "not definite"),
        (b"\x30\x85\0\0\0\0\0", "too large"),
        (b"\x30\x82\x01", "cut short"),
        (b"\x30\x02\x00", "cut short"),
    ],
)
def test_what_is_no_element(data, what):
    with pytest.raises(DerError, match=what):
        first(data)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (der.inside, b"\x31\x00"),
        (der.number, b"\x02\x00"),
        (der.bits, b"\x03\x00"),
        (der.bits, b"\x03\x02\x01\xff"),
        (der.identifier, b"\x06\x00"),
        (der.identifier, b"\x06\x01\x80"),
        (der.identifier, element(6, b"\x01" * 65)),
    ],
)
def test_what_is_another_element(read, data):
    with pytest.raises(DerError):
        read(first(data))


def test_how_many_elements():
    assert len(der.parts(b"\x05\x00" * 5000)) == 5000
    with pytest.raises(DerError, match="more than 5000"):
        der.parts(b"\x05\x00" * 5001)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("2a864886f70d", "1.2.840.113549"),
        ("5504", "2.5.4"),
        ("8837", "2.999"),
        ("27", "0.39"),
        ("28", "1.0"),
    ],
)
def test_identifiers(octets, text):
    assert der.identifier(first(element(6, bytes.fromhex(octets)))) == text


def attribute(text, *, kind="0603550403", tag=0x0C):
    return element(0x30, bytes.fromhex(kind) + element(tag, text))


def name(*attributes):
    return first(element(0x30, b"".join(element(0x31, one) for one in attributes)))


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (name(), ""),
        (name(attribute(b"DE", kind="0603550406"), attribute(b"mx")), "CN=mx,C=DE"),
        (name(attribute(b"mx") + attribute(b"two", kind="060355040b")), "CN=mx+OU=two"),
        (name(attribute(b'a,b+c"d\\e<f>;')), 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>\\;'),
        (name(attribute(b"#1 ")), "CN=\\#1\\ "),
        (name(attribute(b" ")), "CN=\\ "),
        (name(attribute(b"")), "CN="),
        (name(attribute("ü".encode("utf-16-be"), tag=0x1E)), "CN=ü"),
        (name(attribute("ü".encode("utf-32-be"), tag=0x1C)), "CN=ü"),
        (name(attribute(b"\xfc", tag=0x14)), "CN=ü"),
        (name(attribute(b"\x00\x01", tag=0x03)), "CN=hex:03020001"),
        (name(attribute(b"x", kind="06022a03")), "1.2.3=x"),
        (name(attribute(b"\x1b[2J\n")), "CN=\\x1b[2J\\n"),
    ],
)
def test_names_are_shown(made, text):
    assert shown(made) == text


def test_a_long_name_is_cut():
    assert len(shown(name(attribute(b"x" * 5000))).encode()) == LIMIT


@pytest.mark.parametrize(
    "odd",
    [
        name(attribute(b"\xff")),
        name(attribute(b"\x00", tag=0x1E)),
        name(element(0x30, b"")),
        name(element(0x30, bytes.fromhex("0603550403"))),
        first(element(0x30, b"\x30\x00")),
    ],
)
def test_names_that_openssl_refuses(odd):
    with pytest.raises(DerError):
        canonical(odd)


def test_names_are_compared_without_case_spaces_and_kind_of_string():
    one = name(attribute(b"Example  CA ", tag=0x13), attribute(b"x"))
    assert canonical(one) == canonical(name(attribute(b" example ca"), attribute(b"X")))
    assert canonical(one) != canonical(name(attribute(b"x"), attribute(b"example ca")))
    assert canonical(one) != canonical(name(attribute(b"exampleca"), attribute(b"x")))


def test_the_order_within_a_part_of_a_name_does_not_count():
    two = attribute(b"two", kind="060355040b")
    one = attribute(b"one")
    assert canonical(name(one + two)) == canonical(name(two + one))


def test_blocks_and_their_lines():
    text = b"text\n" + block("A", b"1") + b"-----BEGIN\n\n" + block("B C", b"2" * 100)
    found = [(one.label, one.line, one.data, one.problem) for one in blocks(text)]
    assert found == [("A", 2, b"1", ""), ("B C", 7, b"2" * 100, "")]


def headed(*header, width=64):
    body = base64.b64encode(bytes(99)).decode()
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    text = "\n".join((*header, "", *lines))
    return f"-----BEGIN K-----\n{text}\n-----END K-----\n".encode()


def test_a_header():
    (found,) = blocks(headed("Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,00"))
    assert (found.data, found.encrypted) == (bytes(99), True)
    (found,) = blocks(headed("Proc-Type: 4,MIC-ONLY"))
    assert (found.data, found.encrypted) == (bytes(99), False)
    (found,) = blocks(headed())
    assert (found.data, found.encrypted) == (bytes(99), False)


def test_behind_a_header_lines_are_as_long_as_they_must_be():
    (found,) = blocks(headed("A: b", width=60))
    assert "other lengths than 64" in found.problem


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (b"-----BEGIN A-----\nAA==\n-----END B-----\n", "ends as '-----END B-----'"),
        (b"-----BEGIN A-----\nA*==\n-----END A-----\n", "is not Base64: "),
        (b"-----BEGIN A-----\n-----END A-----\n", "is empty"),
        (b"-----BEGIN A-----\n\n\n-----END A-----\n", "has empty lines in it"),
        (b"-----BEGIN A-----\n", "has no END line: the file is cut short"),
    ],
)
def test_what_is_broken_is_the_last(broken, problem):
    whole, found = blocks(
        block("Z", b"1") + broken + (block("C", b"3") if b"END" in broken else b"")
    )
    assert (whole.label, whole.problem) == ("Z", "")
    assert (found.label, found.line, found.data) == ("A", 4, b"")
    assert found.problem.startswith(problem)


def test_labels_and_lines_of_strangers_are_one_printable_line():
    text = b"-----BEGIN \x1b[2J\xff-----\n-----END \x1b]0;x\n"
    (found,) = blocks(text)
    assert found.label.isprintable()
    assert found.problem.isprintable()


def test_a_line_that_begins_with_nul_ends_the_file():
    whole = block("A", b"1")
    assert len(list(blocks(whole + b"\0\n" + whole))) == 1
    assert len(list(blocks(whole + b"x\0\n" + whole))) == 2
