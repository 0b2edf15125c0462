"""What this plugin judges: each rule with its reason and where that is written."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Rule

_README: Final = "Postfix TLS_README"
_ARTICLE: Final = "the origin article (look at the Received header of a delivered message)"

DISAGREE: Final = Rule(
    id="witnesses-disagree",
    why="The handshake, the Received line and the mail log tell of one and the same session. Where"
    " they tell of different ones, something stands between client and Postfix or rewrites what it"
    " says; where one keeps silent, the proof is missing from every mail.",
    references=(
        "postconf(5), smtpd_tls_received_header",
        "postconf(5), smtpd_tls_loglevel",
        f"{_README}, section 'Server-side TLS activity logging'",
        "RFC 3848, section 1 (the S in ESMTPS)",
        _ARTICLE,
    ),
)
REFUSED: Final = Rule(
    id="probe-refused",
    why="What refuses the probe may refuse other mail as well, and what was not taken proves"
    " nothing.",
    references=(
        "RFC 5321, section 4.2.1 (4yz is temporary, 5yz is not)",
        "RFC 6647, section 2 (greylisting)",
        "Postfix SMTPD_ACCESS_README",
    ),
)
WITHOUT_TLS: Final = Rule(
    id="probe-without-tls",
    why="The settings offer TLS here and a client gets none, so its mail comes in clear text or not"
    " at all. The probe is never sent in clear text.",
    references=(
        "RFC 3207, section 4",
        "RFC 8314, section 3.3 (implicit TLS)",
        f"{_README}, section 'Enabling TLS in the Postfix SMTP server'",
    ),
)
NOT_DELIVERED: Final = Rule(
    id="probe-not-delivered",
    why="Postfix took the message and it did not come into the mailbox in time: it waits in the"
    " queue, a filter keeps it, or it went to another mailbox than postkeel looks into.",
    references=("postqueue(1)", "Postfix QSHAPE_README", "local(8), MAILBOX DELIVERY"),
)
LATE: Final = Rule(
    id="probe-late",
    why="An earlier probe came only now, and so does other mail.",
    references=("postqueue(1)", "Postfix QSHAPE_README"),
)
MAILBOX: Final = Rule(
    id="probe-mailbox",
    why="The probe goes to a mailbox of its own and to nobody else, so postkeel sends none where it"
    " cannot know whose mailbox that is.",
    references=(
        "local(8), MAILBOX DELIVERY",
        "Postfix ADDRESS_CLASS_README",
        "postkeel.toml(5), header_checker",
    ),
)

RULES: Final = (DISAGREE, REFUSED, WITHOUT_TLS, NOT_DELIVERED, LATE, MAILBOX)
WHY: Final = {one.id: one.why for one in RULES}
