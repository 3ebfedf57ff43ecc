"""Bundles that commands write, and the runtime inside each, which runs and cleans it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

OUTPUT: Final = Path("hcrc-out")


def start_runtime(bundles: list[Path], command: str, words: list[str]) -> int:
    """Let each bundle's own runtime do its command, in order, up to the first that fails.

    The last one takes over this process, so that signals reach it.
    """
    for number, bundle in enumerate(bundles, 1):
        arguments = [sys.executable, str(bundle / "hcrc.pyz"), command, str(bundle), *words]
        if sys.stdout is not None:
            sys.stdout.flush()
        if number == len(bundles) and os.name == "posix":
            os.execv(sys.executable, arguments)  # noqa: S606 - our own runtime, no shell
        code = subprocess.run(arguments, check=False).returncode
        if code:
            return code if code > 0 else 128 - code
    return 0
