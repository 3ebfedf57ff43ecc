"""Texts whose characters know where they were written, templates filled, words split.

A placeholder or a shell variable becomes one mark, a character of Unicode's private use area: it
goes through YAML and through the splitting of words like a letter, and comes out as a placeholder.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from ..diagnostics import Diagnostic, Source, Span, show

MARKS: Final = range(0xE000, 0xF900)
BLANK: Final = " \t\r\n"
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_OPERATORS: Final = ";&|<>()`"


class LegacyError(ValueError):
    """What stops an import; the diagnostic says where."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Text(NamedTuple):
    """Characters, and the offset in their source that each comes from; one more for the end."""

    chars: str
    at: tuple[int, ...]
    source: Source

    @classmethod
    def whole(cls, source: Source) -> Text:
        """All of a source."""
        return cls(source.text, tuple(range(len(source.text) + 1)), source)

    def part(self, start: int, end: int) -> Text:
        """The characters [start, end)."""
        return Text(self.chars[start:end], self.at[start : end + 1], self.source)

    def span(self, start: int = 0, end: int | None = None) -> Span:
        """Where the characters [start, end) were written."""
        last = len(self.chars) if end is None else min(end, len(self.chars))
        start = min(start, last)
        starts = _line_starts(self.source.text)
        line, column = _place(starts, self.at[start])
        end_line, end_column = _place(starts, max(self.at[last], self.at[start]))
        return Span(self.source, line, column, end_line, end_column)

    def inner(self, value: str, start: int, end: int) -> Text:
        """A value that is written in [start, end), with its places as far as they can be told."""
        raw = self.chars[start:end]
        for skip in (0, 1):
            if raw[skip : len(raw) - skip] == value:
                return self.part(start + skip, end - skip)
        return Text(value, (self.at[start],) * (len(value) + 1), self.source)


class Word(NamedTuple):
    """A word, and the characters [start, end) that it is written with, quotes and all."""

    text: Text
    start: int
    end: int


def is_mark(character: str) -> bool:
    """Whether a character stands for a placeholder."""
    return ord(character) in MARKS


def has_marks(text: str) -> bool:
    """Whether a text holds placeholders."""
    return not text.isascii() and any(map(is_mark, text))


def fill(text: Text, value: Callable[[str, str, Span], str]) -> Text:
    """A text with its ``{key}`` filled as ``str.format`` does: ``value(key, format, place)``.

    Raises LegacyError for braces without partner, positions, attributes, indices and conversions.
    """
    chars: list[str] = []
    at: list[int] = []
    end = 0
    for token in _TOKEN.finditer(text.chars):
        chars += text.chars[end : token.start()]
        at += text.at[end : token.start()]
        end = token.end()
        span = text.span(*token.span())
        filled = token.group()[0]
        if token.group() not in ("{{", "}}"):
            filled = value(*_field(token, span), span)
        chars += filled
        at += [text.at[token.start()]] * len(filled)
    chars += text.chars[end:]
    at += text.at[end:]
    return Text("".join(chars), tuple(at), text.source)


def split(text: Text, variable: Callable[[str], str] | None = None) -> list[Word]:
    """The words of a text, as ``shlex.split`` has them; raises LegacyError.

    With ``variable`` as a shell does: ``$NAME`` and ``${NAME}`` are replaced by what it returns,
    ``#`` starts a comment, and what a shell would do beyond that is refused.
    """
    splitter = _Splitter(text, variable)
    return splitter.words()


def stop(code: str, message: str, span: Span | None, help: str | None = None) -> LegacyError:
    """The error that stops an import at a place."""
    return LegacyError(Diagnostic(code, message, span, help))


def join_texts(texts: Iterable[Text], source: Source) -> Text:
    """Texts one after the other."""
    parts = list(texts)
    at = tuple(place for part in parts for place in part.at[:-1])
    end = parts[-1].at[-1:] if parts else (0,)
    return Text("".join(part.chars for part in parts), at + end, source)


class _Splitter:
    """Walks over a text once, and gathers its words."""

    def __init__(self, text: Text, variable: Callable[[str], str] | None) -> None:
        self.text = text
        self.chars = text.chars
        self.variable = variable
        self.position = 0

    def words(self) -> list[Word]:
        """All words."""
        found = []
        while self.position < len(self.chars):
            character = self.chars[self.position]
            if self.variable and character == "#":
                self.position = (self.chars + "\n").find("\n", self.position)
            elif character in BLANK or self.joins_lines():
                self.position += 1
            else:
                found.append(self.word())
        return found

    def joins_lines(self) -> bool:
        """Whether a backslash before a line break is here, which a shell leaves out."""
        joins = bool(self.variable) and self.chars.startswith("\\\n", self.position)
        self.position += joins
        return joins

    def word(self) -> Word:
        """The word that starts here."""
        start = self.position
        pieces: list[Text] = []
        while self.position < len(self.chars) and self.chars[self.position] not in BLANK:
            pieces.append(self.piece())
        text = join_texts(pieces, self.text.source)
        if not text.chars:
            text = Text("", self.text.at[start : start + 1], self.text.source)
        return Word(text, start, self.position)

    def piece(self) -> Text:
        """The next quoted part or character of a word."""
        character = self.chars[self.position]
        if character in "'\"":
            return self.quoted(character)
        if character == "\\":
            return self.escaped()
        if self.variable and character in _OPERATORS:
            message = f'"{character}" is the shell\'s, and is not imported'
            span = self.text.span(self.position, self.position + 1)
            raise stop("legacy-words", message, span, "quote it, or write one command alone")
        return self.plain()

    def plain(self) -> Text:
        """A character, or a variable of the shell."""
        start = self.position
        self.position += 1
        if not self.variable or self.chars[start] != "$":
            return self.text.part(start, start + 1)
        found = _VARIABLE.match(self.chars, start)
        if found is None:
            if self.chars[start + 1 : start + 2] in ("(", "{"):
                message = "what a shell computes is not executed"
                span = self.text.span(start, start + 2)
                raise stop("legacy-words", message, span, "write the value")
            return self.text.part(start, start + 1)
        self.position = found.end()
        value = self.variable(found[1] or found[2])
        return Text(value, (self.text.at[start],) * (len(value) + 1), self.text.source)

    def escaped(self) -> Text:
        """The character after a backslash."""
        start = self.position
        self.position += 2
        if start + 1 >= len(self.chars):
            span = self.text.span(start, start + 1)
            raise stop("legacy-words", "nothing follows this backslash", span)
        if self.variable and self.chars[start + 1] == "\n":
            return self.text.part(start, start)
        return self.text.part(start + 1, start + 2)

    def quoted(self, quote: str) -> Text:
        """What is between two quotes."""
        start = self.position
        self.position += 1
        pieces: list[Text] = []
        while self.chars[self.position : self.position + 1] != quote:
            if self.position >= len(self.chars):
                span = self.text.span(start, start + 1)
                raise stop("legacy-words", "this quote is never closed", span)
            pieces.append(self.inside(quote))
        self.position += 1
        return join_texts(pieces, self.text.source)

    def inside(self, quote: str) -> Text:
        """The next character between quotes."""
        escapes = '"\\$`' if self.variable else '"\\'
        following = self.chars[self.position + 1 : self.position + 2]
        if quote == '"' and self.chars[self.position] == "\\" and following:
            if self.variable and following == "\n":
                self.position += 2
                return self.text.part(self.position, self.position)
            self.position += following in escapes
        elif quote == '"' and self.variable:
            if self.chars[self.position] == "`":
                span = self.text.span(self.position, self.position + 1)
                raise stop("legacy-words", "what a shell computes is not executed", span)
            return self.plain()
        self.position += 1
        return self.text.part(self.position - 1, self.position)


def _field(token: re.Match[str], span: Span) -> tuple[str, str]:
    """The key and the format of a placeholder."""
    if token[1] is None:
        help = f'write "{token.group() * 2}" for the character itself'
        message = f'a "{token.group()}" without its partner'
        raise stop("legacy-template", message, span, help)
    head, _, spec = token[1].partition(":")
    key, conversion, _ = head.partition("!")
    if not key or key.isdigit():
        message = f"{{{token[1]}}}: placeholders go by name, not by position"
    elif "." in key or "[" in key or conversion:
        message = f"{show(token.group())}: attributes, indices and conversions are not imported"
    else:
        return key, spec
    raise stop("legacy-template", message, span, "write {{ and }} for the characters themselves")


@lru_cache(maxsize=4)
def _line_starts(text: str) -> tuple[int, ...]:
    """Where the lines of a text start; texts keep their hash, so that this is found fast."""
    return (0, *(found.end() for found in re.finditer("\n", text)))


def _place(starts: tuple[int, ...], offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a character of a text."""
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1
