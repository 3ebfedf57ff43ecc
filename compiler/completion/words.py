"""A command line up to the cursor in, its words out, with the one that is being typed."""

from __future__ import annotations

OPERATORS = ";|&()\n"
REDIRECTIONS = "<>"


class Line:
    """Words that are complete, of the last command on the line, and the ``current`` one.

    ``quote`` is the quote that is open in it, ``start`` where in it bash begins to replace:
    behind the open quote or the last of bash's own word breaks.
    """

    def __init__(self) -> None:
        self.words: list[str] = []
        self.current = ""
        self.quote = ""
        self.start = 0
        self.redirected = False
        self._begun = False
        self._before = 0

    def add(self, text: str) -> None:
        """Add characters to the current word."""
        self.current += text
        self._begun = True

    def open(self, quote: str) -> None:
        """Open a quote."""
        self.quote, self._before, self.start = quote, self.start, len(self.current)
        self._begun = True

    def close(self) -> None:
        """Close the quote."""
        self.quote, self.start = "", self._before

    def end_word(self) -> None:
        """End the current word, if one has begun."""
        if not self._begun:
            return
        if not self.redirected:
            self.words.append(self.current)
        self.current, self.start, self._begun, self.redirected = "", 0, False, False

    def end_command(self) -> None:
        """Forget the command: another one begins."""
        self.end_word()
        self.words, self.redirected = [], False


def read_line(text: str, breaks: str, shell: str = "bash") -> Line:
    """Split a line as a shell does; ``breaks`` are the characters that bash breaks words at.

    zsh hides the quote that is open: there, an open brace goes on to the end.
    """
    line, at = Line(), 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == line.quote:
            line.close()
        elif line.quote == "'":
            line.add(character)
        elif character == "\\":
            kept = line.quote and text[at : at + 1] not in '"\\$`'
            line.add(("\\" if kept else "") + text[at : at + 1])
            at += 1
        elif line.quote:
            line.add(character)
        elif character in "'\"":
            line.open(character)
        else:
            _read_bare(line, character, breaks, shell == "zsh")
    return line


def _read_bare(line: Line, character: str, breaks: str, braces: bool) -> None:
    """Read a character that stands outside of quotes."""
    if braces and line.current[:1] == "{" and "}" not in line.current:
        line.add(character)
    elif character in " \t":
        line.end_word()
    elif character in OPERATORS:
        line.end_command()
    elif character in REDIRECTIONS:
        line.end_word()
        line.redirected = True
    else:
        line.add(character)
        if character in breaks:
            line.start = len(line.current)
