"""What is known of certificates, keys, the services that show them, and TLSA records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum

from postkeel.core.frozen import frozen
from postkeel.postfix.handshake import Handshake


class Kind(str, Enum):
    """How Postfix loads the files of a credential.

    PAIR: one file with a certificate and its chain, one with the key; they may be one file.
    CHAIN: files one after the other, each key followed by its certificate and chain.
    TABLE: what an entry of an indexed table holds, where no file of it is known.
    """

    PAIR = "pair"
    CHAIN = "chain"
    TABLE = "table"


@frozen
class Credential:
    """Private keys with their certificates, as Postfix loads them together.

    files: absolute names as configured; of a PAIR the certificate's and the key's, of a TABLE
    the table's name ("hash:/etc/postfix/sni") and the key of the entry.
    """

    kind: Kind
    files: tuple[str, ...]


@frozen
class Use:
    """Where a credential is used.

    services: those of master.cf ("smtp/inet"). parameter: what names it, and where that stands
    ("main.cf:12"). client: shown to servers, by smtp or lmtp, instead of to clients.
    table, name: of tls_server_sni_maps the table, and the name that clients ask for
    ("mx.example.org", or ".example.org" for all below it).
    """

    credential: Credential
    services: tuple[str, ...]
    parameter: str
    where: str
    client: bool = False
    table: str = ""
    name: str = ""


@frozen
class Key:
    """A public key: "RSA", "EC", "DSA", "Ed25519", ... ("" not known), bits (0), and EC's curve."""

    algorithm: str
    bits: int = 0
    curve: str = ""


@frozen
class Certificate:
    """One X.509 certificate. Times are aware, in UTC.

    subject, issuer: as in RFC 4514. serial: hexadecimal, "-" before a negative one. names: the
    DNS names of the subjectAltName as they stand there, in lower case. signature: the name of
    its algorithm, such as "sha256WithRSAEncryption"; digest: the hash in it, "" where it has
    none or that is not known. sha256: of the whole; key_sha256: of the SubjectPublicKeyInfo.
    sha512, key_sha512: likewise, "" where they are not known.
    authority: by basicConstraints. purposes: of the extended key usage, such as "serverAuth";
    None without that extension. problems: what of it could not be read.
    file, line: where it begins.
    """

    subject: str
    issuer: str
    serial: str
    begins: datetime
    ends: datetime
    key: Key
    signature: str
    digest: str
    sha256: str
    key_sha256: str
    file: str
    line: int
    sha512: str = ""
    key_sha512: str = ""
    names: tuple[str, ...] = ()
    authority: bool = False
    purposes: tuple[str, ...] | None = None
    must_staple: bool = False
    self_issued: bool = False
    problems: tuple[str, ...] = ()


class Trust(str, Enum):
    """How far a chain reaches.

    COMPLETE: each certificate is signed by the next, and the last is a root of the store or is
    signed by one. INCOMPLETE: an issuer is neither in the chain nor in the store.
    SELF_SIGNED: the leaf signed itself. FOREIGN: whole, to a root that the store does not have.
    UNKNOWN: the store could not be read.
    """

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    SELF_SIGNED = "self-signed"
    FOREIGN = "foreign root"
    UNKNOWN = "unknown"


@frozen
class Chain:
    """The certificates that go with one private key, in the file's order: the leaf comes first.

    missing: the issuer that is neither in the chain nor in the store.
    """

    certificates: tuple[Certificate, ...]
    trust: Trust
    missing: str = ""

    @property
    def leaf(self) -> Certificate:
        return self.certificates[0]


class FaultKind(str, Enum):
    """FILE: not to be read. CONTENT: not what should be in it. KEY: missing, encrypted, or of
    another certificate. ORDER: not in the order that Postfix wants."""

    FILE = "file"
    CONTENT = "content"
    KEY = "key"
    ORDER = "order"


@frozen
class Fault:
    """Why Postfix cannot use a credential, or would not serve it whole.

    line: 0 for the file as a whole. help: what to do, with the command; may be "".
    breaks: Postfix cannot load it, so an smtpd that reads it has no TLS.
    """

    kind: FaultKind
    file: str
    line: int
    what: str
    help: str = ""
    breaks: bool = True


@frozen
class FileSeen:
    """One file of a credential. real: without symbolic links; changed: the newest change of the
    file or of a link on the way, by the file system's clock. problem: why it is not to be read."""

    path: str
    real: str = ""
    mode: int = 0
    owner: int = 0
    changed: datetime | None = None
    problem: str = ""


@frozen
class Loaded:
    """What the files of a credential hold: a chain for each private key, in order."""

    chains: tuple[Chain, ...] = ()
    faults: tuple[Fault, ...] = ()
    files: tuple[FileSeen, ...] = ()


@frozen
class Table:
    """A table of tls_server_sni_maps.

    indexed: it keeps keys and certificates in itself, as they were when `postmap -F` made it
    from `source`. held: for each name the sha256 of each leaf that the table holds; only of
    tables that can be listed. problem: why that could not be had.
    """

    name: str
    indexed: bool = False
    source: str = ""
    held: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""


@frozen
class Joined:
    """A file that postkeel joined of a key and a certificate's file; its first line says so.

    contents: sha256 of what it would be if it were joined now; "" when the two cannot be read.
    current: whether it is that already.
    """

    path: str
    certificate: str
    key: str
    contents: str
    current: bool


@frozen
class Certificates:
    """The fact "certificates": every credential in use, and what could be used.

    joined: of the files in use that postkeel made. offered: where no service has a certificate,
    what a renewer keeps for this host's name, as the file it would be joined to (not there yet).
    The credentials of both, PAIRs, are in `loaded` too. names: what the server calls itself,
    myhostname of main.cf and of each service, in lower case.
    roots: the file of the store, and how many roots it has; 0 when it cannot be read.
    watched: the files whose change can change any of this.
    """

    uses: tuple[Use, ...] = ()
    loaded: Mapping[Credential, Loaded] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    joined: tuple[Joined, ...] = ()
    offered: tuple[Joined, ...] = ()
    names: tuple[str, ...] = ()
    roots: tuple[str, int] = ("", 0)
    watched: tuple[str, ...] = ()


@frozen
class Served:
    """The fact "served": what the running Postfix shows, each handshake beside what the files
    have. since: the moment at which a certificate, by its sha256, was first seen served."""

    handshakes: tuple[Handshake, ...] = ()
    since: Mapping[str, datetime] = field(default_factory=dict)
    problem: str = ""


@frozen
class TlsaRecord:
    """A TLSA record (RFC 6698): usage, selector, matching type, and the data in hexadecimal."""

    usage: int
    selector: int
    matching: int
    data: str


@frozen
class Tlsa:
    """The fact "tlsa": what a validating resolver says, by (port, name).

    Only answers whose AD bit is set count; names without records have an empty tuple. Without a
    resolver there are none, and `problem` says why.
    """

    records: Mapping[tuple[str, str], tuple[TlsaRecord, ...]] = field(default_factory=dict)
    resolver: str = ""
    problem: str = ""
