"""What a reference is made of: chapters of sections of entries, and the search through them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

GLOB: Final = frozenset("*?[")


@dataclass(frozen=True)
class Entry:
    """A key, an option or a definition: what it takes, and what it is for.

    ``default`` is YAML, or empty; ``needed`` says when a value has to be given, or is empty.
    """

    name: str
    type: str
    help: str
    default: str = ""
    needed: str = ""


@dataclass(frozen=True)
class Section:
    """Entries that belong together; ``label`` is what they are called: key, option or the like.

    ``usage`` and ``example`` are command lines.
    """

    title: str
    help: str
    entries: tuple[Entry, ...]
    label: str = "key"
    usage: str = ""
    example: str = ""


@dataclass(frozen=True)
class Chapter:
    """Sections under one heading."""

    title: str
    help: str
    sections: tuple[Section, ...]


def anchor(*titles: str) -> str:
    """The name of a place on a page, from the titles that lead to it."""
    return "-".join(re.sub(r"[^a-z0-9_.]+", "-", title.lower()).strip("-") for title in titles)


def search(chapters: Iterable[Chapter], pattern: str) -> list[Chapter]:
    """What of the chapters matches; a section whose title does is there whole.

    A pattern with ``*``, ``?`` or ``[`` is for names, whole or between dots. Any other is words,
    of which one stands in the name or the help, and each there or in the title above.
    Case does not matter.
    """
    found = []
    for chapter in chapters:
        sections = tuple(_search(chapter, pattern.lower()))
        if sections:
            found.append(Chapter(chapter.title, "", sections))
    return found


def names(chapters: Iterable[Chapter]) -> Iterator[str]:
    """The names of everything there is, for a suggestion."""
    for chapter in chapters:
        for section in chapter.sections:
            yield section.title
            for entry in section.entries:
                yield from (word.strip("-") for word in entry.name.split(", "))


def _search(chapter: Chapter, pattern: str) -> Iterator[Section]:
    """The sections of a chapter that match, each with the entries that do."""
    for section in chapter.sections:
        entries = tuple(
            entry
            for entry in section.entries
            if _matches(pattern, entry.name, entry.help, section.title)
        )
        if _matches(pattern, section.title, "", chapter.title):
            yield section
        elif entries or _matches(pattern, section.title, section.help, chapter.title):
            yield replace(section, entries=entries)


def _matches(pattern: str, name: str, help: str, title: str) -> bool:
    name, own = name.lower(), f"{name} {help}".lower()
    if GLOB & set(pattern):
        parts = [part.strip("-") for part in (name, *name.split(", "), *name.split("."))]
        return any(fnmatchcase(part, pattern) for part in parts)
    words, whole = pattern.split(), f"{own} {title}".lower()
    return any(word in own for word in words) and all(word in whole for word in words)
