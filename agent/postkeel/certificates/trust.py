"""How far a chain reaches: from issuer to issuer, by name and signature, to a root of the store.

Dates do not count here: what is expired is found by its dates. Neither do limits that an
authority sets for those below it (path length, name constraints); clients look at them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from postkeel.certificates import pem
from postkeel.certificates.certificate import Encoded, authority_key, encoded, subject_key
from postkeel.certificates.der import DerError
from postkeel.certificates.distinguished_names import Canonical
from postkeel.certificates.signatures import Verdict, verdict
from postkeel.certificates.values import Certificate, Trust
from postkeel.core.frozen import frozen

LABELS: Final = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")

_MOST_OF_ONE_NAME: Final = 8


@frozen
class Roots:
    """The roots of a store, by the name of their subject."""

    by_name: Mapping[Canonical, tuple[Encoded, ...]] = field(default_factory=dict)
    digests: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.digests)


def read_roots(text: bytes) -> Roots:
    """The certificates of a file in PEM; those that cannot be read are left out."""
    by_name: dict[Canonical, tuple[Encoded, ...]] = {}
    digests = set()
    for block in pem.blocks(text):
        root = _read(block)
        if root and root.digest not in digests:
            digests.add(root.digest)
            by_name[root.subject] = (*by_name.get(root.subject, ()), root)
    return Roots(by_name=by_name, digests=frozenset(digests))


def _read(block: pem.Block) -> Encoded | None:
    try:
        return encoded(block.data) if block.label in LABELS else None
    except DerError:
        return None


class Issuers:
    """Who issued whom among the certificates of a chain, and in the store.

    Each signature is checked once. unchecked: the certificates whose issuer was found by name
    and key identifiers only, for their signature's algorithm is not known here.
    """

    def __init__(self, chain: Sequence[Encoded], roots: Roots) -> None:
        self._chain = chain
        self._roots = roots
        self._known: dict[tuple[int, int], bool] = {}
        self.unchecked: set[int] = set()

    def issued(self, issuer: int, child: int) -> bool:
        """Whether one of the chain signed another, or itself."""
        pair = (issuer, child)
        if pair not in self._known:
            self._known[pair] = self._signed(child, self._chain[issuer])
        return self._known[pair]

    def anchored(self, child: int) -> bool:
        """Whether one of the chain is in the store, or was signed by one that is."""
        one = self._chain[child]
        if one.digest in self._roots.digests:
            return True
        named = self._roots.by_name.get(one.issuer, ())[:_MOST_OF_ONE_NAME]
        return any(self._signed(child, root) for root in named)

    def _signed(self, child: int, issuer: Encoded) -> bool:
        one = self._chain[child]
        if one.issuer != issuer.subject:
            return False
        found = verdict(one.algorithm, issuer.key.whole, one.signature, one.signed)
        if found is not Verdict.UNKNOWN:
            return found is Verdict.RIGHT
        self.unchecked.add(child)
        named, held = authority_key(one), subject_key(issuer)
        return named == held or not (named and held)


def reach(issuers: Issuers, chain: Sequence[Certificate], roots: Roots) -> tuple[Trust, str]:
    """How far the chain reaches from its leaf, and the name of the issuer that is missing.

    In whatever order the issuers stand: clients look for them all. One that says of itself
    that it is no authority is none.
    """
    if not len(roots):
        return Trust.UNKNOWN, ""
    reached = [0]
    for child in reached:
        if issuers.anchored(child):
            return Trust.COMPLETE, ""
        reached += [
            one
            for one in range(1, len(chain))
            if one not in reached and chain[one].authority and issuers.issued(one, child)
        ]
    if issuers.issued(0, 0):
        return Trust.SELF_SIGNED, ""
    if any(issuers.issued(one, one) for one in reached):
        return Trust.FOREIGN, ""
    return Trust.INCOMPLETE, chain[reached[-1]].issuer
