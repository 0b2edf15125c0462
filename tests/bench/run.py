"""The figures that postkeel promises, measured beside a floor in the same run.

    make bench                 the short form, as CI runs it
    make bench BENCH=full      more trials, and a miss is an error

Everything runs on a private Postfix (tests/bed). Times are wall times; the
command that is compared with runs alternately, so that both meet the same
noise. What the neighbours take was measured elsewhere, see the README.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "bed"))
from central import central_figures
from figure import Figure
from fleet import fleet_figures
from headers import header_figures
from logs import log_figures
from probing import probing_figures
from renewals import certificate_figures
from resting import SETTLED_SECONDS, consumed, memory

from guarded import POSTKEEL, Guarded, guarded, until
from private_postfix import PrivatePostfix, private_postfix, why_not

# No fair fight is so quick as these trials.
PATIENT = "[contest]\ncorrections = 1000000"
AS_SHIPPED = "[reporting]\nheartbeat = 3600"
PYTHON = "/usr/bin/python3"
ROUNDS = {"short": 15, "full": 60}
IDLE_SECONDS = {"short": 20, "full": 120}
DRIFT = "smtpd_tls_protocols = TLSv1\n"


def milliseconds(argv: list[str]) -> float:
    """One run through `sh -c exec`, as the neighbours' figures were measured."""
    began = time.perf_counter()
    argv = ["sh", "-c", 'exec "$0" "$@"', *argv]
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - began) * 1000


def side_by_side(rounds: int, *commands: list[str]) -> list[float]:
    """The median of each command, run in turn."""
    for command in commands:
        milliseconds(command)
    times = [[milliseconds(command) for command in commands] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def start_up(rounds: int) -> Iterator[Figure]:
    version, python = side_by_side(rounds, [POSTKEEL, "--version"], [PYTHON, "-c", "pass"])
    beside = f"{version:.1f} ms, python3 -c pass {python:.1f} ms"
    yield Figure("postkeel --version", version / python, 5, "x python3 -c pass", beside)


def check(rounds: int, postfix: PrivatePostfix) -> Iterator[Figure]:
    directory = postfix.config_directory
    ours, postconf = side_by_side(
        rounds, [POSTKEEL, "check", "-c", directory], ["postconf", "-c", directory, "-n"]
    )
    beside = f"{ours:.1f} ms, postconf -n {postconf:.1f} ms"
    yield Figure("postkeel check, nothing drifted", ours / postconf, 12, "x postconf -n", beside)


def in_place(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)


def by_rename(path: Path, text: str) -> None:
    other = path.with_name("main.cf.new")
    other.write_text(text)
    other.rename(path)


def until_right(path: Path, right: Callable[[str], bool], seconds: float = 10) -> float:
    """Milliseconds until the file's content is right."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if right(path.read_text(errors="replace")):
            return (time.perf_counter() - began) * 1000
        time.sleep(0.0003)
    raise TimeoutError(f"{path} is not right after {seconds} s")


def reaction(rounds: int, postfix: PrivatePostfix) -> Iterator[Figure]:
    whole, proved = [], []
    with guarded(postfix, more=PATIENT) as one:
        one.report()
        hardened = postfix.main_cf.read_text()
        drifted = "".join(
            DRIFT if line.startswith("smtpd_tls_protocols") else line
            for line in hardened.splitlines(keepends=True)
        )
        for trial in range(rounds + 2):
            time.sleep(0.2)
            began = time.perf_counter()
            (in_place if trial % 2 else by_rename)(postfix.main_cf, drifted)
            until_right(postfix.main_cf, lambda text: text == hardened)
            corrected = time.perf_counter()
            line = one.report()
            if "fixed 1" not in line:
                raise SystemExit(f"not proved: {line}")
            if trial >= 2:  # the first ones warm the caches
                whole.append((corrected - began) * 1000)
                proved.append((time.perf_counter() - began) * 1000)
    floor = shell_loop(max(5, rounds // 3), postfix, drifted)
    beside = f"inotifywait and postconf -e: {floor:.1f} ms"
    yield Figure("drift -> file right again, p50", statistics.median(whole), 30, "ms", beside)
    yield Figure("drift -> file right again, p99", highest(whole), 80, "ms")
    reload = statistics.median(
        milliseconds(["postfix", "-c", postfix.config_directory, "reload"]) for _ in range(5)
    )
    beside = f"p50 {statistics.median(proved):.0f} ms, postfix reload alone {reload:.0f} ms"
    yield Figure("drift -> proved by handshake, p99", highest(proved), 400, "ms", beside)


def highest(values: list[float]) -> float:
    """The 99th percentile; of less than a hundred values, the largest."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def shell_loop(rounds: int, postfix: PrivatePostfix, drifted: str) -> float:
    """The floor: what everybody can write in three lines of shell."""
    directory = postfix.config_directory
    script = (
        f"inotifywait -qm -e close_write,moved_to {directory} | while read -r line; do"
        f" grep -q '^smtpd_tls_protocols = TLSv1$' {directory}/main.cf &&"
        f" postconf -c {directory} -e 'smtpd_tls_protocols = >=TLSv1.2'; done"
    )
    loop = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    times = []
    try:
        time.sleep(0.5)
        for _ in range(rounds):
            in_place(postfix.main_cf, drifted)
            times.append(
                until_right(postfix.main_cf, lambda text: "smtpd_tls_protocols = >=" in text)
            )
            time.sleep(0.1)
    finally:
        os.killpg(loop.pid, signal.SIGTERM)
        loop.wait()
    return statistics.median(times)


def idle(seconds: int, postfix: PrivatePostfix) -> Iterator[Figure]:
    with guarded(postfix, more=AS_SHIPPED) as one:
        one.report()
        time.sleep(SETTLED_SECONDS)
        pid = one.pid
        before = consumed(pid)
        time.sleep(seconds)
        cpu, switches = (now - then for now, then in zip(consumed(pid), before, strict=True))
        pss = memory(pid)
    with guarded(postfix, more=AS_SHIPPED, start=False) as one:
        sides = sum(at_rest(one))
    floor = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(60)"])
    time.sleep(0.3)
    beside = f"a sleeping python3: {memory(floor.pid):.1f} MiB"
    floor.terminate()
    floor.wait()
    yield Figure("agent idle, memory (PSS)", pss, 24, "MiB", beside)
    yield Figure("both sides idle, memory (PSS) together", sides, 32, "MiB")
    yield Figure("agent idle, CPU a minute", cpu / 1e6 * 60 / seconds, 2, "ms")
    yield Figure("agent idle, wake-ups a minute", switches * 60 / seconds, 10, "")


def at_rest(one: Guarded) -> list[float]:
    """The memory of the two sides, each in its process as the package runs them."""
    commands = [[*one.command("run"), "--side", side] for side in ("root", "monitor")]
    sides = [subprocess.Popen(one) for one in commands]
    try:
        one.report()
        until((one.directory / "run/monitor/status.json").exists)
        time.sleep(SETTLED_SECONDS)
        return [memory(side.pid) for side in sides]
    finally:
        for side in sides:
            side.terminate()
            side.wait()


def measure(form: str) -> Iterator[Figure]:
    # As a package has it: compiled beforehand, whatever the environment says of bytecode.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "agent", "plugins"], check=True)
    rounds = ROUNDS[form]
    yield from start_up(rounds)
    yield from fleet_figures(form)
    yield from header_figures(form)
    yield from certificate_figures(form)
    yield from probing_figures(form)
    with private_postfix() as postfix:
        with guarded(postfix, start=False) as one:
            one.run("enforce")
        yield from check(rounds, postfix)
        yield from reaction(rounds, postfix)
        yield from idle(IDLE_SECONDS[form], postfix)
        yield from log_figures(form, postfix)
        yield from central_figures(form, postfix)


def main(form: str) -> int:
    reason = why_not()
    if reason:
        print(f"bench: skipped: {reason}")
        return 1 if os.environ.get("CI") else 0
    missed = 0
    for one in measure(form):
        missed += not one.met
        print(one, flush=True)
    print(f"bench: {missed} figures missed" if missed else "bench: all figures met")
    return 1 if missed and form == "full" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "short"))
