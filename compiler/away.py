"""Results at root:// addresses: an address in, the results below it out.

The runtime, which speaks to servers, reads them in a process of its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final

ROOT_URL: Final = re.compile(r"root://[^/\s]+//\S.*")
ERROR: Final = "hcrc: error: "


class AwayError(Exception):
    """Results that cannot be read; the message is one line and names the address."""


def read_away(url: str, keys: Sequence[str]) -> dict[str, bytes | None]:
    """Some keys of the result at an address, or of those of the cells' folders below it.

    By address; None for a cell's folder that has none. Raises :class:`AwayError`.
    """
    import subprocess  # slow to import, and seldom needed

    words = [sys.executable, "-P", "-m", "hcrc.runtime", "results", url, *keys]
    run = subprocess.run(words, capture_output=True, check=False, encoding="utf-8")
    if run.returncode:
        said = run.stderr.strip().splitlines() or [f"the runtime ended with {run.returncode}"]
        raise AwayError(said[-1].removeprefix(ERROR))
    found: Mapping[str, object] = json.loads(run.stdout)
    return {
        each: None if value is None else json.dumps(value, sort_keys=True).encode()
        for each, value in found.items()
    }
