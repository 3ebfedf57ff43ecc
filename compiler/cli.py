"""The command line: which command is meant; the rest is the command's own module.

The overview is printed from the table of commands, and a command imports the compiler when it
runs: help and completion wait for neither argparse nor a library.
"""

from __future__ import annotations

import os
import sys

from .commands import COMMANDS, USAGE_ERROR, USER_ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Final, Protocol

    class CommandModule(Protocol):
        """What the module of a command has."""

        EXAMPLE: str

        def add_arguments(self, parser: argparse.ArgumentParser) -> None:
            """Declare the options."""

        def run(self, options: argparse.Namespace) -> int:
            """Do what the options say; returns the exit code."""


COLUMNS: Final = 80
OPTIONS: Final = ("-h", "--help", "--version")
SIGINT: Final = 2
SIGPIPE: Final = 13
OVERVIEW: Final = """\
usage: hcrc COMMAND …

Compile and run event-classifier workflows.

commands:
{commands}

hcrc COMMAND --help says what a command takes, hcrc help --all explains every key and setting.
example: hcrc run workflows/demo.yml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 1 for errors in the input, 2 for usage."""
    if "_ARGCOMPLETE" in os.environ:
        from .complete import answer

        answer(os.environ)
        os._exit(0)
    _prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["-h"], ["--help"]):
        return _guard(_show, overview())
    if words[:1] == ["--version"]:
        from . import __version__

        return _guard(_show, f"hcrc {__version__}\n")
    if not words or words[0] not in COMMANDS:
        return _refuse(words)
    return _guard(_run, words)


def _prepare_streams() -> None:
    """Write UTF-8, as files hold it, wherever the output goes; a closed stream leads nowhere.

    A file that is opened would take the number of a closed stream, and what others print.
    """
    import io

    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def overview() -> str:
    """What ``hcrc --help`` prints: every command with its line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items()]
    return OVERVIEW.format(commands="\n".join(lines))


def load_command(name: str) -> CommandModule:
    """The module of a command."""
    from importlib import import_module
    from typing import cast

    module = import_module(f".commands.{COMMANDS[name].module}", __package__)
    return cast("CommandModule", module)


def build_parser(name: str) -> argparse.ArgumentParser:
    """The parser of a command's own options."""
    from argparse import ArgumentParser, HelpFormatter

    module, help = load_command(name), COMMANDS[name].help
    parser = ArgumentParser(
        prog=f"hcrc {name}",
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"example: {module.EXAMPLE}",
        formatter_class=lambda prog: HelpFormatter(prog, width=_columns() - 2),
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def _columns() -> int:
    """The columns of the terminal; argparse would import shutil and lzma to ask for them."""
    text = os.environ.get("COLUMNS", "")
    if text.isdecimal() and int(text):
        return int(text)
    try:
        return os.get_terminal_size(1).columns or COLUMNS
    except OSError:
        return COLUMNS


def _run(words: list[str]) -> int:
    """Run a command without the collector: a process is short, and next to nothing is garbage."""
    import gc

    enabled = gc.isenabled()
    gc.disable()
    try:
        return _run_command(words)
    finally:
        if enabled:
            gc.enable()


def _run_command(words: list[str]) -> int:
    parser = build_parser(words[0])
    options, rest = parser.parse_known_args(words[1:])
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}{_nearest_option(parser, rest)}")
    return load_command(words[0]).run(options)


def _nearest_option(parser: argparse.ArgumentParser, words: list[str]) -> str:
    """What the first unknown option was probably meant to be."""
    from .diagnostics import nearest

    known = [option for action in parser._actions for option in action.option_strings]
    unknown = next((word for word in words if word.startswith("--")), "")
    close = nearest(unknown.partition("=")[0], known) if unknown else None
    return f": did you mean {close}?" if close else ""


def _show(text: str) -> int:
    print(text, end="")
    return 0


def _refuse(words: list[str]) -> int:
    """Say that there is no such command, and which is nearest."""
    if not words:
        print(f"{overview()}\nhcrc: error: name a command", file=sys.stderr)
        return USAGE_ERROR
    from .diagnostics import suggest

    option = words[0].startswith("-")
    help = suggest(words[0], OPTIONS if option else COMMANDS)
    kind = "option of hcrc itself" if option else "command"
    print(f'hcrc: error: there is no {kind} "{words[0]}": {help}', file=sys.stderr)
    return USAGE_ERROR


def _guard(action: Callable[..., int], *arguments: object) -> int:
    """Run an action; what the machine refuses is one line, a closed pipe is silence."""
    try:
        code = action(*arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 128 + SIGPIPE
    except OSError as error:
        _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        gone = isinstance(error, FileNotFoundError) and not place
        text = "the current folder is not there any more" if gone else error.strerror
        print(f"hcrc: error: {place}{text}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return 128 + SIGINT
    return code


def _drop_output() -> None:
    """Let what could not be printed go, so that the interpreter does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
