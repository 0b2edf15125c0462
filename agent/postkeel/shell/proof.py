"""Proofs by handshake, made in a process of their own, for OpenSSL does not stay then.

Security: so what strangers say in TLS is read by a process that ends with the proof.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from postkeel.postfix.handshake import Endpoint, Handshake
from postkeel.postfix.instance import Instance
from postkeel.shell.forked import answer_of

PROOF_SECONDS = 20.0
"""An smtpd that starts while Postfix reloads finds no proxymap, sleeps ten seconds before
it asks again (mail_connect_wait), and keeps its port waiting meanwhile."""

_MORE_SECONDS = 3.0
"""Beyond what the handshakes may take."""


def prove(instance: Instance) -> tuple[Handshake, ...]:
    """`handshake.prove`. Errors: PostkeelError when its process fails."""

    def work() -> object:
        from postkeel.shell import handshake

        return _told(handshake.prove(instance, PROOF_SECONDS))

    return _shown(answer_of(work, PROOF_SECONDS + _MORE_SECONDS))


def prove_until(
    instance: Instance, accept: Callable[[tuple[Handshake, ...]], bool]
) -> tuple[Handshake, ...]:
    """`handshake.prove_until`. Errors: PostkeelError when its process fails."""

    def work() -> object:
        from postkeel.shell import handshake

        return _told(handshake.prove_until(instance, accept, PROOF_SECONDS))

    return _shown(answer_of(work, PROOF_SECONDS + _MORE_SECONDS))


def _told(proof: tuple[Handshake, ...]) -> list[dict[str, object]]:
    return [dataclasses.asdict(one) for one in proof]


def _shown(told: Iterable[dict[str, Any]]) -> tuple[Handshake, ...]:
    return tuple(Handshake(**{**one, "endpoint": Endpoint(**one["endpoint"])}) for one in told)
