"""A credential's files as Postfix reads them: the chains in them, and why it would refuse them.

After Postfix 3.7 to 3.11 with OpenSSL 3. A PAIR: the first certificate of its file is the leaf,
and the first private key of the other file must be its; what follows the leaf is its chain.
A PAIR in one file: the same, in whatever order. A CHAIN, and an entry of a TABLE: each private
key comes first, then its certificate, then that one's chain; one key of each algorithm.
Postfix takes all of a credential or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Final

from postkeel.certificates import pem
from postkeel.certificates.contents import LARGEST, instead, without_blocks
from postkeel.certificates.groups import (
    ENCRYPTED,
    KEY_LABELS,
    Group,
    Judge,
    Piece,
    Refusal,
    encrypted,
    taken,
)
from postkeel.certificates.trust import LABELS, Roots
from postkeel.certificates.values import Chain, Credential, Fault, FaultKind, Kind

MOST_FAULTS: Final = 20
MOST_KEYS: Final = 8


def load(
    credential: Credential,
    contents: Mapping[str, bytes],
    roots: Roots,
    refusal: Refusal = taken,
) -> tuple[tuple[Chain, ...], tuple[Fault, ...]]:
    """The chains of a credential, and what is wrong with it, what Postfix refuses it for first.

    contents: of its files those that could be read, by name, up to an octet more than
    `contents.LARGEST`; of a TABLE the entry in PEM, by the table's name. refusal: asked last,
    about a key and its certificates in which nothing was found that breaks.
    Total: takes any octets.
    """
    files = credential.files[:1] if credential.kind is Kind.TABLE else credential.files
    reading = _Reading(files, contents)
    groups = reading.pair() if credential.kind is Kind.PAIR else reading.sequence()
    judge = Judge(roots, refusal)
    chains = [judge.chain(one) for one in groups[:MOST_KEYS]]
    faults = sorted((*reading.faults, *judge.faults), key=lambda one: not one.breaks)
    return tuple(one for one in chains if one), tuple(faults[:MOST_FAULTS])


class _Reading:
    """The PEM blocks of the files, put together as Postfix does it."""

    def __init__(self, files: tuple[str, ...], contents: Mapping[str, bytes]) -> None:
        self._files = files
        self._contents = {one: contents[one] for one in dict.fromkeys(files) if one in contents}
        self._blocks = {one: self._looked_into(one) for one in self._contents}
        self.faults: list[Fault] = []

    def _looked_into(self, file: str) -> list[pem.Block]:
        text = self._contents[file]
        return [] if len(text) > LARGEST else list(pem.blocks(text))

    def pair(self) -> list[Group]:
        """The one key and the certificates."""
        certificate, key = self._files[0], self._files[-1]
        together = certificate == key
        labels = LABELS[:2] if together else LABELS
        certificates = [one for one in self._sound(certificate) if one.block.label in labels]
        keys = [one for one in self._pieces(key) if _is_key(one.block)]
        plain = [one for one in keys if not (together and one.block.label == ENCRYPTED)]
        if not certificates:
            self._lacks(certificate, FaultKind.CONTENT, "certificate")
        if not keys and not together:
            self._sound(key)
        if not keys:
            self._lacks(key, FaultKind.KEY, "private key")
        first = next(iter(plain or keys), None)
        return [Group(key=first, certificates=tuple(certificates), exact=together)]

    def sequence(self) -> list[Group]:
        """Each key with the certificates after it, as far as the files could be read.

        Postfix passes over an encrypted key: what follows goes with the key before.
        """
        readable = tuple(takewhile(self._contents.__contains__, self._files))
        keys: list[Piece | None] = []
        certificates: list[list[Piece]] = []
        for one in (piece for file in readable for piece in self._sound(file)):
            if keys and one.block.label == ENCRYPTED:
                self.faults.append(encrypted(one, breaks=False))
            elif _is_key(one.block):
                keys.append(one)
                certificates.append([])
            elif one.block.label in LABELS[:2]:
                if not keys:
                    keys.append(None)
                    certificates.append([])
                certificates[-1].append(one)
        groups = [
            Group(key=key, certificates=tuple(held), exact=True)
            for key, held in zip(keys, certificates, strict=True)
        ]
        for file in readable:
            if not self._blocks[file]:
                self._blank(file, breaks=not groups)
        self._check_sequence(groups, whole=readable == self._files)
        return groups

    def _check_sequence(self, groups: list[Group], *, whole: bool) -> None:
        """What is wrong with the order of keys and certificates."""
        if not groups:
            if whole and self._contents:
                self._lacks(self._files[0], FaultKind.CONTENT, "private key and no certificate")
            return
        if groups[0].key is None:
            self._not_first(groups)
            return
        broken = any(one.breaks for one in self.faults)
        for one in groups if whole and not broken else groups[:-1]:
            if one.key and not one.certificates:
                what = "no certificate follows the private key"
                advice = "put the key's certificate, and then its chain, right behind the key"
                self._add(FaultKind.CONTENT, one.key, what, advice)
        for key in [one.key for one in groups[MOST_KEYS : MOST_KEYS + 1] if one.key]:
            what = f"there are more than {MOST_KEYS} private keys"
            self._add(FaultKind.CONTENT, key, what, "keep one of each algorithm")

    def _not_first(self, groups: list[Group]) -> None:
        first = groups[0].certificates[0]
        later = next((one.key for one in groups if one.key), None)
        if later is None:
            self._lacks(first.file, FaultKind.KEY, "private key")
            return
        what = "the certificate stands before its private key, and Postfix wants the key first"
        advice = "put the private key before the certificate in this file"
        if later.file != first.file:
            advice = f"name the key's file first: {later.file}, {first.file}"
        self._add(FaultKind.ORDER, first, what, advice)

    def _pieces(self, file: str) -> list[Piece]:
        return [Piece(file=file, block=one) for one in self._blocks.get(file, ())]

    def _sound(self, file: str) -> list[Piece]:
        """The blocks of a file that Postfix reads to its end."""
        found = self._pieces(file)
        if found and (problem := found[-1].block.problem):
            what = f"the PEM block {found[-1].block.label!r} {problem}"
            self._add(FaultKind.CONTENT, found.pop(), what, "let its renewer write it again")
        return found

    def _lacks(self, file: str, kind: FaultKind, what: str) -> None:
        """Say that a file has none of these, unless what is wrong with it has been said."""
        if file not in self._contents or any(one.file == file for one in self.faults):
            return
        if not self._blocks[file]:
            self._blank(file, breaks=True)
            return
        there, advice = instead([one.label for one in self._blocks[file]], file)
        self.faults.append(
            Fault(kind=kind, file=file, line=0, what=f"has no {what}{there}", help=advice)
        )

    def _blank(self, file: str, *, breaks: bool) -> None:
        what, advice = without_blocks(file, self._contents[file])
        self.faults.append(
            Fault(kind=FaultKind.CONTENT, file=file, line=0, what=what, help=advice, breaks=breaks)
        )

    def _add(self, kind: FaultKind, piece: Piece, what: str, advice: str) -> None:
        line = piece.block.line
        self.faults.append(Fault(kind=kind, file=piece.file, line=line, what=what, help=advice))


def _is_key(block: pem.Block) -> bool:
    return not block.problem and block.label in KEY_LABELS
