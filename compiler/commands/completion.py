"""``hcrc completion``: let the user's shell complete hcrc, or no longer."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from ..completion import cache
from ..completion.install import SHELLS, find_places, install, printed_code, uninstall

EXAMPLE: Final = "hcrc completion install"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action",
        metavar="install|uninstall",
        choices=("install", "uninstall"),
        help="install for this user, for every shell from the next one on; or take all of it away",
    )
    parser.add_argument("--shell", choices=SHELLS, help="the shell (default: what $SHELL says)")
    parser.add_argument(
        "--print",
        action="store_true",
        help='write nothing: print it for one shell, eval "$(hcrc completion install --print)"',
    )
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace) -> int:
    """Install or uninstall."""
    if options.action == "uninstall":
        if options.print:
            options.usage_error("--print goes with install")
        return remove([options.shell] if options.shell else list(SHELLS))
    shell = options.shell or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        options.usage_error(f"name the shell: --shell {', '.join(SHELLS)}")
    if options.print:
        print(printed_code(shell), end="")
        return 0
    for path in install(shell, find_places(shell, os.environ)):
        print(path)
    print(f"hcrc completes in every {shell} that starts from now on")
    return 0


def remove(shells: list[str]) -> int:
    """Take completion away from shells; with all of them goes what it kept."""
    found = uninstall([find_places(shell, os.environ) for shell in shells])
    if shells == list(SHELLS):
        found += map(Path, cache.clear())
    for path in found:
        print(path)
    print("removed" if found else "there is nothing to remove")
    return 0
