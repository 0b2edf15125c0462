"""What a correction changed, for people."""

from __future__ import annotations

from postkeel.postfix.editing import Texts


def unified(before: Texts, after: Texts, *, context: int = 3) -> str:
    """The change to both files as a unified diff."""
    import difflib

    parts = []
    for name, old, new in (
        ("main.cf", before.main_cf, after.main_cf),
        ("master.cf", before.master_cf, after.master_cf),
    ):
        lines = difflib.unified_diff(
            _lines(old),
            _lines(new),
            f"a/{name}",
            f"b/{name}",
            n=context,
        )
        parts += [
            one if one.endswith("\n") else one + "\n\\ No newline at end of file\n" for one in lines
        ]
    return "".join(parts)


def _lines(text: str) -> list[str]:
    """The lines as Postfix counts them: nothing but a line feed ends one."""
    *lines, rest = text.split("\n")
    return [f"{one}\n" for one in lines] + ([rest] if rest else [])
