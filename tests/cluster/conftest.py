"""A pool for the tests of this folder, which run only when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster.pool import Pool, PoolError, start


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One pool for all tests; where there can be none, they end with a line that says why."""
    try:
        with start() as pool:
            yield pool
    except PoolError as error:
        pytest.exit(str(error), returncode=2)
