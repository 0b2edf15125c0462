"""Hostile bytes in Postfix's files reach no terminal as they are, and no JSON is broken."""

from __future__ import annotations

import json

import pytest

HOSTILE = {
    "escape": (b"\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
    "DEL": (b"weak\x7fstrong", "weak\\x7fstrong"),
    "not UTF-8": (b"caf\xe9 \xff", "caf\\xe9 \\xff"),
    "writing direction": ("\u202egnp\u2066".encode(), "\\u202egnp\\u2066"),
    "C1": ("\u009b31m".encode(), "\\x9b31m"),
    "zero width": ("a\u200bb".encode(), "a\\u200bb"),
}


@pytest.mark.parametrize(("octets", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_text_shows_it_and_json_keeps_it(place, octets, shown):
    place.write("main.cf", b"smtpd_tls_ciphers = " + octets + b"\nsmtpd_banner = " + octets + b"\n")
    for command in ("check", "facts", "diff", "enforce"):
        done = place.run(command, text=False)
        output = (done.stdout + done.stderr).decode()
        plain = output.replace("\n", "").replace("\t", "")
        assert plain.isprintable(), command
        assert shown in output or command in {"enforce", "diff"}
    place.write("main.cf", b"smtpd_banner = " + octets + b"\n")
    raw = place.run("facts", "--format", "json", text=False).stdout
    (instance,) = json.loads(raw.decode("utf-8", "strict"))["instances"]
    assert instance["parameters"]["smtpd_banner"]["value"] == octets.decode("utf-8", "replace")


def test_names_and_places_are_made_harmless_too(place):
    place.write("main.cf", "smtpd_tls_\x1b[31mPSD = 1\n")
    place.write(
        "master.cf",
        "127.0.0.1:2\x1b[31m5 inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"
        "submission inet n - n - - smtpd\x1b[31m\n",
    )
    for command in ("check", "facts", "diff"):
        done = place.run(command)
        assert "\x1b" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_hold_s_reason_is_made_harmless(place):
    assert "\x1b" not in place.run("hold", "--reason", "\x1b[2Jx\ny").stdout
    assert "\\x1b[2Jx\\ny" in place.run("status").stdout
