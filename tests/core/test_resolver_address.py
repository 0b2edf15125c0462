"""The resolver of postkeel.toml: on loopback, or none."""

from __future__ import annotations

import pytest

from postkeel.core.resolver_address import resolver_address, resolver_fault


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.53:5353", ("127.0.0.53", 5353)),
        ("127.255.255.255:65535", ("127.255.255.255", 65535)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_an_address_of_loopback(value, expected):
    assert resolver_address(value) == expected
    assert resolver_fault(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.1",
        "2001:db8::1",
        "[2001:db8::1]:53",
        "::ffff:127.0.0.1",
        "localhost",
        "Auto",
        " ",
        "127.0.0.1 ",
        "127.0.0.1\n",
        "127.1",
        "127.0.0.256",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:dns",
        "127.0.0.1:-1",
        "127.0.0.1:٥٣",
        "127.0.0.1.2",
        "[127.0.0.1]:53",
        "[::1",
        "::1]:53",
        "::1:53",
        "1127.0.0.1",
    ],
)
def test_anything_else_is_refused(value):
    assert resolver_address(value) is None
    assert "loopback address such as" in resolver_fault(value)


@pytest.mark.parametrize("value", ["", "auto"])
def test_words(value):
    assert resolver_fault(value) == ""
    assert resolver_address(value) is None
