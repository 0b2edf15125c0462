"""From a leaf to a root: by name and signature, in whatever order, and to an end."""

from __future__ import annotations

import pytest

from forged_certificates import HOST, element, issued, key_of, rebuilt, with_extension
from hostile_certificates import named, store
from postkeel.certificates.groups import MOST_CERTIFICATES
from postkeel.certificates.pem import blocks
from postkeel.certificates.reading import load
from postkeel.certificates.trust import Roots, read_roots
from postkeel.certificates.values import Credential, Kind, Trust

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"


def trusted(certificates: bytes, roots: bytes):
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    (chain,), _ = load(pair, {"/c": certificates}, read_roots(roots))
    return chain.trust, chain.missing


def authority(subject, issuer):
    return issued(subject, issuer, authority=True)


LEAF, MIDDLE, ROOT = issued(), authority("Intermediate", "Root"), store()
COMPLETE = (Trust.COMPLETE, "")


@pytest.mark.parametrize(
    ("certificates", "roots", "trust"),
    [
        (LEAF + MIDDLE, ROOT, COMPLETE),
        (LEAF + MIDDLE + ROOT, ROOT, COMPLETE),
        (LEAF + ROOT + MIDDLE, ROOT, COMPLETE),
        (LEAF, MIDDLE, COMPLETE),
        (LEAF, LEAF, COMPLETE),
        (LEAF, ROOT, (Trust.INCOMPLETE, "CN=Intermediate")),
        (LEAF + ROOT, ROOT, (Trust.INCOMPLETE, "CN=Intermediate")),
        (LEAF + MIDDLE, authority("Other", "Other"), (Trust.INCOMPLETE, "CN=Root")),
        (LEAF + MIDDLE + ROOT, authority("Other", "Other"), (Trust.FOREIGN, "")),
        (issued(HOST, HOST), ROOT, (Trust.SELF_SIGNED, "")),
        (issued(HOST, HOST) + MIDDLE, ROOT, (Trust.SELF_SIGNED, "")),
        (issued(HOST, HOST), issued(HOST, HOST), COMPLETE),
    ],
)
def test_how_far_a_chain_reaches(certificates, roots, trust):
    assert trusted(certificates, roots) == trust


def test_a_new_root_signed_by_an_older_one():
    """As ISRG Root X2 is by X1: whichever of the two a store has."""
    old, new = authority("Old", "Old"), authority("New", "New")
    chain = issued(HOST, "Issuer") + authority("Issuer", "New") + authority("New", "Old")
    assert trusted(chain, old) == COMPLETE
    assert trusted(chain, new) == COMPLETE
    assert trusted(chain, old + new) == COMPLETE
    assert trusted(chain + old, new) == COMPLETE


def test_a_root_of_the_same_name_with_another_key_is_another():
    impostor = rebuilt(authority("Root", "Root"), {})  # signed with the key of Intermediate
    other = issued("Root", "Root", key_of("impostor"), authority=True)
    assert trusted(LEAF + MIDDLE, other) == (Trust.INCOMPLETE, "CN=Root")
    assert trusted(LEAF + MIDDLE, other + impostor + ROOT) == COMPLETE


def test_an_issuer_of_the_same_name_with_another_key_is_none():
    other = issued("Intermediate", "Root", key_of("impostor"), authority=True)
    assert trusted(LEAF + other, ROOT) == (Trust.INCOMPLETE, "CN=Intermediate")
    assert trusted(LEAF + other + MIDDLE, ROOT) == COMPLETE


def test_those_that_issue_each_other_come_to_an_end():
    made = named("issue-each-other").files[0]
    assert trusted(made, ROOT)[0] is Trust.INCOMPLETE
    many = b"".join(
        issued(f"N{one}", f"N{two}", authority=True) for one in range(4) for two in range(4)
    )
    assert len(list(blocks(many))) == MOST_CERTIFICATES
    assert trusted(issued(HOST, "N0") + many, ROOT)[0] is Trust.FOREIGN


UNKNOWN = element(0x30, bytes.fromhex("06082b06010401fe7f01"))


def test_a_signature_that_cannot_be_checked_goes_by_the_name():
    odd = rebuilt(LEAF, {}, UNKNOWN)
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    (chain,), _ = load(pair, {"/c": odd + MIDDLE}, read_roots(ROOT))
    assert chain.trust is Trust.COMPLETE
    assert chain.leaf.problems == (
        "its signature (1.3.6.1.4.1.16255.1) could not be checked, its issuer was found by name",
    )


def test_a_signature_that_cannot_be_checked_goes_by_the_key_identifier_too():
    def with_issuer(identifier):
        value = element(0x30, element(0x80, identifier))
        signed = with_extension(LEAF, "0603551d23", value)
        return trusted(rebuilt(signed, {}, UNKNOWN) + MIDDLE, ROOT)

    from postkeel.certificates.certificate import encoded, subject_key

    (middle,) = blocks(MIDDLE)
    assert with_issuer(subject_key(encoded(middle.data))) == COMPLETE
    assert with_issuer(b"another") == (Trust.INCOMPLETE, "CN=Intermediate")


def test_a_store_with_rubbish_in_it():
    roots = read_roots(b"text\n" + named("der").files[1] + ROOT + ROOT + named("bad-der").files[0])
    assert len(roots) == 1
    assert len(read_roots(b"")) == len(Roots()) == 0


def test_the_store_of_this_system():
    """Each of its roots signed itself: every algorithm in use there can be checked."""
    with open(SYSTEM, "rb") as file:
        text = file.read()
    whole = read_roots(text)
    assert len(whole) == text.count(b"-----BEGIN")
    for root in text.split(b"-----END CERTIFICATE-----\n")[:-1]:
        one = root + b"-----END CERTIFICATE-----\n"
        assert trusted(one, ROOT)[0] is Trust.SELF_SIGNED
        assert trusted(one, text)[0] is Trust.COMPLETE
