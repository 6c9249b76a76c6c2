"""Tests that need a GPU: one after the other, each with all of its memory."""

import os
from collections.abc import Iterator

import pytest
from whole_gpu import given_back


@pytest.fixture(autouse=True)
def the_whole_memory(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test marked `gpu` leaves a cap, or memory, to the next one, and none runs beside another."""
    if request.node.get_closest_marker("gpu") is None:
        yield
        return
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.fail("found several processes on one GPU, expected one; run pytest -m gpu -n 0")
    with given_back():
        yield
