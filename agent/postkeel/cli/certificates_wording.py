"""How `postkeel certificates` puts what is known of one certificate: in a cell, and in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from postkeel.certificates.tlsa import record_for
from postkeel.certificates.values import (
    Certificate,
    Chain,
    FileSeen,
    Joined,
    Key,
    Kind,
    Loaded,
    TlsaRecord,
    Trust,
    Use,
)
from postkeel.cli.certificates_seen import Answer, Entry, Look, is_same
from postkeel.cli.fleet_wording import lasting
from postkeel.cli.wording import counted, minute
from postkeel.contract import Handshake

_DAY: Final = 86_400
_HOUR: Final = 3600
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MOST: Final = 6
_MUST_STAPLE: Final = (
    "demanded by the certificate (must-staple), and Postfix cannot staple: peers that insist"
    " refuse it; have a new one issued without"
)

Detail = tuple[str, str]
"""What it is about, in a word of at most eight letters, and a sentence."""


def share_left(leaf: Certificate, at: datetime) -> float:
    """How much of its own lifetime is left, 0 to 1; one that is not valid yet has all of it."""
    whole = (leaf.ends - leaf.begins).total_seconds()
    left = (leaf.ends - at).total_seconds()
    return min(max(left / whole, 0.0), 1.0) if whole > 0 else 0.0


def left(leaf: Certificate | None, at: datetime) -> str:
    """In a cell of eight columns: "68 days", "31 hours", "expired"."""
    if leaf is None:
        return "unread"
    seconds = (leaf.ends - at).total_seconds()
    if seconds <= 0:
        return "expired"
    if leaf.begins > at:
        return "not yet"
    days = int(seconds // _DAY)
    if days >= 1000:  # noqa: PLR2004
        return f"{days // 365} years"
    if days > 1:
        return f"{days} days"
    hours = int(seconds // _HOUR)
    return f"{hours} hours" if hours > 1 else f"{int(seconds // 60)} min"


def names_of(entry: Entry) -> tuple[str, ...]:
    """What to call it by: the names that clients ask for first, then those that it has."""
    asked = [one.name for one in entry.uses if one.name]
    held = list(entry.leaf.names) if entry.leaf else []
    covered = [one for one in asked if one in held]
    subject = [entry.leaf.subject] if entry.leaf and entry.leaf.subject else []
    return tuple(dict.fromkeys([*covered, *held] or [*asked, *subject] or [entry.path]))


def key_of(leaf: Certificate | None) -> str:
    """ "RSA 2048", "EC P-256", "Ed25519"."""
    if leaf is None:
        return "-"
    size = _curve(leaf.key) or (str(leaf.key.bits) if leaf.key.algorithm in ("RSA", "DSA") else "")
    return " ".join(filter(None, (leaf.key.algorithm or "unknown", size)))


def _curve(key: Key) -> str:
    return _CURVES.get(key.curve, key.curve)


def used_by(entry: Entry, look: Look) -> str:
    """In a cell: its services, or what else it is."""
    if look.given:
        return "given"
    if entry.offered:
        return "offered"
    plain = [one for one in entry.uses if not one.client and not one.table]
    services = dict.fromkeys(service for one in plain for service in one.services)
    names = [one.removesuffix("/inet") for one in services]
    if all(one.client for one in entry.uses):
        return "client"
    if not names:
        return "SNI"
    return names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"


def served_in_a_word(entry: Entry, look: Look) -> str:
    """In a cell: whether clients get what the file holds."""
    said = {is_same(entry, one) for one in entry.handshakes}
    if look.served is None or look.given or all(one.client for one in entry.uses):
        return "-"
    if said == {True}:
        return "yes"
    return "no" if False in said else "partly" if True in said else "?"


def listed(names: Sequence[str], most: int | None = _MOST) -> str:
    """ "a.example, b.example and 3 more"; all of them without `most`."""
    if most is None or len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def details(
    entry: Entry, look: Look, others: Mapping[str, str], most: int | None = _MOST
) -> Iterator[Detail]:
    """Everything but the findings.

    others: what a certificate is, by its sha256. most: of names and places; None for all.
    """
    yield from _files(entry, look)
    if entry.joined:
        yield "joined", _joined_text(entry.joined, offered=entry.offered)
    if entry.chain:
        yield from _certificate(entry.chain.leaf, look.at, most)
        yield "chain", chain_text(entry.chain)
        if most is None:
            yield from _in_depth(entry.chain)
    yield from _uses(entry, look, most)
    if not (entry.offered or look.given or all(one.client for one in entry.uses)):
        yield from (("served", one) for one in _served(entry, look, others, most))
    yield from (("TLSA", one) for one in _tlsa(entry, look, most))
    if entry.leaf and entry.leaf.must_staple:
        yield "stapling", _MUST_STAPLE


def _files(entry: Entry, look: Look) -> Iterator[Detail]:
    seen = {one.path: one for one in entry.loaded.files}
    for number, path in enumerate(dict.fromkeys(entry.credential.files)):
        label = "file" if number == 0 else "key" if entry.credential.kind is Kind.PAIR else ""
        yield label, path + _seen_text(seen.get(path), closed=path in look.closed)
    if look.given:
        yield from _as_given(entry)


def _as_given(entry: Entry) -> Iterator[Detail]:
    """How several files are used together, and what one that stands alone lacks."""
    files, alone = entry.credential.files, len(entry.credential.files) == 1
    if entry.credential.kind is Kind.CHAIN and not alone:
        yield "main.cf", f"smtpd_tls_chain_files = {', '.join(files)}"
    if entry.credential.kind is Kind.PAIR and alone and entry.chain:
        yield "key", "not given, so it is not judged"


def _seen_text(seen: FileSeen | None, *, closed: bool) -> str:
    if closed:
        return " (you may not read it, so nothing is said of it; run this as root)"
    if seen is None:
        return ""
    return f" -> {seen.real}" if seen.real and seen.real != seen.path else ""


def _joined_text(joined: Joined, *, offered: bool) -> str:
    two = f"{joined.certificate} and {joined.key}"
    if offered:
        return f"`postkeel enforce` would join {two} to {joined.path}"
    state = "up to date" if joined.current else "they hold something else by now"
    return f"of {two}: {state}"


def _certificate(leaf: Certificate, at: datetime, most: int | None) -> Iterator[Detail]:
    held = f"subject {leaf.subject or '(empty)'}"
    yield "names", listed(leaf.names, most) if leaf.names else f"none; {held}"
    yield "issuer", leaf.issuer or "(empty)"
    yield "valid", validity(leaf, at)
    bits = f", {leaf.key.bits} bits" if _curve(leaf.key) and leaf.key.bits else ""
    yield "key", f"{key_of(leaf)}{bits}; signed with {leaf.signature or 'an unknown algorithm'}"
    for one in leaf.problems:
        yield "problem", one


def _in_depth(chain: Chain) -> Iterator[Detail]:
    """What few want to know, and those all of it."""
    leaf = chain.leaf
    for one in chain.certificates[1:]:
        yield "", f"{one.subject}, {key_of(one)}, until {minute(one.ends)} UTC"
    yield "purposes", "any" if leaf.purposes is None else listed(leaf.purposes, None) or "none"
    yield "serial", leaf.serial
    yield "sha256", leaf.sha256
    yield "DANE", f"{record_for(leaf)} is the TLSA record of its key"


def validity(leaf: Certificate, at: datetime) -> str:
    """ "2026-10-01 12:00 to 2026-12-30 12:00 UTC, 37 of 90 days left (41%)"."""
    span = f"{minute(leaf.begins)} to {minute(leaf.ends)} UTC"
    if leaf.ends <= at:
        return f"{span}, expired {lasting((at - leaf.ends).total_seconds())} ago"
    if leaf.begins > at:
        return f"{span}, begins in {lasting((leaf.begins - at).total_seconds())}"
    rest, unit = left(leaf, at).split()
    whole, unit_of_whole = lasting((leaf.ends - leaf.begins).total_seconds()).split()
    first = rest if unit == unit_of_whole else f"{rest} {unit}"
    return f"{span}, {first} of {whole} {unit_of_whole} left ({share_left(leaf, at):.0%})"


def chain_text(chain: Chain) -> str:
    """How far it reaches, in words."""
    last = chain.certificates[-1]
    root = last.subject if last.self_issued else last.issuer
    number = counted(len(chain.certificates), "certificate")
    return {
        Trust.COMPLETE: f"complete: {number}, up to the root {root}",
        Trust.INCOMPLETE: f"incomplete: {number}, missing is the issuer"
        f" {chain.missing or last.issuer}",
        Trust.SELF_SIGNED: "none: it signed itself",
        Trust.FOREIGN: f"{number}, up to {root}, which is not among the trusted roots",
        Trust.UNKNOWN: f"{number}; whether it is complete is not known without trusted roots",
    }[chain.trust]


def _uses(entry: Entry, look: Look, most: int | None) -> Iterator[Detail]:
    if look.given:
        return
    groups: dict[tuple[object, ...], list[Use]] = {}
    for one in entry.uses:
        key = (one.services, one.parameter, one.where, one.client, one.table)
        groups.setdefault(key, []).append(one)
    for uses in groups.values():
        names = [one.name for one in uses if one.name]
        yield "used by", _use_text(uses[0], listed(names, most))


def _use_text(use: Use, names: str) -> str:
    services = ", ".join(one.removesuffix("/inet") for one in use.services)
    place = f"{use.parameter} at {use.where}"
    if use.client:
        return f"{services} as a client, which is advised against ({place})"
    if not use.table:
        return f"{services} ({place})"
    asked = names or "names that cannot be told"
    return f"{services} for {asked} (SNI table {use.table}, {place})"


def _served(entry: Entry, look: Look, others: Mapping[str, str], most: int | None) -> Iterator[str]:
    if look.served is None:
        yield "not looked at (--offline)"
        return
    if not entry.handshakes:
        yield f"not known: {look.served.problem or 'no handshake was made for it'}"
        return
    by_answer: dict[tuple[str, str], list[str]] = {}
    for one in sorted(entry.handshakes, key=lambda one: str(is_same(entry, one))):
        by_answer.setdefault(_answered(entry, one, others), []).append(_place(one))
    for (verdict, told), places in by_answer.items():  # no, not known, yes
        yield f"{verdict}, on {listed(list(dict.fromkeys(places)), most)}{told}"


def _answered(entry: Entry, handshake: Handshake, others: Mapping[str, str]) -> tuple[str, str]:
    """Whether it is served, and what goes behind the places where this was the answer."""
    shown = handshake.certificate_sha256
    if is_same(entry, handshake):
        return "yes", f"; first seen served {minute(entry.since)} UTC" if entry.since else ""
    told = others.get(shown, f"another certificate, sha256 {shown[:16]}")
    if not shown:
        told = handshake.problem
    elif entry.chain is None:
        told = f"a certificate, sha256 {shown[:16]}; there is none in the file to compare it with"
    verdict = "no" if shown and entry.chain else "not known"
    return verdict, f": {told}"


def _place(handshake: Handshake) -> str:
    asked = f" as {handshake.name}" if handshake.name else ""
    service = handshake.endpoint.service.removesuffix("/inet")
    return f"{service} ({handshake.endpoint}){asked}"


def _tlsa(entry: Entry, look: Look, most: int | None) -> Iterator[str]:
    if look.tlsa is None or entry.chain is None or all(one.client for one in entry.uses):
        return
    if not entry.answers:
        if look.tlsa.resolver or not look.tlsa.problem:  # else it is said once for all of them
            yield f"not known: {look.tlsa.problem}" if look.tlsa.problem else "nothing to ask for"
        return
    without = [f"port {one.port} {one.name}" for one in entry.answers if not one.records]
    if without:
        yield f"none published for {listed(without, most)}"
    yield from (_answer_text(one) for one in entry.answers if one.records)


def _answer_text(answer: Answer) -> str:
    place = f"port {answer.port} {answer.name}"
    good = [record_text(one) for one, match in answer.records if match]
    others = [record_text(one) for one, match in answer.records if match is False]
    unknown = [record_text(one) for one, match in answer.records if match is None]
    if good:
        more = f"; also published: {', '.join([*others, *unknown])}" if others or unknown else ""
        return f"matches at {place}: {', '.join(good)}{more}"
    if others:
        return f"would not match at {place}: {', '.join([*others, *unknown])}"
    return f"not usable for SMTP, or not known, at {place}: {', '.join(unknown)}"


def record_text(record: TlsaRecord) -> str:
    """ "3 1 1 0123456789abcdef"."""
    data = record.data if len(record.data) <= 16 else f"{record.data[:16]}..."  # noqa: PLR2004
    return f"{record.usage} {record.selector} {record.matching} {data}"


def known_as(loaded: Sequence[Loaded]) -> dict[str, str]:
    """What to call each certificate that is in a file, by its sha256."""
    return {
        chain.leaf.sha256: f"the certificate of {chain.leaf.file}"
        for one in loaded
        for chain in one.chains
    }
