"""Which credentials are looked at: those in use, of what they were joined, what is offered."""

from __future__ import annotations

from collections.abc import Mapping

from postkeel.certificates.stored import Findings, Listing
from postkeel.certificates.uses import is_without_certificate, names_of, sni_tables, uses_of
from postkeel.certificates.values import Credential, Joined, Kind
from postkeel.core.configuration import CertificateSources
from postkeel.postfix.instance import Instance
from postkeel.shell.certificate_files import are_same
from postkeel.shell.lineages import candidates

MOST_CREDENTIALS = 2000


class Wanted:
    """What of an instance is to be known, as far as these listings tell.

    credentials: those in use, each once, and not more than MOST_CREDENTIALS; `left` are the
    others. offers: the pairs of renewers, where no service has a certificate.
    """

    def __init__(
        self, instance: Instance, sources: CertificateSources, listings: Mapping[str, Listing]
    ) -> None:
        self.names = names_of(instance)
        self.tables = sni_tables(instance)
        self.listings = {one: listings[one] for one in self.tables if one in listings}
        entries = {name: one.entries for name, one in self.listings.items()}
        self.uses = uses_of(instance, entries)
        used = tuple(dict.fromkeys(one.credential for one in self.uses))
        self.credentials, self.left = used[:MOST_CREDENTIALS], used[MOST_CREDENTIALS:]
        self.lineages = sources.lineages if is_without_certificate(instance) else ()
        self.offers = candidates(self.lineages, self.names)

    def is_known(self, known: Findings) -> bool:
        """Whether nothing has to be read."""
        return (
            all(is_listed(known, one) for one in self.tables)
            and all(is_read(known, one) for one in self.credentials)
            and all(is_read(known, one) and known.readings[one].joined for one in self.offers)
        )


def source_of(joined: Joined) -> Credential:
    """The pair that a file of postkeel's was joined of."""
    return Credential(kind=Kind.PAIR, files=(joined.certificate, joined.key))


def is_read(known: Findings, credential: Credential) -> bool:
    """Whether what is known of the credential is still so."""
    reading = known.readings.get(credential)
    return reading is not None and are_same(reading.stamps)


def is_listed(known: Findings, table: str) -> bool:
    """Whether what is known of the table is still so.

    Entries without files are held by the table alone, so they are read together with it.
    """
    listing = known.listings.get(table)
    if listing is None or not are_same(listing.stamps):
        return False
    held = (one for one, files in listing.entries if not files)
    entries = (Credential(kind=Kind.TABLE, files=(table, one)) for one in held)
    return all(one in known.readings for one in entries)
