"""The options of `central`, and what can be wrong with each."""

from __future__ import annotations

from postkeel.contract import Option
from postkeel.reporting.severities import FACILITIES, facility_fault, severities_fault

_FORMATS = ("rfc5424", "cee")
_LARGEST_ENTERPRISE = 4_294_967_295  # RFC 5424, section 7.2.2, leaves it to IANA: 32 bits so far
_LONGEST_HOST = 255
_LONGEST_DAY = 86_400


def _collectors_fault(urls: tuple[str, ...]) -> str:
    from postkeel_plugins.central.collectors import collectors_fault

    return collectors_fault(urls)


def _file_fault(path: str) -> str:
    absolute = path.startswith("/") and path.isprintable()
    return "" if absolute or not path else f"must be an absolute file name, not {path!r}"


def _host_fault(name: str) -> str:
    plain = name.isascii() and name.isprintable() and " " not in name
    if plain and len(name) <= _LONGEST_HOST:
        return ""
    return f"must be a name of at most {_LONGEST_HOST} ASCII characters without blanks"


def _enterprise_fault(number: int) -> str:
    return "" if number <= _LARGEST_ENTERPRISE else f"must be at most {_LARGEST_ENTERPRISE}"


def _format_fault(name: str) -> str:
    return "" if name in _FORMATS else f"must be one of {', '.join(_FORMATS)}, not {name!r}"


def _day_fault(seconds: int) -> str:
    return "" if seconds <= _LONGEST_DAY else f"must be at most a day, {_LONGEST_DAY}"


OPTIONS = (
    Option(
        name="collectors",
        default=(),
        help='where reports go, the first that takes them: "relp+tls://log1.example.org:2514",'
        ' "tls://...", "relp://...", "tcp://...", "udp://...", "unix:///dev/log"',
        fault=_collectors_fault,
    ),
    Option(
        name="ca",
        default="",
        help="PEM file of who signs the collectors' certificates; empty: whom the system trusts",
        fault=_file_fault,
    ),
    Option(
        name="certificate",
        default="",
        help="PEM file of a certificate of one's own, for collectors that ask for one",
        fault=_file_fault,
    ),
    Option(
        name="key",
        default="",
        help="PEM file of its key; empty: the key stands in the certificate's file",
        fault=_file_fault,
    ),
    Option(
        name="host",
        default="",
        help="the name of this host in messages; empty: the system's",
        fault=_host_fault,
    ),
    Option(
        name="enterprise",
        default=32473,
        help="private enterprise number in the name of the element",
        least=1,
        fault=_enterprise_fault,
    ),
    Option(
        name="facility",
        default="mail",
        help="where syslog files the messages: " + ", ".join(FACILITIES),
        fault=facility_fault,
    ),
    Option(
        name="severities",
        default=(),
        help='other severities of outcomes and events, such as "fixed=info"',
        fault=severities_fault,
    ),
    Option(
        name="format",
        default="rfc5424",
        help="rfc5424: fields as structured data; cee: as @cee: JSON behind the header",
        fault=_format_fault,
    ),
    Option(
        name="window_seconds",
        default=60,
        help="how long a report by tls:// or tcp:// is kept for sending it again",
        least=1,
        fault=_day_fault,
    ),
    Option(
        name="spool_reports",
        default=20_000,
        help="how many reports wait at most while no collector can be had",
        least=100,
    ),
    Option(
        name="fold_seconds",
        default=600,
        help="how long repeats of a report are counted instead of sent; 0: never",
        least=0,
        fault=_day_fault,
    ),
    Option(
        name="reports_per_minute",
        default=600,
        help="how many reports a minute are sent one by one; 0: any number",
        least=0,
    ),
)
