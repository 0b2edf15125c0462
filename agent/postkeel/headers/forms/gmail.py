"""Gmail: its servers by their names, and by the form of their ids.

Within Google a message goes from one address to the next, "by 2002:a05:... with SMTP id ...".
Nothing is said there of what was between, and it is more than one host: that is unknown.
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.forms.clients import client_in, plain_address
from postkeel.headers.forms.suites import version_in
from postkeel.headers.parts import Parts, Said

_MTA: Final = "Gmail"
_NAMES: Final = (".google.com", ".gmail.com", ".googlemail.com")
_ID: Final = re.compile(
    r"[0-9a-z-]{1,64}?(?:cs[a-z]|so|mr|si|sm)\d{5,16}[a-z][0-9a-z]{1,2}(?:\.[\d.]{1,40})?"
)


def read(parts: Parts) -> Said | None:
    by = parts.clause("by")
    if by.comments or not (by.value.endswith(_NAMES) or _internal(parts)):
        return None
    client = parts.clause("from")
    named = client_in(client.comments)
    protocol = parts.clause("with").value
    told = (*parts.clause("id").comments, *parts.clause("for").comments)
    return Said(
        mta=_MTA,
        helo=client.value,
        name=named.name,
        address=named.address,
        tls=version_in(told),
        authenticated=protocol.endswith("SMTPSA"),
        in_clear=bool(named.address) and protocol.endswith("SMTP"),
    )


def _internal(parts: Parts) -> bool:
    return (
        "from" not in parts.clauses
        and plain_address(parts.clause("by").value) != ""
        and (
            _ID.fullmatch(parts.clause("id").value) is not None
            or parts.clause("with").value == "HTTP"
        )
    )
