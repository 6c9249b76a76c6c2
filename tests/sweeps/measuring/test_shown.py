"""The table of a check: a row for every network, or lines of its own on a narrow terminal."""

import io

from machines import CPU, GB
from rich.console import Console

from sweeps.measuring.measure import Found
from sweeps.measuring.shown import table
from sweeps.planning.speeds import Speed

FOUND = [
    Found("cbr_tiny", Speed("cbr_tiny", 224, 32, 110.0, 120.0, 4, 0.25, "float32", GB)),
    Found("resnet50", problem="none"),
]


def shown(width: int) -> list[list[str]]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as told:
        console.print(table(FOUND, CPU, width))
    return [line.split() for line in told.get().splitlines()]


def test_a_wide_table_has_its_names_above_and_a_narrow_one_beside() -> None:
    names = ["architecture", "fits", "type", "alone", "together", "peak", "GiB", "trials"]
    wide, narrow = shown(100), shown(40)
    assert names in wide
    assert ["resnet50", "no", *["-"] * 6] in wide
    row = next(line for line in wide if line[:1] == ["cbr_tiny"])
    assert dict(zip(names, row, strict=True))["together"] == "440.0", "of four trials, 110 a second each"
    assert names not in narrow
    assert ["cbr_tiny:"] in narrow
    assert ["together", "440.0"] in narrow
    assert narrow[narrow.index(["resnet50:"]) + 1] == ["fits", "no"]
    assert not any("-" in line for line in narrow)
