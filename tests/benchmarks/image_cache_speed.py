"""How fast the image cache is built, against plain JPEG decoding on the same cores, in one run.

python tests/benchmarks/image_cache_speed.py [--images N] [--times N] [--side S] [--size S]

`--side 2320` is about what CheXpert is in its full size. Every build deletes the one before it first, to
take its memory: some virtual machines give free memory back to their host within seconds, and then pay for
every page that they take again. Builds of more than two seconds show that cost there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from rich.table import Table as Rows

from transfusion.data import image_cache
from transfusion.layouts import chexpert
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom


def main() -> None:
    """Prints the speed of both and their ratio; the rounds take turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="JPEGs that are drawn")
    parser.add_argument("--times", type=int, default=8, help="how often each is in the table")
    parser.add_argument("--side", type=int, default=320, help="short side of the JPEGs")
    parser.add_argument("--size", type=int, default=224, help="of the images in the cache")
    parser.add_argument("--rounds", type=int, default=13)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = chexpert.read(
            writing.write(folder / "phantom", Phantom(images=options.images, size=options.side)), "all"
        )
        dataset = replace(drawn, frame=pd.concat([drawn.frame] * options.times, ignore_index=True))
        files = [dataset.root / image for image in dataset.frame["image"]]
        width, height = Image.open(files[0]).size
        decode_all(files, cores)
        plain, built = [], []
        for _ in range(options.rounds):
            plain.append(clocks(partial(decode_all, files, cores)))
            shutil.rmtree(folder / "cache", ignore_errors=True)
            built.append(clocks(partial(image_cache.load, dataset, options.size, folder / "cache")))
    title = f"{len(files)} JPEGs of {width} x {height}, {cores} cores; medians of {options.rounds} rounds"
    rows = Rows("", "images/s", "processor ms per image", title=title)
    middle = []
    for step, times in (("decode JPEG", plain), (f"build cache at {options.size}", built)):
        wall, processor = (median(column) for column in zip(*times, strict=True))
        middle.append((wall, processor))
        rows.add_row(step, f"{len(files) / wall:.0f}", f"{1000 * processor / len(files):.3f}")
    ratios = (before / after for before, after in zip(*middle, strict=True))
    rows.add_row("speed of the second, of the first", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(rows)


def decode_all(files: list[Path], cores: int) -> None:
    """Decodes every file to an array, which is thrown away."""
    with ThreadPoolExecutor(max_workers=cores) as pool:
        slices = [
            files[first : first + image_cache.SLICE] for first in range(0, len(files), image_cache.SLICE)
        ]
        list(pool.map(lambda part: [decode(file) for file in part], slices))


def decode(file: Path) -> None:
    """Decodes one file."""
    with Image.open(file) as image:
        np.asarray(image)


def clocks(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and processor seconds of `work`; they differ on a busy machine."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
