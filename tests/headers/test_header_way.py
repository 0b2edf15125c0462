"""A whole header: hops, trust, results, and how long it took."""

from postkeel.headers.trust import own_of
from postkeel.headers.values import Own, Results, Verdict
from postkeel.headers.way import Slowest, arrival, delays, read_way, slowest

OWN = own_of(["mx.example.net", "mail.example.net"])
MESSAGE = (
    b"Return-Path: <a@example.org>\n"
    b"Received: from mx.example.net (localhost [127.0.0.1])\n"
    b"\tby mail.example.net (Postfix) with ESMTP id 1\n"
    b"\tfor <b@example.net>; Sun, 22 Nov 2026 13:00:09 +0000 (UTC)\n"
    b"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org\n"
    b"Received: from a.example.org (a.example.org [192.0.2.1])\n"
    b"\t(using TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits))\n"
    b"\t(No client certificate requested)\n"
    b"\tby mx.example.net (Postfix) with ESMTPS id 2;\n"
    b"\tSun, 22 Nov 2026 14:00:04 +0100 (CET)\n"
    b"Authentication-Results: mx.example.net; dkim=pass\n"
    b"Authentication-Results: other.example; dkim=fail\n"
    b"Received: from c.example (c.example [192.0.2.3]) by a.example.org (Postfix) with SMTP id 3;\n"
    b"\tSun, 22 Nov 2026 12:50:00 +0000 (UTC)\n"
    b"Authentication-Results: mx.example.net; dmarc=pass\n"
    b"Subject: x\n"
    b"\n"
    b"Received: by body\n"
)


def received(by, at):
    line = f"from h (h.example [192.0.2.1]) by {by} (Postfix) with SMTP id 1; {at}"
    return f"Received: {line}\n".encode()


def test_a_message():
    way = read_way(MESSAGE, OWN)
    assert [hop.verdict for hop in way.hops] == [Verdict.LOCAL, Verdict.WELL, Verdict.CLEAR]
    assert way.believed == 2
    assert way.results == (
        Results(by="mx.example.net", methods=(("spf", "pass"),), believed=True),
        # A filter of mx.example.net writes here, and so can who has handed the message in.
        Results(by="mx.example.net", methods=(("dkim", "pass"),)),
        Results(by="other.example", methods=(("dkim", "fail"),)),
        # It came in with the message, whatever name it has.
        Results(by="mx.example.net", methods=(("dmarc", "pass"),)),
    )
    assert not way.problems
    assert arrival(way) == way.hops[1]
    assert delays(way.hops) == (5.0, 604.0, None)
    assert slowest(way) == Slowest(
        seconds=5.0, holder="mx.example.net", to="mail.example.net", believed=True
    )


def test_without_own_hosts_all_is_hearsay():
    way = read_way(MESSAGE, Own())
    assert way.believed == 0
    assert not any(one.believed for one in way.results)
    assert arrival(way) == way.hops[0]
    assert slowest(way) == Slowest(
        seconds=604.0, holder="a.example.org", to="mx.example.net", believed=False
    )


def test_nothing_to_read():
    way = read_way(b"Subject: x\n\n", OWN)
    assert (way.hops, way.believed, way.results, way.problems) == ((), 0, (), ())
    assert arrival(way) is None
    assert slowest(way) is None
    assert delays(()) == ()


def test_times_that_are_missing_or_run_backwards():
    way = read_way(
        received("mx.example.net", "Sun, 22 Nov 2026 13:00:00 +0000")
        + received("a", "Sun, 22 Nov 2026 13:00:09 +0000")
        + received("b", "never")
        + received("c", "Sun, 22 Nov 2026 13:00:00 +0000"),
        OWN,
    )
    assert delays(way.hops) == (-9.0, None, None, None)
    assert slowest(way) is None


def test_of_equals_the_newest():
    at = "Sun, 22 Nov 2026 13:00:0{} +0000"
    lines = (received(by, at.format(second)) for by, second in (("a", 4), ("b", 2), ("c", 0)))
    assert slowest(read_way(b"".join(lines), OWN)).to == "a"


def test_problems_are_handed_on():
    assert read_way(b"x\n", OWN).problems == ("the header has lines that are no field",)
