"""Adds up what became of the connections of one direction."""

from __future__ import annotations

from heapq import nsmallest
from typing import Final

from postkeel.maillog.forecast_demands import Verdict
from postkeel.maillog.forecast_values import Harm, PeerHarm, Side
from postkeel.maillog.values import ConnectionCount

MOST_PEERS: Final = 1000

_HarmKey = tuple[str, str, str, str, str, str, bool]
"""Peer, name of the service, protocol, cipher; reason, rule and certainty of the verdict."""


class SideSums:
    """What is added up of one direction."""

    def __init__(self) -> None:
        self.connections = self.mails = self.clear_connections = self.clear_mails = 0
        self._harms: dict[bool, dict[_HarmKey, list[int]]] = {True: {}, False: {}}

    def add(self, count: ConnectionCount, verdict: Verdict | None) -> None:
        self.connections += count.connections
        self.mails += count.mails
        if count.session.clear:
            self.clear_connections += count.connections
            self.clear_mails += count.mails
        if verdict is not None:
            travelled = (count.peer, count.name, count.session.protocol, count.session.cipher)
            key = (*travelled, verdict.reason, verdict.rule, verdict.certain)
            sums = self._harms[verdict.refused].setdefault(key, [0, 0])
            sums[0] += count.connections
            sums[1] += count.mails

    def side(self) -> Side:
        return Side(
            connections=self.connections,
            mails=self.mails,
            clear_connections=self.clear_connections,
            clear_mails=self.clear_mails,
            refused=self._harm(refused=True),
            to_clear=self._harm(refused=False),
        )

    def _harm(self, *, refused: bool) -> Harm:
        harmed = self._harms[refused]
        connections = sum(one[0] for one in harmed.values())
        mails = sum(one[1] for one in harmed.values())
        certain = [sums for key, sums in harmed.items() if key[-1]]
        worst = nsmallest(MOST_PEERS, harmed.items(), key=_by_mails)
        return Harm(
            connections=connections,
            mails=mails,
            connection_share=connections / self.connections if connections else 0.0,
            mail_share=mails / self.mails if mails else 0.0,
            certain_connections=sum(one[0] for one in certain),
            certain_mails=sum(one[1] for one in certain),
            peers=tuple(_peer_harm(key, sums) for key, sums in worst),
            left_off=len(harmed) - len(worst),
        )


def _by_mails(harmed: tuple[_HarmKey, list[int]]) -> tuple[int, int, _HarmKey]:
    key, (connections, mails) = harmed
    return (-mails, -connections, key)


def _peer_harm(key: _HarmKey, sums: list[int]) -> PeerHarm:
    peer, name, protocol, cipher, reason, rule, certain = key
    return PeerHarm(
        peer=peer,
        name=name,
        protocol=protocol,
        cipher=cipher,
        connections=sums[0],
        mails=sums[1],
        reason=reason,
        rule=rule,
        certain=certain,
    )
