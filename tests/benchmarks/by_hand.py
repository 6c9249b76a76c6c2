"""Two things done by hand against libraries that could do them: headers of JPEGs, and drawing the phantom.

    python tests/benchmarks/by_hand.py [IMAGES]

Each pair in turn, medians of five: the frame header of every JPEG by `transfusion.images.jpeg`, by Pillow's
`open` and by torchvision's decoding; a phantom of so many images (1500) by the processes of
`transfusion.phantom.writing` and by joblib's.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import joblib
import torch
from PIL import Image
from torchvision.io import decode_jpeg

from transfusion.images.jpeg import frame
from transfusion.phantom import writing
from transfusion.phantom.settings import Phantom

TIMES, JPEGS, WORKERS = 5, 400, 2


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
    with tempfile.TemporaryDirectory() as folder:
        places = (Path(folder, f"{way}-{k}") for k in range(TIMES) for way in ("own", "joblib"))
        drawn = in_turn(
            lambda: writing.write(next(places), Phantom(images=images), workers=WORKERS),
            lambda: by_joblib(next(places), Phantom(images=images)),
        )
        files = sorted(Path(folder, "own-0").rglob("*.jpg"))[:JPEGS]
        data = [file.read_bytes() for file in files]
        size = Image.open(files[0]).size
    read = in_turn(
        lambda: [frame(one) for one in data],
        lambda: [Image.open(io.BytesIO(one), formats=("JPEG",)).size for one in data],
        lambda: [decode_jpeg(torch.frombuffer(bytearray(one), dtype=torch.uint8)).shape for one in data],
    )
    print(f"{images} images drawn by {WORKERS} processes: own {drawn[0]:.1f} s, joblib {drawn[1]:.1f} s")
    own, pillow, torchvision = (seconds / len(data) * 1e6 for seconds in read)
    print(
        f"header of {len(data)} JPEGs of {size[0]} x {size[1]}: own {own:.1f} us, "
        f"Pillow {pillow / own:.0f} times, torchvision {torchvision / own:.0f} times that"
    )


def in_turn(*ways: Callable[[], Any]) -> list[float]:
    """Median seconds of each way, all of them one after the other in every round."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(TIMES):
        for way, seconds in zip(ways, taken, strict=True):
            start = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - start)
    return [median(seconds) for seconds in taken]


def by_joblib(folder: Path, phantom: Phantom) -> None:
    """The same phantom, each share of its rows drawn by a process of joblib's."""

    def draw(rows: Any, folder: Path, phantom: Phantom, *_: Any) -> None:
        for parent in sorted({writing._file_of(row, folder).parent for row in rows}):
            parent.mkdir(parents=True, exist_ok=True)
        settings = (phantom.size, phantom.seed, phantom.difficulty)
        shares = [
            {"folder": str(folder), "rows": rows[k::WORKERS], "settings": settings} for k in range(WORKERS)
        ]
        joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(drawn)(share) for share in shares)

    own, writing._draw = writing._draw, draw
    try:
        writing.write(folder, phantom)
    finally:
        writing._draw = own


def drawn(share: dict[str, Any]) -> int:
    """Draws a share; how many images it has."""
    return list(writing._draw_share(share))[-1]


if __name__ == "__main__":
    main()
