"""Tab completion: a request of a shell's completion function in, the candidates out.

The functions are argcomplete's, and so is their protocol: the line comes in ``COMP_LINE``, the
cursor in ``COMP_POINT``, and the answer goes to descriptor 8, separated by ``_ARGCOMPLETE_IFS``.
argcomplete itself, argparse and yaml would take longer to import than a user waits for TAB.
"""

from __future__ import annotations

import os

from .completion.candidates import complete_words
from .completion.words import Line, read_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .completion.paths import Found

PROGRAM = "hcrc"
ANSWER = 8
SEPARATOR = "\v"
IN_DOUBLE_QUOTES = '"`$!'
BARE = IN_DOUBLE_QUOTES + "();<>|&*?[]{} \t\n'"


def answer(environment: Mapping[str, str]) -> None:
    """Answer the request that is in the environment of a completion function."""
    shell = environment.get("_ARGCOMPLETE_SHELL", "bash")
    text = environment.get("COMP_LINE", "")
    point = environment.get("COMP_POINT", "")
    breaks = environment.get("_ARGCOMPLETE_COMP_WORDBREAKS", "")
    line = read_line(text[: int(point)] if point.isdecimal() else text, breaks, shell)
    found = [] if line.redirected else complete_words(_arguments(line.words), line.current)
    shown = dict(found)
    words = [_show(word, help, line, shell) for word, help in shown.items()]
    separator = environment.get("_ARGCOMPLETE_IFS", SEPARATOR)
    _send(separator.join(words), environment.get("_ARGCOMPLETE_STDOUT_FILENAME"))


def complete(text: str) -> Found:
    """What the last word of a line may become."""
    line = read_line(text, "")
    return complete_words(_arguments(line.words), line.current)


def _arguments(words: list[str]) -> list[str]:
    """The words behind the program, which assignments and the like may stand before."""
    for number, word in enumerate(words):
        if os.path.basename(word) == PROGRAM:
            return words[number + 1 :]
    return words[1:]


def _show(word: str, help: str, line: Line, shell: str) -> str:
    """A candidate as the shell takes it: what it replaces, escaped, with its description."""
    if shell == "fish":
        return f"{word}\t{help}"
    if shell == "zsh":
        escaped = word.replace("\\", "\\\\").replace(":", "\\:")
        return f"{escaped}:{help}"
    word = word[line.start :]
    if line.quote == "'":
        return word.replace("'", "'\\''")
    special = IN_DOUBLE_QUOTES if line.quote else BARE
    return "".join(f"\\{each}" if each in special + "\\" else each for each in word)


def _send(text: str, path: str | None) -> None:
    data = text.encode("utf-8", "surrogateescape")
    if path:
        with open(path, "wb") as file:
            file.write(data)
    else:
        os.write(ANSWER, data)
