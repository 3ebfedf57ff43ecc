"""What runs next, on which cores and GPUs."""

from __future__ import annotations

import pytest
from hcrc.runtime.agenda import Todo
from hcrc.runtime.bundle import Request
from hcrc.runtime.capacity import Capacity, CapacityError, fit_requests, pick_gpus
from hcrc.runtime.machine import Pool, list_gpus, parse_gpus
from hcrc.runtime.order import Order


def todo(number: int, *needs: int, gpus: int = 0, device: str = "auto") -> Todo:
    return Todo(number, "train", 1, needs, Request(1, 1, gpus), device)


def test_a_hundred_thousand_jobs_are_ordered() -> None:
    count = 100_000
    todos = {number: todo(number) for number in range(count)}
    todos[count] = todo(count, *range(count))
    order = Order(todos, {number: job.request for number, job in todos.items()})
    for number in range(count + 1):
        assert order.take(lambda _: True) == number
        order.finish(number)
    assert order.take(lambda _: True) is None


def test_a_job_that_fits_goes_before_one_that_does_not() -> None:
    todos = {0: todo(0), 1: todo(1)}
    order = Order(todos, {0: Request(4, 1, 0), 1: Request(1, 1, 0)})
    pool = Pool(2, 10, ())
    assert order.take(pool.fits) == 1
    assert order.take(pool.fits) is None


def test_a_share_is_given_back() -> None:
    pool = Pool(2, 10, ("0", "1"))
    share = pool.take(Request(2, 10, 2))
    assert share.gpus == ("0", "1")
    assert not pool.fits(Request(1, 1, 0))
    pool.give_back(share)
    assert pool.fits(Request(2, 10, 2))


def test_gpus_are_clamped_to_what_there_is() -> None:
    capacity = Capacity(4, 100, ("0",))
    given, notes = fit_requests([todo(0, gpus=2), todo(1, device="cuda")], capacity, None)
    assert [request.gpus for request in given.values()] == [1, 1]
    assert notes == ["train asks for 2 GPUs: runs on 1 GPU"]
    assert fit_requests([todo(0, gpus=2)], capacity, "cpu") == ({0: Request(1, 1, 0)}, [])
    assert pick_gpus(("a", "b"), "cuda:1") == ("b",)
    with pytest.raises(CapacityError):
        pick_gpus(("a",), "cuda:1")


def test_the_gpus_of_a_machine() -> None:
    listing = (
        "GPU 0: NVIDIA H100 (UUID: GPU-aa)\n"
        "GPU 1: NVIDIA H100 (UUID: GPU-bb)\n"
        "  MIG 1g.10gb Device 0: (UUID: MIG-1)\n"
        "  MIG 1g.10gb Device 1: (UUID: MIG-2)\n"
    )
    assert parse_gpus(listing) == ("GPU-aa", "MIG-1", "MIG-2")
    assert list_gpus({"CUDA_VISIBLE_DEVICES": "0, 2"}) == ("0", "2")
    assert list_gpus({"CUDA_VISIBLE_DEVICES": ""}) == ()
