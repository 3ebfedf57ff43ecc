"""Syntax errors of PyYAML in, diagnostics in the words of a user out, at the place to change."""

import collections
import re
from typing import Final

import yaml

from .diagnostics import Diagnostic, Note, Source, Span

_BARE_PLACEHOLDER: Final = re.compile(r"(?::|-)\s+\{\w+(?::[^{}]*)?\}[^\s,\]}#]")
# The code, what PyYAML says, whether the place is where its context begins, what we say and what
# helps.
_WORDING: Final[tuple[tuple[str, str, bool, str, str | None], ...]] = (
    ("missing-colon", r"could not find expected ':'", True, 'expected ":" after this key', None),
    (
        "unquoted-text",
        r"mapping values are not allowed",
        False,
        '":" cannot stand here',
        'quote a text that holds ": ", or check the indentation',
    ),
    (
        "indentation",
        r"sequence entries are not allowed",
        False,
        'a list entry "- " cannot stand here',
        "start the list on a line of its own, and check the indentation",
    ),
    ("tab", r"character '\\t' that cannot start", False, "a tab cannot indent", "use spaces"),
    (
        "unquoted-text",
        r"character '(.+)' that cannot start",
        False,
        r'a value cannot start with "\1" without quotes',
        "quote the value",
    ),
    ("unclosed", r"quoted scalar: found unexpected", True, "this quote is never closed", None),
    (
        "bad-escape",
        r"unknown escape character '(.+)'",
        False,
        r'"\\\1" is no escape of a double-quoted string',
        'use single quotes, or write "\\\\" for a backslash',
    ),
    (
        "unclosed",
        r"(?:mapping: expected ',' or '}'|expected ',' or '}'), but got '<stream end>'",
        True,
        '"{" is never closed',
        None,
    ),
    (
        "unclosed",
        r"expected ',' or '\]', but got '<stream end>'",
        True,
        '"[" is never closed',
        None,
    ),
    (
        "unquoted-text",
        r"expected ',' or '(.)', but got",
        False,
        r'expected "," or "\1"',
        "quote a text that holds brackets, braces or commas",
    ),
    (
        "indentation",
        r"block collection: expected <block end>",
        False,
        "this does not fit into the list that it stands in",
        'check the indentation; entries start with "- "',
    ),
    (
        "indentation",
        r"expected <block end>",
        False,
        "this does not fit into the mapping that it stands in",
        "check the indentation and the quotes",
    ),
    (
        "syntax",
        r"but found '<stream end>'",
        False,
        "the text ends where a value should stand",
        None,
    ),
    (
        "syntax",
        r"expected the node content, but found '(.+)'",
        False,
        r'expected a value, found "\1"',
        None,
    ),
    (
        "indentation",
        r"expected '<document start>'",
        False,
        "this does not belong to the value before it",
        "check the indentation and the quotes",
    ),
)


def explain_syntax_error(source: Source, error: Exception) -> Diagnostic:
    """Return an error that PyYAML raised on a source as a diagnostic."""
    error = _reword(source.text, error)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        message = f"this is not YAML: {error}".splitlines()[0]
        return Diagnostic("syntax", message, Span(source, 1, 1, 1, 1))
    code, message, advice, mark = _word(error, error.problem_mark)
    notes = _opening(source, error, mark)
    span = _span(source, mark)
    if _BARE_PLACEHOLDER.search(source.lines[span.line - 1]):
        code = "unquoted-placeholder"
        advice = 'a value that starts with a placeholder needs quotes: "{name}/…"'
    elif notes and message.startswith('expected "," or'):
        code, advice = "unclosed", "close the bracket, or quote a text that holds one"
    elif message == '":" cannot stand here':
        return _without_colon(source, span) or Diagnostic(code, message, span, advice)
    return Diagnostic(code, message, span, advice, notes)


def _without_colon(source: Source, span: Span) -> Diagnostic | None:
    """Return what to say if the line before is a key that lacks its colon, to YAML one text."""
    before = source.lines[span.line - 2] if span.line > 1 else ""
    key = re.fullmatch(r"(\s*)([\w.-]+)\s*", before)
    line = source.lines[span.line - 1]
    if key is None or len(line) - len(line.lstrip()) < len(key[1]):
        return None
    start = len(key[1]) + 1
    place = Span(source, span.line - 1, start, span.line - 1, start + len(key[2]))
    return Diagnostic("missing-colon", 'expected ":" after this key', place)


def _reword(text: str, error: Exception) -> Exception:
    """Return the error of PyYAML's own parser, so that every machine shows the same words."""
    try:
        collections.deque(yaml.parse(text, Loader=yaml.SafeLoader), maxlen=0)
    except yaml.MarkedYAMLError as own:
        return own
    except ValueError:
        return error
    return error


def _word(error: yaml.MarkedYAMLError, place: yaml.Mark) -> tuple[str, str, str | None, yaml.Mark]:
    """Return code, message, help and place of an error."""
    problem = error.problem or "this is not YAML"
    for code, pattern, opening, message, advice in _WORDING:
        match = re.search(pattern, f"{error.context}: {problem}", re.DOTALL)
        if match:
            return code, match.expand(message), advice, (opening and error.context_mark) or place
    return "syntax", problem, None, place


def _span(source: Source, mark: yaml.Mark) -> Span:
    line = min(mark.line + 1, len(source.lines))
    column = mark.column + 1
    return Span(source, line, column, line, column + 1)


def _opening(source: Source, error: yaml.MarkedYAMLError, place: yaml.Mark) -> tuple[Note, ...]:
    """Return where the mapping or list that an error lies in begins, when in another line."""
    mark = error.context_mark
    within = re.search(r"(mapping|sequence|collection)$", error.context or "")
    if within is None or mark is None or mark.line == place.line:
        return ()
    noun = "mapping" if within[1] == "mapping" else "list"
    return ((f"the {noun} begins here", _span(source, mark)),)
