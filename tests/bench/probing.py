"""The figures of probes: from the wish to the verdict, and what an agent takes between them.

The verdict is that of `postkeel headers --probe`: it starts Python, reads the configuration,
sends a message through each service (25, and 587 and 465 with a login), finds them in the
mailbox and their sessions in the log, and judges. The floor is the same three messages handed
in by Python's smtplib, which waits for no delivery.
"""

from __future__ import annotations

import contextlib
import os
import smtplib
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figure import Figure
from resting import SETTLED_SECONDS, consumed, memory

from auth_server import AuthServer
from guarded import Guarded, guarded, until
from private_postfix import PrivatePostfix, private_postfix
from probed_postfix import ADDRESS, PARAMETERS, USER, ProbedPostfix
from two_sides import Sides

ROUNDS = {"short": 7, "full": 30}
IDLE_SECONDS = {"short": 20, "full": 120}
LOGIN = ("probe", "pass word")
WITH_LOGIN = {"smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth-of-bench"}
QUIET = "[reporting]\nheartbeat = 3600\n"
SENT = b"status=sent"
NEVER = float("inf")


@dataclass(frozen=True)
class Host:
    """A private Postfix as `Sides` wants one."""

    postfix: PrivatePostfix
    main_cf: str = ""

    def is_right(self) -> bool:
        return True


def probing_figures(form: str) -> Iterator[Figure]:
    try:
        with probed_postfix() as mail:
            yield from verdicts(ROUNDS[form], mail)
            yield from between_probes(IDLE_SECONDS[form], mail)
    except (OSError, LookupError, subprocess.SubprocessError, smtplib.SMTPException) as error:
        yield Figure("probes", NEVER, 0, "", f"not measured: {type(error).__name__}: {error}")


@contextlib.contextmanager
def probed_postfix() -> Iterator[ProbedPostfix]:
    """One that takes mail on all three ports, on the last two after a login."""
    with private_postfix(parameters=PARAMETERS | WITH_LOGIN, start=False) as postfix:
        mail = ProbedPostfix(postfix)
        file = credentials(mail)
        file.write_text(":".join(LOGIN))
        file.chmod(0o600)
        os.chown(file, USER.pw_uid, USER.pw_gid)
        postfix.start()
        socket = postfix.directory / "queue/private/auth-of-bench"
        server = AuthServer(socket, *LOGIN, ("PLAIN",))
        try:
            yield mail
        finally:
            server.close()


def credentials(mail: ProbedPostfix) -> Path:
    return mail.spool / "credentials"


def wanted(mail: ProbedPostfix, every: int, *mailboxes: Path) -> str:
    """Lines of postkeel.toml."""
    names = ", ".join(f'"{one}/"' for one in mailboxes)
    return (
        f'[plugins.header_checker]\nprobe_every = {every}\nprobe_address = "{ADDRESS}"\n'
        f'probe_mailbox = "{mail.name}"\ncredentials = "{credentials(mail)}"\n'
        f"mailboxes = [{names}]\n"
    )


def verdicts(rounds: int, mail: ProbedPostfix) -> Iterator[Figure]:
    with guarded(mail.postfix, more=wanted(mail, 0), start=False) as one:
        Sides(one, Host(mail.postfix))  # the directories with their owners
        times, floor = [], []
        for trial in range(rounds + 1):
            began = time.perf_counter()
            answer = one.run("headers", "--probe")
            took = time.perf_counter() - began
            if answer.returncode or mail.mail():
                raise OSError(f"the probe failed: {answer.stdout} {answer.stderr}")
            if trial:  # the first one starts Postfix's processes
                times.append(took)
        for _ in range(rounds):
            began = time.perf_counter()
            hand_in(mail)
            floor.append(time.perf_counter() - began)
        until(lambda: mail.mail().count(b"Subject: floor") == 3 * rounds, 20)
        mail.mailbox.unlink()
    beside = (
        f"p50 {statistics.median(times):.2f} s; handed in by smtplib, p50"
        f" {statistics.median(floor):.2f} s"
    )
    yield Figure("probe of 25, 587 and 465 -> verdict, slowest", max(times), 1.5, "s", beside)


def hand_in(mail: ProbedPostfix) -> None:
    """The floor."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(str(mail.postfix.authority))
    context.check_hostname = False
    host = mail.postfix.address
    for port in (25, 587, 465):
        direct = port == 465
        kind = smtplib.SMTP_SSL if direct else smtplib.SMTP
        with kind(host, port, **({"context": context} if direct else {})) as client:
            if not direct:
                client.starttls(context=context)
            if port != 25:
                client.login(*LOGIN)
            client.sendmail("", ADDRESS, "Subject: floor\n\n")


def between_probes(seconds: int, mail: ProbedPostfix) -> Iterator[Figure]:
    """Two monitors beside each other: one has probed and watches a Maildir, one does neither."""
    maildir = mail.spool / "Maildir"
    for one in ("tmp", "new", "cur"):
        (maildir / one).mkdir(parents=True)
    sent = mail.postfix.log_file.read_bytes().count(SENT)
    with contextlib.ExitStack() as stack:
        pids = []
        for more in (QUIET + wanted(mail, 86400, maildir), QUIET):
            agent = stack.enter_context(guarded(mail.postfix, more=more, start=False))
            pids.append(stack.enter_context(monitor(agent)))
        until(lambda: mail.postfix.log_file.read_bytes().count(SENT) >= sent + 3, 60)
        time.sleep(SETTLED_SECONDS)
        before = [consumed(one) for one in pids]
        time.sleep(seconds)
        spent = [
            (now - then) * 60 / seconds
            for pid, earlier in zip(pids, before, strict=True)
            for now, then in zip(consumed(pid), earlier, strict=True)
        ]
        sizes = [memory(one) for one in pids]
    cpu, switches, plain_cpu, plain_switches = spent
    without = "without probes"
    beside = f"{without} {plain_cpu / 1e6:.2f} ms"
    most = plain_cpu / 1e6 + 2  # as much as the whole agent at rest may take
    yield Figure("monitor between probes, CPU a minute", cpu / 1e6, most, "ms", beside)
    beside = f"{without} {plain_switches:.0f}"
    most = plain_switches + 60 / seconds
    yield Figure("monitor between probes, wake-ups a minute", switches, most, "", beside)
    beside = f"{without} {sizes[1]:.1f} MiB"
    yield Figure("monitor between probes, memory (PSS)", sizes[0], 24, "MiB", beside)


@contextlib.contextmanager
def monitor(agent: Guarded) -> Iterator[int]:
    """The process of the side without rights, which needs no other to probe."""
    sides = Sides(agent, Host(agent.postfix))
    try:
        sides.start("monitor")
        yield sides.running["monitor"].pid
    finally:
        sides.stop()
