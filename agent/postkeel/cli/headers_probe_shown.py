"""What three witnesses say of a probe, side by side: as text and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from postkeel.cli.render import Paint, finding_lines
from postkeel.contract import Outcome, Probed
from postkeel.core.report_json import finding_data
from postkeel.core.text import one_line
from postkeel.headers.fields import trace_of
from postkeel.headers.received import read_hop
from postkeel.headers.values import Hop
from postkeel.maillog.one_session import process_of, read_session
from postkeel.maillog.values import NOT_LOGGED, Session

if TYPE_CHECKING:
    from postkeel.cli.headers_probe import Look

Data = dict[str, object]

_NAME: Final = 200
_TEXT: Final = 400


def lines(look: Look, paint: Paint) -> Iterator[str]:
    """For a person: each service with its witnesses, then what is found in them."""
    result = look.result
    yield f"{one_line(look.directory, _NAME)}: probe to {one_line(look.wanted.address, _NAME)}"
    if result.problem:
        yield f"  {paint('error', 'mailbox')}    {one_line(result.problem, _TEXT)}"
    for one in result.probed:
        yield from _witnesses(one, paint)
    if result.late:
        slowest = max(result.late)
        yield f"  earlier probes that came only now: {len(result.late)}, the latest {slowest:.0f} s"
    if result.left:
        yield f"  probes that cannot be removed from the mailbox: {result.left}"
    for judged in look.judged:
        note = " (waived)" if judged.outcome is Outcome.WAIVED else ""
        yield from finding_lines(judged.finding, paint, note)
    for problem in look.problems:
        yield f"  {one_line(problem, _TEXT)}"
    if not look.judged and not result.problem and result.probed:
        yield f"  {paint('good', 'all witnesses agree')}"


def data(look: Look) -> Data:
    """For a program. Its keys are contracts."""
    result = look.result
    return {
        "config_directory": look.directory,
        "address": look.wanted.address,
        "problem": result.problem,
        "targets": [_data(one) for one in result.probed],
        "late": list(result.late),
        "others": result.others,
        "left": result.left,
        "findings": [
            {**finding_data(one.finding), "outcome": one.outcome.value} for one in look.judged
        ],
        "problems": list(look.problems),
    }


def _witnesses(one: Probed, paint: Paint) -> Iterator[str]:
    came = f"in {one.seconds:.2f} s" if not one.stage else paint("error", f"not past {one.stage}")
    yield f"  {one.target}: {came}"
    if one.problem:
        yield f"    {one_line(one.problem, _TEXT)}"
    if one.protocol:
        yield f"    handshake  {one.protocol} with {one.cipher} ({one.bits} bits)"
    if one.header:
        yield f"    header     {_of_header(lowest(one.header))}"
    if one.lines or one.log_problem:
        yield f"    log        {_of_log(one)}"


def lowest(header: bytes) -> Hop | None:
    """The Received line of who took the probe from us, for it came without any."""
    received = trace_of(header).received
    return read_hop(received[-1]) if received else None


def _of_header(hop: Hop | None) -> str:
    if hop is None:
        return "no Received line"
    if hop.tls is None or not hop.tls.protocol:
        return f"{hop.verdict.value}: {hop.reason}"
    return f"{hop.tls.protocol} with {hop.tls.cipher} ({hop.tls.bits} bits)"


def _of_log(one: Probed) -> str:
    if not one.lines:
        return one_line(one.log_problem, _TEXT)
    _, session = read_session(one.lines, direct=one.target.direct)
    process = process_of(one.lines)
    if session is None:
        return f"nothing of TLS, {process}"
    if session.clear:
        return f"in clear, {process}"
    if session.protocol == NOT_LOGGED:
        return f"TLS, and not which (smtpd_tls_loglevel is 0), {process}"
    return f"{session.protocol} with {session.cipher} ({session.bits} bits), {process}"


def _data(one: Probed) -> Data:
    handshake = {"protocol": one.protocol, "cipher": one.cipher, "bits": one.bits}
    name, session = read_session(one.lines, direct=one.target.direct)
    return {
        "service": one.target.service,
        "host": one.target.host,
        "port": one.target.port,
        "direct": one.target.direct,
        "login": one.target.login,
        "stage": one.stage,
        "code": one.code,
        "problem": one.problem,
        "seconds": round(one.seconds, 3),
        "queue_id": one.queue_id,
        "handshake": handshake if one.protocol else None,
        "header": _header_data(lowest(one.header)),
        "log": _session_data(name, session),
        "log_problem": one.log_problem,
    }


def _header_data(hop: Hop | None) -> Data | None:
    if hop is None:
        return None
    tls = hop.tls
    return {
        "verdict": hop.verdict.value,
        "reason": hop.reason,
        "by": hop.by,
        "queue_id": hop.identity,
        "protocol": tls.protocol if tls else "",
        "cipher": tls.cipher if tls else "",
        "bits": tls.bits if tls else 0,
        "text": hop.text,
    }


def _session_data(name: str, session: Session | None) -> Data | None:
    if session is None:
        return None
    return {
        "name": name,
        "protocol": session.protocol,
        "cipher": session.cipher,
        "bits": session.bits,
    }
