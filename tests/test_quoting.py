"""Quoting: whatever text is written, HTCondor's own parser and bash read it as it was."""

import re
import subprocess

import pytest
from hcrc.compiler.backends.quoting import (
    classad_string,
    environment,
    is_one_line,
    is_writable,
    shell_word,
    submit_value,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

HOSTILE = "$$$$((())abENV '\"\\\\;#,=@{}[]:|&<>*?!~`\t\x0b\x0c\x1f\x7f\x85\xa0\u2028é漢😀"
ALLOWED = st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0")
TEXTS = st.text(st.sampled_from(HOSTILE), max_size=24) | st.text(ALLOWED, max_size=24)
WORDS = st.sampled_from(
    [
        "$(DOLLAR)",
        "$$(x)",
        "$$([1+1])",
        "$ENV(HOME)",
        "$(Cluster)",
        "$$$(a)",
        "''",
        '""',
        "\\",
        "@=",
    ]
)
TEXTS |= st.lists(TEXTS | WORDS, max_size=5).map("".join)
VALUES = TEXTS.filter(is_writable).filter(bool)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
MANY = settings(max_examples=700, deadline=None)


@pytest.fixture(scope="module")
def htcondor2():
    return pytest.importorskip("htcondor2", reason="htcondor is not installed")


@pytest.fixture(scope="module")
def classad2():
    pytest.importorskip("htcondor2", reason="htcondor is not installed")
    return pytest.importorskip("classad2")


def read_command(htcondor2, key, value):
    """What HTCondor makes of a command, at the end of matching, and that no other came of it."""
    submit = htcondor2.Submit(f"universe = vanilla\n{key} = {value}\nexecutable = /bin/true\nqueue")
    assert len(submit) == 3
    return submit.expand(key.replace("+", "MY.")).replace("$$(DOLLARDOLLAR)", "$$")


def matched(text):
    """Whether matching the job would fill something in."""
    return re.search(r"\$\$\((?!DOLLARDOLLAR\))", text)


def read_environment(text):
    """The variables of the syntax with double quotes, by the rules of condor_submit's manual."""
    assert text[0] == text[-1] == '"'
    inner = text[1:-1]
    assert not re.sub('""', "", inner).count('"')
    entries, entry, quoted, rest = [], None, False, list(inner.replace('""', '"'))
    while rest:
        letter = rest.pop(0)
        if letter == "'" and quoted and rest[:1] == ["'"]:
            entry += rest.pop(0)
        elif letter == "'":
            quoted, entry = not quoted, entry or ""
        elif letter in " \t" and not quoted:
            entries += [] if entry is None else [entry]
            entry = None
        else:
            entry = (entry or "") + letter
    assert not quoted
    entries += [] if entry is None else [entry]
    return dict(each.split("=", 1) for each in entries)


@MANY
@given(VALUES)
@example(" blanks at its ends ")
@example("ends in \\")
def test_a_command_has_the_value_that_was_written(htcondor2, text):
    assert is_one_line(text)
    assert read_command(htcondor2, "description", submit_value(text)) == text


@MANY
@given(VALUES)
@example('\\"')
@example("ends in \\")
def test_an_attribute_has_the_text_that_was_written(htcondor2, classad2, text):
    written = read_command(htcondor2, "+Note", classad_string(text))
    assert classad2.parseOne(f"Note = {written}\n")["Note"] == text


@MANY
@given(st.dictionaries(NAMES, TEXTS, max_size=4))
@example({"A": 'it\'s "a" $(B) $$(C) $$$(D) \\', "B": ""})
def test_variables_arrive_as_they_were_written(htcondor2, variables):
    written = read_command(htcondor2, "environment", environment(variables))
    assert read_environment(written) == variables


@MANY
@given(st.dictionaries(NAMES, TEXTS, max_size=4))
def test_htcondor_reads_the_variables_alike(htcondor2, classad2, variables):
    """It has no function that reads them, and one that reads and writes them anew."""
    written = read_command(htcondor2, "environment", environment(variables))
    raw = classad2.quote(written[1:-1].replace('""', '"'))
    merged = classad2.ExprTree(f"mergeEnvironment({raw})").eval()
    doubled = merged.replace('"', '""')
    assert read_environment(f'"{doubled}"') == variables


@MANY
@given(TEXTS)
def test_nothing_but_dollars_is_left_to_be_filled_when_a_job_is_matched(text):
    for value in (submit_value(text), classad_string(text), environment({"A": text})):
        assert not matched(value)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=60))
def test_a_shell_reads_each_word_as_it_was(texts):
    words = "".join(
        f"word={shell_word(text)}\ndefault=${{NOT_SET:-{shell_word(text)}}}\n"
        f'printf \'%s\\0\' {shell_word(text)} "$word" "$default"\n'
        for text in texts
    )
    script = f"set -euo pipefail\n{words}"
    done = subprocess.run(["bash"], input=script.encode(), capture_output=True, check=True)
    seen = done.stdout.decode().split("\0")[:-1]
    assert seen == [text for text in texts for _ in range(3)]


@pytest.mark.parametrize("text", ["\n", "a\n", "a\rb", "\0"])
def test_the_end_of_a_line_cannot_be_written(text):
    assert not is_one_line(text)
