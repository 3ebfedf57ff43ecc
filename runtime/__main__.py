"""``python -m hcrc.runtime``; in a bundle, ``python hcrc.pyz``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .commands import main as run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    return run_command(argv)


if __name__ == "__main__":
    sys.exit(main())
