"""What a real Postfix logs is read as what was done with it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

import stage as bed
from log_forms import CHAPTERS, play
from log_truth import found
from postkeel.maillog.reader import Reader
from postkeel.maillog.tally import Tally

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def stage():
    if reason := bed.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with bed.stage() as one:
        yield one


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_log_tells_what_was_done(stage, chapter):
    log, done = play(stage, chapter)
    tally = Tally()
    reader = Reader(tally, now=datetime.now(UTC), zone=UTC)
    for line in log.encode("utf-8", "replace").splitlines(keepends=True):
        reader.read(line)
    reader.finish()
    assert (found(tally.statistics()), log) == (done, log)
