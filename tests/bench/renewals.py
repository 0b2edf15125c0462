"""The figures of certificates: renewals that go live, and five hundred names.

A renewal is live when each connection that begins gets the new certificate, on all three
services, as clients see it that never stop; from the last write of the renewer on. The floor
is what everybody can write in a line of shell, looked at by the same clients.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figure import Figure
from resting import SETTLED_SECONDS, consumed, memory

from guarded import Guarded, guarded, until
from lineages import Issuer, Lineage
from private_postfix import PrivatePostfix, private_postfix
from smtp_load import HOST, Load, smtp_load

RENEWALS = {"short": 15, "full": 100}
CHECKS = {"short": 3, "full": 10}
IDLE_SECONDS = {"short": 20, "full": 120}
NAMES = 500
PATIENCE = 20
NEVER = float("inf")
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def certificate_figures(form: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="postkeel-bench-") as directory:
        place = Path(directory)
        authority = Issuer(place)
        yield from whole("renewals", renewals(RENEWALS[form], place, authority))
        yield from whole(f"{NAMES} certificates", crowd(form, place, authority))


def whole(name: str, figures: Iterator[Figure]) -> Iterator[Figure]:
    """These figures; what keeps one from being had is a miss, and the others are still wanted."""
    try:
        yield from figures
    except (OSError, LookupError, subprocess.SubprocessError) as error:
        yield Figure(name, NEVER, 0, "", f"not measured: {type(error).__name__}: {error}")


def crowd(form: str, place: Path, authority: Issuer) -> Iterator[Figure]:
    with many_names(place, authority) as crowded:
        yield from full_check(CHECKS[form], crowded, authority)
        yield from idle(IDLE_SECONDS[form], crowded, authority)


def settings(authority: Issuer) -> str:
    """For an agent that believes this authority, and for clients that compare corrections."""
    return (
        "[contest]\ncorrections = 1000000\n"
        f'[certificates]\nroots = "{authority.roots}"\nlineages = []\nresolver = ""\n'
    )


def chain_files(lineage: Lineage) -> dict[str, str]:
    files = f"{lineage.privkey}, {lineage.fullchain}"
    return {"smtpd_tls_chain_files": files, "smtpd_tls_security_level": "may"}


def renewals(count: int, place: Path, authority: Issuer) -> Iterator[Figure]:
    lineage = Lineage(place / "renewed", HOST, authority)
    lineage.renew()
    with private_postfix(certificates=(), parameters=chain_files(lineage)) as postfix:
        with guarded(postfix, more=settings(authority)) as agent:
            agent.report(PATIENCE)
            ours = lags(count, lineage, postfix, authority, lambda: said_so(agent))
        with shell_loop(lineage, postfix):
            floor = lags(max(5, count // 3), lineage, postfix, authority, lambda: None)
    middle, most = statistics.median(ours), highest(ours)
    beside = (
        f"p50 {middle:.0f} ms of {count}; inotifywait and postfix reload:"
        f" p50 {statistics.median(floor):.0f} ms, p99 {highest(floor):.0f} ms"
    )
    yield Figure("renewal on disk -> served on all services, p99", most, 1000, "ms", beside)


def lags(
    count: int,
    lineage: Lineage,
    postfix: PrivatePostfix,
    authority: Issuer,
    settled: Callable[[], None],
) -> list[float]:
    """Milliseconds from the last write until it was live, of each renewal."""
    made = []
    with smtp_load(postfix.address, roots=authority.roots, pause=0.08, mail=1_000_000) as load:
        for number in range(count):
            leaf = lineage.renew(new_key=number % 2 == 0)
            written = time.monotonic()
            made.append((leaf, written, seen(load, leaf, settled)))
    return [lag(load, *one) for one in made]


def seen(load: Load, leaf: str, settled: Callable[[], None]) -> float:
    """Wait until a renewal is live and all is quiet again; the moment."""
    with contextlib.suppress(TimeoutError):
        until(lambda: load.served_at(leaf), PATIENCE)
        settled()
    time.sleep(0.3)
    return time.monotonic()


def lag(load: Load, leaf: str, written: float, over: float) -> float:
    try:
        return (load.live_since(leaf, written, over) - written) * 1000
    except LookupError:
        return NEVER


def said_so(agent: Guarded) -> None:
    agent.report_with("fixed", PATIENCE)


def highest(values: list[float]) -> float:
    """The 99th percentile; of less than a hundred values, the largest."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


@contextlib.contextmanager
def shell_loop(lineage: Lineage, postfix: PrivatePostfix) -> Iterator[None]:
    """The floor: reload whenever the last link has been led anew, right or wrong."""
    script = (
        f"inotifywait -qm -e create --format %f {lineage.live} | while read -r name; do"
        f' [ "$name" = fullchain.pem ] && postfix -c {postfix.config_directory} reload; done'
    )
    with open(os.devnull, "wb") as nothing:
        loop = subprocess.Popen(
            ["sh", "-c", script], start_new_session=True, stdout=nothing, stderr=nothing
        )
    try:
        time.sleep(0.5)
        yield
    finally:
        os.killpg(loop.pid, signal.SIGTERM)
        loop.wait()


@contextlib.contextmanager
def many_names(place: Path, authority: Issuer) -> Iterator[PrivatePostfix]:
    """A Postfix with five hundred certificates in an indexed table, RSA and ECDSA in turn."""
    lines = []
    own = Lineage(place / "many", HOST, authority)
    own.renew()
    for number in range(NAMES):
        one = Lineage(place / "many", f"mx{number}.example.test", authority)
        one.renew(kind="rsa" if number % 2 else "ecdsa")
        lines.append(f"{one.live.name} {one.privkey} {one.fullchain}\n")
    source = place / "sni"
    source.write_text("".join(lines))
    parameters = chain_files(own) | {"tls_server_sni_maps": f"$default_database_type:{source}"}
    with private_postfix(certificates=(), parameters=parameters, start=False) as postfix:
        table = postfix.postconf("-xh", "tls_server_sni_maps").strip()
        made = ["postmap", "-c", postfix.config_directory, "-F", table]
        subprocess.run(made, check=True, env=PATH)
        postfix.start()
        yield postfix


def full_check(count: int, postfix: PrivatePostfix, authority: Issuer) -> Iterator[Figure]:
    """Everything read, verified and asked for by handshake, by a command that knows nothing yet."""
    with guarded(postfix, more=settings(authority), start=False) as one:
        one.run("enforce")
        live, shown, offline = (
            statistics.median(seconds(one, *words) for _ in range(count))
            for words in (("check", "--live"), ("certificates",), ("check",))
        )
    beside = f"postkeel check --live; postkeel certificates {shown:.2f} s, check {offline:.2f} s"
    yield Figure(f"{NAMES} certificates with SNI, full check", live, 2, "s", beside)


def seconds(one: Guarded, *words: str) -> float:
    began = time.monotonic()
    one.run(*words)
    return time.monotonic() - began


def idle(length: int, crowded: PrivatePostfix, authority: Issuer) -> Iterator[Figure]:
    """Two agents beside each other: one with all the certificates, one with a single one."""
    more = f"[reporting]\nheartbeat = 3600\n{settings(authority)}"
    with (
        private_postfix() as plain,
        guarded(crowded, more=more) as many,
        guarded(plain, more=more) as few,
    ):
        agents = (many, few)
        for one in agents:
            one.report(PATIENCE)
        time.sleep(SETTLED_SECONDS)
        before = [consumed(one.pid) for one in agents]
        time.sleep(length)
        spent = [
            (now - then) * 60 / length
            for one, earlier in zip(agents, before, strict=True)
            for now, then in zip(consumed(one.pid), earlier, strict=True)
        ]
        sizes = [memory(one.pid) for one in agents]
    cpu, switches, few_cpu, few_switches = spent
    name = f"agent idle with {NAMES} certificates"
    with_one = "with one certificate"
    beside = f"{with_one} {few_cpu / 1e6:.2f} ms"
    yield Figure(f"{name}, CPU a minute", cpu / 1e6, 2, "ms", beside)
    yield Figure(f"{name}, wake-ups a minute", switches, 10, "", f"{with_one} {few_switches:.0f}")
    yield Figure(f"{name}, memory (PSS)", sizes[0], 32, "MiB", f"{with_one} {sizes[1]:.1f} MiB")
