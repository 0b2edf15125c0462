"""Files that are not configured yet, judged as if they were, each certificate with its key."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from postkeel.certificates.asking import asked_name
from postkeel.certificates.names import covers
from postkeel.certificates.reading import load
from postkeel.certificates.trust import Roots, read_roots
from postkeel.certificates.values import (
    Certificates,
    Chain,
    Credential,
    Fault,
    FaultKind,
    Kind,
    Loaded,
    Use,
)
from postkeel.core.errors import PostkeelError
from postkeel.postfix.instance import Instance, Role
from postkeel.shell.whole_file import read_whole

_MOST_FILES: Final = 32
_MOST_BYTES: Final = 1 << 20
_MOST_ROOTS: Final = 16 << 20
_WHERE: Final = "the command line"
_PAIR: Final = "smtpd_tls_cert_file"
_CHAIN: Final = "smtpd_tls_chain_files"
_ROLES: Final = (Role.MX, Role.SUBMISSION, Role.SUBMISSIONS, Role.OTHER_SMTPD)

_NO_KEY: Final = ""
_KEY: Final = b"PRIVATE KEY-----"
_CERTIFICATE: Final = b"CERTIFICATE-----"


def given(paths: Sequence[str], instance: Instance, known: Certificates) -> Certificates:
    """The fact "certificates" as if these files, and no others, were those of every smtpd.

    Errors: PostkeelError for a file that cannot be read.
    """
    if len(paths) > _MOST_FILES:
        raise PostkeelError(f"{len(paths)} files: at most {_MOST_FILES} are judged at once")
    contents = {path: _content(path) for path in map(os.path.abspath, paths)}
    roots = read_roots(
        read_whole(known.roots[0], limit=_MOST_ROOTS) or b"" if known.roots[0] else b""
    )
    credentials = _Paired(contents, roots).credentials
    uses = tuple(
        use for one, loaded in credentials.items() for use in _uses(one, loaded, instance, known)
    )
    return replace(known, uses=uses, loaded=credentials, tables={}, joined=(), offered=())


def _uses(
    credential: Credential, loaded: Loaded, instance: Instance, known: Certificates
) -> tuple[Use, ...]:
    """Its place: by SNI where it is for such names alone, else what every smtpd shows."""
    held = [name for chain in loaded.chains for name in chain.leaf.names]
    by_name = [one for one in known.uses if one.name and covers(held, asked_name(one.name))]
    if by_name and not any(covers(held, one) for one in known.names):
        return tuple(replace(one, credential=credential, where=_WHERE) for one in by_name)
    return (
        Use(
            credential=credential,
            services=tuple(one.name for one in instance.of_role(*_ROLES)),
            parameter=_CHAIN if credential.kind is Kind.CHAIN else _PAIR,
            where=_WHERE,
        ),
    )


def _content(path: str) -> bytes:
    content = read_whole(path, limit=_MOST_BYTES + 1)
    if content is None:
        raise PostkeelError(f"{path}: no such file")
    return content


class _Paired:
    """Finds the key of each certificate by trying: that with which no fault of a key is left."""

    def __init__(self, contents: Mapping[str, bytes], roots: Roots) -> None:
        self._contents = contents
        self._roots = roots
        self._keys = [path for path, one in contents.items() if _is_key(one)]
        self.credentials: dict[Credential, Loaded] = {}
        rest = [path for path in contents if path not in self._keys]
        bundles = self._bundles(rest)
        for path in rest:
            if path not in bundles:
                self._add(path, bundles)
        for path in self._keys:
            fault = Fault(
                kind=FaultKind.KEY,
                file=path,
                line=0,
                what="no certificate among the files given belongs to this key",
                help="give the certificate's file too, or have one issued for this key",
            )
            credential = Credential(kind=Kind.PAIR, files=(path,))
            self.credentials[credential] = Loaded(faults=(fault,))

    def _bundles(self, paths: Sequence[str]) -> list[str]:
        """Files of issuers alone, as some authorities send them beside the certificate."""
        first = {path: self._chains(path) for path in paths if _KEY not in self._contents[path]}
        found = [path for path, chains in first.items() if chains and chains[0].leaf.authority]
        return found if len(found) < len(paths) else []

    def _chains(self, path: str) -> tuple[Chain, ...]:
        return self._load(Credential(kind=Kind.PAIR, files=(path, _NO_KEY))).chains

    def _add(self, path: str, bundles: Sequence[str]) -> None:
        content = self._contents[path]
        if _KEY in content:
            begins_with_key = content.index(_KEY) < content.find(_CERTIFICATE)
            kind, files = (Kind.CHAIN, (path,)) if begins_with_key else (Kind.PAIR, (path, path))
            credential = Credential(kind=kind, files=files)
            self.credentials[credential] = self._load(credential)
            return
        key = next((one for one in self._keys if self._fits(path, one)), "")
        if not key and len(self._keys) == 1:
            key = self._keys[0]
        if key:
            self._keys.remove(key)
        self._judge(path, key, bundles)

    def _judge(self, path: str, key: str, bundles: Sequence[str]) -> None:
        if not key:  # a file that is not there, and nobody looks for it
            text = b"\n".join(self._contents[one] for one in (path, *bundles))
            loaded = self._load(Credential(kind=Kind.PAIR, files=(path, _NO_KEY)), {path: text})
            self.credentials[Credential(kind=Kind.PAIR, files=(path,))] = loaded
            return
        credential = Credential(kind=Kind.PAIR, files=(path, key))
        if bundles:
            credential = Credential(kind=Kind.CHAIN, files=(key, path, *bundles))
        self.credentials[credential] = self._load(credential)

    def _fits(self, path: str, key: str) -> bool:
        loaded = self._load(Credential(kind=Kind.PAIR, files=(path, key)))
        return not any(one.kind is FaultKind.KEY for one in loaded.faults)

    def _load(self, credential: Credential, instead: Mapping[str, bytes] | None = None) -> Loaded:
        chains, faults = load(credential, {**self._contents, **(instead or {})}, self._roots)
        return Loaded(chains=chains, faults=faults)


def _is_key(content: bytes) -> bool:
    return _KEY in content and _CERTIFICATE not in content
