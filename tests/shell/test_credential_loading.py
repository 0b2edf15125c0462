"""OpenSSL's own word beside what is found without it."""

from __future__ import annotations

import os

import pytest

from forged_certificates import block, element, issued, rebuilt
from hostile_certificates import Case, corpus, named
from postkeel.certificates.reading import load
from postkeel.certificates.trust import Roots
from postkeel.certificates.values import Credential, Kind
from postkeel.shell.credential_loading import refusal

PAIRS = [one for one in corpus() if one.kind is Kind.PAIR and len(one.files) == 2]


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.name)
def test_it_says_the_same_of_each_pair(case: Case):
    certificate, key = case.files
    if not case.varies:
        assert bool(refusal(certificate, key)) == case.breaks


def test_what_is_found_by_openssl_only():
    """The same point that is on no curve, in the certificate and in its key."""
    algorithm = element(0x30, bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"))
    point = element(3, b"\0\4" + bytes(range(64)))
    certificate = rebuilt(issued(), {6: element(0x30, algorithm + point)})
    secret = element(0x30, element(2, b"\1") + element(4, bytes(31) + b"\1") + element(0xA1, point))
    key = block("PRIVATE KEY", element(0x30, element(2, b"\0") + algorithm + element(4, secret)))
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    held = {"/c": certificate, "/k": key}
    assert load(pair, held, Roots())[1] == ()
    (fault,) = load(pair, held, Roots(), refusal)[1]
    assert (fault.breaks, fault.file, fault.line) == (True, "/c", 1)
    assert fault.what.startswith("OpenSSL refuses it: ")


def test_one_answer_does_not_depend_on_the_one_before():
    good, foreign = named("good-rsa").files, named("foreign-rsa-key").files
    for _ in range(3):
        assert refusal(*good) == ""
        assert refusal(*foreign)
        assert refusal(good[0], named("good-pair").files[1])


def test_no_file_is_left_open():
    before = len(os.listdir("/proc/self/fd"))
    refusal(*named("good-pair").files)
    refusal(b"", b"")
    assert len(os.listdir("/proc/self/fd")) == before
