"""An agent's life: one an instance, its signals, what it tells systemd, its sleep."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"


def weaken(hardened):
    hardened.postfix.main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK))


def status_file(one):
    return one.directory / "run" / "status.json"


def test_a_second_agent_is_refused_and_disturbs_nobody(hardened, agent):
    second = agent.run("run")
    assert second.returncode == 1
    directory, pid = hardened.postfix.config_directory, agent.agent.pid
    assert second.stderr == f"postkeel: {directory}: process {pid} guards this instance already\n"
    assert status_file(agent).exists()
    weaken(hardened)
    agent.report_with("fixed 1: ")
    assert agent.stop() == 0
    assert not status_file(agent).exists()
    agent.start()
    assert "all as wanted" in agent.report()


def test_after_kill_9_a_new_one_starts_at_once(hardened, agent):
    weaken(hardened)
    until(lambda: list(hardened.postfix.main_cf.parent.glob("*.tmp")) or hardened.is_right())
    agent.agent.kill()
    agent.agent.wait()
    assert "not guarded" in agent.run("status").stdout
    agent.start()
    agent.report()
    assert hardened.is_right()
    assert agent.errors.read_text() == ""
    assert list(hardened.postfix.main_cf.parent.glob("*.tmp")) == []


def test_sighup_takes_the_new_configuration(hardened, agent):
    agent.configure('profile = "strict"\n')
    agent.agent.send_signal(signal.SIGHUP)
    assert "smtpd_tls_ciphers" in agent.report_with("fixed ")
    assert '"strict"' in agent.run("status", "--format", "json").stdout


BAD = {
    "a misspelt key": ('profil = "strict"\n', "1: unknown key 'profil'"),
    "an unknown profile": ('profile = "strong"\n', "1: unknown profile 'strong'"),
    "no TOML": ("profile =\n", "1: "),
    "an unknown plugin": ("[plugins.nobody]\n", "1: no plugin is called 'nobody'"),
    "an impossible option": (
        "[plugins.config_enforcer]\ncheck_interval = 0\n",
        "2: option 'check_interval'",
    ),
}


@pytest.mark.parametrize(("text", "error"), BAD.values(), ids=BAD)
def test_sighup_refuses_a_bad_configuration(hardened, agent, text, error):
    agent.config.write_text(text)
    agent.agent.send_signal(signal.SIGHUP)
    said = until(agent.errors.read_text)
    assert said.startswith("postkeel: configuration not reloaded, the previous one stays: ")
    assert f"{agent.config}:{error}" in said
    weaken(hardened)
    agent.report_with("fixed 1: ")
    assert hardened.is_right()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(agent, number):
    agent.agent.send_signal(number)
    assert agent.agent.wait(3) == 0
    assert agent.errors.read_text() == ""


def test_sigterm_in_the_middle_of_a_round(hardened, guard):
    """At ten moments of a round that corrects: the files are the old or the new ones."""
    one = guard()
    for step in range(10):
        weaken(hardened)
        weak = hardened.postfix.main_cf.read_text()
        time.sleep(step * 0.02)
        assert one.stop() == 0
        assert hardened.postfix.main_cf.read_text() in (weak, hardened.main_cf)
        assert list(hardened.postfix.main_cf.parent.glob("*.tmp")) == []
        hardened.put_back()
        one.start()
        until(status_file(one).exists)
        one.reports_now()
    assert one.errors.read_text() == ""


@pytest.fixture
def systemd(tmp_path):
    """systemd's end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        yield end


def told(systemd, words):
    """Messages up to the first with these words."""
    messages = []
    while not messages or words not in messages[-1]:
        messages.append(systemd.recv(4096).decode())
    return messages


def test_systemd_is_told(hardened, guard, systemd):
    one = guard(NOTIFY_SOCKET=systemd.getsockname(), WATCHDOG_USEC="400000")
    assert "STATUS=" in told(systemd, "READY=1")[-1]
    told(systemd, "WATCHDOG=1")
    told(systemd, "WATCHDOG=1")
    weaken(hardened)
    assert ": fixed" in told(systemd, ": fixed")[-1]
    one.agent.send_signal(signal.SIGHUP)
    assert re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+", told(systemd, "RELOADING=1")[-1])
    told(systemd, "READY=1")
    one.config.write_text("nonsense")
    one.agent.send_signal(signal.SIGHUP)
    told(systemd, "RELOADING=1")
    assert "configuration not reloaded" in told(systemd, "READY=1")[-1]
    assert one.stop() == 0
    told(systemd, "STOPPING=1")


def switches(process):
    """How often the process's threads went to sleep by themselves."""
    total = 0
    for task in os.scandir(f"/proc/{process}/task"):
        with open(f"{task.path}/status") as file:
            total += int(re.search(r"(?m)^voluntary_ctxt_switches:\s+(\d+)", file.read())[1])
    return total


def test_idle_is_asleep(hardened, agent):
    """With Postfix stopped: each of its programs that starts opens main.cf, which is an event."""
    hardened.postfix.stop()

    def asleep():
        before = switches(agent.agent.pid)
        time.sleep(3)
        return switches(agent.agent.pid) == before

    # The first heartbeat and the metrics after it come soon after the start.
    assert any(asleep() for _ in range(5))


def test_a_python_that_was_replaced_is_left_for_the_new_one(guard, tmp_path):
    """As after an upgrade of Debian, when what is not imported yet is another Python's."""
    one = guard(start=False)
    python = tmp_path / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    path = os.pathsep.join(filter(None, sys.path))
    words = [str(python), "-m", "postkeel", *one.command("run")[1:]]
    environment = os.environ | {"PYTHONPATH": path}
    with one.errors.open("ab") as errors:
        one.agent = subprocess.Popen(words, env=environment, stderr=errors)
    one.report()
    until(status_file(one).exists)
    packages = one.directory / "run/packages"
    packages.touch()
    until(lambda: "packages changed" in status_file(one).read_text())
    assert one.errors.read_text() == ""
    python.unlink()
    shutil.copy(os.path.realpath(sys.executable), python)
    packages.touch()
    assert one.agent.wait(15) == 1
    assert one.errors.read_text().startswith("postkeel: Python was replaced: a new process ")


def test_a_directory_that_was_replaced_is_left_for_a_new_process_of_the_unit(hardened, guard):
    """The mount namespace of a unit lets it write to the old one only."""
    one = guard(start=False)
    path = str(one.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unit:
        unit.bind(path)
        one.start(NOTIFY_SOCKET=path)
        one.report()
        until(status_file(one).exists)
        directory = hardened.postfix.main_cf.parent
        directory.rename(f"{directory}.old")
        shutil.copytree(f"{directory}.old", directory)
        try:
            assert one.agent.wait(15) == 1
        finally:
            shutil.rmtree(f"{directory}.old")
    said = f"postkeel: {directory} was replaced: a new process has to go on with it\n"
    assert one.errors.read_text().endswith(said)
