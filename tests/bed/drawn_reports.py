"""Hypothesis strategies for whole reports, of texts that the test chooses."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from postkeel.core import changes, model

Strategy = st.SearchStrategy[Any]

UTC_ONLY = st.just(UTC)
PLAIN = st.text(st.characters(), max_size=8)


def drawn_changes(texts: Strategy = PLAIN) -> Strategy:
    return st.one_of(
        st.builds(changes.SetParameter, name=texts, value=texts),
        st.builds(changes.RemoveParameter, name=texts),
        st.builds(changes.SetOverride, service=texts, name=texts, value=texts),
        st.builds(changes.RemoveOverride, service=texts, name=texts),
        st.builds(changes.JoinFiles, path=texts, certificate=texts, key=texts, contents=texts),
        st.builds(changes.BuildTable, table=texts),
        st.just(changes.Reload()),
    )


def judged(texts: Strategy = PLAIN, most: int = 2) -> Strategy:
    """A finding and what became of it."""
    finding = st.builds(
        model.Finding,
        rule=texts,
        severity=st.sampled_from(model.Severity),
        depth=st.sampled_from(model.Depth),
        parameter=texts,
        where=texts,
        effective=texts,
        wanted=texts,
        why=texts,
        service=st.none() | texts,
        remedy=_several(drawn_changes(texts), most),
        file=texts,
        forbids_reload=st.booleans(),
    )
    outcomes = st.sampled_from(model.Outcome)
    return st.builds(model.Judged, finding=finding, outcome=outcomes, reason=texts)


def upgrades(texts: Strategy = PLAIN, most: int = 2) -> Strategy:
    perhaps = st.none() | texts
    packages = st.builds(model.PackageChange, name=texts, before=perhaps, after=perhaps)
    defaults = st.builds(model.DefaultChange, parameter=texts, before=perhaps, after=perhaps)
    return st.builds(
        model.Upgrade,
        packages=_several(packages, most),
        defaults=_several(defaults, most),
        warnings=_several(texts, most),
        time=st.none() | st.datetimes(timezones=UTC_ONLY),
        command=texts,
        requester=texts,
    )


def reports(
    texts: Strategy = PLAIN,
    most: int = 2,
    zones: Strategy = UTC_ONLY,
    told: Strategy | None = None,
) -> Strategy:
    """Reports with up to `most` of each kind; zones: of their times; told: named values."""
    events = st.builds(
        model.Event,
        kind=st.sampled_from(model.EventKind),
        instance=texts,
        time=st.datetimes(timezones=zones),
        detail=_several(texts, most),
    )
    planned = st.builds(
        changes.PlannedChange, change=drawn_changes(texts), rules=_several(texts, most)
    )
    return st.builds(
        model.Report,
        instance=texts,
        event=events,
        outcome=st.sampled_from(model.Outcome),
        judged=_several(judged(texts, most), most),
        plan=st.builds(changes.Plan, changes=_several(planned, most)),
        seconds=st.floats(0, 1e6),
        cause=texts,
        problems=_several(texts, most),
        proof=_several(texts, most),
        diff=texts,
        upgrade=st.none() | upgrades(texts, most),
        told=_several(st.tuples(texts, texts) if told is None else told, most),
    )


def _several(one: Strategy, most: int) -> Strategy:
    return st.lists(one, max_size=most).map(tuple)
