"""Whether Postfix can load a credential, and who else can read or write its files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postkeel.certificates.values import Fault, FaultKind, FileSeen, Kind
from postkeel.contract import Severity
from postkeel_plugins.certificate_watcher.complaints import Complaint
from postkeel_plugins.certificate_watcher.rules import CHAIN, FILES, USABLE
from postkeel_plugins.certificate_watcher.scene import Case, Scene
from postkeel_plugins.certificate_watcher.wording import place

_OTHERS_READ: Final = 0o004
_OTHERS_WRITE: Final = 0o022
_KEY_LINES: Final = 3
"""A private key in PEM has as many lines or more, so what begins before them comes first."""


def judge_faults(case: Case) -> Iterator[Complaint]:
    """What keeps Postfix from loading it, or from serving it whole."""
    for fault in case.loaded.faults:
        order = fault.kind is FaultKind.ORDER and not fault.breaks
        wanted = "a certificate and its key that Postfix can load"
        if order:
            wanted = "the certificate, then each that signed the one before it"
        yield Complaint(
            rule=CHAIN if order else USABLE,
            use=case.use,
            severity=Severity.ERROR if fault.breaks else Severity.WARNING,
            says=_said(fault),
            effective=fault.what,
            wanted=wanted,
            # Of a pair the certificate's, for which the finding stands; the text has the fault's.
            file=case.file if case.credential.kind is Kind.PAIR else fault.file,
            wrong=fault.breaks,
            breaks=fault.breaks,
        )
    for leaf in case.leaves:
        for problem in leaf.problems:
            yield Complaint(
                rule=USABLE,
                use=case.use,
                severity=Severity.INFO,
                says=f"{place(leaf)}: not all of the certificate could be read: {problem}",
                effective=problem,
                wanted="a certificate of which everything can be read",
                file=leaf.file,
            )


def _said(fault: Fault) -> str:
    line = f":{fault.line}" if fault.line else ""
    help_ = f"; {fault.help}" if fault.help else ""
    return f"{fault.file}{line}: {fault.what}{help_}"


def judge_files(scene: Scene, case: Case) -> Iterator[Complaint]:
    """Owner and mode of each file that was read, where no rule of the profile judges it."""
    if case.credential.kind is Kind.TABLE:
        return
    known = scene.private_files
    for seen in case.loaded.files:
        if seen.problem:
            continue
        key = holds_key(case, seen)
        if seen.owner:
            says = f"{seen.path} belongs to user {seen.owner}, who can replace it; run: chown root"
            yield _complaint(case, seen, f"{says} {seen.real or seen.path}", key=key)
        elif seen.mode & _OTHERS_WRITE and not (key and seen.path in known):
            says = f"others than root can replace {seen.path}; run: chmod go-w"
            yield _complaint(case, seen, f"{says} {seen.real or seen.path}", key=key)
        if key and seen.mode & _OTHERS_READ and seen.path not in known:
            says = f"everybody on this host may read the key in {seen.path}; run: chmod o-rwx"
            yield _complaint(case, seen, f"{says} {seen.real or seen.path}", key=True)


def holds_key(case: Case, seen: FileSeen) -> bool:
    """Whether a private key is in this file, as far as that shows without looking at keys."""
    files = case.credential.files
    if case.credential.kind is Kind.PAIR:
        return seen.path in files[1:]
    begins = [leaf.line for leaf in case.leaves if leaf.file == seen.path]
    return len(files) == 1 or not any(line <= _KEY_LINES for line in begins)


def _complaint(case: Case, seen: FileSeen, says: str, *, key: bool) -> Complaint:
    return Complaint(
        rule=FILES,
        use=case.use,
        severity=Severity.ERROR if key else Severity.WARNING,
        says=says,
        effective=f"mode {seen.mode & 0o7777:04o}, owner {seen.owner}",
        wanted="a key that only root reads and writes" if key else "a file that only root writes",
        file=seen.path,
    )
