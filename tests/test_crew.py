"""Work on several items at a time: order, room, and what happens when one of them fails."""

from __future__ import annotations

import threading
import time

import pytest
from hcrc.runtime.crew import Crew, StoppedError


@pytest.mark.parametrize("size", [1, 3])
def test_results_are_taken_in_order(size: int) -> None:
    second = threading.Event()
    taken: list[int] = []

    def work(item: int) -> int:
        if item == 0 and size > 1:
            assert second.wait(9)
        if item == 1:
            second.set()
        return item * 10

    Crew(size).work(range(6), work, taken.append)
    assert taken == [0, 10, 20, 30, 40, 50]


def test_there_are_never_more_of_one_kind_than_there_is_room_for() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def work(item: str) -> None:
        if item == "a":
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.01)
            with lock:
                now[0] -= 1

    Crew(4).work([*"aaaabbaa"], work, lambda _: None, lambda item: (item, 2))
    assert most == [2]


def test_others_stop_when_the_caller_fails() -> None:
    crew, stopped = Crew(2), threading.Event()

    def work(item: int) -> None:
        try:
            while item:
                crew.check()
        except StoppedError:
            stopped.set()
            raise

    def take(_: None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crew.work([0, 1], work, take)
    assert stopped.is_set()
