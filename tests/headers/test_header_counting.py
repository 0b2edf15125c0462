"""Many messages added up."""

from postkeel.headers.counting import OTHERS, Counts, Kind
from postkeel.headers.trust import own_of
from postkeel.headers.values import Own, Verdict
from postkeel.headers.way import read_way

OWN = own_of(["mx.example.net"])
TLS = "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) (x)"


def message(*lines):
    return "".join(f"Received: {line}\n" for line in lines).encode()


def hop(by, tls="", word="ESMTP", second=0):
    end = f"{word} id 1; Sun, 22 Nov 2026 13:00:{second:02} +0000"
    return f"from a (a.example [192.0.2.1]) {tls} by {by} (Postfix) with {end}"


def test_counts():
    counts = Counts()
    counts.add(read_way(message(hop("mx.example.net", TLS, "ESMTPS", 5), hop("a", second=1)), OWN))
    counts.add(read_way(message(hop("mx.example.net", second=9), hop("a", second=1)), OWN))
    counts.add(read_way(message(hop("mx.example.net"), "by b with pigeons"), OWN))
    counts.add(read_way(b"Subject: x\n", OWN))
    assert (counts.messages, counts.untraced) == (4, 1)
    assert counts.arrivals == {(True, Verdict.WELL): 1, (True, Verdict.CLEAR): 2}
    assert counts.hops == {
        Kind(True, Verdict.WELL, "ESMTPS", "Postfix"): 1,
        Kind(True, Verdict.CLEAR, "ESMTP", "Postfix"): 2,
        Kind(False, Verdict.CLEAR, "ESMTP", "Postfix"): 2,
        Kind(False, Verdict.UNKNOWN, OTHERS, ""): 1,
    }
    assert (counts.slowest.seconds, counts.slowest.believed) == (8.0, False)


def test_what_is_to_be_believed_is_slowest_first():
    inside = "from mx.example.net (x [127.0.0.1]) by mx.example.net (Postfix) with SMTP id 1; "
    own = message(inside + "Sun, 22 Nov 2026 13:00:02 +0000", hop("mx.example.net"))
    counts = Counts()
    for one in (message(hop("b", second=59), hop("a")), own, message(hop("b", second=9), hop("a"))):
        counts.add(read_way(one, OWN))
    assert (counts.slowest.seconds, counts.slowest.believed) == (2.0, True)


def test_without_own_hosts_the_top_line_counts_as_hearsay():
    counts = Counts()
    counts.add(read_way(message(hop("b", TLS, "ESMTPS")), Own()))
    assert counts.arrivals == {(False, Verdict.WELL): 1}


def test_names_of_strangers_take_no_room():
    counts = Counts()
    for number in range(2000):
        line = f"from h{number} (h{number} [192.0.2.1]) by b{number} (m{number}) with p{number}"
        counts.add(read_way(message(line), OWN))
    assert counts.messages == 2000
    assert len(counts.hops) == 1
