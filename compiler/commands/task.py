"""``hcrc task``: one task alone, from results made earlier; its keys are the options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import USAGE_ERROR, USER_ERROR
from .bundles import OUTPUT, start_runtime
from .inputs import add_reporting, print_diagnostics
from .run import add_run_options, lacks_libraries, runtime_words

if TYPE_CHECKING:
    from ..diagnostics import Diagnostic
    from ..files import OverlaidDisk
    from ..phases import Request
    from ..typed import Given, TypedTask

EXAMPLE: Final = "hcrc task merge --predictions A/result.json B/result.json --name FvT"
WITHOUT_OPTION: Final = ("task", "help", "settings")


class KeyOption(argparse.Action):
    """An option that is a key of tasks: keeps (key, option as typed, words), in their order."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep what was typed."""
        key = self.dest.removeprefix("--")
        namespace.keys = [*namespace.keys, (key, option_string, [*(values or ())])]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options: every key of every kind of task is one."""
    from ..defaults import task_kinds

    parser.usage = "%(prog)s KIND --KEY VALUE … [options]"
    parser.add_argument(
        "kind", metavar="KIND", type=_kind, choices=task_kinds(), help=", ".join(task_kinds())
    )
    parser.add_argument(
        "--as-workflow", action="store_true", help="print the task as a workflow, run nothing"
    )
    parser.add_argument(
        "--include",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="files of datasets and classifiers",
    )
    add_reporting(parser)
    add_run_options(parser)
    parser.set_defaults(only=[], start=None, keys=[])
    taken = {option for action in parser._actions for option in action.option_strings}
    for key, help in key_helps().items():
        spellings = {f"--{key}": None, f"--{key.replace('_', '-')}": None}
        free = [option for option in spellings if option not in taken]
        if free:
            parser.add_argument(
                *free[::-1],
                action=KeyOption,
                dest=f"--{key}",
                metavar="VALUE",
                nargs="+",
                default=argparse.SUPPRESS,
                help=help.replace("%", "%%"),
            )


def key_helps() -> dict[str, str]:
    """What each key of tasks is for, with the kinds that have it."""
    from ..defaults import WORKFLOW, resolve_reference, task_kinds, task_schema

    kinds: dict[str, dict[str, list[str]]] = {}
    for kind in task_kinds():
        for key, schema in task_schema(kind)["properties"].items():
            if key not in WITHOUT_OPTION:
                help = resolve_reference(schema, WORKFLOW)[0].get("description", "")
                kinds.setdefault(key, {}).setdefault(help, []).append(kind)
    everywhere = len(task_kinds())
    return {
        key: "; ".join(
            help if len(names) == everywhere else f"{', '.join(names)}: {help}"
            for help, names in helps.items()
        )
        for key, helps in kinds.items()
    }


def run(options: argparse.Namespace) -> int:
    """Print the task as a workflow, or compile and run it."""
    from ..diagnostics import errors_of
    from ..typed import type_task

    refuse_repeated([f"--setting {name}" for name, _ in options.setting], options)
    typed, problems = type_task(
        options.kind, read_keys(options), options.include, [(*pair,) for pair in options.setting]
    )
    said = {item.span.file for item in problems if item.span}
    rest = validate(typed, options)
    found = problems + [item for item in rest if not item.span or item.span.file not in said]
    if options.as_workflow and not errors_of(found):
        print(typed.text, end="")
        return 0
    if not found:
        return _run(typed, options)
    print_diagnostics(found, options.format, alone=True)
    return USER_ERROR


def _run(typed: TypedTask, options: argparse.Namespace) -> int:
    """Compile the task, and let the runtime do it."""
    from ..compile import compile_workflow

    if lacks_libraries():
        return USAGE_ERROR
    request, disk = make_request(typed, options)
    compilation = compile_workflow(request, disk)
    if compilation.diagnostics:
        found = typed.translate(compilation.diagnostics)
        print_diagnostics(found, options.format, alone=compilation.plan is None)
    if compilation.plan is None:
        return USER_ERROR
    return start_runtime([compilation.write(OUTPUT)], "run", runtime_words(options))


def read_keys(options: argparse.Namespace) -> dict[str, Given]:
    """The keys that are typed; one that the kind of task has not is a usage error."""
    from ..defaults import task_schema
    from ..diagnostics import suggest
    from ..typed import Given

    known = task_schema(options.kind)["properties"]
    typed = list(options.keys)
    if options.device is not None and "device" in known:
        typed.append(("device", "--device", [options.device]))
    refuse_repeated([option for _, option, _ in typed], options)
    for key, option, _ in typed:
        if key not in known:
            help = suggest(key, {*known} - {*WITHOUT_OPTION})
            article = "an" if options.kind[0] in "aeiou" else "a"
            options.usage_error(f"{article} {options.kind} task has no {option}: {help}")
    return {key: Given(option, words) for key, option, words in typed}


def refuse_repeated(names: list[str], options: argparse.Namespace) -> None:
    """Nothing that is typed is dropped: an option that is there twice is a usage error."""
    for name in names:
        if names.count(name) > 1:
            options.usage_error(f"{name} is there twice")


def make_request(typed: TypedTask, options: argparse.Namespace) -> tuple[Request, OverlaidDisk]:
    """What the compiler is asked, and the files that it sees."""
    from ..files import OverlaidDisk
    from ..phases import Request

    current = Path.cwd()
    request = Request(
        path=Path(typed.name),
        templates=(),
        parameters=(),
        settings=(),
        environment=dict(os.environ),
        current=current,
        strict=options.strict,
    )
    return request, OverlaidDisk(current / typed.name, typed.text)


def validate(typed: TypedTask, options: argparse.Namespace) -> list[Diagnostic]:
    """What can be said of the task before any result is there."""
    from ..phases import Phases, check_encoding

    request, disk = make_request(typed, options)
    undecoded = check_encoding(request)
    if undecoded:
        return undecoded
    phases = Phases(request, disk)
    if phases.parse() is not None:
        phases.validate()
    return typed.translate(phases.findings())


def _kind(text: str) -> str:
    """A kind of task, of the command line."""
    from ..defaults import task_kinds
    from ..diagnostics import suggest

    if text not in task_kinds():
        message = f"there is no kind of task {text!r}: {suggest(text, task_kinds())}"
        raise argparse.ArgumentTypeError(message)
    return text
