"""`postkeel certificates` as a document for programs. Its keys are contracts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from postkeel.certificates.values import (
    Certificate,
    Chain,
    Credential,
    Fault,
    Joined,
    Table,
    Use,
)
from postkeel.cli.certificates_seen import Answer, Entry, Look, entries, general, is_same
from postkeel.cli.certificates_wording import share_left
from postkeel.contract import Handshake, Judged, Outcome
from postkeel.core.report_json import finding_data

Data = dict[str, object]


def document(look: Look) -> Data:
    """One instance; the certificates by their end, those that could not be read first."""
    shown = entries(look)
    credentials: dict[Credential, list[Entry]] = {}
    for entry in shown:
        credentials.setdefault(entry.credential, []).append(entry)
    file, number = look.certificates.roots
    return {
        "config_directory": look.directory,
        "at": stamp(look.at),
        "given": look.given,
        "certificates": [_data(one, look) for one in credentials.values() if not one[0].offered],
        "offered": [_data(one, look) for one in credentials.values() if one[0].offered],
        "findings": [_finding(one) for one in general(look, shown)],
        "unjudged": look.unjudged,
        "tables": [_table(one) for one in look.certificates.tables.values()],
        "names": list(look.certificates.names),
        "roots": {"file": file, "number": number},
        "served_problem": look.served.problem if look.served else None,
        "resolver": look.tlsa.resolver if look.tlsa else None,
        "tlsa_problem": look.tlsa.problem if look.tlsa else None,
        "unreadable": sorted(look.closed),
        "problems": list(look.problems),
    }


def stamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return (
        None
        if moment is None
        else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _data(chains: Sequence[Entry], look: Look) -> Data:
    """One credential; its entries differ only in their chain, and what goes with that."""
    entry = chains[0]
    handshakes = dict.fromkeys(one for chain in chains for one in chain.handshakes)
    return {
        "files": list(entry.credential.files),
        "real": [one.real for one in entry.loaded.files],
        "kind": entry.credential.kind.value,
        "uses": [_use(one) for one in entry.uses],
        "joined_of": _joined(entry.joined) if entry.joined else None,
        "chains": [_chain(one, one.chain, look.at) for one in chains if one.chain],
        "faults": [_fault(one) for one in entry.loaded.faults],
        "served": [_served(entry, one) for one in handshakes],
        "findings": [_finding(one) for one in entry.judged],
    }


def _use(use: Use) -> Data:
    return {
        "services": list(use.services),
        "parameter": use.parameter,
        "where": use.where,
        "client": use.client,
        "table": use.table,
        "sni_name": use.name,
    }


def _joined(joined: Joined) -> Data:
    return {
        "path": joined.path,
        "certificate": joined.certificate,
        "key": joined.key,
        "current": joined.current,
    }


def _chain(entry: Entry, chain: Chain, at: datetime) -> Data:
    leaf = chain.leaf
    return {
        **_certificate(leaf),
        "lifetime_left": round(share_left(leaf, at), 4),
        "seconds_left": int((leaf.ends - at).total_seconds()),
        "trust": chain.trust.value,
        "missing": chain.missing,
        "certificates": [_certificate(one) for one in chain.certificates],
        "served_since": stamp(entry.since),
        "tlsa": [_answer(one) for one in entry.answers],
    }


def _fault(fault: Fault) -> Data:
    return {
        "kind": fault.kind.value,
        "file": fault.file,
        "line": fault.line,
        "what": fault.what,
        "help": fault.help,
        "breaks": fault.breaks,
    }


def _certificate(one: Certificate) -> Data:
    return {
        "subject": one.subject,
        "issuer": one.issuer,
        "names": list(one.names),
        "serial": one.serial,
        "begins": stamp(one.begins),
        "ends": stamp(one.ends),
        "key": {"algorithm": one.key.algorithm, "bits": one.key.bits, "curve": one.key.curve},
        "signature": one.signature,
        "sha256": one.sha256,
        "key_sha256": one.key_sha256,
        "must_staple": one.must_staple,
        "purposes": None if one.purposes is None else list(one.purposes),
        "problems": list(one.problems),
        "file": one.file,
        "line": one.line,
    }


def _served(entry: Entry, one: Handshake) -> Data:
    return {
        "service": one.endpoint.service,
        "endpoint": str(one.endpoint),
        "name": one.name,
        "protocol": one.protocol,
        "sha256": one.certificate_sha256,
        "same": is_same(entry, one),
        "problem": one.problem,
    }


def _answer(answer: Answer) -> Data:
    return {
        "port": int(answer.port),
        "name": answer.name,
        "matches": answer.matches,
        "records": [
            {
                "usage": one.usage,
                "selector": one.selector,
                "matching": one.matching,
                "data": one.data,
                "matches": match,
            }
            for one, match in answer.records
        ],
    }


def _finding(judged: Judged) -> Data:
    return {
        **finding_data(judged.finding),
        "fixable": bool(judged.finding.remedy),
        "waived": judged.outcome is Outcome.WAIVED,
    }


def _table(table: Table) -> Data:
    return {
        "name": table.name,
        "indexed": table.indexed,
        "source": table.source,
        "names": len(table.held),
        "problem": table.problem,
    }
