"""What the plugin wants of the agent: probes, and samples of new mail."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Facts, Interest, Mailboxes, Need, Options, Probe
from postkeel.maillog.following import log_to_follow
from postkeel.postfix.instance import Instance
from postkeel_plugins.header_checker.addressing import Recipient, recipient_of
from postkeel_plugins.header_checker.options import (
    CREDENTIALS,
    EVERY,
    MAILBOXES,
    SAMPLED,
    number,
    text,
    texts,
)

_MOST_SPLAY: Final = 600.0


def interests(directory: str, options: Options, facts: Facts) -> Interest:
    """The wishes that the options say, and the facts to judge what comes of them."""
    needs = tuple(Need(kind=kind, subject=directory) for kind in ("postfix", "state"))
    known = facts.get(needs[0])
    paths = texts(options, MAILBOXES)
    every = number(options, EVERY)
    return Interest(
        needs=needs,
        probe=probe_of(directory, known, options)
        if every and isinstance(known, Instance)
        else None,
        mailboxes=Mailboxes(paths=paths, most=number(options, SAMPLED)) if paths else None,
    )


def probe_of(directory: str, instance: Instance, options: Options) -> Probe | None:
    """The probe of an instance; None without a recipient or a service to send it through."""
    from postkeel.postfix.targets import targets

    credentials = text(options, CREDENTIALS)
    recipient = recipient_of(instance, options)
    found = targets(instance, credentials=bool(credentials))
    if not found or not isinstance(recipient, Recipient):
        return None
    every = number(options, EVERY)
    return Probe(
        targets=found,
        address=recipient.address,
        mailbox=recipient.mailbox,
        every=float(every),
        splay=min(every / 10, _MOST_SPLAY),
        credentials=credentials,
        log=log_to_follow(directory, instance),
    )
