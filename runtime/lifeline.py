"""A job does not outlive the scheduler that started it.

The scheduler holds the other end of the job's standard input, and never writes to it. However it
ends, the kernel closes that end, and the job, which waits for just this, ends at once.
"""

from __future__ import annotations

import os
import threading

from .errors import PreemptedError


def hold_lifeline(descriptor: int = 0) -> None:
    """End this process, without clean-up, as soon as the pipe's other end is closed."""
    threading.Thread(target=_wait_for_end, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait_for_end(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os._exit(PreemptedError.code)
