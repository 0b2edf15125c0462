"""Cipher suites of an instance for an agent, which asks OpenSSL in a process of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from postkeel.core.errors import PostkeelError
from postkeel.core.model import Absent
from postkeel.postfix.ciphers import all_cipher_strings
from postkeel.postfix.instance import Instance, Suite
from postkeel.shell.forked import answer_of

Answers = Mapping[str, tuple[Suite, ...] | Absent]

_FIELDS = tuple(one.name for one in dataclasses.fields(Suite))

_SECONDS = 30.0
"""The openssl command, where it is asked, has five seconds for each string."""


class KeptSuites:
    """What `openssl.suites_for` says, kept until the OpenSSL or the cipher strings change.

    An answer that could not be had is not kept.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Answers]] = {}

    def of(self, instance: Instance) -> Answers:
        """Every cipher string that this instance uses, with its suites."""
        strings = all_cipher_strings(instance)
        asked = (instance.openssl, strings)
        known, answers = self._kept.get(instance.config_directory, (None, {}))
        if known == asked:
            return answers
        try:
            told = answer_of(lambda: _told(instance), _SECONDS)
        except PostkeelError as error:
            return dict.fromkeys(strings, Absent(reason=f"cipher suites: {error}"))
        answers = _understood(*told)
        if not any(isinstance(one, Absent) for one in answers.values()):
            self._kept[instance.config_directory] = (asked, answers)
        return answers


def _told(instance: Instance) -> tuple[object, object]:
    """Every suite once; and of each string the numbers of its suites, or why they are not known."""
    from postkeel.shell.openssl import suites_for

    number: dict[Suite, int] = {}
    found = {
        string: one.reason
        if isinstance(one, Absent)
        else [number.setdefault(suite, len(number)) for suite in one]
        for string, one in suites_for(instance).items()
    }
    return [[getattr(suite, name) for name in _FIELDS] for suite in number], found


def _understood(every: Iterable[list[str]], found: Mapping[str, str | list[int]]) -> Answers:
    """What `_told` says."""
    suites = [Suite(**dict(zip(_FIELDS, one, strict=True))) for one in every]
    return {
        string: Absent(reason=one)
        if isinstance(one, str)
        else tuple(suites[number] for number in one)
        for string, one in found.items()
    }
