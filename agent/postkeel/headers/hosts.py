"""Which hosts are one's own: those of Postfix instances, and what an administrator says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from postkeel.headers.trust import own_of
from postkeel.headers.values import Own
from postkeel.postfix.instance import Instance

_ALWAYS: Final = ("127.0.0.0/8", "::1", "localhost")
_LISTENS: Final = ("inet_interfaces", "proxy_interfaces")


def own_hosts(instances: Iterable[Instance], words: Iterable[str] = ()) -> Own:
    """This host, these instances of it by their names and addresses, and what the words say.

    Not their domains: others' hosts may have names below them. Words that are neither names
    nor addresses are left out.
    """
    known = (*_ALWAYS, *(word for one in instances for word in words_of(one)), *words)
    return own_of(one for one in dict.fromkeys(known) if _is_host(one))


def words_of(instance: Instance) -> Iterator[str]:
    """The names that its services have, and the addresses that are said to be its own."""
    for service in (None, *instance.services):
        yield instance.effective("myhostname", service).value
    for parameter in _LISTENS:
        for word in instance.effective(parameter).value.replace(",", " ").split():
            if word not in ("all", "loopback-only"):
                yield word.strip("[]")


def _is_host(word: str) -> bool:
    try:
        own_of((word,))
    except ValueError:
        return False
    return True
