"""How fast the image cache is built, against plain JPEG decoding on the same cores, in one run.

python tests/benchmarks/image_cache_speed.py [--images N] [--size S]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

from PIL import Image
from rich.console import Console
from rich.table import Table as Rows

from transfusion import chexpert, image_cache, phantom


def main() -> None:
    """Prints the speed of both and their ratio; the rounds alternate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = chexpert.read(phantom.write(folder / "phantom", images=options.images), views="all")
        files = [table.root / image for image in table.frame["image"]]
        plain, built = [], []
        for round_ in range(options.rounds):
            build = partial(image_cache.load, table, options.size, folder / str(round_))
            plain.append(clocks(lambda: decode_all(files, cores)))
            built.append(clocks(build))
    title = f"{len(files)} images of 390 x 320, {cores} cores; medians of {options.rounds} rounds"
    rows = Rows("", "images/s", "processor ms per image", title=title)
    for step, times in (("decode JPEG", plain), (f"build cache at {options.size}", built)):
        wall, processor = (median(column) for column in zip(*times, strict=True))
        rows.add_row(step, f"{len(files) / wall:.0f}", f"{1000 * processor / len(files):.3f}")
    ratios = [[p / b for p, b in zip(*pair, strict=True)] for pair in zip(plain, built, strict=True)]
    rows.add_row(
        "speed of the second, of the first", *(f"{median(r):.2f}" for r in zip(*ratios, strict=True))
    )
    Console().print(rows)


def decode_all(files: list[Path], cores: int) -> None:
    """Decodes every file with PIL and throws the pixels away."""
    with ThreadPoolExecutor(max_workers=cores) as pool:
        slices = [
            files[first : first + image_cache.SLICE] for first in range(0, len(files), image_cache.SLICE)
        ]
        list(pool.map(lambda part: [decode(file) for file in part], slices))


def decode(file: Path) -> None:
    """Decodes one file."""
    with Image.open(file) as image:
        image.load()


def clocks(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of `work`; they differ on a busy machine."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
