"""The one exception tree, and located problems."""

from __future__ import annotations

from postkeel.core.frozen import frozen


@frozen
class Problem:
    """What is wrong with a file that an administrator wrote; line 0 is the file itself."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


class PostkeelError(Exception):
    """An error whose text an administrator can act on: one line, no traceback."""


class ConfigurationError(PostkeelError):
    """postkeel's own configuration, a profile or a waiver is wrong."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(one) for one in problems))
        self.problems = problems


class PostfixError(PostkeelError):
    """Postfix, or what it was told, does not let postkeel do its work."""


class EditError(PostfixError):
    """A change cannot be made to the file as it is."""
