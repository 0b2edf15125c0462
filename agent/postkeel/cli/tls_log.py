"""`postkeel tls-log`: what the mail really travelled over, and whom a profile would hurt."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from postkeel.cli.tls_log_sources import Source, of_files, of_history
from postkeel.cli.tls_log_summary import summarise
from postkeel.core.errors import PostkeelError

if TYPE_CHECKING:
    from postkeel.maillog.forecast import Forecast


def main(arguments: Namespace) -> int:
    if arguments.days is not None and arguments.days < 1:
        raise PostkeelError(f"--days {arguments.days}: takes a number of days, 1 or more")
    if arguments.older and not arguments.files:
        raise PostkeelError("--older goes with files: `postkeel tls-log --older /var/log/mail.log`")
    source = of_files(arguments) if arguments.files else of_history(arguments)
    forecast = None
    if arguments.forecast is not None:
        from postkeel.cli.tls_log_forecast import forecast_of

        forecast = forecast_of(arguments, source.statistics)
    _show(arguments, source, forecast)
    if source.complaint:
        sys.stdout.flush()
        raise PostkeelError(source.complaint)
    return 2 if forecast is not None and forecast.hurts else 0


def _show(arguments: Namespace, source: Source, forecast: Forecast | None) -> None:
    summary = summarise(source.statistics)
    if arguments.format == "json":
        from postkeel.cli.render import print_json
        from postkeel.cli.tls_log_json import document

        print_json(**document(summary, source, forecast))
    elif arguments.format == "html":
        from postkeel.cli.html_page import write
        from postkeel.cli.tls_log_html import page

        write(page(summary, source, forecast))
    else:
        from postkeel.cli.tls_log_text import lines

        for line in lines(arguments, summary, source, forecast):
            print(line)
