"""``hcrc run``: start the bundle's own runtime, which is what ``run.sh`` does too."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from typing import Final

from . import USAGE_ERROR, USER_ERROR
from .bundles import OUTPUT, start_runtime
from .inputs import add_inputs, add_site, bundle_inputs

EXAMPLE: Final = "hcrc run workflows/demo.yml -j 4 --from train"
RUNTIME_LIBRARIES: Final = ("awkward", "matplotlib", "numpy", "torch", "uproot")
DEVICE: Final = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_inputs(parser, bundle=True)
    add_site(parser)
    parser.add_argument(
        "--only", metavar="TASK", action="append", default=[], help="run this task alone"
    )
    parser.add_argument(
        "--from", metavar="TASK", dest="start", help="run this task anew, and what follows from it"
    )
    add_run_options(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Declare how a bundle is run."""
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=positive, help="cores to use (default: all)"
    )
    parser.add_argument(
        "--memory", metavar="MB", type=positive, help="memory to use, in MB (default: all)"
    )
    parser.add_argument("--force", action="store_true", help="run what is up to date too")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and why")
    parser.add_argument("--device", metavar="DEVICE", type=device, help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--plain", action="store_true", help="lines instead of bars")


def run(options: argparse.Namespace) -> int:
    """Compile what is no bundle yet, and run."""
    if lacks_libraries():
        return USAGE_ERROR
    bundles = bundle_inputs(options, OUTPUT)
    if bundles is None:
        return USER_ERROR
    return start_runtime(bundles, "run", runtime_words(options))


def lacks_libraries() -> bool:
    """Whether what running needs is not installed, after saying so."""
    missing = [name for name in RUNTIME_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"hcrc: error: running needs {', '.join(missing)}: pip install 'hcrc[runtime]'",
            file=sys.stderr,
        )
    return bool(missing)


def runtime_words(options: argparse.Namespace) -> list[str]:
    """The options as the runtime takes them."""
    words = [f"--only={task}" for task in options.only]
    words += [f"--from={options.start}"] if options.start is not None else []
    words += [f"--jobs={options.jobs}"] if options.jobs is not None else []
    words += [f"--memory={options.memory}"] if options.memory is not None else []
    words += [f"--device={options.device}"] if options.device else []
    flags = {"--force": options.force, "--dry-run": options.dry_run, "--plain": options.plain}
    return words + [flag for flag, given in flags.items() if given]


def positive(text: str) -> int:
    """A number above 0, of an option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def device(text: str) -> str:
    """The name of a device, of an option."""
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda, cuda:N")
    return text
