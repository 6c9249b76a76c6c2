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
    """Prints images a second of both, and their ratio; the rounds alternate."""
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
            plain.append(len(files) / seconds(lambda: decode_all(files, cores)))
            build = partial(image_cache.load, table, options.size, folder / str(round_))
            built.append(len(files) / seconds(build))
    rows = Rows("", "images/s (median)", "rounds", title=f"{len(files)} images of 390 x 320, {cores} cores")
    rows.add_row("decode JPEG", f"{median(plain):.0f}", " ".join(f"{rate:.0f}" for rate in plain))
    rows.add_row(
        f"build cache at {options.size}", f"{median(built):.0f}", " ".join(f"{rate:.0f}" for rate in built)
    )
    rows.add_row("ratio", f"{median(b / p for b, p in zip(built, plain, strict=True)):.2f}", "")
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


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of `work`."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
