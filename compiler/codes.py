"""The register of diagnostic codes: what each says, in a line; an error stops, a warning does not.

A warning is for what certainly has a plan, and was probably not meant. `explanations.yml` holds,
for each code, a paragraph and examples, which `hcrc explain` shows.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bad-expression": "a selection or a weight is no expression over branches",
        "bad-name": "a name has characters that names cannot have",
        "bad-range": "a range is malformed",
        "bad-template": "a template string is malformed, or cannot be filled",
        "bad-value": "a value is outside of what is allowed",
        "cycle": "definitions, parameters or tasks depend on each other in a circle",
        "duplicate-key": "a key is written twice in one mapping",
        "duplicate-name": "a name is defined twice",
        "missing-key": "a key that has to be there is not",
        "missing-parameter": "a parameter without default is not given",
        "same-output": "two tasks or cells write to one place",
        "syntax": "the text is not YAML, or uses YAML that the language leaves out",
        "undeclared-reference": "a reference leads to nothing that is declared",
        "unknown-class": "a classifier has no such class",
        "unknown-classifier": "a classifier is not defined",
        "unknown-dataset": "a dataset is not defined",
        "unknown-key": "a key is not part of the language",
        "unknown-parameter": "a parameter is not declared",
        "unknown-task": "a task is not defined",
        "unquoted-placeholder": "a {placeholder} without quotes is a mapping to YAML",
        "unreadable-file": "a file cannot be read",
        "unused-axis": "an axis of a task is never used",
        "wrong-reference": "a reference leads to something of another kind",
        "wrong-type": "a value has another type than its key takes",
    }
)
WARNINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unused-parameter": "a parameter is declared and never used",
        "unused-setting": "a setting has no effect",
    }
)
CODES: Final[Mapping[str, str]] = MappingProxyType({**ERRORS, **WARNINGS})
