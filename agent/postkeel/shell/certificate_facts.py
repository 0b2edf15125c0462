"""The fact "certificates": what the files of every credential in use hold, read when they change.

Files are read and judged in a process of their own that ends, for OpenSSL is not to stay in an
agent at rest. A round in which nothing has changed costs a stat(2) for each file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from typing import TYPE_CHECKING

from postkeel.certificates.stored import Findings, Listing, Stamps, told, understood
from postkeel.certificates.tables import files_of, is_remote
from postkeel.certificates.values import (
    Certificates,
    Credential,
    Fault,
    FaultKind,
    FileSeen,
    Joined,
    Kind,
    Loaded,
    Table,
)
from postkeel.core.configuration import CertificateSources
from postkeel.core.errors import PostkeelError
from postkeel.core.frozen import frozen
from postkeel.core.text import one_line
from postkeel.postfix.instance import Instance
from postkeel.shell.certificate_files import are_same, stamp
from postkeel.shell.forked import answer_of
from postkeel.shell.lineages import is_offered, places_of
from postkeel.shell.wanted_certificates import MOST_CREDENTIALS, Wanted, source_of

if TYPE_CHECKING:
    from postkeel.shell.early_look import EarlyLook

SECONDS = 8.0
"""A plugin may gather for ten."""

SYSTEM_ROOTS = "/etc/ssl/certs/ca-certificates.crt"
ASK_AGAIN = 300.0
"""Seconds for which a table is believed of which no file tells that it has changed."""


@frozen
class _Kept:
    """What an instance's last look gave. until: by the clock, when it is too old in any case."""

    question: object
    found: Findings
    certificates: Certificates
    stamps: Stamps = field(default_factory=dict)
    until: float = math.inf


class KeptCertificates:
    """What is known of the certificates of each instance, kept until a file of them changes.

    sources: may be replaced at any time, as an agent does that reads its configuration again.
    early: of a command, which has begun its first look by then.
    """

    def __init__(
        self,
        sources: CertificateSources | None = None,
        clock: Callable[[], float] = time.monotonic,
        early: EarlyLook | None = None,
    ) -> None:
        self._early = early
        self.sources = sources or CertificateSources()
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def of(self, instance: Instance) -> Certificates:
        """Every credential in use, and what could be used. What fails is told as a `Fault`."""
        question = (instance.parameters, instance.services, instance.defaults, self.sources)
        kept = self._kept.get(instance.config_directory)
        fresh = kept is not None and self._clock() < kept.until
        if kept and fresh and kept.question == question and are_same(kept.stamps):
            return kept.certificates
        known = self._known(kept, fresh=fresh)
        wanted = Wanted(instance, self.sources, known.listings)
        if not wanted.is_known(known):
            try:
                known = _with(known, self._looked(instance, known))
            except PostkeelError as error:
                return _Assembly(wanted, known, str(error)).certificates(self._roots)
            wanted = Wanted(instance, self.sources, known.listings)
        assembly = _Assembly(wanted, known)
        certificates = assembly.certificates(self._roots)
        before = kept.until if kept and fresh else math.inf
        passes = any(_passes(one) for one in wanted.listings.values())
        self._kept[instance.config_directory] = _Kept(
            question=question,
            found=assembly.needed(),
            certificates=certificates,
            stamps=assembly.stamps(self._roots),
            until=min(before, self._clock() + ASK_AGAIN) if passes else math.inf,
        )
        return certificates

    def _looked(self, instance: Instance, known: Findings) -> Findings:
        early, self._early = self._early, None
        found = early.ask(instance, self.sources, SECONDS) if early else None
        if found is not None:
            return found

        def work() -> object:
            from postkeel.shell.certificate_look import look

            return told(look(instance, self.sources, known))

        return understood(answer_of(work, SECONDS))

    @property
    def _roots(self) -> str:
        return roots_file(self.sources)

    def _known(self, kept: _Kept | None, *, fresh: bool) -> Findings:
        """What is still so of what was found."""
        if kept is None:
            return Findings()
        found = kept.found
        if not fresh:
            lasting = {name: one for name, one in found.listings.items() if not _passes(one)}
            found = replace(found, listings=lasting)
        same = self._roots in found.roots_stamps and are_same(found.roots_stamps)
        return found if same else Findings(listings=found.listings)


def roots_file(sources: CertificateSources) -> str:
    """The PEM file of the trusted roots."""
    return sources.roots or SYSTEM_ROOTS


def _passes(listing: Listing) -> bool:
    """Whether it has to be asked again in a while, though no file has changed."""
    return bool(listing.table.problem) or is_remote(listing.table.name)


def _with(known: Findings, new: Findings) -> Findings:
    return Findings(
        listings={**known.listings, **new.listings},
        readings={**known.readings, **new.readings},
        roots=new.roots if new.readings else known.roots,
        roots_stamps=new.roots_stamps if new.readings else known.roots_stamps,
    )


class _Assembly:
    """Puts together what is known. problem: why the rest is not."""

    def __init__(self, wanted: Wanted, found: Findings, problem: str = "") -> None:
        self._wanted = wanted
        self._found = found
        self._problem = problem
        made = (self._joined_of(one) for one in wanted.credentials if one.kind is Kind.CHAIN)
        self._joined = tuple(one for one in made if one)
        self._offered = tuple(self._best())
        sources = (source_of(one) for one in (*self._joined, *self._offered))
        self._credentials = tuple(dict.fromkeys((*wanted.credentials, *sources)))

    def certificates(self, roots: str) -> Certificates:
        left = f"only the first {MOST_CREDENTIALS} certificates are looked at"
        return Certificates(
            uses=self._wanted.uses,
            loaded={one: self._loaded(one) for one in self._credentials}
            | {one: _unread(one, left) for one in self._wanted.left},
            tables={one: self._table(one) for one in self._wanted.tables},
            joined=self._joined,
            offered=self._offered,
            names=self._wanted.names,
            roots=(roots, self._found.roots),
            watched=tuple(dict.fromkeys(self._watched(roots))),
        )

    def needed(self) -> Findings:
        """Of what was found what is still of use."""
        wanted = (*self._credentials, *self._wanted.offers)
        readings = {one: self._found.readings[one] for one in wanted if one in self._found.readings}
        return replace(self._found, listings=self._wanted.listings, readings=readings)

    def stamps(self, roots: str) -> Stamps:
        """The marks of all that the fact hangs on."""
        found = self.needed()
        every = {one: stamp(one) for one in places_of(self._wanted.lineages, self._wanted.names)}
        for listing in found.listings.values():
            every.update(listing.stamps)
        for reading in found.readings.values():
            every.update(reading.stamps)
        return {**every, **(found.roots_stamps or {roots: stamp(roots)})}

    def _watched(self, roots: str) -> Iterator[str]:
        for one in self._credentials:
            if one.kind is not Kind.TABLE:
                yield from filter(None, one.files)
        for table in self._wanted.tables:
            yield from files_of(table)
        yield from places_of(self._wanted.lineages, self._wanted.names)
        yield roots

    def _best(self) -> Iterator[Joined]:
        """The first pair of a renewer that is fit for the server's name."""
        for pair in self._wanted.offers:
            made = self._joined_of(pair)
            fits = any(is_offered(self._loaded(pair), name) for name in self._wanted.names[:1])
            if made and fits:
                yield made
                return

    def _joined_of(self, credential: Credential) -> Joined | None:
        reading = self._found.readings.get(credential)
        return reading.joined if reading else None

    def _loaded(self, credential: Credential) -> Loaded:
        reading = self._found.readings.get(credential)
        if reading is None or (self._problem and not are_same(reading.stamps)):
            return _unread(credential, self._problem or "it changed while it was looked at")
        return reading.loaded

    def _table(self, name: str) -> Table:
        listing = self._wanted.listings.get(name)
        return listing.table if listing else Table(name=name, problem=one_line(self._problem, 400))


def _unread(credential: Credential, why: str) -> Loaded:
    """Of what nothing is known; that says nothing of what Postfix makes of it."""
    what = one_line(f"not looked at: {why}", 400)
    files = tuple(dict.fromkeys(filter(None, credential.files)))
    if credential.kind is Kind.TABLE:
        files = credential.files[:1]
    fault = Fault(kind=FaultKind.FILE, file=files[0], line=0, what=what, breaks=False)
    return Loaded(faults=(fault,), files=tuple(FileSeen(path=one, problem=what) for one in files))
