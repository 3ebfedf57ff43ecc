"""A mapping of YAML that is being typed in, what it may become out: ``{batch_eval: 100000}``."""

from __future__ import annotations

from .paths import Found

NUMBER_OF_BRACKETS = {"{": 1, "[": 1, "}": -1, "]": -1}


class Key:
    """A key that a mapping may have, with the value it has now, and those it may have."""

    def __init__(self, name: str, value: str, choices: list[str], help: str) -> None:
        self.name = name
        self.value = value
        self.choices = choices
        self.help = help


def complete_mapping(text: str, keys: list[Key]) -> Found:
    """What a text that begins with a brace may become.

    One that is sure is offered with what may follow, so that no shell closes the quote behind it.
    """
    head, last = _split_last(text)
    known = {key.name: key for key in keys}
    used = [part.partition(":")[0].strip() for part in _parts(head)]
    name, colon, value = last.partition(":")
    if colon:
        return _values(head, known.get(name.strip()), value, known.keys() - {*used, name.strip()})
    left = [key for key in keys if key.name not in used]
    fit = [key for key in left if key.name.startswith(name.strip())]
    begun = head + (" " if head.endswith(",") else "")
    if len(fit) == 1:
        return _ends(f"{begun}{fit[0].name}: {fit[0].value}", len(left) > 1, fit[0].help)
    return [(f"{begun}{key.name}: {key.value}", key.help) for key in fit]


def _values(head: str, key: Key | None, typed: str, left: set[str]) -> Found:
    """The values that a key may have; what is typed in full may be followed by another key."""
    if key is None:
        return []
    text = typed.strip()
    begun = f"{head}{' ' if head.endswith(',') else ''}{key.name}: "
    values = [value for value in key.choices or [key.value] if value.startswith(text) and value]
    if len(values) > 1:
        return [(f"{begun}{value}", key.help) for value in values]
    value = values[0] if values else text
    return _ends(f"{begun}{value}", bool(left), key.help) if value else []


def _ends(text: str, more: bool, help: str) -> Found:
    return [(f"{text}}}", help)] + [(f"{text}, ", help)] * more


def _split_last(text: str) -> tuple[str, str]:
    """A mapping up to its last brace or comma, and what stands behind it."""
    at, depth = 0, 0
    for number, character in enumerate(text):
        depth += NUMBER_OF_BRACKETS.get(character, 0)
        if (character == "," and depth == 1) or (character == "{" and depth == 1):
            at = number + 1
    return text[:at], text[at:]


def _parts(head: str) -> list[str]:
    """The entries before the last comma."""
    parts = []
    while head.endswith(","):
        head, last = _split_last(head[:-1])
        parts.append(last)
    return parts
