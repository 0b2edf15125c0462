"""How Postfix splits a list: at commas and ASCII white space, sometimes at colons."""

from __future__ import annotations

from typing import Final

_LIST: Final = str.maketrans(dict.fromkeys(",\t\r\n", " "))
_TLS_LIST: Final = str.maketrans(dict.fromkeys(",:\t\r\n", " "))


def list_words(text: str) -> tuple[str, ...]:
    """The words of a list of files, maps or keywords."""
    return tuple(word for word in text.translate(_LIST).split(" ") if word)


def tls_words(text: str) -> tuple[str, ...]:
    """The words of a protocol or exclude list, where a colon separates too."""
    return tuple(word for word in text.translate(_TLS_LIST).split(" ") if word)
