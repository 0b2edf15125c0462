"""The words of a forecast: sides, harm, suggestions.

Harm is *certain* where the peer gave its best and that is too old, or had no TLS, and
*at most* where it may have had another suite, another group or a better name: a log
shows what was agreed upon, not what else the peer could do.
"""

from __future__ import annotations

from datetime import datetime

from postkeel.core.frozen import frozen


@frozen
class PeerHarm:
    """Connections of one peer that would have come to harm alike, and their mails.

    name: of the service, as in the log. protocol and cipher are empty in clear text.
    rule: of the profile. certain: whether TLS would surely have failed; else the peer
    may have had something better to agree upon.
    """

    peer: str
    name: str
    protocol: str
    cipher: str
    connections: int
    mails: int
    reason: str
    rule: str
    certain: bool


@frozen
class Harm:
    """How much, and to whom: most mails first; `left_off` is the number of entries not shown.

    Shares are of all connections, and of all mails, of this direction: 0 to 1.
    """

    connections: int = 0
    mails: int = 0
    connection_share: float = 0.0
    mail_share: float = 0.0
    certain_connections: int = 0
    certain_mails: int = 0
    peers: tuple[PeerHarm, ...] = ()
    left_off: int = 0


@frozen
class Side:
    """One direction. refused: no mail at all until somebody acts, inbound turned away,
    outbound deferred. to_clear: TLS fails and the mail most likely comes in clear text
    (RFC 7435), outbound after minimal_backoff_time.

    clear_connections and clear_mails went in clear text already.
    """

    connections: int
    mails: int
    clear_connections: int
    clear_mails: int
    refused: Harm
    to_clear: Harm

    @property
    def unaffected_connections(self) -> int:
        return self.connections - self.refused.connections - self.to_clear.connections

    @property
    def unaffected_mails(self) -> int:
        return self.mails - self.refused.mails - self.to_clear.mails


@frozen
class PolicySuggestion:
    """One entry, and the history behind it.

    entry: as it stands in the table. relays: the domains of the servers that took the mails.
    """

    domain: str
    level: str
    entry: str
    why: str
    caution: str
    mails: int
    days: int
    relays: tuple[str, ...]


@frozen
class Forecast:
    """What the profile of this name would have done to what the statistics hold.

    span: first and last line of the log, None for an empty one. policies are
    suggestions, never written. unknown: what cannot be told and why, one sentence each.
    """

    profile: str
    span: tuple[datetime, datetime] | None
    inbound: Side
    outbound: Side
    policies: tuple[PolicySuggestion, ...]
    unknown: tuple[str, ...]

    @property
    def hurts(self) -> bool:
        """Whether anybody would have been refused, or pushed to clear text."""
        sides = (self.inbound, self.outbound)
        return any(one.refused.connections or one.to_clear.connections for one in sides)
