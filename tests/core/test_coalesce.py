"""Bursts: scripts of file events and the moment at which they are acted on."""

import pytest

from postkeel.core.coalesce import joined

DONE, WRITING = True, False

SCRIPTS = {
    "a rename": ([(0, "main.cf", DONE)], 2),
    "a rename with an afterthought": ([(0, "main.cf", DONE), (1, "main.cf", DONE)], 3),
    "renames without a pause": ([(at, "main.cf", DONE) for at in range(60)], 50),
    "truncated, not yet written": ([(0, "main.cf", WRITING)], 2000),
    "written slowly": ([(0, "main.cf", WRITING), (40, "main.cf", WRITING)], 2040),
    "written and closed": ([(0, "main.cf", WRITING), (1, "main.cf", DONE)], 3),
    "one closed, another not": ([(0, "master.cf", WRITING), (1, "main.cf", DONE)], 2001),
    "never closed": ([(at, "main.cf", WRITING) for at in range(0, 6000, 200)], 5000),
}


@pytest.mark.parametrize(("events", "due"), SCRIPTS.values(), ids=SCRIPTS)
def test_when_a_burst_is_acted_on(events, due):
    burst = None
    for at, path, finished in events:
        burst = joined(burst, frozenset({path}), finished=finished, now=at / 1000)
    assert burst.due == pytest.approx(due / 1000)
    assert burst.paths == {path for _, path, _ in events}
