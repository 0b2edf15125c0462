"""How moments, lengths of time, lists and commands are said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from postkeel.certificates.values import Certificate

_SHOWN: Final = 3
_DIGITS: Final = 16
_CERTBOT: Final = "/etc/letsencrypt/"
_STEPS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


def listed(words: Iterable[str], most: int = _SHOWN) -> str:
    """ "a, b, c and 5 more"; each word once."""
    every = [*dict.fromkeys(words)]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """The length of time in its largest whole unit: "9 days", "14 hours", "0 minutes"."""
    unit, name = next((one for one in _STEPS if seconds >= one[0]), _STEPS[-1])
    count = int(seconds // unit)
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def short(sha256: str) -> str:
    """Enough of a fingerprint to tell certificates apart."""
    return sha256[:_DIGITS]


def place(certificate: Certificate) -> str:
    return f"{certificate.file}:{certificate.line}"


def title(certificate: Certificate) -> str:
    """What a reader knows a certificate by."""
    return next(iter(certificate.names), "") or certificate.subject or short(certificate.sha256)


def parameter_file(file: str) -> str:
    """The absolute name of a file, of a table as well: "hash:/etc/postfix/sni"."""
    return file[file.find("/") :] if "/" in file else ""


def renewal(paths: Iterable[str], *, force: bool = False) -> str:
    """How the certificate of these files is renewed, in words that end in a command if known."""
    for path in paths:
        *above, _ = path.split("/")
        if path.startswith(_CERTBOT) and above[-2:-1] in (["live"], ["archive"]):
            forced = " --force-renewal" if force else ""
            return f"run `certbot renew --cert-name {above[-1]}{forced}`"
        if above[-2:-1] == [".acme.sh"]:
            name = above[-1].removesuffix("_ecc")
            kind = " --ecc" if name != above[-1] else ""
            forced = " --force" if force else ""
            return f"run `acme.sh --renew -d {name}{kind}{forced}`"
    return "renew it with the tool that issued it"


def reload_command(instance: str) -> str:
    return "`postfix reload`" if instance == "/etc/postfix" else f"`postfix -c {instance} reload`"
