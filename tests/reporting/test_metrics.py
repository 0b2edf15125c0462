"""Metrics as text that Prometheus reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exposition import exposition
from postkeel.core.model import Outcome
from postkeel.maillog.values import Direction
from postkeel.postfix.protocols import PROTOCOLS as KNOWN_PROTOCOLS
from postkeel.reporting.metrics import (
    DIRECTIONS,
    METRICS,
    OUTCOMES,
    PROTOCOLS,
    protocol_label,
    render,
)


def test_names_are_those_that_prometheus_expects():
    names = [one.name for one in METRICS]
    assert len(names) == len(set(names))
    for one in METRICS:
        assert one.name.startswith("postfix_tls_")
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert one.help.endswith(".")
        assert set(one.labels) <= {
            *("config_directory", "outcome", "protocol", "direction", "severity"),
            *("reporter", "rule", "version"),
        }


def test_label_sets_are_those_of_the_model():
    assert tuple(one.value for one in Outcome) == OUTCOMES
    assert tuple(one.value for one in Direction) == DIRECTIONS


def test_what_is_written():
    text = render(
        {
            "postfix_tls_guarded": {("/etc/postfix",): True, ("/etc/postfix-out",): False},
            "postfix_tls_written_timestamp_seconds": {(): 1763900000.25},
            "postfix_tls_held": {},
        }
    )
    assert text == (
        "# HELP postfix_tls_written_timestamp_seconds When this was written:"
        " every 300 seconds at least.\n"
        "# TYPE postfix_tls_written_timestamp_seconds gauge\n"
        "postfix_tls_written_timestamp_seconds 1763900000.250\n"
        "# HELP postfix_tls_guarded 1 while the side that corrects runs.\n"
        "# TYPE postfix_tls_guarded gauge\n"
        'postfix_tls_guarded{config_directory="/etc/postfix"} 1\n'
        'postfix_tls_guarded{config_directory="/etc/postfix-out"} 0\n'
    )


def test_what_is_in_no_table_is_a_defect():
    with pytest.raises(ValueError, match="no metrics: postfix_tls_secret"):
        render({"postfix_tls_secret": {(): 1}})
    with pytest.raises(ValueError, match="zip"):
        render({"postfix_tls_guarded": {("/etc/postfix", "peer.example"): 1}})


@given(
    st.dictionaries(
        st.tuples(st.text(alphabet=st.characters()), st.sampled_from(OUTCOMES)),
        st.integers(0, 10**12) | st.floats(0, 10**9),
        min_size=1,
    )
)
def test_no_label_ends_its_line_or_value(values):
    found = exposition(render({"postfix_tls_reports_total": values}))
    expected = {}
    for (instance, outcome), number in values.items():
        shown = instance.encode("utf-8", "backslashreplace").decode()
        expected[("config_directory", shown), ("outcome", outcome)] = number
    (samples,) = found.values()
    assert samples == pytest.approx(expected, abs=0.001)


def test_protocols_are_a_closed_set():
    assert protocol_label("") == "clear"
    assert protocol_label("TLSv1.3") == "TLSv1.3"
    for word in ("TLSv1.4", "clear", "unknown", "x" * 99):
        assert protocol_label(word) == "other"
    assert {protocol_label(one) for one in KNOWN_PROTOCOLS} <= {*PROTOCOLS}
