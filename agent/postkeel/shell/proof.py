"""Proofs by handshake, made in a process of their own, for OpenSSL does not stay then.

Security: so what strangers say in TLS is read by a process that ends with the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from postkeel.certificates.asking import Ask, proof_of
from postkeel.postfix.handshake import Handshake
from postkeel.postfix.instance import Instance
from postkeel.shell.forked import answer_of

PROOF_SECONDS = 20.0
"""An smtpd that starts while Postfix reloads finds no proxymap, sleeps ten seconds before
it asks again (mail_connect_wait), and keeps its port waiting meanwhile."""

SILENCE = "no answer in time"
"""The problem of a handshake with who says nothing."""

_MORE_SECONDS = 3.0
"""Beyond what the handshakes of a proof may take."""

_START_SECONDS = 1.0
"""Beyond what the handshakes of a look may take: it has a deadline of its own to keep."""

_TOLD = ("protocol", "cipher", "certificate_sha256", "refused", "problem")


def prove(instance: Instance, asks: Sequence[Ask] = ()) -> tuple[Handshake, ...]:
    """The handshakes of `asking.proof_of`, all services at once.

    Takes PROOF_SECONDS at most; an instance without TLS gives (). What is left out:
    `proving.make_all`. Errors: PostkeelError when its process fails.
    """
    blanks = proof_of(instance, asks)

    def work() -> object:
        from postkeel.shell.proving import make_all

        return _told(make_all(dict(enumerate(blanks)), PROOF_SECONDS))

    return tuple(_answered(blanks, work, PROOF_SECONDS + _MORE_SECONDS).values())


def prove_until(
    instance: Instance,
    accept: Callable[[tuple[Handshake, ...]], bool],
    asks: Sequence[Ask] = (),
) -> tuple[Handshake, ...]:
    """The same once `accept` takes it, or at last: see `proving.make_until`."""
    blanks = proof_of(instance, asks)

    def work() -> object:
        from postkeel.shell.proving import make_until

        return _told(make_until(dict(enumerate(blanks)), accept, PROOF_SECONDS))

    return tuple(_answered(blanks, work, PROOF_SECONDS + _MORE_SECONDS).values())


def answers(
    asks: Iterable[Ask], deadline: float, doubts: Collection[Ask] = ()
) -> dict[Ask, Handshake]:
    """What came of each ask; what is left out: `proving.make_all`.

    doubts: those of the asks for which one right answer is not enough: `proving.doubted`.
    Errors: PostkeelError when its process fails.
    """
    asked = tuple(asks)
    blanks = tuple(one.blank() for one in asked)

    def work() -> object:
        import time

        from postkeel.shell.proving import doubted, make_all

        end = time.monotonic() + deadline
        made = make_all(dict(enumerate(blanks)), deadline)
        right = {
            place: blanks[place] for place, one in made.items() if one.ok and asked[place] in doubts
        }
        return _told(made | doubted(right, end - time.monotonic()))

    made = _answered(blanks, work, deadline + _START_SECONDS)
    return {asked[place]: one for place, one in made.items()}


def _told(made: dict[int, Handshake]) -> list[list[object]]:
    """What is not known of a handshake before it is made, by its place."""
    return [
        [place, one.algorithm, *(getattr(one, name) for name in _TOLD)]
        for place, one in made.items()
    ]


def _answered(
    blanks: Sequence[Handshake], work: Callable[[], object], seconds: float
) -> dict[int, Handshake]:
    """What `work` tells, as handshakes by their place in `blanks`."""
    told: Iterable[list[Any]] = answer_of(work, seconds) if blanks else ()
    made = {}
    for place, algorithm, *values in told:
        blank = blanks[place]
        if algorithm != blank.algorithm:  # see `handshake.made`
            blank = replace(blank, algorithm=algorithm, expected=())
        made[place] = replace(blank, **dict(zip(_TOLD, values, strict=True)))
    return made
