"""The register of codes: each is raised in a golden case, and explained."""

import re
from pathlib import Path

from hcrc.compiler.codes import (
    CODES,
    ERRORS,
    MISSING,
    NOT_FOLLOWING,
    PLACEHOLDERS,
    UNREAD,
    WARNINGS,
    WRONG_TYPES,
)

CASES = Path(__file__).parent / "cases"
FOUND = re.compile(r"^(\S+?)(?::\d+:\d+)?: (error|warning)\[([a-z0-9-]+)\]: ", re.MULTILINE)


def golden():
    """All diagnostics of the golden cases: severity, code, and the text of each."""
    for path in CASES.glob("*/*/output.txt"):
        for block in path.read_text().split("\n\n"):
            found = FOUND.match(block)
            if found:
                yield (*found.groups(), block)


def test_every_code_has_a_golden_case_and_none_is_made_up():
    assert {code for _, _, code, _ in golden()} == set(CODES)


def test_cases_show_each_code_with_its_severity():
    assert {code for _, severity, code, _ in golden() if severity == "warning"} == set(WARNINGS)
    assert {code for _, severity, code, _ in golden() if severity == "error"} == set(ERRORS)


def test_most_codes_are_shown_in_an_include_and_through_a_template():
    included = {code for file, _, code, _ in golden() if file not in ("workflow.yml", "hcrc")}
    filled = {code for *_, code, block in golden() if "note: in expansion of {" in block}
    assert len(included) >= len(CODES) // 2
    assert len(filled) >= len(CODES) // 3


def test_the_register_is_sorted_and_its_names_are_short():
    for codes in (ERRORS, WARNINGS):
        assert list(codes) == sorted(codes)
        assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
        assert all(len(code) <= 24 for code in codes)
        assert all(len(text) <= 72 and not text.endswith(".") for text in codes.values())
    assert len(CODES) == len(ERRORS) + len(WARNINGS) >= 60


def test_groups_of_codes_are_of_the_register():
    assert set().union(MISSING, NOT_FOLLOWING, PLACEHOLDERS, UNREAD, WRONG_TYPES) <= set(CODES)
