"""The options of `header_checker`, and what can be wrong with each."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Option, Options


def _address_fault(text: str) -> str:
    from postkeel_plugins.header_checker.addressing import address_fault

    return address_fault(text)


def _file_fault(name: str) -> str:
    good = not name or name.startswith("/")
    return "" if good else f"must be an absolute file name, not {name!r}"


def _mailboxes_fault(names: tuple[str, ...]) -> str:
    return next((_file_fault(one) or "must not be empty" for one in names if one[:1] != "/"), "")


def _hosts_fault(words: tuple[str, ...]) -> str:
    if not words:
        return ""
    from postkeel.headers.trust import own_of

    try:
        own_of(words)
    except ValueError as error:
        return str(error)
    return ""


EVERY: Final = Option(
    name="probe_every",
    default=0,
    least=0,
    help="seconds between probes, messages that this host sends to itself through each of its"
    " services; 0 for none",
)
ADDRESS: Final = Option(
    name="probe_address",
    default="",
    help='their recipient; "" for _postkeel at the domain of mydestination that is this host',
    fault=_address_fault,
)
MAILBOX: Final = Option(
    name="probe_mailbox",
    default="",
    help='where Postfix puts mail for it: a file (mbox) or, ending in "/", a Maildir; "" for where'
    " its local delivery puts it",
    fault=_file_fault,
)
CREDENTIALS: Final = Option(
    name="credentials",
    default="",
    help="a file that holds USER:PASSWORD for ports 587 and 465, and that not everybody may read;"
    ' "" for no probes there',
    fault=_file_fault,
)
MAILBOXES: Final = Option(
    name="mailboxes",
    default=(),
    help='mailboxes whose new messages are counted by their headers: files (mbox) or, ending in "/"'
    ", Maildirs",
    fault=_mailboxes_fault,
)
SAMPLED: Final = Option(
    name="sampled_per_minute",
    default=60,
    least=1,
    help="of them at most so many messages a minute; the others are not looked at",
)
OWN_HOSTS: Final = Option(
    name="own_hosts",
    default=(),
    help="names, .domains, addresses and networks of your other mail servers, whose Received lines"
    " are believed as this host's are",
    fault=_hosts_fault,
)
KEPT_DAYS: Final = Option(
    name="kept_days",
    default=90,
    least=1,
    help="days after which counts are forgotten",
)
OPTIONS: Final = (EVERY, ADDRESS, MAILBOX, CREDENTIALS, MAILBOXES, SAMPLED, OWN_HOSTS, KEPT_DAYS)


def number(options: Options, option: Option) -> int:
    """A number among the options; the default where it is missing."""
    value = options.get(option.name, option.default)
    return value if isinstance(value, int) else int(str(option.default))


def text(options: Options, option: Option) -> str:
    return str(options.get(option.name, option.default))


def texts(options: Options, option: Option) -> tuple[str, ...]:
    value = options.get(option.name, option.default)
    return value if isinstance(value, tuple) else ()


def is_idle(options: Options) -> bool:
    """Whether neither probes nor samples are asked for, as by default."""
    return not (number(options, EVERY) or texts(options, MAILBOXES))
