"""`postkeel headers`: what a message travelled over, hop by hop, and whom to believe that."""

from __future__ import annotations

import functools
import gc
import io
import itertools
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from postkeel.cli.opening import finish
from postkeel.core.errors import PostkeelError

if TYPE_CHECKING:
    from postkeel.cli.headers_summary import Complaints, Seen
    from postkeel.headers.values import Own


def main(arguments: Namespace) -> int:
    if arguments.probe:
        return _probe(arguments)
    if not arguments.files:
        if arguments.own:
            raise PostkeelError("--own goes with files: what was counted was judged by own_hosts")
        from postkeel.cli import headers_records

        return headers_records.main(arguments)
    return _of_files(arguments)


def _probe(arguments: Namespace) -> int:
    if arguments.files or arguments.own:
        raise PostkeelError(
            "--probe reads the message that it sends: it goes without FILE and --own"
        )
    from postkeel.cli import headers_probe

    return headers_probe.main(arguments)


def _of_files(arguments: Namespace) -> int:
    from postkeel.cli.headers_own import own_of_host
    from postkeel.cli.headers_summary import Complaints, Summary

    gc.enable()  # of many messages there is garbage worth collecting
    own = own_of_host(arguments)
    summary, complaints = Summary(), Complaints()
    reading = _read(arguments, own, complaints)
    first = list(itertools.islice(reading, 1))
    if not first and complaints.text():
        raise PostkeelError(complaints.text())
    seen = summary.counted(itertools.chain(first, reading))
    if arguments.format == "json":
        from postkeel.cli.headers_json import write

        write(seen, summary, own)
    else:
        from postkeel.cli.headers_text import lines

        for line in lines(arguments, seen, summary, own):
            print(line)
    return finish(complaints.text(), 2 if summary.faulty else 0)


def _read(arguments: Namespace, own: Own, complaints: Complaints) -> Iterator[Seen]:
    """Each message as it is read; what cannot be read is a complaint."""
    from postkeel.cli.headers_summary import Seen
    from postkeel.cli.progress import MessageProgress
    from postkeel.headers.way import read_way
    from postkeel.shell.mail_files import read_messages, work_in

    paths = tuple(dict.fromkeys(arguments.files))
    with MessageProgress(len(paths), _free_terminal(arguments)) as progress:
        for path in paths:
            messages = read_messages(path, complaints.add, progress.read)
            for one in progress.through(messages, functools.partial(work_in, path)):
                yield Seen(stored=one, way=read_way(one.header, own))


def _free_terminal(arguments: Namespace) -> TextIO:
    """Where progress can be shown: not on a terminal that each message is shown on."""
    shown = arguments.verbose or arguments.format == "json"
    return io.StringIO() if shown and sys.stdout.isatty() else sys.stderr
