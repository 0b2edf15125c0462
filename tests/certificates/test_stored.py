"""What was read of certificates goes through a pipe and comes out as it went in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from certificate_values import certificate, chain
from postkeel.certificates.stored import Findings, Listing, Reading, told, understood
from postkeel.certificates.values import (
    Credential,
    Fault,
    FaultKind,
    FileSeen,
    Joined,
    Kind,
    Loaded,
    Table,
    Trust,
)

PAIR = Credential(kind=Kind.PAIR, files=("/c.pem", "/k\udcff.pem"))
CHAIN = Credential(kind=Kind.CHAIN, files=("/chain.pem",))
LEAF = certificate("mx.example.org")
FULL = replace(
    LEAF, purposes=("serverAuth",), must_staple=True, authority=True, problems=("one", "two")
)


@pytest.mark.parametrize(
    "findings",
    [
        Findings(),
        Findings(
            listings={
                "hash:/sni": Listing(
                    table=Table(
                        name="hash:/sni",
                        indexed=True,
                        source="/sni",
                        held={"a": ("1", "2"), "b": ()},
                        problem="p",
                    ),
                    entries=(("a", ("/a", "/b")), ("b", ())),
                    stamps={"/sni": (1, 2, 3, 4, 5), "/sni.db": (2,)},
                )
            },
            readings={
                PAIR: Reading(
                    loaded=Loaded(
                        chains=(chain(LEAF), chain(FULL, Trust.INCOMPLETE, "CN=x")),
                        faults=(Fault(kind=FaultKind.KEY, file="/k", line=3, what="w", help="h"),),
                        files=(
                            FileSeen(
                                path="/c.pem", real="/d", mode=0o600, owner=1, changed=LEAF.begins
                            ),
                            FileSeen(path="/k", problem="gone"),
                        ),
                    ),
                    stamps={"/c.pem": ()},
                ),
                CHAIN: Reading(
                    loaded=Loaded(),
                    joined=Joined(
                        path="/chain.pem", certificate="/c", key="/k", contents="", current=False
                    ),
                ),
            },
            roots=144,
            roots_stamps={"/roots": (1,)},
        ),
    ],
    ids=("nothing", "all of it"),
)
def test_the_way_through_a_pipe(findings):
    assert understood(json.loads(json.dumps(told(findings)))) == findings
