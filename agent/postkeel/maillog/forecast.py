"""The forecast: what a profile would have refused or pushed to clear text, by history.

`forecast_demands` says what the profile's rules demand of a connection, `forecast_policy`
which entries of smtp_tls_policy_maps history supports, `forecast_values` are the words.

What fails today already is not harm that a profile does, and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from postkeel.core.profile import Profile
from postkeel.core.text import one_line
from postkeel.maillog.forecast_demands import (
    CLIENT,
    CLIENT_WITH_POLICY,
    Demand,
    Place,
    Undecided,
    Verdict,
    demand_on,
    judge,
    place_of,
    rules_not_read,
)
from postkeel.maillog.forecast_policy import suggest
from postkeel.maillog.forecast_sums import SideSums
from postkeel.maillog.forecast_values import Forecast, Harm, PeerHarm, PolicySuggestion, Side
from postkeel.maillog.values import ConnectionCount, Direction, Session, Statistics
from postkeel.postfix.instance import Suite, Version
from postkeel.postfix.protocols import PROTOCOLS, rank

__all__ = ["Forecast", "Harm", "PeerHarm", "PolicySuggestion", "Side", "forecast"]

_MOST_NAMED: Final = 5
_LONGEST: Final = 200
_NOTHING_LOGGED: Final = {
    Direction.INBOUND: "No inbound TLS session is in the log: with smtpd_tls_loglevel = 0 none is,"
    " and what looks like clear text may have been TLS.",
    Direction.OUTBOUND: "No outbound TLS session is in the log: with smtp_tls_loglevel = 0 none is,"
    " and what looks like clear text may have been TLS.",
}


def forecast(
    statistics: Statistics, profile: Profile, suites: Mapping[str, Suite], version: Version
) -> Forecast:
    """What raising to this profile would have done to what the statistics hold.

    suites: by OpenSSL's name, as many as are known; a session with another one is not
    judged, and `unknown` says so. version: of Postfix.
    """
    weighing = _Weighing(profile, suites, version, _newest(statistics))
    for count in statistics.connections:
        weighing.add(count)
    policies, instead = suggest(statistics, weighing.level_outbound, weighing.holds)
    first, last = statistics.first, statistics.last
    return Forecast(
        profile=profile.name,
        span=None if first is None or last is None else (first, last),
        inbound=weighing.sides[Direction.INBOUND].side(),
        outbound=weighing.sides[Direction.OUTBOUND].side(),
        policies=policies,
        unknown=(*weighing.unknown(), *((instead,) if instead else ())),
    )


def _newest(statistics: Statistics) -> Mapping[Direction, str]:
    """The newest protocol of each direction, the oldest there is where none was spoken."""
    newest = dict.fromkeys(Direction, PROTOCOLS[0])
    for count in statistics.connections:
        protocol, direction = count.session.protocol, count.session.direction
        if protocol in PROTOCOLS and rank(protocol) > rank(newest[direction]):
            newest[direction] = protocol
    return newest


class _Weighing:
    """Judges each count, and adds up what became of it."""

    def __init__(
        self,
        profile: Profile,
        suites: Mapping[str, Suite],
        version: Version,
        newest: Mapping[Direction, str],
    ) -> None:
        self._profile = profile
        self._suites = suites
        self._version = version
        self._newest = newest
        self._demands: dict[Place, Demand] = {}
        self._judged: dict[Direction, dict[tuple[str, ...], tuple[Verdict | None, str]]] = {
            direction: {} for direction in Direction
        }
        self._doubts: dict[str, list[int]] = {}
        self.sides = {direction: SideSums() for direction in Direction}

    def add(self, count: ConnectionCount) -> None:
        session = count.session
        # Hashing a whole session for each of many thousand counts would take seconds.
        key = (count.name, session.trust, session.protocol, session.cipher, session.key_exchange)
        judged = self._judged[session.direction]
        if key not in judged:
            judged[key] = self._weigh(place_of(count.name, session), session)
        verdict, doubt = judged[key]
        if doubt:
            sums = self._doubts.setdefault(doubt, [0, 0])
            sums[0] += count.connections
            sums[1] += count.mails
        self.sides[session.direction].add(count, verdict)

    def _weigh(self, place: Place, session: Session) -> tuple[Verdict | None, str]:
        """What would have become of it, and what is not known about that."""
        verdict = self._judge(place, session)
        if isinstance(verdict, Undecided):
            return None, verdict.about
        if session.protocol in self._demand(place).dropped:
            about = "is switched off by the profile; its peers most likely agree on an older one"
            return verdict, f"{session.protocol} {about}"
        return verdict, ""

    def _judge(self, place: Place, session: Session) -> Verdict | Undecided | None:
        newest = self._newest[session.direction]
        return judge(self._demand(place), session, self._suites, newest)

    def _demand(self, place: Place) -> Demand:
        if place not in self._demands:
            self._demands[place] = demand_on(place, self._profile, self._version)
        return self._demands[place]

    @property
    def level_outbound(self) -> str:
        """What the profile demands of every server that mail goes to."""
        return self._demand(CLIENT).level.word

    def holds(self, session: Session) -> bool:
        """Whether this session would come about where a policy makes TLS mandatory."""
        return self._judge(CLIENT_WITH_POLICY, session) is None

    def unknown(self) -> Iterator[str]:
        """What could not be told, most connections first."""
        doubts = sorted(self._doubts.items(), key=lambda one: (-one[1][0], one[0]))
        for about, (connections, mails) in doubts[:_MOST_NAMED]:
            yield f"{one_line(about, _LONGEST)}: {connections} connections and {mails} mails."
        if len(doubts) > _MOST_NAMED:
            yield f"And {len(doubts) - _MOST_NAMED} more of this kind."
        for direction, side in self.sides.items():
            if side.connections and side.connections == side.clear_connections:
                yield _NOTHING_LOGGED[direction]
        yield from rules_not_read(self._profile, self._version)
