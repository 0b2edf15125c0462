"""A Received line taken apart into clauses, comments and date (RFC 5321, section 4.4).

Servers write what a stranger said of himself (HELO) first, behind "from", and their own words
after it. So of several "by" the last one counts, and all that stands between "from" and it is
what was said of the client, be it "by", "with" or "id".
"""

from __future__ import annotations

import re
from typing import Final

from postkeel.headers.parts import Clause, Parts

# Nothing here is tried twice: what cannot be closed is an ordinary character from there on, and
# each attempt ends where the next one could begin. So the time is linear whatever is read.
_WORD: Final = re.compile(
    r"""\s*+((?:
      [^\s()<\["\\;]++                                    # plain
    | "(?:[^"\\]++|\\.)*+"                                # quoted
    | <(?:[^\s()<>"\\]++|"(?:[^"\\]++|\\.)*+")*+>         # a path, its local part quoted or not
    | \[[^\s()\[\]\\]*+\]                                 # an address literal
    | \\[^\s]                                             # a quoted pair
    | [)<\["\\]                                           # left open, or ends nothing
    )*+)\s*+""",
    re.VERBOSE | re.DOTALL,
)
_IN_COMMENT: Final = re.compile(r"[()]|\\.", re.DOTALL)

_ENVELOPE: Final = re.compile(
    r'\(envelope-(?:from|sender)\s++<?"(?:[^"\\]++|\\.)*+"', re.IGNORECASE | re.DOTALL
)
"""A sender's address in a comment. Its local part may hold parentheses, which are a stranger's
and do not end the comment. In no other comment has a quotation mark a meaning."""

_NAMES: Final = frozenset(("by", "via", "with", "id", "for", "tls", "group"))


def parts_of(value: str) -> Parts:
    """The parts of an unfolded line. Total; in linear time."""
    tokens = words_of(value)
    date = ""
    if ";" in tokens:
        last = len(tokens) - 1 - tokens[::-1].index(";")
        date = " ".join(tokens[last + 1 :])
        tokens = [one for one in tokens[:last] if one != ";"]
    words = [one.lower() for one in tokens]
    clauses: dict[str, Clause] = {}
    # The first clause is of no name: what stands ahead of all.
    name, begins = "", 0
    start = first = next((at for at, one in enumerate(tokens) if one[0] != "("), len(tokens))
    if words[first : first + 1] == ["from"]:
        clauses[name] = _clause(tokens[:first])
        name, begins = "from", first + 1
        start = _last_by(words, begins)
    for place in range(start, len(words)):
        word = words[place]
        if word in _NAMES and word not in clauses:
            clauses[name] = _clause(tokens[begins:place])
            clauses[word] = _EMPTY  # the second of a name is a word of the first
            name, begins = word, place + 1
    clauses[name] = _clause(tokens[begins:])
    before = clauses.pop("")
    return Parts(clauses=clauses, before=before.comments, date=date)


_EMPTY: Final = Clause(value="")


def _last_by(words: list[str], start: int) -> int:
    """Its place; `start` without any."""
    for at in range(len(words) - 1, start, -1):
        if words[at] == "by":
            return at
    return start


def _clause(tokens: list[str]) -> Clause:
    if len(tokens) == 1 and tokens[0][0] != "(":  # most are one word
        return Clause(value=tokens[0])
    words = [one for one in tokens if one[0] != "("]
    return Clause(value=" ".join(words), comments=_comments(tokens))


def _comments(tokens: list[str]) -> tuple[str, ...]:
    return tuple(one[1:-1].strip() for one in tokens if one[0] == "(")


def words_of(value: str) -> list[str]:
    """Words, semicolons, and comments with their parentheses. Total; in linear time.

    Quoted strings, <paths> and [literals] are parts of words, with what they hold.
    """
    words: list[str] = []
    at = 0
    while (found := _WORD.match(value, at)) and (found[1] or found.end() < len(value)):
        if found[1]:
            words.append(found[1])
        at = found.end()
        if value.startswith("(", at):
            end = _end_of_comment(value, at)
            words.append(f"({value[at + 1 : end]})")
            at = end + 1
        elif value.startswith(";", at):
            words.append(";")
            at += 1
    return words


def first_word(text: str) -> str:
    """Of a clause's value; a quoted string may hold blanks."""
    word = text.partition(" ")[0]
    if '"' not in word:
        return word
    return next(one[1] for one in _WORD.finditer(text))


def _end_of_comment(value: str, start: int) -> int:
    """Where the parenthesis is that closes the one at `start`, or the end of the line."""
    envelope = _ENVELOPE.match(value, start)
    depth = 1
    for found in _IN_COMMENT.finditer(value, envelope.end() if envelope else start + 1):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
            if not depth:
                return found.start()
    return len(value)
