"""One look at the files of certificates: what is new in them. For a process that ends.

It needs OpenSSL, which an agent at rest is not to have loaded: see `forked`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from postkeel.certificates.joining import FILE, contents, joined, sources
from postkeel.certificates.stored import Findings, Listing, Reading, Stamps, told, understood
from postkeel.certificates.values import Credential, Joined, Kind, Loaded
from postkeel.core.configuration import CertificateSources
from postkeel.core.errors import PostkeelError
from postkeel.postfix.instance import Instance
from postkeel.shell.certificate_facts import SECONDS, roots_file
from postkeel.shell.certificate_files import FileRead, read_file, stamp
from postkeel.shell.credential_loading import refusal
from postkeel.shell.forked import Forked, answered, deliver
from postkeel.shell.postfix_facts import readable_now
from postkeel.shell.sni_tables import Held, SniTables
from postkeel.shell.wanted_certificates import Wanted, is_listed, is_read
from postkeel.shell.whole_file import read_whole

if TYPE_CHECKING:
    from postkeel.certificates.trust import Roots

MANY = 64
"""Credentials that take longer to read than a process to start."""

_LARGEST_ROOTS = 16 << 20


class Store:
    """The trusted roots of a file, read when they are wanted first."""

    def __init__(self, file: str) -> None:
        self.file = file

    @cached_property
    def stamps(self) -> Stamps:
        return {self.file: stamp(self.file)}

    @cached_property
    def roots(self) -> Roots:
        """None of a file that cannot be read."""
        from postkeel.certificates.trust import read_roots

        self.stamps  # noqa: B018  before the content: what is older is read again
        try:
            return read_roots(read_whole(self.file, limit=_LARGEST_ROOTS) or b"")
        except PostkeelError:
            return read_roots(b"")


def look(
    instance: Instance,
    where: CertificateSources,
    known: Findings | None = None,
    store: Store | None = None,
) -> Findings:
    """What `known` does not have, or has as it was before a change. Total.

    store: one that was read already; it counts when it is of the right file.
    """
    file = roots_file(where)
    right = store if store and store.file == file else Store(file)
    return _Look(instance, where, known or Findings(), right).findings()


class _Look:
    def __init__(
        self, instance: Instance, where: CertificateSources, known: Findings, store: Store
    ) -> None:
        self._instance = instance
        self._where = where
        self._store = store
        self._known = known
        self._held: dict[str, Held] = {}
        self._files: dict[str, FileRead] = {}
        self._readings: dict[Credential, Reading] = {}

    def findings(self) -> Findings:
        before = Wanted(self._instance, self._where, self._known.listings)
        listings = dict(self._listings(before))
        wanted = Wanted(self._instance, self._where, {**self._known.listings, **listings})
        self._read_all(wanted.credentials)
        for pair in wanted.offers:
            self._read_offered(pair)
        return Findings(
            listings=listings,
            readings=self._readings,
            roots=len(self._store.roots) if self._readings else 0,
            roots_stamps=self._store.stamps if self._readings else {},
        )

    def _listings(self, wanted: Wanted) -> Iterator[tuple[str, Listing]]:
        """Every table that is new or has changed."""
        new = [one for one in wanted.tables if not is_listed(self._known, one)]
        if not new:
            return
        texts = {"main.cf": self._instance.main_cf, "master.cf": self._instance.master_cf}
        with readable_now(self._instance.config_directory, texts) as readable:
            reader = SniTables(readable, wanted.names)
            for table in new:
                listing, self._held[table] = reader.read(table)
                yield table, listing

    def _read_all(self, credentials: Sequence[Credential]) -> None:
        """Read those in use; of many one half in a process of its own, on another processor."""
        new = [one for one in credentials if not is_read(self._known, one)]
        if len(new) < MANY:
            for credential in credentials:
                self._read_used(credential)
            return
        self._store.roots  # noqa: B018  for both
        half = len(credentials) // 2
        other = Forked(lambda pipe: deliver(lambda: self._told(credentials[:half]), pipe), SECONDS)
        try:
            for credential in credentials[half:]:
                self._read_used(credential)
        except BaseException:
            other.close()
            raise
        self._readings |= understood(answered(other, SECONDS)).readings

    def _told(self, credentials: Sequence[Credential]) -> object:
        for credential in credentials:
            self._read_used(credential)
        return told(Findings(readings=self._readings))

    def _read_used(self, credential: Credential) -> None:
        if credential.kind is Kind.TABLE:
            self._read_held(credential)
            return
        if is_read(self._known, credential):
            return
        self._read(credential)
        reading = self._readings[credential]
        first = self._file(credential.files[0])
        found = sources(first.content) if first.content and len(credential.files) == 1 else None
        if found:
            pair = Credential(kind=Kind.PAIR, files=found)
            self._read(pair)
            now = self._contents(pair)
            self._readings[credential] = replace(
                reading,
                joined=Joined(
                    path=first.seen.path,
                    certificate=found[0],
                    key=found[1],
                    contents=now,
                    current=now == contents(first.content or b""),
                ),
                stamps={**reading.stamps, **self._stamps(pair.files)},
            )

    def _read_offered(self, pair: Credential) -> None:
        """What a renewer keeps, with what would come of it."""
        if is_read(self._known, pair) and self._known.readings[pair].joined:
            return
        self._read(pair, again=True)
        certificate, key = pair.files
        path = os.path.join(self._instance.config_directory, FILE)
        would_be = Joined(
            path=path,
            certificate=certificate,
            key=key,
            contents=self._contents(pair),
            current=False,
        )
        self._readings[pair] = replace(self._readings[pair], joined=would_be)

    def _read(self, credential: Credential, *, again: bool = False) -> None:
        """Read a credential that has changed, or that is wanted `again` with its contents."""
        from postkeel.certificates.reading import load

        if credential in self._readings or (not again and is_read(self._known, credential)):
            return
        files = {one: self._file(one) for one in credential.files}
        read = {name: one.content for name, one in files.items() if one.content is not None}
        chains, faults = load(credential, read, self._store.roots, refusal)
        missing = tuple(one.fault for one in files.values() if one.fault)
        self._readings[credential] = Reading(
            loaded=Loaded(
                chains=chains,
                faults=(*missing, *faults),
                files=tuple(one.seen for one in files.values()),
            ),
            stamps=self._stamps(credential.files),
        )

    def _read_held(self, credential: Credential) -> None:
        """An entry of a table, as far as the table was read just now."""
        from postkeel.certificates.reading import load

        table, name = credential.files
        pem = self._held.get(table, {}).get(name)
        if pem is not None:
            chains, faults = load(credential, {table: pem}, self._store.roots, refusal)
            self._readings[credential] = Reading(loaded=Loaded(chains=chains, faults=faults))

    def _contents(self, pair: Credential) -> str:
        """What joining the pair gives; "" when one of its files cannot be read."""
        certificate, key = (self._file(one) for one in pair.files)
        if certificate.content is None or key.content is None:
            return ""
        return contents(joined(certificate.content, key.content, *pair.files))

    def _file(self, path: str) -> FileRead:
        """The file as it was when this look first met it."""
        if path not in self._files:
            self._files[path] = read_file(path)
        return self._files[path]

    def _stamps(self, files: tuple[str, ...]) -> Stamps:
        return {name: one for file in files for name, one in self._file(file).stamps.items()}
