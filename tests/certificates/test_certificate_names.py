"""RFC 9525, by cases."""

from __future__ import annotations

import pytest

from postkeel.certificates.names import covers


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("mx.example.org", "mx.example.org"),
        ("MX.example.ORG", "mx.Example.org"),
        ("mx.example.org", "mx.example.org."),
        ("*.example.org", "mx.example.org"),
        ("*.EXAMPLE.org", "mx.example.org."),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "bücher.example"),
        ("xn--bcher-kva.example", "BÜCHER.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("*.example.org", "xn--bcher-kva.example.org"),
        ("mx_1.example.org", "mx_1.example.org"),
        (f"{'a' * 63}.example.org", f"{'a' * 63}.example.org"),
    ],
)
def test_covered(name, host):
    assert covers([name], host)
    assert covers(["other.test", name], host)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("mx.example.org", "mx2.example.org"),
        ("mx.example.org", "example.org"),
        ("example.org", "mx.example.org"),
        ("*.example.org", "example.org"),
        ("*.example.org", ".example.org"),
        ("*.example.org", "a.b.example.org"),
        ("*.b.example.org", "a.example.org"),
        ("m*.example.org", "mx.example.org"),
        ("*x.example.org", "mx.example.org"),
        ("mx.*.org", "mx.example.org"),
        ("*.*.org", "mx.example.org"),
        ("*", "localhost"),
        ("*.org", "example.org"),
        ("*", "mx.example.org"),
        ("*.example.org", "*.example.org"),
        ("mx.example.org\\x00.evil.test", "mx.example.org"),
        ("mx.example.org.", "mx.example.org"),
        ("b\\xc3\\xbccher.example", "bücher.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("", "."),
        ("a..b", "a..b"),
        (" mx.example.org", " mx.example.org"),
        (f"{'a' * 64}.example.org", f"{'a' * 64}.example.org"),
        (f"{'ü' * 70}.example", f"{'ü' * 70}.example"),
        (".".join(["a" * 60] * 5), ".".join(["a" * 60] * 5)),
    ],
)
def test_not_covered(name, host):
    assert not covers([name], host)


def test_no_names_cover_nothing():
    assert not covers([], "mx.example.org")
