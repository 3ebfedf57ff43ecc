"""Running the cache task in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hcrc.runtime.errors import DataError, JobError
from hcrc.runtime.result import Result, load_result
from hcrc.runtime.tasks import cache

from .data_files import (
    Events as Said,
)
from .data_files import (
    leftovers,
    make_cell,
    make_context,
)


def run_cache(
    folder: Path,
    *datasets: dict[str, Any],
    said: Said | None = None,
    execution: dict[str, int] | None = None,
    **changes: Any,
) -> Result:
    spec = {"datasets": list(datasets), "shuffle": True, "seed": 7, "chunks": 3}
    spec |= {"states": ["counts"]} | changes
    output = folder / "out"
    cache.run([make_cell("cache", spec, output)], make_context(said, **(execution or {})))
    return load_result(output / "result.json")


def refusal(folder: Path, *datasets: dict[str, Any], kind: type = DataError, **more: Any) -> str:
    """The whole message, with the folder as DIR; nothing may be left in the output folder."""
    with pytest.raises(JobError) as error:
        run_cache(folder, *datasets, **more)
    assert type(error.value) is kind
    assert leftovers(folder / "out") == []
    return str(error.value).replace(str(folder), "DIR")
