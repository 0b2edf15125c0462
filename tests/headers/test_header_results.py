"""Authentication-Results fields (RFC 8601) as they are met."""

import pytest

from postkeel.headers.results import MOST_METHODS, read_results
from postkeel.headers.values import Results


@pytest.mark.parametrize(
    ("value", "by", "methods"),
    [
        ("mx.example.net; none", "mx.example.net", ()),
        ("mx.example.net 1; none", "mx.example.net", ()),
        (
            "mx.example.net; spf=pass smtp.mailfrom=example.org",
            "mx.example.net",
            (("spf", "pass"),),
        ),
        (
            "mx; dkim=pass (2048-bit; x) header.d=a; spf=pass (is; here) smtp=b; dmarc = fail",
            "mx",
            (("dkim", "pass"), ("spf", "pass"), ("dmarc", "fail")),
        ),
        ("mx; DKIM/1=PASS; arc=none", "mx", (("dkim", "pass"), ("arc", "none"))),
        ('"mx a"; spf=pass reason="a; dkim=pass"', "mx", (("spf", "pass"),)),
        ("(a; b) mx (c); spf=softfail", "mx", (("spf", "softfail"),)),
        ("mx", "mx", ()),
        ("", "", ()),
        ("; spf=pass", "", (("spf", "pass"),)),
        ("mx; spf; =pass; spf=; spf=1; s p f=pass; spf=pass", "mx", (("spf", "pass"),)),
        ("mx; " + "a" * 50 + "=pass", "mx", ()),
    ],
)
def test_results(value, by, methods):
    assert read_results(value) == Results(by=by, methods=methods)


def test_results_are_bounded():
    found = read_results("a" * 5000 + "; spf=pass" * 5000)
    assert len(found.by) == 300
    assert len(found.methods) == MOST_METHODS
