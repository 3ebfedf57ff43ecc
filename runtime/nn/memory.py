"""Memory of a training on a CPU."""

from __future__ import annotations

import ctypes
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 2**30


def keep_freed_memory() -> bool:
    """Have the C library keep large freed blocks for the next step; False if it is not glibc.

    Otherwise it gives them back and every step faults all its pages in again, which is a third
    of its time at a batch of 4096 (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES) and mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES - 1)
    )
