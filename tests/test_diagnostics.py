"""Rendering, sorting and suggestions, as whole texts."""

import json
from pathlib import Path

import pytest
from hcrc.compiler.diagnostics import (
    Diagnostic,
    Source,
    Span,
    errors_of,
    nearest,
    render_github,
    render_json,
    render_text,
    show,
    show_path,
    sort_diagnostics,
    suggest,
    summarize,
)


def span_of(text: str, part: str, name: str = "w.yml") -> Span:
    """Return the place of a one-line part of a text."""
    source = Source(name, text)
    for number, line in enumerate(source.lines, 1):
        if part in line:
            column = line.index(part) + 1
            return Span(source, number, column, number, column + len(part))
    raise AssertionError(part)


def test_text_has_the_layout_of_the_design() -> None:
    text = "\n" * 16 + "        kflods: 3\n"
    found = Diagnostic(
        "unknown-key",
        'unknown key "kflods" in a train task',
        span_of(text, "kflods", "workflows/svb.yml"),
        'did you mean "kfolds"?',
    )
    assert render_text([found]) == (
        'workflows/svb.yml:17:9: error[unknown-key]: unknown key "kflods" in a train task\n'
        "   |\n"
        "17 |         kflods: 3\n"
        "   |         ^^^^^^\n"
        '   = help: did you mean "kfolds"?\n'
    )


def test_notes_name_their_line_and_two_errors_are_apart() -> None:
    span = span_of("a: 1\nb: 2\n", "2")
    notes = (("in expansion of {offset} = 4", span_of("a: 1\n", "a", "svb.yml")), ("bare", None))
    found = [
        Diagnostic("bad-value", "no", span, None, notes),
        Diagnostic("task-cycle", "round", None),
    ]
    assert render_text(found) == (
        "w.yml:2:4: error[bad-value]: no\n"
        "  |\n"
        "2 | b: 2\n"
        "  |    ^\n"
        "  = note: in expansion of {offset} = 4 (svb.yml:1)\n"
        "  = note: bare\n"
        "\n"
        "hcrc: error[task-cycle]: round\n"
    )


def test_nothing_renders_as_nothing() -> None:
    assert render_text([]) == ""
    assert render_github([]) == ""
    assert render_json([]) == "[]\n"


def excerpt(text: str, part: str) -> list[str]:
    return render_text([Diagnostic("syntax", "m", span_of(text, part))]).splitlines()[2:]


def test_caret_stands_below_text_behind_tabs() -> None:
    assert excerpt("a:\t\tb", "b") == ["1 | a:        b", "  |           ^"]


def test_caret_stands_below_text_behind_wide_and_combining_characters() -> None:
    assert excerpt("日本: x", "x") == ["1 | 日本: x", "  |       ^"]
    assert excerpt("a: 日本", "日本") == ["1 | a: 日本", "  |    ^^^^"]
    assert excerpt("e\u0301: x", "x") == ["1 | e\u0301: x", "  |    ^"]


@pytest.mark.parametrize("lead", [0, 10, 90, 99, 100, 150, 500])
@pytest.mark.parametrize("trail", [0, 50, 500])
@pytest.mark.parametrize("filler", ["x", "日"])
def test_long_line_is_cut_around_the_caret(lead: int, trail: int, filler: str) -> None:
    line, caret = excerpt(filler * lead + "HERE" + filler * trail, "HERE")
    assert len(line) <= 100 + len("1 | ……")
    width = 1 if filler == "x" else 2
    before = line[: line.index("HERE")]
    assert len(before) + (width - 1) * before.count(filler) == caret.index("^")
    assert caret.count("^") == 4


def test_span_over_lines_underlines_its_first() -> None:
    source = Source("w.yml", "a: [1,\n  2]\n")
    text = render_text([Diagnostic("syntax", "m", Span(source, 1, 4, 2, 5))])
    assert text.splitlines()[2:] == ["1 | a: [1,", "  |    ^^^"]


def test_span_behind_the_end_still_has_a_caret() -> None:
    source = Source("w.yml", "a:\n")
    text = render_text([Diagnostic("syntax", "m", Span(source, 2, 1, 2, 1))])
    assert text == "w.yml:2:1: error[syntax]: m\n  |\n2 |\n  | ^\n"


def test_no_control_character_reaches_the_terminal() -> None:
    source = Source("w\n.yml", "a\x1b[31m \u202e\ud800")
    found = Diagnostic("syntax", "m\x1b\n\ud800", Span(source, 1, 1, 1, 2))
    assert render_text([found]) == (
        "w\\n.yml:1:1: error[syntax]: m\\x1b\\n\\ud800\n  |\n1 | a\ufffd[31m \ufffd\ufffd\n  | ^\n"
    )


def test_color_paints_and_changes_nothing_else() -> None:
    found = [Diagnostic("syntax", "m", span_of("a", "a"), "h")]
    painted = render_text(found, color=True)
    assert "\x1b[1;31merror[syntax]\x1b[0m" in painted
    for style in ("\x1b[1;31m", "\x1b[1;34m", "\x1b[0m"):
        painted = painted.replace(style, "")
    assert painted == render_text(found)


def test_json_says_everything() -> None:
    span = span_of("a: 1", "1")
    found = Diagnostic("bad-value", "m", span, "h", (("n", None), ("o", span)))
    place = {"file": "w.yml", "line": 1, "column": 4, "end_line": 1, "end_column": 5}
    assert json.loads(render_json([found, Diagnostic("task-cycle", "c")])) == [
        {
            "severity": "error",
            "code": "bad-value",
            "message": "m",
            "place": place,
            "help": "h",
            "notes": [{"message": "n", "place": None}, {"message": "o", "place": place}],
        },
        {
            "severity": "error",
            "code": "task-cycle",
            "message": "c",
            "place": None,
            "help": None,
            "notes": [],
        },
    ]


def test_github_commands_are_escaped() -> None:
    span = span_of("a", "a", "d,r:y%.yml")
    found = Diagnostic("bad-value", "50% a: b,\nc", span, "h", (("n", span),))
    assert render_github([found, Diagnostic("task-cycle", "c")]) == (
        "::error file=d%2Cr%3Ay%25.yml,line=1,col=1,title=bad-value"
        "::50%25 a: b, c%0Anote: n (d,r:y%25.yml:1)%0Ahelp: h\n"
        "::error title=task-cycle::c\n"
    )


def test_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match=r"^no such diagnostic code: typo$"):
        Diagnostic("typo", "m")


def test_sorted_by_file_line_and_column_without_duplicates() -> None:
    main, other = "a b\nc", "x y"
    found = [
        Diagnostic("syntax", "5", span_of(other, "y", "z.yml")),
        Diagnostic("syntax", "4", span_of(other, "x", "z.yml")),
        Diagnostic("syntax", "6", span_of(other, "x", "b.yml")),
        Diagnostic("syntax", "3", span_of(main, "c")),
        Diagnostic("syntax", "2", span_of(main, "b")),
        Diagnostic("syntax", "2", span_of(main, "b")),
        Diagnostic("syntax", "1", None),
        Diagnostic("syntax", "2 too", span_of(main, "b")),
    ]
    messages = [each.message for each in sort_diagnostics(found, ["w.yml"])]
    assert messages == ["1", "2", "2 too", "3", "4", "5", "6"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("kflods", "kfolds"),
        ("KFOLDS", "kfolds"),
        ("learning-rate", "learning_rate"),
        ("tga", "tag"),
        ("zzz", None),
        ("t", None),
        ("", None),
    ],
)
def test_nearest(word: str, expected: str | None) -> None:
    assert nearest(word, ["kfolds", "learning_rate", "tag"]) == expected


def test_suggest() -> None:
    assert suggest("tga", ["tag", "x"]) == 'did you mean "tag"?'
    assert suggest("zzz", ["b", "a", "b"]) == "allowed: a, b"
    assert suggest("zzz", []) is None
    assert suggest("zzz", ["a", "b", "c"], limit=2) == "allowed: a, b, … (1 more)"


def test_show() -> None:
    assert show('a"b\n') == '"a\\"b\\n"'
    assert show("x" * 100, limit=10) == '"xxxxxxxx…"'
    assert show([1] * 100, limit=10) == "[1, 1, 1,…]"
    assert show(10**30, limit=10) == "100000000…"


def test_paths_are_shown_relative_below_the_current_folder() -> None:
    assert show_path(Path("/a/b/c.yml"), Path("/a")) == "b/c.yml"
    assert show_path(Path("b/c.yml"), Path("/a")) == "b/c.yml"
    assert show_path(Path("/x/c.yml"), Path("/a")) == "/x/c.yml"


UNUSED = Diagnostic("unused-parameter", "u", span_of("a", "a"))


def test_a_warning_says_so_in_every_format() -> None:
    assert render_text([UNUSED]).startswith("w.yml:1:1: warning[unused-parameter]: u\n")
    assert render_text([UNUSED], color=True).count("\x1b[1;33m") == 2
    assert json.loads(render_json([UNUSED]))[0]["severity"] == "warning"
    assert render_github([UNUSED]).startswith("::warning file=w.yml,")


def test_a_strict_warning_is_an_error() -> None:
    strict = UNUSED._replace(strict=True)
    assert (UNUSED.severity, strict.severity) == ("warning", "error")
    assert errors_of([UNUSED, strict]) == [strict]
    assert render_github([strict]).startswith("::error ")


def test_summary_counts_errors_and_warnings() -> None:
    wrong = Diagnostic("task-cycle", "c")
    assert summarize([wrong]) == "1 error"
    assert summarize([UNUSED, wrong, wrong]) == "2 errors, 1 warning"
