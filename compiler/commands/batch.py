"""What a bundle that was submitted is asked: its own runtime answers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import USER_ERROR
from .bundles import start_runtime


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Declare the bundle."""
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder of a bundle")


def ask_runtime(bundle: Path, command: str, words: list[str]) -> int:
    """Let the runtime of a bundle do its command; 1 where there is no such bundle."""
    from ..files import is_bundle

    if not is_bundle(bundle):
        text = "not a bundle, which is a folder that hcrc compile prints"
        print(f"hcrc: error: {bundle}: {text}", file=sys.stderr)
        return USER_ERROR
    return start_runtime([bundle], command, words)
