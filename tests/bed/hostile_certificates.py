"""Certificates and keys as they should not be, made by code, with what is to be found of each.

    for case in corpus():
        case.name, case.kind, case.files, case.breaks, case.faults, case.trust

`store()` has the root that the good ones lead to. A table of what is in files, so that the
same goes to the reader and to a real Postfix. Beside them stand good ones that look odd.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import pkcs12

from forged_certificates import (
    DAY,
    HOST,
    NOW,
    Private,
    block,
    der_of,
    element,
    extensions_of,
    issued,
    key_of,
    name_of,
    pem,
    rebuilt,
    rsa_key_of,
    with_extension,
)
from postkeel.certificates.der import first, parts
from postkeel.certificates.values import Credential, FaultKind, Kind, Trust

CONTENT, KEY, ORDER = FaultKind.CONTENT, FaultKind.KEY, FaultKind.ORDER

_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_PKCS8 = serialization.PrivateFormat.PKCS8
_OLD_STYLE = serialization.PrivateFormat.TraditionalOpenSSL
_OPEN = serialization.NoEncryption()
_ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")
_UNKNOWN_OID = bytes.fromhex("06082b06010401fe7f01")
"""An algorithm of a private enterprise that there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is in the files of a credential, and what is to be said of it.

    files: of a PAIR the certificate's and the key's, or both in one; of a CHAIN in order.
    trust: of the first chain; None: there is no chain to be had.
    """

    name: str
    kind: Kind
    files: tuple[bytes, ...]
    faults: frozenset[FaultKind] = frozenset()
    breaks: bool = False
    trust: Trust | None = Trust.COMPLETE

    @property
    def varies(self) -> bool:
        """Whether releases of OpenSSL differ in loading it; `breaks` is without asking one."""
        odd = ("extensions-twice", "no-moments", "nul-hides-the-rest")
        return self.name in odd or self.name.startswith("unreadable-")

    def credential(self, directory: str) -> Credential:
        """The files of this case under names of their own."""
        named = tuple(f"{directory}/{self.name}.{index}.pem" for index, _ in enumerate(self.files))
        twice = self.kind is Kind.PAIR and len(named) == 1
        return Credential(kind=self.kind, files=named * 2 if twice else named)

    def contents(self, directory: str) -> dict[str, bytes]:
        return dict(zip(dict.fromkeys(self.credential(directory).files), self.files, strict=True))


@functools.cache
def store() -> bytes:
    """The roots that are trusted, in PEM."""
    return _bed().root


@functools.cache
def corpus() -> tuple[Case, ...]:
    """Every case; names are unique."""
    return (*_good(), *_contents(), *_keys(), *_orders(), *_certificates())


def named(name: str) -> Case:
    return next(one for one in corpus() if one.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bed:
    """What most cases are made of."""

    root: bytes
    intermediate: bytes
    leaf: bytes
    key: bytes
    rsa_leaf: bytes
    rsa_key: bytes

    @property
    def chain(self) -> bytes:
        return self.leaf + self.intermediate


@functools.cache
def _bed() -> _Bed:
    long = NOW + 3650 * DAY
    return _Bed(
        root=issued("Root", "Root", authority=True, ends=long),
        intermediate=issued("Intermediate", "Root", authority=True, ends=long),
        leaf=issued(),
        key=pem(key_of(HOST)),
        rsa_leaf=issued(key=rsa_key_of(2048)),
        rsa_key=rsa_key_of(2048).private_bytes(_PEM, _OLD_STYLE, _OPEN),
    )


def pair(name: str, certificate: bytes, key: bytes, *faults: FaultKind, **more: object) -> Case:
    return _case(name, Kind.PAIR, (certificate, key), faults, more)


def chain(name: str, *files: bytes, faults: tuple[FaultKind, ...] = (), **more: object) -> Case:
    return _case(name, Kind.CHAIN, files, faults, more)


def _case(
    name: str,
    kind: Kind,
    files: tuple[bytes, ...],
    faults: tuple[FaultKind, ...],
    more: Mapping[str, object],
) -> Case:
    """Faults break, and what breaks has no chain, unless told otherwise."""
    broken = bool(faults)
    told: dict[str, object] = {"breaks": broken} | dict(more)
    return Case(name=name, kind=kind, files=files, faults=frozenset(faults), **told)  # type: ignore[arg-type]


def _good() -> Iterator[Case]:
    bed = _bed()
    both = bed.key + bed.chain + bed.rsa_key + bed.rsa_leaf + bed.intermediate
    yield pair("good-pair", bed.chain, bed.key)
    yield pair("good-rsa", bed.rsa_leaf + bed.intermediate, bed.rsa_key)
    yield chain("good-chain", bed.key + bed.chain)
    yield chain("good-chain-of-files", bed.key, bed.leaf, bed.intermediate)
    yield chain("two-algorithms", both)
    yield _case("one-file-key-last", Kind.PAIR, (bed.chain + bed.key,), (), {})
    yield _case("one-file-two-keys", Kind.PAIR, (bed.key + bed.chain + bed.rsa_key,), (), {})
    yield pair("root-included", bed.chain + bed.root, bed.key)
    yield pair("windows-line-ends", _crlf(bed.chain), _crlf(bed.key))
    yield chain("windows-line-ends-chain", _crlf(bed.key + bed.chain))
    yield chain("byte-order-mark", b"\xef\xbb\xbf" + bed.key + bed.chain)
    yield pair("byte-order-mark-pair", b"\xef\xbb\xbf" + bed.chain, b"\xef\xbb\xbf" + bed.key)
    yield chain("text-around", b"Bag Attributes\n  \xff\n" + bed.key + b"a: b\n\n" + bed.chain)
    yield chain("no-last-line-end", (bed.key + bed.chain).rstrip(b"\n"))
    yield chain("white-space-at-line-ends", (bed.key + bed.chain).replace(b"\n", b" \t\n"))
    yield chain("base64-in-one-line", _one_line(bed.key) + _one_line(bed.leaf) + bed.intermediate)
    yield chain("curve-before-the-key", _PARAMETERS + _old_key() + bed.chain)
    yield pair("curve-before-the-key-pair", bed.chain, _PARAMETERS + _old_key())
    yield pair("key-without-its-public-half", bed.chain, _without_public_half())
    yield pair("several-keys-right-first", bed.chain, bed.key + bed.rsa_key)
    yield chain("chain-with-a-request", bed.key + bed.leaf + _request() + bed.intermediate)
    yield pair("certificates-in-the-key-file", bed.chain, bed.chain + bed.key)
    yield pair("trusted-certificate-pair", _trusted(bed.leaf) + bed.intermediate, bed.key)
    yield pair("excess-behind-the-leaf", bed.leaf + _excess(bed.intermediate), bed.key)
    yield pair("key-in-the-certificate-file", bed.rsa_key + bed.chain, bed.key)
    yield pair("nul-hides-the-rest", bed.chain + b"\0\n" + bed.leaf[:300], bed.key)
    yield pair("cut-behind-the-key", bed.chain, bed.key + bed.rsa_key[:200])


def _contents() -> Iterator[Case]:
    bed, none = _bed(), None
    archive = pkcs12.serialize_key_and_certificates(
        b"x", key_of(HOST), x509.load_pem_x509_certificate(bed.leaf), none, _OPEN
    )
    yield pair("empty", b"", bed.key, CONTENT, trust=none)
    yield pair("empty-key", bed.chain, b"", CONTENT)
    yield chain("empty-chain", b"", faults=(CONTENT,), trust=none)
    yield chain("empty-beside", bed.key + bed.chain, b"\n", faults=(CONTENT,), breaks=False)
    yield pair("truncated", bed.leaf[:300], bed.key, CONTENT, trust=none)
    half, cut = bed.leaf + bed.intermediate[:-40], (bed.key + bed.chain)[:-100]
    yield pair("truncated-intermediate", half, bed.key, CONTENT, trust=Trust.INCOMPLETE)
    yield chain("truncated-chain", cut, faults=(CONTENT,), trust=Trust.INCOMPLETE)
    yield pair("truncated-key", bed.chain, bed.key[:100], CONTENT)
    yield pair("truncated-begin", bed.chain, b"-----BEGIN PRIV", CONTENT)
    yield pair("der", der_of(bed.leaf), bed.key, CONTENT, trust=none)
    yield pair("der-key", bed.chain, key_of(HOST).private_bytes(_DER, _PKCS8, _OPEN), CONTENT)
    yield pair("pkcs12", archive, archive, CONTENT, trust=none)
    yield pair("binary", bytes(range(256)) * 40, bed.key, CONTENT, trust=none)
    yield pair("utf-16", bed.chain.decode().encode("utf-16"), bed.key, CONTENT, trust=none)
    yield pair("text", b"mail.example.test has no certificate\n", bed.key, CONTENT, trust=none)
    yield pair("indented", b" " + bed.leaf, bed.key, CONTENT, trust=none)
    yield pair("ten-megabytes", b"\x01" * (10 << 20), bed.key, CONTENT, trust=none)
    yield pair("not-base64", bed.leaf.replace(b"MII", b"M*I", 1), bed.key, CONTENT, trust=none)
    yield pair(
        "not-base64-first",
        bed.leaf.replace(b"MII", b"M*I", 1) + bed.chain,
        bed.key,
        CONTENT,
        trust=none,
    )
    yield pair("ends-otherwise", _other_end(bed.leaf), bed.key, CONTENT, trust=none)
    yield pair("no-data", block("CERTIFICATE", b""), bed.key, CONTENT, trust=none)
    yield pair("empty-lines-within", _spaced(bed.leaf), bed.key, CONTENT, trust=none)
    yield pair("bad-der", block("CERTIFICATE", b"\x30\x82\x01"), bed.key, CONTENT, trust=none)
    yield pair("request", _request(), bed.key, CONTENT, trust=none)
    yield pair("public-key-for-a-certificate", _public(), bed.key, CONTENT, trust=none)
    yield pair("excess-in-a-pair", _excess(bed.leaf) + bed.intermediate, bed.key, CONTENT)
    yield chain("excess", bed.key + _excess(bed.leaf), faults=(CONTENT,), trust=Trust.INCOMPLETE)
    behind = bed.key + bed.leaf + _excess(bed.intermediate)
    yield chain("excess-behind-the-leaf-chain", behind, faults=(CONTENT,))
    mixed = (_trusted(bed.leaf) + bed.key,)
    yield _case("trusted-certificate-one-file", Kind.PAIR, mixed, (CONTENT,), {"trust": None})
    yield chain("trusted-certificate", bed.key + _trusted(bed.leaf), faults=(CONTENT,), trust=none)


def _keys() -> Iterator[Case]:
    bed, other = _bed(), pem(key_of("other"))
    secret = serialization.BestAvailableEncryption(b"secret")
    encrypted = key_of(HOST).private_bytes(_PEM, _PKCS8, secret)
    old_style = rsa_key_of(2048).private_bytes(_PEM, _OLD_STYLE, secret)
    rsa_chain = bed.rsa_leaf + bed.intermediate
    yield pair("foreign-key", bed.chain, other, KEY)
    yield chain("foreign-key-chain", other + bed.chain, faults=(KEY,))
    yield pair("foreign-key-of-another-kind", bed.chain, bed.rsa_key, KEY)
    yield pair("foreign-rsa-key", rsa_chain, pem(rsa_key_of(1024)), KEY)
    yield pair("encrypted-key", bed.chain, encrypted, KEY)
    yield chain("encrypted-key-chain", encrypted + bed.chain, faults=(KEY,))
    yield _case("encrypted-key-one-file", Kind.PAIR, (bed.chain + encrypted,), (KEY,), {})
    yield pair("encrypted-old-style", rsa_chain, old_style, KEY)
    yield chain("encrypted-old-style-chain", old_style + rsa_chain, faults=(KEY,))
    yield pair("public-key-first", bed.chain, _public() + bed.key)
    second = bed.key + bed.chain + encrypted + rsa_chain
    yield chain("second-key-encrypted", second, faults=(KEY, ORDER), breaks=False)
    yield pair("no-key", bed.chain, bed.leaf, KEY)
    yield chain("no-key-chain", bed.chain, faults=(KEY,))
    yield pair("public-key", bed.chain, _public(), KEY)
    yield pair("broken-key", bed.chain, block("PRIVATE KEY", b"\x30\x03\x02\x01\x00"), KEY)
    yield pair("unknown-key", bed.chain, _unknown_private(), KEY)
    yield chain("only-a-key", bed.key, faults=(CONTENT,), trust=None)
    yield chain(
        "two-keys-in-a-row", other + bed.key + bed.chain, faults=(CONTENT,), trust=Trust.COMPLETE
    )
    yield chain("one-algorithm-twice", 2 * (bed.key + bed.chain), faults=(KEY,))
    yield chain(
        "second-key-foreign", bed.key + bed.chain + pem(rsa_key_of(1024)) + rsa_chain, faults=(KEY,)
    )


def _orders() -> Iterator[Case]:
    bed = _bed()
    many = b"".join(issued(f"Intermediate {n}", "Root", authority=True) for n in range(8)) * 25
    yield pair("wrong-order", bed.leaf + bed.root + bed.intermediate, bed.key, ORDER, breaks=False)
    yield pair("doubled-leaf", bed.leaf + bed.chain, bed.key, ORDER, breaks=False)
    yield pair("leaf-last", bed.intermediate + bed.leaf, bed.key, ORDER)
    yield chain("certificate-before-key", bed.chain + bed.key, faults=(ORDER,))
    yield chain("certificate-file-first", bed.chain, bed.key, faults=(ORDER,))
    yield pair("missing-intermediate", bed.leaf, bed.key, trust=Trust.INCOMPLETE)
    yield pair("stray", bed.leaf + bed.intermediate + bed.rsa_leaf, bed.key, ORDER, breaks=False)
    yield pair("two-hundred", bed.chain + many, bed.key, CONTENT, ORDER, breaks=False)
    yield pair("self-signed", issued(HOST, HOST), bed.key, trust=Trust.SELF_SIGNED)
    yield pair("foreign-root", *_foreign(), trust=Trust.FOREIGN)
    yield pair("no-authority", *_pretender(), ORDER, breaks=False, trust=Trust.INCOMPLETE)
    yield pair("cross-signed", _cross_signed(), bed.key)
    yield pair("issue-each-other", _mutual(), bed.key, trust=Trust.INCOMPLETE)


def _certificates() -> Iterator[Case]:
    bed, leaf = _bed(), _bed().leaf
    far = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    moments = element(0x17, b"260230120000Z") + element(0x17, b"nonsense")
    for name, made in {
        "expired": issued(begins=NOW - 90 * DAY, ends=NOW - DAY),
        "not-yet-valid": issued(begins=NOW + DAY),
        "year-9999": issued(ends=far),
        "no-moments": rebuilt(leaf, {4: element(0x30, moments)}),
        "negative-serial": rebuilt(leaf, {1: element(2, b"\xff\x01\x02")}),
        "huge-serial": rebuilt(leaf, {1: element(2, b"\x7f" * 300)}),
        "zero-serial": rebuilt(leaf, {1: element(2, b"\0")}),
        "sha1": rebuilt(leaf, {}, _ECDSA_SHA1, hashes.SHA1()),  # noqa: S303  that is the case
        "non-ascii": issued(common_name="Müller & Söhne 郵便"),
        "control-characters": issued(common_name="mx\x1b[2J\r\nFAKE\x00\u202e"),
        "hostile-name": with_extension(leaf, "0603551d11", _alternatives(b"mx\x00.test\x1b[2J")),
        "a-thousand-names": issued(names=tuple(f"h{n}.example.test" for n in range(1000))),
        "unreadable-feature": with_extension(leaf, "06082b06010505070118", b"\x30\x05nope"),
        "version-1": rebuilt(leaf, {0: b"", 7: b""}),
        "must-staple": with_extension(leaf, "06082b06010505070118", bytes.fromhex("3003020105")),
    }.items():
        yield pair(name, made + bed.intermediate, bed.key)
    for name, kind in {
        "subject-key": "0603551d0e",
        "usage": "0603551d0f",
        "names": "0603551d11",
        "authority": "0603551d13",
        "authority-key": "0603551d23",
        "purposes": "0603551d25",
    }.items():
        made = with_extension(leaf, kind, b"\x30\x05nope")
        yield pair(f"unreadable-{name}", made + bed.intermediate, bed.key, CONTENT, breaks=False)
    twice = rebuilt(leaf, {7: _all_twice(leaf)})
    yield pair("extensions-twice", twice + bed.intermediate, bed.key, CONTENT, breaks=False)
    middle = with_extension(bed.intermediate, "0603551d11", b"\x30\x05nope")
    yield pair("unreadable-in-the-middle", leaf + middle, bed.key, trust=Trust.INCOMPLETE)
    bad = rebuilt(leaf, {5: _bad_subject()})
    yield pair("name-not-utf-8", bad + bed.intermediate, bed.key, CONTENT, trust=None)
    rejected = rebuilt(leaf, {}, element(0x30, _UNKNOWN_OID))
    yield pair("unknown-signature", rejected + bed.intermediate, bed.key)
    unknown = rebuilt(leaf, {6: _unknown_public()})
    yield pair("unknown-algorithm", unknown + bed.intermediate, bed.key, KEY)
    leaf, key = _pss()
    yield pair("rsa-pss", leaf + bed.intermediate, key)
    yield pair("foreign-rsa-pss", leaf + bed.intermediate, bed.rsa_key, KEY)
    others: dict[str, Private] = {
        "rsa-1024": rsa_key_of(1024),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "secp384r1": ec.generate_private_key(ec.SECP384R1()),
    }
    for name, other in others.items():
        yield chain(name, pem(other) + issued(key=other) + bed.intermediate)


_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def _crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def _one_line(text: bytes) -> bytes:
    begin, *lines, end = text.splitlines()
    return b"\n".join((begin, b"".join(lines), end, b""))


def _spaced(text: bytes) -> bytes:
    begin, *lines = text.splitlines(keepends=True)
    return b"".join((begin, *lines[:2], b"\n", *lines[2:4], b"\n", *lines[4:]))


def _other_end(text: bytes) -> bytes:
    return text.replace(b"-----END CERT", b"-----END X509 CERT")


def _old_key() -> bytes:
    return key_of(HOST).private_bytes(_PEM, _OLD_STYLE, _OPEN)


def _without_public_half() -> bytes:
    secret = key_of(HOST).private_numbers().private_value.to_bytes(32, "big")
    curve = element(0xA0, bytes.fromhex("06082a8648ce3d030107"))
    return block("EC PRIVATE KEY", element(0x30, element(2, b"\1") + element(4, secret) + curve))


def _request() -> bytes:
    wanted = x509.CertificateSigningRequestBuilder().subject_name(name_of(HOST))
    return wanted.sign(key_of(HOST), hashes.SHA256()).public_bytes(_PEM)


def _public() -> bytes:
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return key_of(HOST).public_key().public_bytes(_PEM, info)


def _trusted(certificate: bytes) -> bytes:
    """As `openssl x509 -trustout` writes it: with what it is trusted for behind it."""
    return block("TRUSTED CERTIFICATE", der_of(certificate) + bytes.fromhex("3000"))


def _excess(certificate: bytes) -> bytes:
    return block("CERTIFICATE", der_of(certificate) + bytes(4))


def _unknown_private() -> bytes:
    inner = element(4, element(4, bytes(32)))
    return block(
        "PRIVATE KEY", element(0x30, element(2, b"\0") + element(0x30, _UNKNOWN_OID) + inner)
    )


def _unknown_public() -> bytes:
    return element(0x30, element(0x30, _UNKNOWN_OID) + element(3, bytes(33)))


def _bad_subject() -> bytes:
    attribute = element(0x30, bytes.fromhex("0603550403") + element(0x0C, b"\xff\xfe\xfd"))
    return element(0x30, element(0x31, attribute))


def _alternatives(name: bytes) -> bytes:
    return element(0x30, element(0x82, name))


def _pss() -> tuple[bytes, bytes]:
    """A key for RSASSA-PSS only, in its certificate and by itself."""
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    algorithm = element(0x30, bytes.fromhex("06092a864886f70d01010a"))
    key = rsa_key_of(2048)
    public = parts(first(key.public_key().public_bytes(_DER, info)).content)[1].whole
    version, _, secret = parts(first(key.private_bytes(_DER, _PKCS8, _OPEN)).content)
    leaf = rebuilt(_bed().leaf, {6: element(0x30, algorithm + public)})
    return leaf, block("PRIVATE KEY", element(0x30, version.whole + algorithm + secret.whole))


def _all_twice(certificate: bytes) -> bytes:
    both = 2 * b"".join(one.whole for one in extensions_of(certificate))
    return element(0xA3, element(0x30, both))


def _foreign() -> tuple[bytes, bytes]:
    root = issued("Other root", "Other root", authority=True)
    return issued(HOST, "Other root") + root, pem(key_of(HOST))


def _pretender() -> tuple[bytes, bytes]:
    """A certificate that another one issued, which is no authority."""
    middle = issued("pretender", "Intermediate", names=("pretender.test",))
    return issued(HOST, "pretender") + middle + _bed().intermediate, pem(key_of(HOST))


def _cross_signed() -> bytes:
    """As with the roots of Let's Encrypt: a new root is signed by one that the store has."""
    new, cross = "New root", issued("New root", "Root", authority=True)
    return (
        issued(HOST, "New intermediate") + issued("New intermediate", new, authority=True) + cross
    )


def _mutual() -> bytes:
    one = issued("One", "Two", authority=True)
    return issued(HOST, "One") + one + issued("Two", "One", authority=True)
