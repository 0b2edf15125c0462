"""The options of `certificate_watcher`, and what can be wrong with each."""

from __future__ import annotations

from typing import Final

from postkeel.contract import Option, Options


def _limit_fault(text: str) -> str:
    from postkeel_plugins.certificate_watcher.thresholds import limit_fault

    return limit_fault(text)


def _thresholds_fault(entries: tuple[str, ...]) -> str:
    from postkeel_plugins.certificate_watcher.thresholds import thresholds_fault

    return thresholds_fault(entries)


INTERVAL: Final = Option(
    name="check_interval",
    default=900,
    least=1,
    help="seconds between full checks, which catch a change that no file event told of",
)
SPLAY: Final = Option(
    name="check_splay",
    default=120,
    least=0,
    help="up to so many seconds more, drawn anew each time, so that a fleet does not act at once",
)
SETTLE: Final = Option(
    name="settle_seconds",
    default=10,
    least=0,
    help="seconds after the last write in which a certificate that is not right counts as half"
    " renewed, and nothing is said or reloaded",
)
WARNING: Final = Option(
    name="warning",
    default="20% 1d",
    help="warn when so much of a certificate's lifetime is left, or less than the time after it"
    " (which counts as at most half of the lifetime)",
    fault=_limit_fault,
)
ERROR: Final = Option(
    name="error",
    default="10% 12h",
    help="the same for an error",
    fault=_limit_fault,
)
THRESHOLDS: Final = Option(
    name="thresholds",
    default=(),
    help='limits of single certificates, by file or by a name in them: "/etc/ssl/mx.pem: 30% 5d,'
    ' 15% 2d" (warning, error)',
    fault=_thresholds_fault,
)
OPTIONS: Final = (INTERVAL, SPLAY, SETTLE, WARNING, ERROR, THRESHOLDS)


def seconds(options: Options, option: Option) -> float:
    """A number among the options; the default where it is missing."""
    value = options.get(option.name, option.default)
    return float(value) if isinstance(value, (int, float)) else float(str(option.default))


def text(options: Options, option: Option) -> str:
    return str(options.get(option.name, option.default))


def texts(options: Options, option: Option) -> tuple[str, ...]:
    value = options.get(option.name, option.default)
    return value if isinstance(value, tuple) else ()
