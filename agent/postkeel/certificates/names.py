"""Whether a certificate is for a host: the rules of RFC 9525, which replaced RFC 6125."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LABEL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 253
_LEAST_LABELS: Final = 3
"""Of a name with a wildcard: "*.org" is for no host."""


def covers(certificate_names: Iterable[str], host: str) -> bool:
    """Whether one of a certificate's DNS names is the host's name. The common name never counts.

    Without regard to case, and to a dot at the host's end. A wildcard stands for exactly one
    label, as the whole leftmost one, above at least two. A host with letters beyond ASCII is
    looked for by its A-labels; a certificate's name with such letters is no DNS name.
    """
    labels = _labels(_ascii(host))
    if not labels:
        return False
    wanted = {".".join(labels)}
    if len(labels) >= _LEAST_LABELS:
        wanted.add(".".join(("*", *labels[1:])))
    return any(one.lower() in wanted for one in certificate_names)


def is_host_name(name: str) -> bool:
    """Whether it is one, in lower case: labels of letters, digits, "-" and "_"; no address."""
    labels = name.split(".")
    return len(name) <= _LONGEST_NAME and not labels[-1].isdigit() and all(map(_is_label, labels))


def _labels(host: str) -> list[str]:
    """The labels of a host's name in lower case; empty when it is none."""
    name = host.lower().removesuffix(".")
    return name.split(".") if is_host_name(name) else []


def _is_label(label: str) -> bool:
    return (
        0 < len(label) <= _LONGEST_LABEL
        and _LABEL.issuperset(label)
        and not (label.startswith("-") or label.endswith("-"))
    )


def _ascii(host: str) -> str:
    """The host with A-labels; empty when it has none."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
