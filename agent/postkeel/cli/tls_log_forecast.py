"""The forecast of `postkeel tls-log --if PROFILE`: asked for here, and shown to people."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping

from postkeel.cli.opening import instances, open_configuration
from postkeel.cli.text_page import WIDTH, Page
from postkeel.cli.wording import counted, percent
from postkeel.core.errors import ConfigurationError, PostkeelError, Problem
from postkeel.core.text import one_line
from postkeel.maillog.forecast import Forecast, Harm, Side, forecast
from postkeel.maillog.values import Statistics
from postkeel.postfix.instance import Suite, Version, parse_version

_NEWEST: Version = (3, 11)
_MOST_PEERS = 10
_MOST_POLICIES = 20
_EVERY_SUITE = "ALL:COMPLEMENTOFALL"


def forecast_of(arguments: Namespace, statistics: Statistics) -> Forecast:
    """What the profile would have done. Errors: ConfigurationError for one that is not known."""
    _, profiles = open_configuration(arguments)
    name = arguments.forecast
    if name not in profiles.documents:
        known = ", ".join(sorted(profiles.documents))
        message = f"unknown profile {name!r}; known are: {known}"
        raise ConfigurationError(Problem(file="--if", line=0, message=message))
    return forecast(statistics, profiles.get(name), _suites(), _version(arguments))


def _version(arguments: Namespace) -> Version:
    """Of this host's Postfix; the newest that is known where there is none to ask."""
    try:
        directory = instances(arguments)[0]
        arguments.defaults.begin(_postconf(), directory)
        version = parse_version(arguments.defaults.get().defaults.get("mail_version", ""))
    except (PostkeelError, OSError):
        return _NEWEST
    return version or _NEWEST


def _postconf() -> str:
    from postkeel.shell.command import find_program

    return find_program("postconf")


def _suites() -> Mapping[str, Suite]:
    """Every suite of this OpenSSL, by name; the forecast says which it lacks."""
    from postkeel.core.model import Absent
    from postkeel.shell.openssl import python_source

    found = python_source()(_EVERY_SUITE)
    return {} if isinstance(found, Absent) else {one.name: one for one in found}


def forecast_data(made: Forecast) -> dict[str, object]:
    """The forecast for JSON."""
    return {
        "profile": made.profile,
        "hurts": made.hurts,
        "first": made.span[0].isoformat(timespec="seconds") if made.span else None,
        "last": made.span[1].isoformat(timespec="seconds") if made.span else None,
        "inbound": _side_data(made.inbound),
        "outbound": _side_data(made.outbound),
        "policies": [
            {
                "domain": one.domain,
                "level": one.level,
                "entry": one.entry,
                "why": one.why,
                "caution": one.caution,
                "mails": one.mails,
                "days": one.days,
                "relays": list(one.relays),
            }
            for one in made.policies
        ],
        "unknown": list(made.unknown),
    }


def _side_data(side: Side) -> dict[str, object]:
    return {
        "connections": side.connections,
        "mails": side.mails,
        "clear_connections": side.clear_connections,
        "clear_mails": side.clear_mails,
        "unaffected_connections": side.unaffected_connections,
        "unaffected_mails": side.unaffected_mails,
        "refused": _harm_data(side.refused),
        "to_clear": _harm_data(side.to_clear),
    }


def _harm_data(harm: Harm) -> dict[str, object]:
    return {
        "connections": harm.connections,
        "mails": harm.mails,
        "connection_share": round(harm.connection_share, 6),
        "mail_share": round(harm.mail_share, 6),
        "certain_connections": harm.certain_connections,
        "certain_mails": harm.certain_mails,
        "peers": [
            {
                "peer": one.peer,
                "name": one.name,
                "protocol": one.protocol or None,
                "cipher": one.cipher or None,
                "connections": one.connections,
                "mails": one.mails,
                "reason": one.reason,
                "rule": one.rule,
                "certain": one.certain,
            }
            for one in harm.peers
        ],
        "left_off": harm.left_off,
    }


def forecast_lines(page: Page, made: Forecast) -> Iterator[str]:
    """The forecast for people: each direction apart, then the entries that history supports."""
    verdict = (
        page.paint("warning", "somebody would be hurt")
        if made.hurts
        else page.paint("good", "nobody would be hurt")
    )
    yield f"With profile {one_line(made.profile, 60)}: {verdict}"
    for title, side in (("inbound", made.inbound), ("outbound", made.outbound)):
        yield from _side_lines(page, title, side)
    yield from _policy_lines(page, made)
    for one in made.unknown:
        yield from page.sentences(f"not known: {one}")


def _side_lines(page: Page, title: str, side: Side) -> Iterator[str]:
    words = {
        "refused": "turned away" if title == "inbound" else "deferred",
        "pushed to clear text": "most likely sent in clear text",
    }
    if not side.connections and not side.mails:
        yield f"  {title}: nothing was seen"
        return
    if not side.refused.connections and not side.to_clear.connections:
        yield (
            f"  {title}: none of {counted(side.connections, 'connection')} and"
            f" {counted(side.mails, 'mail')}"
        )
        return
    for (what, means), harm in zip(words.items(), (side.refused, side.to_clear), strict=True):
        if harm.connections or harm.mails:
            text = f"{title}, {what} ({means}): {_amount(harm, side)}"
            yield from page.sentences(text)
            yield from _peer_lines(page, harm)


def _amount(harm: Harm, side: Side) -> str:
    least = harm.certain_connections
    most = "" if least == harm.connections else "at most "
    certain = f", {least:,} of these connections for certain" if most and least else ""
    return (
        f"{most}{percent(harm.connections, side.connections)} of"
        f" {counted(side.connections, 'connection')} ({harm.connections:,}) and"
        f" {percent(harm.mails, side.mails)} of {counted(side.mails, 'mail')}"
        f" ({harm.mails:,}){certain}"
    )


def _peer_lines(page: Page, harm: Harm) -> Iterator[str]:
    widths = (40, -11, -10, -13)
    names = ("  peer", "connections", "mails", "travelled")
    yield page.header(*zip(names, widths, strict=True))
    reasons: dict[tuple[str, str], int] = {}
    for nth, one in enumerate(harm.peers):
        key = (one.rule, one.reason)
        number = reasons.setdefault(key, len(reasons) + 1)
        if nth < _MOST_PEERS:
            cells = (
                f"  {one.peer}",
                f"{one.connections:,}",
                f"{one.mails:,}",
                f"{one.protocol or 'clear'} [{number}]",
            )
            yield page.row(*zip(cells, widths, strict=True))
    yield from page.rest(len(harm.peers) + harm.left_off - _MOST_PEERS, "entries")
    for (rule, reason), number in list(reasons.items())[:_MOST_PEERS]:
        yield from page.sentences(f"[{number}] {reason} (rule {rule})", indent="    ")


def _policy_lines(page: Page, made: Forecast) -> Iterator[str]:
    if not made.policies:
        return
    yield "  smtp_tls_policy_maps entries that history supports (suggested, never written):"
    for one in made.policies[:_MOST_POLICIES]:
        days, mails = counted(one.days, "day"), counted(one.mails, "mail")
        yield page.row((f"  {one.entry}", WIDTH - 2), style="good")
        yield from page.sentences(f"{mails} on {days}. {one.why}", indent="      ")
    yield from page.rest(len(made.policies) - _MOST_POLICIES, "entries")
    for caution in dict.fromkeys(one.caution for one in made.policies if one.caution):
        yield from page.sentences(f"Caution: {caution}")
