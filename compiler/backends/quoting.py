"""Write texts such that they arrive as they are: in a submit description, in its job, in a shell.

A value of a submit description goes through HTCondor's macros first: ``$(DOLLAR)`` stands for a
dollar, and ``$$(DOLLARDOLLAR)``, which is filled when the job is matched, for two of them. What no
file of lines can hold is told by :func:`is_one_line`, and what no command by :func:`is_writable`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

EMPTY: Final = "$(HCRC_EMPTY:)"  # a macro without a value, by default an empty one
DOLLARS: Final = re.compile(r"\$\$?")
WRITTEN: Final = {"$": "$(DOLLAR)", "$$": "$$(DOLLARDOLLAR)"}
BREAKS: Final = re.compile(r"[\n\r\0]")
LITERAL: Final = re.compile(r"\$\(dollar\)", re.IGNORECASE)  # HTCondor fills it again and again


def is_one_line(text: str) -> bool:
    """Whether a text can be written into a file of lines."""
    return not BREAKS.search(text)


def is_writable(text: str) -> bool:
    """Whether a text can be the value of a submit command or of an attribute."""
    return not LITERAL.search(text)


def submit_value(text: str) -> str:
    """The value of a submit command; blanks at its ends, and a backslash, would be lost."""
    value = _without_macros(text)
    if value != value.strip():
        return f"{EMPTY}{value}{EMPTY}"
    return value + EMPTY if value.endswith("\\") else value


def classad_string(text: str) -> str:
    """The value of an attribute: in a job's ClassAd a backslash stands for itself."""
    quoted = text.replace('"', '\\"')
    return _without_macros(f'"{quoted}"')


def environment(variables: Mapping[str, str]) -> str:
    """The value of ``environment``, in the syntax with double quotes.

    A bracket after a dollar has quotes of its own, lest both be a macro when the dollar is there.
    """
    entries = [f"{name}={_single_quoted(text)}" for name, text in variables.items()]
    doubled = " ".join(entries).replace('"', '""')
    return _without_macros(f'"{doubled}"')


def shell_word(text: str) -> str:
    """One word of a shell."""
    quoted = text.replace("'", "'\\''")
    return text if re.fullmatch(r"[\w@%+:,./-]+", text, re.ASCII) else f"'{quoted}'"


def _single_quoted(text: str) -> str:
    doubled = text.replace("'", "''").replace("$(", "$'('")
    return f"'{doubled}'"


def _without_macros(text: str) -> str:
    return DOLLARS.sub(lambda found: WRITTEN[found[0]], text)
