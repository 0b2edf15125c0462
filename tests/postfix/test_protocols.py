"""What a protocol list comes to: Postfix 3.6's words, and those before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postkeel.postfix.protocols import (
    PROTOCOLS,
    list_from,
    oldest,
    rank,
    resulting_protocols,
)

ALL = "SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"
NEW = (3, 7, 11)
OLD = (3, 5, 25)

# list, what Postfix 3.7 makes of it, what 3.5 makes of it; "-" is rejected
CASES = [
    ("", ALL, ALL),
    (">=TLSv1.2", "TLSv1.2 TLSv1.3", "-"),
    (">=tlsv1.2", "TLSv1.2 TLSv1.3", "-"),
    (">=TLSv1", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "-"),
    (">=TLSv1.2, <=TLSv1.2", "TLSv1.2", "-"),
    (">=TLSv1.3 <=TLSv1.2", "", "-"),
    (">=TLSv1, !TLSv1.1", "TLSv1 TLSv1.2 TLSv1.3", "-"),
    ("!SSLv2, !SSLv3", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"),
    ("!SSLv2:!SSLv3:!TLSv1", "TLSv1.1 TLSv1.2 TLSv1.3", "TLSv1.1 TLSv1.2 TLSv1.3"),
    ("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", "TLSv1.2 TLSv1.3", "TLSv1.2 TLSv1.3"),
    # The article's list: a bare name excludes every other, 1.3 as well.
    ("TLSv1.2, TLSv1.1, !TLSv1, !SSLv2, !SSLv3", "TLSv1.1 TLSv1.2", "TLSv1.1 TLSv1.2"),
    ("TLSv1.2", "TLSv1.2", "TLSv1.2"),
    ("TLSv1.2 !TLSv1.2", "", ""),
    ("SSLv2", "", ""),
    (">=0303", "TLSv1.2 TLSv1.3", "-"),
    (">=0x0304", "TLSv1.3", "-"),
    (">=303,<=0303", "TLSv1.2", "-"),
    (">=None", ALL, "-"),
    (">=", ALL, "-"),
    (">=0x0305", ALL, "-"),
    (">=0200", ALL, "-"),
    (">=TLSv1.4", "-", "-"),
    (">= TLSv1.2", "TLSv1.2", "-"),
    (">=3_0_3", "-", "-"),
    (">=ffffffff", "-", "-"),
    ("!TLSv1.4", "-", "-"),
    ("TLSv1.2 # really", "-", "-"),
    ("nonsense", "-", "-"),
    ("!", "-", "-"),
    ("TLSv1.2;TLSv1.3", "-", "-"),
]


def words(found):
    return "-" if found is None else " ".join(one for one in PROTOCOLS if one in found)


@pytest.mark.parametrize(("text", "new", "old"), CASES)
def test_list(text, new, old):
    assert words(resulting_protocols(text, NEW)) == new
    assert words(resulting_protocols(text, OLD)) == old


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("floor", PROTOCOLS)
def test_list_from_lets_through_the_floor_and_all_newer(floor, version):
    found = resulting_protocols(list_from(floor, version), version)
    assert found == frozenset(PROTOCOLS[rank(floor) :])
    assert oldest(found) == floor


@given(st.text(), st.sampled_from([NEW, OLD]))
def test_reading_is_total(text, version):
    found = resulting_protocols(text, version)
    assert found is None or found <= frozenset(PROTOCOLS)


@given(st.lists(st.sampled_from(PROTOCOLS)), st.lists(st.sampled_from(PROTOCOLS)))
def test_order_and_repetition_do_not_matter(included, excluded):
    text = ", ".join([*included, *("!" + one for one in excluded)])
    back = " ".join(reversed(["!" + one for one in excluded] + included * 2))
    assert resulting_protocols(text, NEW) == resulting_protocols(back, OLD)
