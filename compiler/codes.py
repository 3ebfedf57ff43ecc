"""The register of diagnostic codes: what each says, in a line; an error stops, a warning does not.

A warning is for what certainly has a plan, and was probably not meant. `explanations.yml` holds,
for each code, a paragraph and examples, which `hcrc explain` shows.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alias-bomb": "aliases of aliases stand for too many values",
        "alias-cycle": "an alias stands inside of what it repeats",
        "axis-in-shared-key": "an axis stands in a key that is one for all cells",
        "bad-argument": "an option of the command line is not of its form",
        "bad-axis-value": "an axis has a value that cannot name a cell",
        "bad-character": "a text holds a character that it cannot hold",
        "bad-choice": "a value is none of those allowed",
        "bad-escape": "a double-quoted string has an escape that YAML does not know",
        "bad-folder": "an output cannot be the name of a folder",
        "bad-form": "a text is not of the form that its key takes",
        "bad-format": "the format of a placeholder does not fit its value",
        "bad-list-file": "a file of lists is no mapping in YAML or JSON",
        "bad-name": "a name has characters that names cannot have",
        "bad-naming": "the naming of a friend tree's files is none",
        "bad-placeholder": "braces hold something else than the name of a parameter",
        "bad-range": "a range is malformed",
        "bad-regex": "the pattern of a parameter is no regular expression",
        "bad-value": "a value is outside of what is allowed",
        "complex-key": "a list or a mapping stands as a key",
        "definition-cycle": "definitions extend each other in a circle",
        "digit-separator": "a number is written with separators, which make it a text",
        "duplicate-key": "a key is written twice in one mapping",
        "duplicate-name": "a name is defined twice",
        "duplicate-roc": "two ROCs of a classifier have one name",
        "empty-file": "there is nothing in a file",
        "empty-limits": "the limits of a parameter leave no value",
        "empty-range": "a range has no values",
        "empty-value": "a value is empty",
        "env-outside-default": "{env:NAME} stands elsewhere than in a default",
        "expression-syntax": "a selection or a weight is no expression",
        "expression-type": "an expression takes a number for true or false, or the reverse",
        "float-for-integer": "a count is written as a number with a fraction or an exponent",
        "function-arguments": "a function of an expression has another number of arguments",
        "include-cycle": "files include each other in a circle",
        "indentation": "a line does not fit into what it stands in",
        "list-in-text": "a list or a mapping stands inside of a string",
        "long-number": "a number has too many digits to be meant",
        "long-range": "a range has too many or too large values",
        "merge-key": "YAML's merge key << is not part of the language",
        "misplaced-placeholder": "a placeholder stands where only a value, or a lone one, can",
        "missing-axis": "a task lacks an axis of the task that it reads",
        "missing-cell": "a task has no cell for a value of an axis",
        "missing-colon": "a key has no colon",
        "missing-file": "a file is not there",
        "missing-key": "a key that has to be there is not",
        "missing-parameter": "a parameter without default is not given",
        "negative-range": "a range has a negative value",
        "nested-output": "an output lies in the output folder of another cell",
        "no-value": "a key has no value",
        "not-a-file-list": "FILE@@KEY leads to something else than a list of file names",
        "not-a-list": "a value stands where a list of values belongs",
        "not-ascending": "a list is out of order",
        "not-finite": "a number is infinite, or not a number",
        "not-in-expressions": "an expression holds what expressions do not have",
        "not-utf8": "a text is not UTF-8",
        "out-of-bounds": "a number is too small or too large",
        "overlapping-range": "a range has a value twice",
        "parameter-cycle": "defaults of parameters refer to each other in a circle",
        "quoted-value": "a number or a boolean is in quotes, which make it a text",
        "read-twice": "events are read twice by one task",
        "repeated-axis-value": "an axis has a value twice",
        "repeated-value": "a list has a value twice",
        "reserved-name": "a name is one that the language keeps for itself",
        "reversed-range": "a range runs backwards",
        "roc-overlap": "a class is on both sides of a ROC",
        "same-output": "two tasks or cells write to one folder",
        "second-document": "a file has more than one YAML document",
        "sexagesimal": "a number is written in base 60, which is a text",
        "stray-brace": "a brace of a string has no partner",
        "syntax": "the text is not YAML",
        "tab": "a tab indents a line",
        "taken-branch": "an output of a classifier has the name of another branch",
        "task-cycle": "tasks refer to each other in a circle",
        "too-deep": "values are nested too deep",
        "too-many-cells": "a task has too many cells",
        "unclosed": "a quote or a bracket is never closed",
        "undeclared-reference": "a reference leads to nothing that is declared",
        "unknown-alias": "an alias has no anchor before it",
        "unknown-class": "a classifier has no such class",
        "unknown-classifier": "a classifier is not defined",
        "unknown-column": "an output draws on a column that is not before it",
        "unknown-dataset": "a dataset is not defined",
        "unknown-function": "an expression calls a function that there is not",
        "unknown-key": "a key is not part of the language",
        "unknown-label": "a label of a dataset is no class of the classifier",
        "unknown-list": "a file of lists has no such key",
        "unknown-parameter": "a value is given for a parameter that is not declared",
        "unknown-placeholder": "a placeholder names no parameter",
        "unknown-setting": "there is no such setting",
        "unknown-task-kind": "there is no such kind of task",
        "unknown-user": "~NAME names a user that there is not",
        "unquoted-placeholder": "a {placeholder} without quotes is a mapping to YAML",
        "unquoted-text": "a text holds characters that need quotes",
        "unquoted-value": "a text is written without quotes, and is a number or a boolean",
        "unreadable-file": "a file cannot be read",
        "unset-variable": "an environment variable is not set",
        "unused-axis": "an axis of a task is never used",
        "url-output": "an output is a URL",
        "useless-limit": "a parameter has a limit that its type has not",
        "wrong-reference": "a reference leads to something of another kind",
        "wrong-type": "a value has another type than its key takes",
        "wrong-version": "the file is of another version of the language",
        "yaml-boolean": "yes, no, on and off are texts, not booleans",
        "yaml-tag": "a YAML tag such as !!str is not part of the language",
    }
)
WARNINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fuse-path": "a path is on a mount of /eos, which other machines may lack",
        "leading-zero": "a number is written with a leading zero",
        "unclear-precedence": "& or | beside a comparison without brackets",
        "unused-class": "a class of the classifier has no events in the dataset",
        "unused-parameter": "a parameter is declared and never used",
        "unused-setting": "a setting has no effect",
        "useless-group": "a task without axes has a group of several cells",
    }
)
CODES: Final[Mapping[str, str]] = MappingProxyType({**ERRORS, **WARNINGS})

# A value of another type than wanted: whatever else is wrong with it follows from that.
WRONG_TYPES: Final = frozenset(
    {
        "digit-separator",
        "float-for-integer",
        "misplaced-placeholder",
        "no-value",
        "not-a-list",
        "quoted-value",
        "sexagesimal",
        "unquoted-placeholder",
        "unquoted-value",
        "wrong-type",
        "yaml-boolean",
    }
)
NOT_FOLLOWING: Final = frozenset({"missing-key", "unknown-key", "unknown-setting"})

# After these a text has no tree: what it declares is not known.
UNREAD: Final = frozenset(
    {
        "alias-bomb",
        "alias-cycle",
        "bad-character",
        "bad-escape",
        "complex-key",
        "empty-file",
        "indentation",
        "merge-key",
        "missing-colon",
        "missing-file",
        "not-utf8",
        "second-document",
        "syntax",
        "tab",
        "too-deep",
        "unclosed",
        "unknown-alias",
        "unquoted-text",
        "unreadable-file",
        "yaml-tag",
    }
)
PLACEHOLDERS: Final = frozenset(
    {
        "bad-format",
        "bad-placeholder",
        "env-outside-default",
        "list-in-text",
        "stray-brace",
        "unquoted-placeholder",
    }
)
MISSING: Final = frozenset(
    {
        "undeclared-reference",
        "unknown-classifier",
        "unknown-dataset",
        "unknown-parameter",
        "unknown-placeholder",
    }
)
