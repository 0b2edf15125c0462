"""Exchange 2007 and later, Microsoft 365 and outlook.com, and the SMTP service of IIS.

    from NAME (192.0.2.7) by HOST (198.51.100.1) with Microsoft SMTP Server
     (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.20.1143.11
     via Frontend Transport; date

Up to 2013 it says "(TLS)" and no more. NAME is what the client said, the address has brackets or
not. What goes from an address to the same one was handed over within the host, "mapi" too;
between two hosts "mapi" says nothing of TLS.
"""

from __future__ import annotations

from typing import Final

from postkeel.headers.forms.clients import plain_address
from postkeel.headers.forms.suites import version_in
from postkeel.headers.parts import Parts, Said
from postkeel.headers.values import Tls

_MTA: Final = "Exchange"
_SMTP: Final = ("Microsoft SMTP Server", "Microsoft SMTPSVC")
_SECURED: Final = "secured channel"
"""Behind the service's "over TLS", which reads as the clause "tls"."""
_CLOUD: Final = (".outlook.com", ".office365.com", ".exchangelabs.com")


def read(parts: Parts) -> Said | None:
    by, protocol = parts.clause("by"), parts.clause("with").value
    smtp = protocol in _SMTP
    if not smtp and protocol != "mapi" and not _over_https(by.value, protocol):
        return None
    client = parts.clause("from")
    address = plain_address(client.comments[0]) if client.comments else ""
    here = plain_address(by.comments[0]) if by.comments else ""
    return Said(
        mta=_MTA,
        helo=client.value,
        address=address,
        tls=_tls(parts),
        local=bool(address) and address == here,
        in_clear=smtp,
    )


def _over_https(by: str, protocol: str) -> bool:
    return protocol == "HTTPS" and by.lower().endswith(_CLOUD)


def _tls(parts: Parts) -> Tls | None:
    comments = parts.clause("with").comments
    if "TLS" in comments or parts.clause("tls").value == _SECURED:
        return Tls()
    return version_in(comments)
