"""The words of a command in, what stands where out: the arguments given, and those that may follow.

The arguments of commands come as rows, which ``describe`` makes of their parsers.
"""

from __future__ import annotations

from .cache import Rows

ARGUMENT = "argument"
LIST = "\x1f"
MANY = 1_000_000


class Argument:
    """An option, or a positional argument if it has no flags, and what its values are.

    It takes from ``least`` to ``most`` values; ``kinds`` says what each is, the last for all
    that follow: ``FILE``, ``TASK``, as the command's help calls them.
    """

    def __init__(self, row: list[str]) -> None:
        flags, least, most, kinds, choices, self.help = row[2:8]
        self.flags = flags.split()
        self.least, self.most = int(least), int(most)
        self.kinds = kinds.split(LIST)
        self.choices = choices.split(LIST) if choices else []

    def kind(self, number: int) -> str:
        """What the value of that number is."""
        return self.kinds[min(number, len(self.kinds) - 1)]


class Given:
    """An argument on the line with its values."""

    def __init__(self, argument: Argument) -> None:
        self.argument = argument
        self.values: list[str] = []


class Spot:
    """A value that may be typed next: of which argument, and how many come before it."""

    def __init__(self, argument: Argument, before: list[str]) -> None:
        self.argument = argument
        self.before = before
        self.kind = argument.kind(len(before))


class Command:
    """The arguments that a command has, and those that are on the line."""

    def __init__(self, rows: Rows, name: str) -> None:
        found = [Argument(row) for row in rows if row[0] == ARGUMENT and row[1] == name]
        self.options = [argument for argument in found if argument.flags]
        self.flags = {flag: argument for argument in self.options for flag in argument.flags}
        self.positionals = [argument for argument in found if not argument.flags]
        self.given: list[Given] = []
        self.only_values = False
        self._open: Given | None = None
        self._rest: list[str] = []

    def read(self, words: list[str]) -> None:
        """Take the words before the one that is being typed."""
        for word in words:
            if word == "--" and not self.only_values:
                self.only_values, self._open = True, None
            elif self.is_flag(word):
                self._begin(word)
            elif self._open and len(self._open.values) < self._open.argument.most:
                self._open.values.append(word)
            else:
                self._rest.append(word)
        self._share_out()

    def is_flag(self, word: str) -> bool:
        """Whether a word is an option, or becomes one."""
        return word[:1] == "-" and not self.only_values

    def spots(self) -> list[Spot]:
        """Where the next word can belong, if it is no option."""
        found = []
        if self._open and len(self._open.values) < self._open.argument.most:
            found.append(Spot(self._open.argument, self._open.values))
            if len(self._open.values) < self._open.argument.least:
                return found
        for argument in self.positionals:
            values = [
                value for item in self.given if item.argument is argument for value in item.values
            ]
            if len(values) < argument.most:
                return [*found, Spot(argument, values)]
        return found

    def values(self, kind: str) -> list[str]:
        """The values of a kind that are on the line."""
        return [
            value
            for item in self.given
            for number, value in enumerate(item.values)
            if kind in item.argument.kind(number).split("|")
        ]

    def _begin(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if name not in self.flags and name[:2] != "--":
            name, equals, value = word[:2], word[2:], word[2:]
        argument = self.flags.get(name)
        self._open = Given(argument) if argument else None
        if self._open:
            self.given.append(self._open)
            if equals:
                self._open.values.append(value)
                self._open = None

    def _share_out(self) -> None:
        """Give the words that belong to no option to the positional arguments."""
        rest = self._rest
        for argument in self.positionals:
            item = Given(argument)
            item.values, rest = rest[: argument.most], rest[argument.most :]
            self.given.append(item)
