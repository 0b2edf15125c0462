"""What is said of each case of the corpus, and where."""

from __future__ import annotations

import pytest

from forged_certificates import HOST, block, element, issued, key_of, pem, rebuilt
from hostile_certificates import corpus, named, store
from postkeel.certificates.contents import LARGEST
from postkeel.certificates.groups import MOST_CERTIFICATES
from postkeel.certificates.pem import blocks
from postkeel.certificates.reading import MOST_FAULTS, MOST_KEYS, load
from postkeel.certificates.trust import Roots, read_roots
from postkeel.certificates.values import Credential, FaultKind, Kind, Trust


@pytest.fixture(scope="module")
def roots():
    return read_roots(store())


def read(name, roots):
    case = named(name)
    return load(case.credential("/d"), case.contents("/d"), roots)


def only_fault(name, roots):
    (fault,) = read(name, roots)[1]
    return fault


@pytest.mark.parametrize("case", corpus(), ids=lambda case: case.name)
def test_each_case(case, roots):
    chains, faults = load(case.credential("/d"), case.contents("/d"), roots)
    assert {one.kind for one in faults} == case.faults, faults
    assert any(one.breaks for one in faults) == case.breaks, faults
    assert (chains[0].trust if chains else None) == case.trust, chains
    for fault in faults:
        assert fault.file in case.credential("/d").files
        assert fault.what.isprintable()
        assert fault.help
        assert fault.help.isprintable()
    for chain in chains:
        for text in (chain.leaf.subject, chain.leaf.issuer, *chain.leaf.names, chain.missing):
            assert text.isprintable()


def test_the_names_of_cases_are_unique():
    assert len({case.name for case in corpus()}) == len(corpus())


@pytest.mark.parametrize(
    ("name", "line", "what", "advice"),
    [
        ("empty", 0, "is empty", "again"),
        ("der", 0, "a certificate in DER", "openssl x509 -inform der -in /d/der.0.pem"),
        ("der-key", 0, "a private key in DER", "openssl pkey -inform der"),
        ("binary", 0, "is binary", "PEM"),
        ("utf-16", 0, "UTF-16", "ASCII"),
        ("text", 0, "no PEM block", "PEM"),
        ("indented", 0, "BEGIN line", "nothing before it"),
        ("ten-megabytes", 0, "larger than 1 MiB", "nothing but"),
        ("truncated-intermediate", 12, "cut short", "again"),
        ("ends-otherwise", 1, "ends as '-----END X509 CERTIFICATE-----'", "again"),
        ("not-base64", 1, "is not Base64", "again"),
        ("no-data", 1, "is empty", "again"),
        ("empty-lines-within", 1, "empty lines", "again"),
        ("bad-der", 1, "cannot be read: an element is cut short", "again"),
        ("request", 0, "it has: CERTIFICATE REQUEST", "a request is not a certificate"),
        ("public-key", 0, "no private key (it has: PUBLIC KEY)", "alone is neither"),
        ("excess", 6, "more in the certificate's block", "again"),
        ("foreign-key", 1, "not that of the certificate in /d/foreign-key.0.pem", "compare:"),
        ("encrypted-key", 1, "is encrypted", "openssl pkey -in /d/encrypted-key.1.pem -out"),
        ("encrypted-old-style", 1, "is encrypted", "openssl pkey"),
        ("broken-key", 1, "no algorithm or no key", "again"),
        ("unknown-key", 1, "1.3.6.1.4.1.16255.1 is none that TLS can use", "ECDSA or RSA"),
        ("unknown-algorithm", 1, "of an algorithm that TLS cannot use", "ECDSA or RSA"),
        ("only-a-key", 1, "no certificate follows", "right behind the key"),
        ("one-algorithm-twice", 32, "a second certificate with a key of EC", "one key of each"),
        ("second-key-foreign", 27, "is not that of the certificate", "compare:"),
        ("leaf-last", 11, "own certificate is not the first", "first"),
        ("certificate-before-key", 1, "stands before its private key", "before the certificate"),
        (
            "certificate-file-first",
            1,
            "stands before its private key",
            "file first: /d/certificate-file-first.1.pem, /d/certificate-file-first.0.pem",
        ),
        ("wrong-order", 12, "'CN=Root' issued none of the certificates before it", "issuer"),
        ("doubled-leaf", 12, f"'CN={HOST}' stands here a second time", "remove one"),
        ("no-authority", 12, "'CN=pretender' issued one before it, but is no authority", "issuer"),
        ("unreadable-names", 1, "the extension subjectAltName", "another"),
        ("extensions-twice", 1, "there are several extensions", "another"),
        ("name-not-utf-8", 1, "a name is not utf-8", "again"),
    ],
)
def test_where_a_fault_is_and_what_to_do(roots, name, line, what, advice):
    fault = only_fault(name, roots)
    assert fault.line == line
    assert what in fault.what
    assert advice in fault.help


@pytest.mark.parametrize(
    ("label", "data", "what", "advice"),
    [
        ("PKCS7", b"\x30\x00", "it has: PKCS7", "openssl pkcs7 -print_certs -in '/d/a b'"),
        ("PKCS\x1b7", b"\x30\x00", "it has: PKCS\\x1b7", "put it here, in PEM"),
    ],
)
def test_blocks_of_another_kind(roots, label, data, what, advice):
    credential = Credential(kind=Kind.PAIR, files=("/d/a b", "/d/a b"))
    _, (fault,) = load(credential, {"/d/a b": block(label, data)}, roots)
    assert what in fault.what
    assert advice in fault.help


def test_certificates_in_pkcs7(roots):
    whole = bytes.fromhex("300b06092a864886f70d010702")
    _, (fault,) = load(Credential(kind=Kind.CHAIN, files=("/c",)), {"/c": whole}, roots)
    assert "PKCS#7" in fault.what
    assert fault.help.startswith("openssl pkcs7")


@pytest.mark.parametrize("whole", [b"\x30\x00", b"\x30\x02\x05\x00"])
def test_der_of_nothing_known_is_binary(roots, whole):
    _, (fault,) = load(Credential(kind=Kind.CHAIN, files=("/c",)), {"/c": whole}, roots)
    assert "is binary" in fault.what or "no PEM block" in fault.what


def test_a_pkcs12_archive(roots):
    _, faults = read("pkcs12", roots)
    assert all("openssl pkcs12 -in" in one.help for one in faults)


def test_a_file_of_exactly_the_most_is_looked_into(roots):
    case = named("good-chain")
    (file,) = case.credential("/d").files
    padded = case.files[0] + b"#" * (LARGEST - len(case.files[0]))
    assert load(case.credential("/d"), {file: padded}, roots)[1] == ()
    _, (fault,) = load(case.credential("/d"), {file: padded + b"#"}, roots)
    assert "larger" in fault.what


def test_a_text_of_exactly_the_most_is_looked_at(roots):
    credential = Credential(kind=Kind.CHAIN, files=("/c",))
    _, (fault,) = load(credential, {"/c": b"#" * LARGEST}, roots)
    assert "no PEM block" in fault.what


def test_the_chain_as_it_stands(roots):
    (chain,), faults = read("good-pair", roots)
    assert faults == ()
    assert [one.subject for one in chain.certificates] == [f"CN={HOST}", "CN=Intermediate"]
    assert [one.line for one in chain.certificates] == [1, 12]
    assert {one.file for one in chain.certificates} == {"/d/good-pair.0.pem"}
    assert (chain.trust, chain.missing) == (Trust.COMPLETE, "")


def test_a_chain_for_each_key(roots):
    chains, faults = read("two-algorithms", roots)
    assert faults == ()
    assert [one.leaf.key.algorithm for one in chains] == ["EC", "RSA"]


def test_a_long_chain_is_cut(roots):
    (chain,), _ = read("two-hundred", roots)
    assert len(chain.certificates) == MOST_CERTIFICATES


def test_the_missing_issuer_is_named(roots):
    (chain,), _ = read("missing-intermediate", roots)
    assert chain.missing == "CN=Intermediate"


def test_without_a_store_trust_is_not_known():
    (chain,), _ = read("good-pair", Roots())
    assert (chain.trust, chain.missing) == (Trust.UNKNOWN, "")


@pytest.mark.parametrize("name", ["good-chain", "two-algorithms", "only-a-key"])
def test_an_entry_of_a_table_is_a_chain(roots, name):
    case = named(name)
    entry = Credential(kind=Kind.TABLE, files=("hash:/etc/postfix/sni", HOST))
    chains, faults = load(entry, {"hash:/etc/postfix/sni": case.files[0]}, roots)
    assert any(one.breaks for one in faults) == case.breaks
    assert {one.leaf.file for one in chains} <= {"hash:/etc/postfix/sni"}


class TestWhatCouldNotBeRead:
    """Of a file that is missing the caller speaks; here nothing is made up of it."""

    def test_nothing(self, roots):
        for kind in Kind:
            assert load(Credential(kind=kind, files=("/a", "/b")), {}, roots) == ((), ())

    @pytest.mark.parametrize("name", ["good-pair", "good-chain-of-files"])
    def test_all_but_the_first_file(self, roots, name):
        case = named(name)
        _, *others = case.contents("/d")
        held = {file: case.contents("/d")[file] for file in others}
        assert load(case.credential("/d"), held, roots) == ((), ())

    def test_all_but_the_key(self, roots):
        case = named("good-pair")
        certificate = case.credential("/d").files[0]
        (chain,), faults = load(case.credential("/d"), {certificate: case.files[0]}, roots)
        assert (chain.trust, faults) == (Trust.COMPLETE, ())

    def test_all_but_the_last_of_a_sequence(self, roots):
        case = named("good-chain-of-files")
        held = dict(list(case.contents("/d").items())[:1])
        assert load(case.credential("/d"), held, roots) == ((), ())
        held = dict(list(case.contents("/d").items())[:2])
        (chain,), faults = load(case.credential("/d"), held, roots)
        assert (chain.trust, faults) == (Trust.INCOMPLETE, ())


def test_a_key_that_a_broken_block_follows_is_only_cut_short(roots):
    file = pem_key() + issued()[:200]
    _, (fault,) = load(Credential(kind=Kind.CHAIN, files=("/c",)), {"/c": file}, roots)
    assert "cut short" in fault.what


def test_a_certificate_that_cannot_be_read_where_the_key_would_be_compared(roots):
    """The leaf is another's, and one behind it has a key that is none."""
    odd = rebuilt(issued(), {6: b"\x30\x02\x30\x00"})
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    held = {"/c": named("good-rsa").files[0] + odd, "/k": pem_key()}
    _, faults = load(pair, held, roots)
    assert [one.kind for one in faults if one.breaks] == [FaultKind.KEY]


def test_a_key_that_is_none_breaks(roots):
    odd = rebuilt(issued(), {6: b"\x30\x02\x30\x00"})
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    (chain,), faults = load(pair, {"/c": odd, "/k": pem_key()}, roots)
    assert "of an algorithm that TLS cannot use" in faults[0].what
    assert "the key cannot be read" in chain.leaf.problems[0]


def test_keys_of_tomorrow(roots):
    """OpenSSL 3.5 has ML-DSA, and it is not known here whether Postfix has that OpenSSL."""
    algorithm = element(0x30, bytes.fromhex("0609608648016503040312"))
    leaf = rebuilt(issued(), {6: element(0x30, algorithm + element(3, bytes(33)))})
    key = block("PRIVATE KEY", element(0x30, element(2, b"\0") + algorithm + element(4, b"seed")))
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    (chain,), (fault,) = load(pair, {"/c": leaf, "/k": key}, roots)
    assert chain.leaf.key.algorithm == "ML-DSA-65"
    assert not fault.breaks
    assert "OpenSSL 3.5" in fault.what


@pytest.mark.parametrize(("excess", "breaks"), [(b"\x30\x00", False), (b"\x30", True)])
def test_what_follows_the_leaf_in_its_block(roots, excess, breaks):
    """OpenSSL reads there what a certificate is trusted for."""
    (leaf,) = blocks(issued())
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    held = {"/c": block("CERTIFICATE", leaf.data + excess), "/k": pem_key()}
    assert any(one.breaks for one in load(pair, held, roots)[1]) == breaks


def test_somebody_else_is_asked_where_nothing_was_found(roots):
    asked = []

    def refusal(*both):
        asked.append(both)
        return "not \x1b this"

    case = named("two-algorithms")
    _, faults = load(case.credential("/d"), case.contents("/d"), roots, refusal)
    assert [one.what for one in faults] == ["OpenSSL refuses it: not \\x1b this"] * 2
    assert all(one.breaks and one.kind is FaultKind.CONTENT for one in faults)
    for (certificates, key), chain in zip(
        asked, load(case.credential("/d"), case.contents("/d"), roots)[0], strict=True
    ):
        again = {"/c": certificates, "/k": key}
        (other,), none = load(Credential(kind=Kind.PAIR, files=("/c", "/k")), again, roots)
        assert none == ()
        assert [one.sha256 for one in other.certificates] == [
            one.sha256 for one in chain.certificates
        ]


@pytest.mark.parametrize("name", ["foreign-key", "encrypted-key", "not-base64", "no-key"])
def test_nobody_is_asked_about_what_breaks(roots, name):
    case = named(name)

    def refusal(*_):
        raise AssertionError("asked")

    assert load(case.credential("/d"), case.contents("/d"), roots, refusal)[1]


def test_many_keys(roots):
    whole = (pem_key() + issued()) * (MOST_KEYS + 3)
    chains, faults = load(Credential(kind=Kind.CHAIN, files=("/c",)), {"/c": whole}, roots)
    assert len(chains) == MOST_KEYS
    assert any(f"more than {MOST_KEYS} private keys" in one.what for one in faults)


def test_what_breaks_comes_first(roots):
    encrypted = named("encrypted-key").files[1]
    whole = pem_key() + issued() + encrypted + block("CERTIFICATE", b"\x30\x00")
    _, faults = load(Credential(kind=Kind.CHAIN, files=("/c",)), {"/c": whole}, roots)
    assert [one.breaks for one in faults] == [True, False]


def test_many_faults_those_that_break_first(roots):
    bad = block("CERTIFICATE", b"\x30\x00")
    whole = issued() * 2 + bad * 100
    pair = Credential(kind=Kind.PAIR, files=("/c", "/k"))
    _, faults = load(pair, {"/c": whole, "/k": pem_key()}, roots)
    assert len(faults) == MOST_FAULTS
    assert all(one.breaks for one in faults)


def pem_key() -> bytes:
    return pem(key_of(HOST))
