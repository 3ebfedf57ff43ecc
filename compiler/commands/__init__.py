"""The commands: one module each, imported only when its command is typed.

A module has ``EXAMPLE`` (a command line), ``add_arguments(parser)`` and ``run(options)``, which
returns the exit code: 1 for errors in the input, 2 for usage.
"""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

USER_ERROR: Final = 1
USAGE_ERROR: Final = 2


class Command:
    """Where a command lives in this package, and what it does, in a line."""

    def __init__(self, module: str, help: str) -> None:
        self.module = module
        self.help = help


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "help": Command("help", "explain a command, or every key, option and setting"),
        "init": Command("init", "write a commented workflow to start from"),
        "import": Command("import_", "make a workflow of the older tool's files, and prove it"),
        "check": Command("check", "say everything that is wrong with a workflow, write nothing"),
        "explain": Command("explain", "say what the code of an error or a warning means"),
        "expand": Command("expand", "show every job of a workflow, write nothing"),
        "compile": Command("compile", "write a bundle: a folder that runs by itself"),
        "run": Command("run", "compile a workflow and run here what is not up to date"),
        "submit": Command("submit", "compile a workflow and hand what is to be done to HTCondor"),
        "status": Command("status", "say how a run on HTCondor goes"),
        "logs": Command("logs", "show what a job printed"),
        "cancel": Command("cancel", "take a run, or one of its jobs, from HTCondor's queue"),
        "resume": Command("resume", "hand to HTCondor what a run that stopped left to do"),
        "task": Command("task", "run one task alone: each key of its kind is an option"),
        "clean": Command("clean", "remove the results of a workflow"),
        "why": Command("why", "say what makes a job run, or since when it is up to date"),
        "inspect": Command("inspect", "show what datasets would read, and look into the files"),
        "diff": Command("diff", "say which results a change keeps, and what runs again"),
        "completion": Command("completion", "let TAB complete hcrc in your shell"),
        "trace": Command("trace", "say where the values of a job come from"),
    }
)
