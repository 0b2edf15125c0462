"""How `postkeel headers` puts verdicts, hosts and times."""

from __future__ import annotations

from typing import Final

from postkeel.cli.wording import counted
from postkeel.headers.values import Certificate, Hop, Own, Results, Tls, Verdict

IN_A_WORD: Final = {
    Verdict.WELL: "encrypted",
    Verdict.WEAKLY: "weak",
    Verdict.CLEAR: "in clear",
    Verdict.UNKNOWN: "unknown",
    Verdict.HIDDEN: "hidden",
    Verdict.LOCAL: "local",
}
STYLES: Final = {
    Verdict.WELL: "good",
    Verdict.WEAKLY: "error",
    Verdict.CLEAR: "error",
    Verdict.UNKNOWN: "warning",
    Verdict.HIDDEN: "info",
    Verdict.LOCAL: "dim",
}
_HOW: Final = {
    Verdict.WELL: "encrypted",
    Verdict.WEAKLY: "weakly encrypted",
    Verdict.CLEAR: "in clear text",
    Verdict.UNKNOWN: "in a way that is not wholly told",
    Verdict.HIDDEN: "in a way that is kept back",
    Verdict.LOCAL: "from one of them",
}
_EVERYWHERE: Final = ("127.0.0.0/8", "::1/128", "localhost")
_MOST_HOSTS: Final = 4
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400


def arrived(hop: Hop) -> str:
    """ "encrypted: TLSv1.3 with TLS_AES_256_GCM_SHA384"."""
    return f"{_HOW[hop.verdict]}: {hop.reason}"


def sender(hop: Hop) -> str:
    """Who handed the message over: a name that the receiver looked up, an address, what it said."""
    if hop.name and hop.name.lower() != "unknown":
        return hop.name
    if hop.address:
        return f"[{hop.address}]"
    return hop.helo or "-"


def receiver(hop: Hop) -> str:
    return hop.by or "-"


def agreed(tls: Tls | None) -> tuple[str, str, str]:
    """Version, cipher, key exchange; "-" is what the line does not say."""
    if tls is None:
        return ("-", "-", "-")
    return (tls.protocol or "TLS", tls.cipher or "-", tls.key_exchange or "-")


def details(hop: Hop) -> list[tuple[str, str]]:
    """What the table of hops has no room for, each with what it is."""
    tls = hop.tls or Tls()
    told = tls.certificate is not Certificate.UNTOLD
    client = f"certificate {tls.certificate.value}" if told else ""
    if tls.subject or tls.issuer:
        client += f", {tls.subject}, issued by {tls.issuer or 'nobody named'}"
    named = hop.name if hop.name.lower() != "unknown" else ""
    found = [
        ("said it was", hop.helo if hop.helo != named else ""),
        ("address", hop.address if named else ""),
        ("client", client),
        ("login", "yes" if hop.authenticated else ""),
        ("bits", str(tls.bits) if tls.bits else ""),
        ("signature", tls.signature),
        ("server", hop.mta),
        ("queue id", hop.identity),
        ("for", hop.recipient),
        ("at", hop.time.isoformat(sep=" ") if hop.time else ""),
        ("line", hop.text),
    ]
    return [(name, value) for name, value in found if value]


def duration(seconds: float) -> str:
    """ "3 s", "12 min", "1 h 5 min", "3 d 4 h"; of clocks that disagree "-3 s"."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return _in_two(int(seconds), _HOUR, "h", _MINUTE, "min")
    return _in_two(int(seconds), _DAY, "d", _HOUR, "h")


def _in_two(seconds: int, large: int, its_name: str, small: int, name: str) -> str:
    whole, rest = divmod(seconds, large)
    text = f"{whole:,} {its_name}"
    return f"{text} {rest // small} {name}" if rest // small else text


def hosts(own: Own) -> tuple[str, ...]:
    """Those of one's own but for what every host calls itself."""
    return tuple(one for one in (*sorted(own.names), *own.networks) if one not in _EVERYWHERE)


def your_hosts(own: Own) -> str:
    """ "mx.example.org, 192.0.2.0/24"; "" for none."""
    found = hosts(own)
    shown = ", ".join(found[:_MOST_HOSTS])
    more = len(found) - _MOST_HOSTS
    return f"{shown} and {counted(more, 'other')}" if more > 0 else shown


def found_by(results: Results) -> str:
    """ "mx.example.org found spf=pass, dkim=pass"."""
    methods = ", ".join(f"{method}={result}" for method, result in results.methods)
    return f"{results.by or 'somebody'} found {methods or 'nothing'}"
