"""The plugin's state: what the last probe came to. Of JSON's types, and bounded.

    {"version": 1,
     "probe": {"time": seconds of the epoch, "seconds": those of the slowest,
               "late": [seconds, ...], "others": N, "left": N, "problem": sentence or "",
               "targets": [{"target": "smtp/inet on 127.0.0.1:25", "service": "smtp/inet",
                            "ok": whether it came and no witness contradicts,
                            "outcome": a word of `tables.OUTCOMES`,
                            "stage": how far it came, "" for all the way, "code": N,
                            "problem": sentence or "", "seconds": its own,
                            "handshake": "TLSv1.3 with TLS_AES_256_GCM_SHA384",
                            "header": the same, or a word of `witnesses.Account`,
                            "log": likewise}, ...]},
     "complaints": [what `Complaint.written` gives, ...]}

`postkeel headers` shows "probe"; the complaints stand as findings until the next probe. Of
what header and log hold, nothing is in here but names of protocols and cipher suites.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from postkeel.contract import ProbeResult, frozen
from postkeel_plugins.header_checker.complaints import Complaint, read_complaint, sentence
from postkeel_plugins.header_checker.tables import AGREE, NOT_DELIVERED, SILENT
from postkeel_plugins.header_checker.verdicts import Seen

MOST: Final = 100
"""Targets, late ones and complaints; a host has some ten."""
_VERSION: Final = 1
_LONGEST_WAIT: Final = 1e9


@frozen
class Memory:
    """The last probe as it is written, None for none, and what stands since."""

    probe: Mapping[str, Any] | None = None
    complaints: tuple[Complaint, ...] = ()

    def written(self) -> object:
        return {
            "version": _VERSION,
            "probe": self.probe,
            "complaints": [one.written() for one in self.complaints],
        }

    @property
    def not_delivered(self) -> frozenset[str]:
        """The targets whose last probe was taken and did not come in time."""
        targets = () if self.probe is None else self.probe["targets"]
        return frozenset(one["target"] for one in targets if one["outcome"] == NOT_DELIVERED)


def read_memory(state: object) -> Memory:
    """What `written` gave; nothing of anything else, such as what another version wrote."""
    try:
        return _read(state)
    except (TypeError, ValueError, KeyError):
        return Memory()


def _read(state: Any) -> Memory:
    if state["version"] != _VERSION:
        raise ValueError("another version")
    probe = state["probe"]
    for one in () if probe is None else probe["targets"]:
        if not all(isinstance(one[name], str) for name in ("target", "outcome")):
            raise ValueError("a target has no name or outcome")
    complaints = tuple(read_complaint(one) for one in state["complaints"])
    return Memory(probe=probe, complaints=complaints)


def remember(
    time: float, result: ProbeResult, seen: Iterable[Seen], complaints: Iterable[Complaint]
) -> Memory:
    """The memory of a round of probes."""
    shown = [_target(one) for one in seen][:MOST]
    probe = {
        "time": time,
        "seconds": max((one["seconds"] for one in shown), default=0.0),
        "late": [wait(one) for one in result.late[:MOST]],
        "others": result.others,
        "left": result.left,
        "problem": sentence(result.problem),
        "targets": shown,
    }
    return Memory(probe=probe, complaints=tuple(complaints)[:MOST])


def _target(seen: Seen) -> dict[str, Any]:
    probed, told = seen.probed, seen.told
    return {
        "target": str(probed.target),
        "service": probed.target.service,
        "ok": seen.outcome in (AGREE, SILENT),
        "outcome": seen.outcome,
        "stage": sentence(probed.stage),
        "code": probed.code,
        "problem": sentence(probed.problem),
        "seconds": wait(probed.seconds),
        "handshake": str(told.handshake),
        "header": str(told.header),
        "log": str(told.log),
    }


def wait(seconds: float) -> float:
    """A time that JSON can hold; 0 for what is no time."""
    return round(seconds, 3) if 0 <= seconds <= _LONGEST_WAIT else 0.0
