"""What goes wrong around the agent: it says so once, keeps every file whole, and goes on."""

import subprocess
import time

import pytest

from guarded import until

pytestmark = pytest.mark.live

STRONG, WEAK = "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1"

RAISING = """
from postkeel.contract import Card, Side, hookimpl

@hookimpl
def keel_card():
    return Card(name="raising", summary="raises", side=Side.ROOT)

@hookimpl
def keel_observe(event, instance, facts, options):
    raise RuntimeError("no idea")
"""
HANGING = """
import time
from postkeel.contract import Card, Interest, Need, Side, hookimpl

@hookimpl
def keel_card():
    return Card(name="hanging", summary="hangs", side=Side.ROOT)

@hookimpl
def keel_interests(instance, options, facts):
    return Interest(needs=(Need(kind="never", subject=instance),))

@hookimpl
def keel_gather(need):
    if need.kind == "never":
        time.sleep(3600)
"""


def weaken(hardened):
    hardened.calm()
    hardened.postfix.main_cf.write_text(hardened.main_cf.replace(STRONG, WEAK))


@pytest.fixture
def plugins(tmp_path):
    """A drop-in directory, and the line that names it."""
    directory = tmp_path / "plugins"
    directory.mkdir(mode=0o755)
    return directory


def configured(plugins, contest=1000):
    return f'plugin_directory = "{plugins}"\n[contest]\ncorrections = {contest}\n'


def test_a_plugin_that_raises_does_not_stop_the_others(hardened, guard, plugins):
    (plugins / "raising.py").write_text(RAISING)
    (plugins / "unimportable.py").write_text("import nowhere\n")
    one = guard(configured(plugins))
    listed = one.run("plugins").stdout
    assert "unimportable" in listed
    assert "No module named 'nowhere'" in listed
    weaken(hardened)
    report = one.report_with("fixed 1: ")
    assert "plugin raising: keel_observe: RuntimeError: no idea" in report
    assert "plugin raising is quarantined after 3 failures in a row" in report
    weaken(hardened)
    assert "raising" not in one.report_with("fixed 1: ")
    assert hardened.is_right()


@pytest.mark.slow
def test_a_plugin_that_hangs_costs_three_deadlines_and_no_more(hardened, guard, plugins):
    """The first round one, then two of the three looks of a correction."""
    (plugins / "hanging.py").write_text(HANGING)
    one = guard(configured(plugins))
    weaken(hardened)
    report = one.report_with("fixed 1: ", 40)
    assert "hanging: keel_gather: TimeoutError" in report
    assert "plugin hanging is quarantined after 3 failures in a row" in report
    assert hardened.is_right()
    began = time.monotonic()
    weaken(hardened)
    one.report_with("fixed 1: ")
    assert time.monotonic() - began < 5
    assert one.stop() == 0


@pytest.fixture
def mount():
    """A function that mounts, and takes it all back."""
    mounted = []

    def mount(*words):
        try:
            subprocess.run(["mount", *words], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no mounts here: {error.stderr}")
        mounted.append(words[-1])

    yield mount
    for place in dict.fromkeys(mounted):
        subprocess.run(["umount", "--lazy", place], check=True)


def test_a_configuration_that_cannot_be_written(hardened, agent, mount):
    directory = hardened.postfix.config_directory
    agent.stop()
    weaken(hardened)
    weak = hardened.postfix.main_cf.read_text()
    mount("--bind", directory, directory)
    mount("-o", "remount,bind,ro", directory)
    agent.start()
    report = agent.report_with("failed 1: ")
    assert "Read-only file system" in report
    assert hardened.postfix.main_cf.read_text() == weak
    assert agent.agent.poll() is None
    mount("-o", "remount,bind,rw", directory)
    hardened.postfix.main_cf.write_text(weak + "\n")
    agent.report_with("fixed 1: ")


def test_a_full_disk_under_the_state(hardened, guard, mount):
    one = guard(start=False)
    state = one.directory / "state"
    state.mkdir(mode=0o700)
    mount("-t", "tmpfs", "-o", "size=1m", "postkeel-test", str(state))
    filler = state / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    one.start()
    assert "history.sqlite3: database or disk is full" in one.report()
    weaken(hardened)
    weak = hardened.postfix.main_cf.read_text()
    assert "nothing changed: " in (report := one.report_with("failed 1: "))
    assert "No space left on device" in report
    assert hardened.postfix.main_cf.read_text() == weak
    filler.unlink()
    hardened.postfix.main_cf.write_text(weak + "\n")
    one.report_with("fixed 1: ")
    assert one.stop() == 0


def test_a_main_cf_that_postconf_rejects_is_told_once(hardened, agent):
    bad = hardened.main_cf + "this is no setting\n"
    lines = bad.count("\n")
    hardened.postfix.main_cf.write_text(bad)
    report = agent.report_with("failed")
    assert f"{hardened.postfix.main_cf}:{lines}: " in report
    hardened.postfix.main_cf.write_text(bad)
    time.sleep(0.5)
    assert agent.reports_now() == []
    assert hardened.postfix.main_cf.read_text() == bad
    weaken(hardened)
    agent.report_with("fixed 1: ")
    assert hardened.is_right()


def test_a_directory_that_vanishes_and_comes_back(hardened, agent):
    etc = hardened.postfix.main_cf.parent
    aside = etc.with_name("aside")
    etc.rename(aside)
    try:
        assert "No such file or directory" in agent.report_with("failed")
    finally:
        subprocess.run(["cp", "-a", aside, etc], check=True)
    agent.report_with("all as wanted")
    weaken(hardened)
    agent.report_with("fixed 1: ")
    assert hardened.is_right()
    subprocess.run(["rm", "-r", aside], check=True)
    assert f"guarded by process {agent.agent.pid}" in agent.run("status").stdout


def test_a_syslog_that_is_away_loses_no_later_report(hardened, agent):
    """A reporter that failed is asked again: it is not set aside as a broken plugin is."""
    log = agent.directory / "log"
    log.rename(agent.directory / "away")
    for _ in range(4):
        weaken(hardened)
        until(hardened.is_right)
        time.sleep(0.3)
    (agent.directory / "away").rename(log)
    weaken(hardened)
    agent.report_with("fixed 1: ")
