"""Whether a chain still fits the TLSA records that are published for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from postkeel.certificates.tlsa import fits, record_for, usable
from postkeel.certificates.values import Chain, TlsaRecord, Use
from postkeel.contract import Depth, Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import TLSA
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import place, title

_WHOLE_BY_SHA256: Final = (3, 0, 1)


def judge_tlsa(scene: Scene, case: Case) -> Iterator[Complaint]:
    for use in case.uses:
        for port, name in scene.published.get(use, ()):
            records = scene.tlsa.records[port, name]
            owner = f"_{port}._tcp.{name}."
            if not any(map(usable, records)):
                yield _useless(case, use, owner)
                continue
            for chain in case.chains:
                if fits(records, chain) is False:
                    wrong = _may_fit_now(scene, case, records)
                    yield _mismatch(use, chain, owner, wrong=wrong)


def _useless(case: Case, use: Use, owner: str) -> Complaint:
    """Senders then encrypt and verify nothing (RFC 7672, section 2.2)."""
    return Complaint(
        rule=TLSA,
        use=use,
        severity=Severity.WARNING,
        says=f"{owner} has only TLSA records that mail servers do not go by (they go by usage 3"
        " and 2), so DANE does nothing there",
        effective=f"{owner} without a usable record",
        wanted="a record 3 1 1",
        file=case.file,
        depth=Depth.OBSERVED,
    )


def _mismatch(use: Use, chain: Chain, owner: str, *, wrong: bool) -> Complaint:
    leaf = chain.leaf
    record = f"{owner} IN TLSA {record_for(leaf)}"
    return Complaint(
        rule=TLSA,
        use=use,
        severity=Severity.ERROR,
        says=f"{place(leaf)}: no TLSA record of {owner} fits {title(leaf)}, so servers with DANE"
        f" do not deliver here once it is served; publish `{record}` beside the old ones first, and"
        " reload when caches have it (after their TTL, twice), or go back to the old key",
        effective=f"no TLSA record of {owner} fits",
        wanted=record,
        file=leaf.file,
        depth=Depth.OBSERVED,
        wrong=wrong,
    )


def _may_fit_now(scene: Scene, case: Case, records: Sequence[TlsaRecord]) -> bool:
    """Whether what is served in its place may fit: false only where it is known not to."""
    shown = {one.certificate_sha256 for _, one in scene.shown(case) if one.protocol}
    held = {one.data.lower() for one in records if usable(one)}
    exact = all(
        (one.usage, one.selector, one.matching) == _WHOLE_BY_SHA256
        for one in records
        if usable(one)
    )
    return not (exact and shown and held.isdisjoint(shown))
