"""Laws of the header checker: it is total, and what strangers wrote goes nowhere."""

import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postkeel.conformance import DIRECTORY, sample_facts
from postkeel.contract import (
    CheckNow,
    Depth,
    Event,
    EventKind,
    Finding,
    Need,
    Probed,
    ProbeResult,
    Records,
    Target,
)
from postkeel_plugins import header_checker
from postkeel_plugins.header_checker.rules import RULES
from postkeel_plugins.header_checker.tables import OUTCOMES, TABLES
from probe_cases import HEADER, LINES, MAIN_CF, NOW, logged

UNHURRIED = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
POSTFIX = Need(kind="postfix", subject=DIRECTORY)
STATE = Need(kind="state", subject=DIRECTORY)
OPTIONS = {"probe_every": 60, "mailboxes": ("/srv/mail/",), "own_hosts": ("mx.example.test",)}
MARK = "strangersword"

words = st.sampled_from((MARK, "TLSv1.3", "ESMTPS", "(", ")", '"', ";", "id", "\n ", "with", " "))
THE_CLIENTS = ("127.0.0.1", "localhost", "requested")
"""Where a client has words of its own, or has them looked up: HELO, name and certificate."""
PLACES = (
    *THE_CLIENTS,
    *("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519", "RSA-PSS", "ESMTPS", "Postfix", "using"),
    *("mx.example.test", "12:00:00", "_postkeel", "by", "from"),
)


@st.composite
def marked(draw, text, places=PLACES):
    """The text with a stranger's word in some places."""
    for _ in range(draw(st.integers(0, 4))):
        text = text.replace(
            draw(st.sampled_from(places)),
            f"{draw(words)}{MARK}{draw(words)}",
            draw(st.sampled_from((1, -1))),
        )
    return text


headers = marked(HEADER).map(str.encode) | st.binary(max_size=200)
lines = marked(LINES).map(lambda text: logged(text.splitlines())) | st.binary(max_size=200)
targets = st.builds(
    Target,
    service=st.sampled_from(("smtp/inet", "submission/inet", "gone/inet")),
    host=st.sampled_from(("127.0.0.1", "::1")),
    port=st.sampled_from(("25", "587")),
    direct=st.booleans(),
)
probeds = st.builds(
    Probed,
    target=targets,
    stage=st.sampled_from(("", "", "connection", "STARTTLS", "TLS", "RCPT", "delivery", "?")),
    code=st.sampled_from((0, 250, 450, 550)),
    problem=st.text(max_size=20),
    protocol=st.sampled_from(("", "TLSv1.3", "TLSv1.0", "x")),
    cipher=st.sampled_from(("", "TLS_AES_256_GCM_SHA384", "x")),
    queue_id=st.sampled_from(("", "4F1282AC977")),
    header=headers,
    lines=lines,
    log_problem=st.sampled_from(("", "not to be had.")),
    seconds=st.floats(),
)
results = st.builds(
    ProbeResult,
    probed=st.lists(probeds, max_size=4).map(tuple),
    late=st.lists(st.floats(), max_size=2).map(tuple),
    others=st.integers(0, 3),
    left=st.integers(0, 3),
    problem=st.text(max_size=20),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda one: (
        st.lists(one, max_size=3)
        | st.dictionaries(st.sampled_from(("version", "probe", "complaints", "targets")), one)
    ),
    max_leaves=8,
)


def observed(instance, state, **what):
    event = Event(kind=EventKind.PROBED, instance=DIRECTORY, time=NOW, **what)
    facts = {POSTFIX: instance, STATE: state}
    return tuple(header_checker.keel_observe(event, DIRECTORY, facts, OPTIONS))


def written(records):
    return json.dumps([records.state, [[*one] for one in records.add.values()]])


@UNHURRIED
@given(result=results, mail=st.lists(headers, max_size=3).map(tuple))
def test_nothing_of_headers_and_lines_is_kept(make_instance, result, mail):
    instance = make_instance(MAIN_CF, suites=False)
    found = observed(instance, None, probe=result, headers=mail)
    (records,) = (one for one in found if isinstance(one, Records))
    assert MARK not in written(records)
    assert not any(MARK in repr(one) for one in found if isinstance(one, (Finding, CheckNow)))
    for table in TABLES:
        for row, counters in records.add.get(table.name, {}).items():
            assert len(row) == len(table.key) + 1
            assert len(counters) == len(table.counters)
            assert all(isinstance(one, int) and one >= 0 for one in counters)
    assert {outcome for _, _, outcome in records.add.get("probes", ())} <= set(OUTCOMES)
    assert observed(instance, records.state, probe=result) == observed(
        instance, json.loads(json.dumps(records.state)), probe=result
    )


@UNHURRIED
@given(result=results, state=anything)
def test_it_is_total_and_its_findings_are_whole(make_instance, result, state):
    instance = make_instance(MAIN_CF, suites=False)
    for known in (instance, replace(instance, services=()), None, *sample_facts().values()):
        for one in observed(known, state, probe=result):
            if isinstance(one, Finding):
                assert one.rule in {each.id for each in RULES}
                assert all((one.parameter, one.where, one.wanted, one.why))
                assert one.effective or one.depth is Depth.EFFECTIVE
                assert one.remedy == ()
        subjects = [one.subject for one in observed(known, state) if isinstance(one, Finding)]
        assert len(subjects) == len(set(subjects))


@UNHURRIED
@given(header=marked(HEADER, THE_CLIENTS), queue_id=st.sampled_from(("", "4F1282AC977")))
def test_a_header_that_tells_of_clear_text_never_agrees(make_instance, header, queue_id):
    """Whatever a client's HELO or certificate says, without Postfix's own words there is no TLS."""
    plain = header.replace("ESMTPS", "ESMTP").replace("using TLS", "TLS").replace(" cipher ", " ")
    probed = Probed(
        target=Target(service="smtp/inet", host="127.0.0.1", port="25"),
        protocol="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        queue_id=queue_id,
        header=plain.encode(),
        lines=logged(LINES.splitlines()),
    )
    found = observed(
        make_instance(MAIN_CF, suites=False), None, probe=ProbeResult(probed=(probed,))
    )
    assert [one.rule for one in found if isinstance(one, Finding)] == ["witnesses-disagree"]
