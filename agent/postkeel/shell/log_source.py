"""Where lines of the mail log come from: the protocol of files and journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from postkeel.contract import LogBatch
from postkeel.shell.loop import Loop


class LogSource(Protocol):
    """Hands out whole lines once each, and knows where it is.

    `position` is of JSON's types and says where to go on after what was read. Whoever
    keeps it together with what the lines came to counts each line exactly once.
    """

    @property
    def name(self) -> str: ...

    @property
    def position(self) -> object: ...

    def read(self) -> LogBatch | None:
        """The next lines, about 256 KiB at most; None when there is nothing new.

        Errors: PostkeelError when the log cannot be read now. Later calls try again, and a
        source that is watched asks for them.
        """
        raise NotImplementedError

    def watch(self, loop: Loop, ready: Callable[[], object]) -> None:
        """Call `ready` in the loop's thread whenever there may be something new."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop watching and give back descriptors."""
        raise NotImplementedError
