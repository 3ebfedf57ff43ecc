"""The command line: an argparse tree in which every command is a thin function.

Commands import the compiler when they run: help and completion do not wait for it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import __version__

if TYPE_CHECKING:
    from .compile import Compilation

USER_ERROR: Final = 1
USAGE_ERROR: Final = 2
RUNTIME_LIBRARIES: Final = ("awkward", "matplotlib", "numpy", "torch", "uproot")
OUTPUT: Final = Path("hcrc-out")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 1 for errors in the input, 2 for usage."""
    parser = build_parser()
    _complete(parser)
    options = parser.parse_args(arguments)
    try:
        code: int = options.command(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        print(f"hcrc: error: {place}{error.strerror}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def _drop_output() -> None:
    """Let what could not be printed go, so that the interpreter does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complete(parser: argparse.ArgumentParser) -> None:
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def build_parser() -> argparse.ArgumentParser:
    """The tree of commands and options."""
    parser = argparse.ArgumentParser(
        prog="hcrc",
        allow_abbrev=False,
        description="Compile and run event-classifier workflows.",
        epilog="example: hcrc run workflows/demo.yml",
    )
    parser.add_argument("--version", action="version", version=f"hcrc {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(commands)
    _add_expand(commands)
    _add_compile(commands)
    _add_run(commands)
    _add_clean(commands)
    return parser


Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add(commands: Commands, name: str, help: str, example: str) -> argparse.ArgumentParser:  # type: ignore[valid-type]
    parser: argparse.ArgumentParser = commands.add_parser(  # type: ignore[attr-defined]
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    return parser


def _add_inputs(parser: argparse.ArgumentParser, bundle: bool = False) -> None:
    what = "a workflow file, or the folder of a bundle" if bundle else "a workflow file"
    parser.add_argument("file", metavar="FILE|BUNDLE" if bundle else "FILE", type=Path, help=what)
    parser.add_argument(
        "--template",
        metavar="MAPPING",
        action="append",
        default=[],
        help='values of parameters, as YAML or a file of it: "{norm: 6, tag: test}"',
    )
    parser.add_argument(
        "--param",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="the value of one parameter; wins over --template",
    )
    parser.add_argument(
        "--setting",
        metavar=("NAME", "MAPPING"),
        nargs=2,
        action="append",
        default=[],
        help='a setting: torch.DataLoader "{batch_eval: 50000}"',
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="how errors are printed",
    )


def _add_check(commands: Commands) -> None:  # type: ignore[valid-type]
    parser = _add(
        commands,
        "check",
        "say everything that is wrong with a workflow, and write nothing",
        "hcrc check workflows/demo.yml",
    )
    _add_inputs(parser)
    parser.set_defaults(command=check)


def _add_expand(commands: Commands) -> None:  # type: ignore[valid-type]
    parser = _add(
        commands,
        "expand",
        "show every job of a workflow, and write nothing",
        'hcrc expand workflows/demo.yml --param offset="0-2"',
    )
    _add_inputs(parser)
    parser.set_defaults(command=expand)


def _add_compile(commands: Commands) -> None:  # type: ignore[valid-type]
    parser = _add(
        commands,
        "compile",
        "write the bundle of a workflow: a folder that runs by itself",
        "hcrc compile workflows/demo.yml -o bundles",
    )
    _add_inputs(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=OUTPUT,
        help="where bundles go, as NAME/HASH (default: %(default)s)",
    )
    parser.set_defaults(command=compile_bundle)


def _add_run(commands: Commands) -> None:  # type: ignore[valid-type]
    parser = _add(
        commands,
        "run",
        "compile a workflow and run what is not up to date, on this machine",
        "hcrc run workflows/demo.yml -j 4 --from train",
    )
    _add_inputs(parser, bundle=True)
    parser.add_argument("-j", "--jobs", metavar="N", type=int, help="cores to use (default: all)")
    parser.add_argument(
        "--only", metavar="TASK", action="append", default=[], help="run this task alone"
    )
    parser.add_argument(
        "--from", metavar="TASK", dest="start", help="run this task anew, and what follows from it"
    )
    parser.add_argument("--force", action="store_true", help="run what is up to date too")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and why")
    parser.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda or cuda:N")
    parser.set_defaults(command=run)


def _add_clean(commands: Commands) -> None:  # type: ignore[valid-type]
    parser = _add(
        commands,
        "clean",
        "remove the results of a workflow, and its bundle",
        "hcrc clean workflows/demo.yml --dry-run",
    )
    _add_inputs(parser, bundle=True)
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed")
    parser.set_defaults(command=clean)


def check(options: argparse.Namespace) -> int:
    """``hcrc check``: print diagnostics, or say that there are none."""
    compilation = _compile(options)
    if compilation.plan is None:
        return USER_ERROR
    if options.format == "text":
        jobs, cells = len(compilation.plan.jobs), sum(task.cells for task in compilation.plan.tasks)
        print(f"{options.file}: no errors; {cells} cells in {jobs} jobs")
    return 0


def expand(options: argparse.Namespace) -> int:
    """``hcrc expand``: print every job with its command, cells and folders."""
    compilation = _compile(options)
    if compilation.plan is None:
        return USER_ERROR
    for job in compilation.plan.jobs:
        needs = ", ".join(compilation.plan.jobs[number].id for number in job.needs) or "nothing"
        use = job.execution
        print(f"{job.id}: {job.task}, after {needs}")
        print(f"  resources: {use['cpus']} cpus, {use['memory_mb']} MB, {use['gpus']} gpus")
        print(f"  command: python hcrc.pyz job jobs.jsonl {job.number}")
        for cell in job.cells:
            print(f"  {cell.id}: {cell.output}")
    return 0


def compile_bundle(options: argparse.Namespace) -> int:
    """``hcrc compile``: write the bundle and print its folder."""
    bundle = _bundle(options, options.output)
    if bundle is None:
        return USER_ERROR
    print(bundle)
    return 0


def run(options: argparse.Namespace) -> int:
    """``hcrc run``: start the bundle's own runtime, which is what ``run.sh`` does too."""
    missing = [name for name in RUNTIME_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"hcrc: error: running needs {', '.join(missing)}: pip install 'hcrc[runtime]'",
            file=sys.stderr,
        )
        return USAGE_ERROR
    bundle = _bundle(options, OUTPUT)
    if bundle is None:
        return USER_ERROR
    words = [f"--only={task}" for task in options.only]
    words += [f"--from={options.start}"] if options.start is not None else []
    words += [f"--jobs={options.jobs}"] if options.jobs is not None else []
    words += [f"--device={options.device}"] if options.device else []
    words += ["--force"] * options.force + ["--dry-run"] * options.dry_run
    return _start_runtime(bundle, "run", words)


def clean(options: argparse.Namespace) -> int:
    """``hcrc clean``: let the bundle's own runtime remove its results."""
    bundle = _bundle(options, OUTPUT)
    if bundle is None:
        return USER_ERROR
    return _start_runtime(bundle, "clean", ["--dry-run"] * options.dry_run)


def _start_runtime(bundle: Path, command: str, words: list[str]) -> int:
    """Hand this process over to the bundle's runtime, so that signals reach it."""
    arguments = [sys.executable, str(bundle / "hcrc.pyz"), command, str(bundle), *words]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(sys.executable, arguments)  # noqa: S606 - our own runtime, no shell
    return subprocess.run(arguments, check=False).returncode


def _bundle(options: argparse.Namespace, output: Path) -> Path | None:
    """The folder of the bundle to use: the one named, or one that is compiled now."""
    from .bundle import is_bundle

    if is_bundle(options.file):
        return Path(options.file)
    compilation = _compile(options)
    if compilation.plan is None:
        return None
    return compilation.write(output)


def _compile(options: argparse.Namespace) -> Compilation:
    """Compile, and print what is wrong: text to stderr, other formats to stdout."""
    from .compile import Request, compile_workflow

    request = Request(
        path=options.file,
        templates=tuple(options.template),
        parameters=tuple(options.param),
        settings=tuple((name, text) for name, text in options.setting),
        environment=dict(os.environ),
        current=Path.cwd(),
    )
    compilation = compile_workflow(request)
    if compilation.plan is None or options.command is check:
        _print_diagnostics(compilation, options.format)
    return compilation


def _print_diagnostics(compilation: Compilation, format: str) -> None:
    from .diagnostics import render_github, render_json, render_text

    if format == "json":
        print(render_json(compilation.diagnostics), end="")
    elif format == "github":
        print(render_github(compilation.diagnostics), end="")
    else:
        color = sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        print(render_text(compilation.diagnostics, color), end="", file=sys.stderr)
