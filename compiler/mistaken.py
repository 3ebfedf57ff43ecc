"""A value of the wrong type in, the likely mistake behind it out: a code, and the way out of it.

Many are habits of YAML 1.1, whose `yes`, `1:30` and `010` are no texts.
"""

import re
from typing import Final

from .nodes import Node, Scalar
from .parse import resolve

_JSON: Final = (("path", "string"), ("list", "array"), ("mapping", "object"))
_MAX_TEXT: Final = 100
_BOOLEANS: Final = r"(?i:y|yes|n|no|on|off|t|f|true|false)"
_TRUE: Final = r"(?i:y|yes|on|t|true)"
_SEXAGESIMAL: Final = r"[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?"
_SEPARATED: Final = r"[-+]?[0-9]+(?:[_' ,][0-9]+)+(?:\.[0-9]*)?"


def explain_type(node: Node, kinds: list[str], whole: bool = False) -> tuple[str, str | None]:
    """Return the code and the help for a value that is of none of the kinds wanted.

    Kinds are those of JSON schema, or the types of parameters. `whole` says that no placeholder
    can stand for the value.
    """
    kinds = [dict(_JSON).get(kind, kind) for kind in kinds]
    if not isinstance(node, Scalar):
        return "wrong-type", None
    if node.value is None:
        return "no-value", None
    if not node.filled and node.quoted and "{" in node.text:
        if whole:
            return "misplaced-placeholder", "no placeholder can stand here: write it out"
        advice = 'a placeholder stands alone here and without a format: "{name}"'
        return "misplaced-placeholder", advice
    if len(node.text) >= _MAX_TEXT:
        return "wrong-type", None
    return _explain_scalar(node, kinds)


def means_boolean(text: str) -> bool:
    """Tell whether a text is a word for true or false."""
    return re.fullmatch(_BOOLEANS, text) is not None


def _explain_scalar(node: Scalar, kinds: list[str]) -> tuple[str, str | None]:
    text = node.text
    if node.quoted and _fits(resolve(text), kinds):
        advice = "give the parameter the type of the value" if node.filled else "remove the quotes"
        return "quoted-value", advice
    if not node.quoted and not isinstance(node.value, str) and "string" in kinds:
        return "unquoted-value", f'quote it: "{text}"'
    if "boolean" in kinds and means_boolean(text):
        return "yaml-boolean", f"write {'true' if re.fullmatch(_TRUE, text) else 'false'}"
    if kinds == ["boolean"]:
        return "wrong-type", "write true or false"
    if {"integer", "number"} & {*kinds}:
        return _explain_number(text, node.value, kinds)
    if kinds == ["array"] and text:
        return "not-a-list", f"write a list: [{text}]"
    return "wrong-type", None


def _explain_number(text: str, value: object, kinds: list[str]) -> tuple[str, str | None]:
    """Return what is wrong with what may have been meant as a number."""
    if isinstance(value, float) and value.is_integer() and "number" not in kinds:
        return "float-for-integer", f"write {int(value)}"
    if isinstance(value, str) and re.fullmatch(_SEXAGESIMAL, text):
        return "sexagesimal", "write one number, in the unit that the key has"
    if isinstance(value, str) and re.fullmatch(_SEPARATED, text):
        return "digit-separator", f"write {re.sub('[^-+0-9.]', '', text)}"
    return "wrong-type", None


def _fits(value: object, kinds: list[str]) -> bool:
    match value:
        case bool():
            return "boolean" in kinds
        case int():
            return bool({"integer", "number"} & {*kinds})
        case float():
            return "number" in kinds
    return False
