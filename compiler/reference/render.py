"""Chapters in, a reference out: text for a terminal, Markdown, or one HTML page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Final

from .model import Chapter, Entry, Section, anchor

TITLE: Final = "hcrc reference"
INTRODUCTION: Final = (
    "Every command, task, key and setting. `hcrc help --all PATTERN` searches it,"
    " `hcrc help --file FILE` shows what a workflow declares."
)
PART: Final = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]|\S+")
SPECIAL: Final = re.compile(r"[\\|<*\[]|\b_|_\b")


def render_text(chapters: Iterable[Chapter], width: int) -> str:
    """The reference for a terminal that is ``width`` characters wide."""
    return "\n".join(line for chapter in chapters for line in _text(chapter, width))


def render_markdown(chapters: list[Chapter]) -> str:
    """The reference as Markdown: contents, then a table for each section."""
    lines = [f"# {TITLE}", "", INTRODUCTION, ""]
    for chapter in chapters:
        lines.append(f"- [{chapter.title}](#{_github(chapter.title)})")
        lines += [f"  - [{each.title}](#{_github(each.title)})" for each in chapter.sections]
    for chapter in chapters:
        lines += ["", f"## {chapter.title}", *_paragraph(_cell(chapter.help))]
        for section in chapter.sections:
            lines += ["", f"### {section.title}", *_markdown(section)]
    return "\n".join(lines) + "\n"


def render_html(chapters: list[Chapter]) -> str:
    """The reference as one HTML page that needs nothing else, neither files nor scripts."""
    import jinja2

    text = resources.files("hcrc.templates").joinpath("reference.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["anchor"] = anchor
    environment.filters |= {"parts": _parts, "sentence": _sentence}
    page = environment.from_string(text)
    return page.render(title=TITLE, introduction=INTRODUCTION, chapters=chapters) + "\n"


def _text(chapter: Chapter, width: int) -> Iterator[str]:
    yield from (chapter.title, "=" * len(chapter.title))
    yield from _wrap(chapter.help, width, "")
    yield ""
    for section in chapter.sections:
        yield from _wrap(": ".join(filter(None, [section.title, section.help])), width, "", "    ")
        for label, words in (("usage", section.usage), ("example", section.example)):
            yield from _wrap(f"{label}: {words}" if words else "", width, "    ", "        ")
        yield ""
        for entry in section.entries:
            yield from _wrap(_head(entry), width, "  ", "      ")
            yield from _wrap(entry.help, width, "      ")
        yield from [""] * bool(section.entries)


def _head(entry: Entry) -> str:
    """The name of an entry with what it takes."""
    default = f"default {entry.default}" if entry.default else ""
    facts = "; ".join(filter(None, [entry.type, default, entry.needed]))
    if entry.name.startswith("-"):
        return " ".join(filter(None, [entry.name, facts]))
    return f"{entry.name} ({facts})" if facts else entry.name


def _wrap(text: str, width: int, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _markdown(section: Section) -> Iterator[str]:
    yield from _paragraph(_cell(_sentence(section.help)))
    if section.usage:
        yield from ("", "```", section.usage)
        yield from ("", section.example) if section.example else ()
        yield "```"
    if section.entries:
        yield ""
        yield from _table(section)


def _table(section: Section) -> Iterator[str]:
    """The entries of a section as a table, without columns that are empty in all of them."""
    heads = (section.label, "kind" if section.label == "code" else "takes", "default", "meaning")
    rows = [_row(entry) for entry in section.entries]
    shown = [number for number in range(len(heads)) if any(row[number] for row in rows)]
    for row in (heads, ["---"] * len(heads), *rows):
        cells = (f"| {row[number]} " if row[number] else "| " for number in shown)
        yield f"{''.join(cells)}|"


def _row(entry: Entry) -> tuple[str, ...]:
    default = _code(entry.default) if entry.default else entry.needed
    return _code(entry.name), _cell(entry.type), default, _cell(entry.help)


def _code(text: str) -> str:
    """Text as code in a table; no text of a reference holds a backtick."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def _cell(text: str) -> str:
    """Text as Markdown takes it for itself."""
    return SPECIAL.sub(r"\\\g<0>", text)


def _paragraph(text: str) -> list[str]:
    return ["", text] if text else []


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""


def _parts(usage: str) -> list[str]:
    """The words of a usage, what stands in brackets in one piece."""
    return PART.findall(usage)


def _github(title: str) -> str:
    """The anchor that a heading gets where Markdown is shown."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
