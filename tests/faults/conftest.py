"""The faults start Rays of their own, some in the process of the tests."""

from collections.abc import Iterator

import pytest

from sweeps.execution.ray_session import as_before


@pytest.fixture(autouse=True)
def own_ray(left_as_found: None) -> Iterator[None]:
    with as_before():
        yield
