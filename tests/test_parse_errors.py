"""Parsing what is no workflow: what is refused and where, and that no text makes it raise."""

import os
from pathlib import Path

import pytest
import yaml
from hcrc.compiler import files as files_module
from hcrc.compiler import parse as parse_module
from hcrc.compiler.codes import CODES
from hcrc.compiler.diagnostics import Source, render_text
from hcrc.compiler.files import Disk
from hcrc.compiler.parse import (
    Mapping,
    Sequence,
    locate,
    parse,
    read_document,
    to_plain,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from .documents import WORKFLOW, good


def errors(text: str) -> list[str]:
    """Return `line:column code message [help]` for each diagnostic."""
    _, diagnostics = parse(text, "w.yml")
    return [
        f"{d.span.line}:{d.span.column} {d.code}: {d.message}" + (f" [{d.help}]" if d.help else "")
        for d in diagnostics
        if d.span
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: 1\na: 2\nb: {c: 1, c: 2}\n<<: {b: 1}\n? [1]\n: 2\nd: !!str 5\n",
            [
                '2:1 duplicate-key: key "a" is written twice',
                '3:11 duplicate-key: key "c" is written twice',
                "4:1 merge-key: the merge key << is not part of the language "
                "[write the keys out; definitions can share theirs with include and use]",
                "5:3 complex-key: a list or mapping cannot be a key",
                "7:4 yaml-tag: the tag !!str is not part of the language "
                "[quote a value to make it a string]",
            ],
        ),
        (
            "a: 1\na: 1\nb: [\n",
            [
                '2:1 duplicate-key: key "a" is written twice',
                "4:1 syntax: the text ends where a value should stand",
            ],
        ),
        ("a: !x {c: 1}", ["1:4 yaml-tag: the tag !x is not part of the language "
                          "[leave it out]"]),
        ("a: 1\n---\nb: 2", ["2:1 second-document: a second document "
                            "[one file holds one document: remove the ---]"]),
        ("", ["1:1 empty-file: there is nothing in this text"]),
        ("# only this\n", ["1:1 empty-file: there is nothing in this text"]),
        ("---\n...\n", ["1:1 empty-file: there is nothing in this text"]),
        ("a: 1\n\tb: 2\n", ["2:1 tab: a tab cannot indent [use spaces]"]),
        ("a: \x01", ["1:4 bad-character: the character U+0001 cannot stand in a YAML text"]),
        ("a:\r\n  \x7f", ["2:3 bad-character: the character U+007F cannot stand in a YAML text"]),
        ("a: \ud800", ["1:4 bad-character: the character U+D800 cannot stand in a YAML text"]),
        ("a: \u2028", ["1:4 bad-character: the character U+2028 cannot stand in a YAML text"]),
        ("a: \ufeffb", ["1:4 bad-character: the character U+FEFF cannot stand in a YAML text"]),
        ('a: "\\0"', ["1:4 bad-character: no value can hold the character U+0000"]),
        ('a: "\\e"', ["1:4 bad-character: no value can hold the character U+001B"]),
        ('a: "\\ud800"', ["1:7 syntax: found invalid Unicode character escape code"]),
        ("a: " + "9" * 2000, ["1:4 long-number: a number of 2000 characters "
                              "[quote it to make it a string]"]),
        ("a: {x}/y", [
            "1:7 unquoted-placeholder: this does not fit into the mapping that it stands in "
                      '[a value that starts with a placeholder needs quotes: "{name}/…"]']),
        ("a: 'x\nb: 1\n", ["1:4 unclosed: this quote is never closed"]),
        ("a: {b: 1\n", ['1:4 unclosed: "{" is never closed']),
        ("a: b: c", ['1:5 unquoted-text: ":" cannot stand here '
                     '[quote a text that holds ": ", or check the indentation]']),
        ("a: @x", [
            '1:4 unquoted-text: a value cannot start with "@" without quotes [quote the value]']),
        ('a: "\\q"', ['1:6 bad-escape: "\\q" is no escape of a double-quoted string '
                      '[use single quotes, or write "\\\\" for a backslash]']),
        ("- a\nb: 1\n", ["2:1 indentation: this does not fit into the list that it stands in "
                         '[check the indentation; entries start with "- "]']),
        ("a: - b", ['1:4 indentation: a list entry "- " cannot stand here '
                    "[start the list on a line of its own, and check the indentation]"]),
        ("a: [b: c: d]", ['1:9 unquoted-text: expected "," or "]" '
                          "[quote a text that holds brackets, braces or commas]"]),
        ("a: ]", ['1:4 syntax: expected a value, found "]"']),
        ('"a" b', ["1:5 indentation: this does not belong to the value before it "
                   "[check the indentation and the quotes]"]),
        ("a: *x", ['1:4 unknown-alias: no anchor "&x" stands before this alias '
                     "[write the value as &x …]"]),
        ("a: &x [*x]", ['1:8 alias-cycle: "*x" stands inside of what it repeats']),
        ("[" * 100_000, ["1:65 too-deep: values are nested more than 64 deep"]),
        ("%YAML 2.0\n---\na: 1", ["1:1 syntax: found incompatible YAML document "
                                  "(version 1.* is required)"]),
    ],
)  # fmt: skip
def test_errors(text: str, expected: list[str]) -> None:
    assert errors(text) == expected


def test_a_duplicate_shows_both_places_and_the_first_counts() -> None:
    document, (found,) = parse("a: 1\na: 2\n", "w.yml")
    assert document.root is not None
    assert to_plain(document.root) == {"a": 1}
    assert render_text([found]) == (
        'w.yml:2:1: error[duplicate-key]: key "a" is written twice\n'
        "  |\n2 | a: 2\n  | ^\n  = note: first here (w.yml:1)\n"
    )


def test_an_error_in_a_list_says_where_it_begins() -> None:
    _, (found,) = parse("a: [1,\n 2\nb: 3\n", "w.yml")
    assert render_text([found]) == (
        'w.yml:3:2: error[unclosed]: expected "," or "]"\n'
        "  |\n3 | b: 3\n  |  ^\n"
        "  = note: the list begins here (w.yml:1)\n"
        "  = help: close the bracket, or quote a text that holds one\n"
    )


def test_aliases_cannot_multiply_without_bound() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30)
    )
    assert errors(bomb) == ["5:45 alias-bomb: aliases expand to more than 100000 values"]


def test_aliases_cannot_nest_without_bound() -> None:
    tower = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))
    assert errors(tower) == ["64:12 too-deep: values are nested more than 64 deep"]
    ladder = "a0: &a0 [x]\n" + "".join(f"b{i}: *a0\n" for i in range(100))
    assert len(to_plain(good(ladder))) == 101


@pytest.mark.parametrize("text", ["\ufeffa: 1\nb: 2\n", "a: 1\r\nb: 2\r\n", "a: 1\rb: 2\r"])
def test_byte_order_mark_and_line_breaks(text: str) -> None:
    root = good(text)
    assert to_plain(root) == {"a": 1, "b": 2}
    span = locate(root, ["b"]).span
    assert (span.line, span.column, span.source.lines[:2]) == (2, 4, ("a: 1", "b: 2"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yml"
    latin.write_bytes(b"a: 1\nb: \xe9\n")
    utf16 = tmp_path / "utf16.yml"
    utf16.write_bytes("a: 1".encode("utf-16"))
    closed = tmp_path / "closed.yml"
    closed.write_text("a: 1")
    closed.chmod(0)
    problems = [
        (latin, "it is not UTF-8 text: byte 0xe9 in line 2"),
        (utf16, "it is not UTF-8 text: byte 0xff in line 1"),
        (tmp_path / "none.yml", "No such file or directory"),
        (tmp_path, "it is a folder"),
        (Path("nul\0.yml"), "embedded null byte"),
    ]
    if os.geteuid() != 0:
        problems.append((closed, "Permission denied"))
    for path, problem in problems:
        document, (found,) = read_document(path, "shown.yml", Disk())
        assert document.root is None
        code = {"it is not UTF-8": "not-utf8", "No such file or": "missing-file"}.get(
            problem[:15], "unreadable-file"
        )
        assert (found.code, found.span) == (code, None)
        assert found.message == f'cannot read "shown.yml": {problem}'


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.yml"
    path.write_text("a: 1")
    monkeypatch.setattr(files_module, "MAX_BYTES", 3)
    _, (found,) = read_document(path, "w.yml", Disk())
    assert found.message == 'cannot read "w.yml": it is larger than 0 MiB'


def test_a_file_is_parsed_under_its_shown_name(tmp_path: Path) -> None:
    path = tmp_path / "w.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1")
    document, diagnostics = read_document(path, "shown.yml", Disk())
    assert diagnostics == []
    assert document.root is not None
    assert to_plain(document.root) == {"a": 1}
    assert document.root.span.file == "shown.yml"


def test_nodes_are_replaced_and_looked_up() -> None:
    root = good("a: 1\nb: [2]")
    assert isinstance(root, Mapping)
    assert isinstance(root.get("b"), Sequence)
    assert root.get("c") is None
    less = root.replace({"b": root.entries["b"]})
    assert to_plain(less) == {"b": [2]}
    assert less.span == root.span
    assert [key for key, _ in root.items()] == ["a", "b"]


def test_the_pure_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    if not yaml.__with_libyaml__:
        pytest.skip("PyYAML is without libyaml here")
    more = "x: &a  'q''s'\ny: >-\n  folded\n  text\n\n# note\nz: [a, {b: c}, \"d\\n\"]\nw:\n"
    texts = [
        WORKFLOW,
        more,
        "a: [1, 2",
        "a: @",
        "'x'",
        "- a\n- - b\n  - c\n",
        "a: 日本 # 日\nb: 😀",
    ]
    fast = [parse(text, "w.yml") for text in texts]
    monkeypatch.delattr(yaml, "CLoader")
    assert [parse(text, "w.yml") for text in texts] == fast


def check_never_raises(text: str) -> None:
    document, diagnostics = parse(text, "w.yml")
    assert document.root is not None or diagnostics
    assert all(d.code in CODES and d.span and "\n" not in d.message for d in diagnostics)
    for found in diagnostics:
        assert found.span is not None
        assert 1 <= found.span.line <= len(document.source.lines)
    render_text(diagnostics).encode()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=60))
def test_random_text_never_raises(text: str) -> None:
    check_never_raises(text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab01:-[]{},&*!|>'\"%@`#?~<.\\ux \t\n\r", max_size=60))
def test_random_punctuation_never_raises(text: str) -> None:
    check_never_raises(text)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(WORKFLOW)),
    st.integers(0, 8),
    st.text(alphabet="ab1:-[]{},&*!|>'\"%@#?\\ \t\n\0\ud800é日", max_size=4),
)
def test_random_edits_of_a_workflow_never_raise(at: int, cut: int, new: str) -> None:
    check_never_raises(WORKFLOW[:at] + new + WORKFLOW[at + cut :])


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(WORKFLOW)),
    st.integers(0, 8),
    st.text(alphabet="ab1:-[]{},&*!|>'\"#\\ \né日", max_size=4),
)
def test_where_both_parsers_read_a_text_they_read_the_same(at: int, cut: int, new: str) -> None:
    loader = getattr(yaml, "CLoader", yaml.SafeLoader)
    source = Source("w.yml", WORKFLOW[:at] + new + WORKFLOW[at + cut :])
    fast, fast_errors = parse_module._compose(source, loader)
    slow, slow_errors = parse_module._compose(source, yaml.SafeLoader)
    if not fast_errors and not slow_errors:
        assert fast == slow


@pytest.mark.parametrize("text", [" -", "      -", "a:\n    -", "a:\n  - b\n  -"])
def test_a_list_that_ends_with_an_empty_item_ends_after_its_beginning(text: str) -> None:
    document, _ = parse(text, "w.yml")
    root = document.root
    node = locate(root, ["a"]) if isinstance(root, Mapping) else root
    assert isinstance(node, Sequence)
    span = node.span
    assert (span.line, span.column) <= (span.end_line, span.end_column)
    assert text.splitlines()[span.line - 1][span.column - 1] == "-"
