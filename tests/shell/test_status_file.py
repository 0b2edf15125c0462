"""The agent's status as commands see it."""

import os

import pytest

from postkeel.core.errors import PostkeelError
from postkeel.shell.status_file import (
    AgentStatus,
    InstanceStatus,
    read_status,
    remove_status,
    status_path,
    write_status,
)

INSTANCE = InstanceStatus(
    config_directory="/etc/postfix",
    mode="enforce",
    profile="intermediate",
    event="paths changed",
    outcome="fixed",
    time="2026-11-23T01:00:00+00:00",
    findings=1,
    timers={"config_enforcer full check": "2026-11-23T01:15:00+00:00"},
    watched=("/etc", "/etc/postfix"),
    followed=("tls_log_monitor follows journal",),
    alarms=("tls-disabled: smtpd runs without TLS, wanted TLS",),
    problems=("no Postfix runs",),
)
STATUS = AgentStatus(
    pid=312, postkeel="0.1", since="2026-11-23T00:00:00+00:00", instances=(INSTANCE,)
)


def test_comes_back_as_it_was_and_goes(tmp_path):
    assert read_status(str(tmp_path)) is None
    write_status(str(tmp_path), STATUS)
    assert read_status(str(tmp_path)) == STATUS
    assert os.stat(status_path(str(tmp_path))).st_mode & 0o777 == 0o644
    remove_status(str(tmp_path))
    remove_status(str(tmp_path))
    assert os.listdir(tmp_path) == []


DAMAGE = {
    "empty": b"",
    "another version": b'{"version": 99}',
    "no table": b"[1]",
    "instances wrong": b'{"version": 1, "pid": 1, "postkeel": "", "since": "", "instances": [{}]}',
    "no number": b'{"version": 1, "pid": "x", "postkeel": "", "since": "", "instances": []}',
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_another_content_is_a_clear_error(tmp_path, content):
    with open(status_path(str(tmp_path)), "wb") as file:
        file.write(content)
    with pytest.raises(PostkeelError, match=r"status\.json: not a status of this version"):
        read_status(str(tmp_path))
