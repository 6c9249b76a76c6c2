"""Writes synthetic chest radiographs in CheXpert's own layout, to be read by whatever reads CheXpert.

    python -m transfusion.phantom DIR [--labels CSV] [--images N] [--size S]

The images are drawings: they show that software works, never anything about medicine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from transfusion.cgroups import cores_of_process
from transfusion.files import locked
from transfusion.layouts.chexpert import COLUMNS
from transfusion.layouts.chexpert_folders import FOLDERS
from transfusion.layouts.image_paths import leaves
from transfusion.phantom import render
from transfusion.phantom.given import as_csv, read_given
from transfusion.phantom.labels import Radiograph, as_fields, official_rows, training_rows
from transfusion.phantom.settings import Phantom
from transfusion.problems import InputError, Problem

QUALITY = 90
"""JPEG quality."""

FEW = 128
"""Up to this many images are drawn in this process: starting others would take longer."""

REPORT_EVERY = 16

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**28), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""Lets glibc use the memory of one drawing for the next, instead of asking the system for zeroed pages."""


def write(
    directory: Path,
    phantom: Phantom,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes `CheXpert-v1.0-small/{train.csv,valid.csv,train/,valid/}` below `directory`.

    The bytes depend on `phantom` alone, not on `workers`. A complete phantom is left as it is, and an
    interrupted one is finished.

    Args:
        workers: processes; one for each available core when None.
        progress: called with (images done, images in all).

    Returns:
        `directory`, ready for `chexpert.read`.

    Raises:
        InputError: the folder holds something else, or `phantom.labels` is not in CheXpert's format.
    """
    text, train = _training(phantom)
    first_patient = 1 + max(
        (int(n) for row in train for n in re.findall(r"/patient(\d+)/", row.path)), default=0
    )
    official = official_rows(phantom.official_images, phantom.seed, first_patient)
    recipe: dict[str, object] = {
        "version": render.VERSION,
        "images": len(train),
        "official_images": phantom.official_images,
        "size": phantom.size,
        "seed": phantom.seed,
        "difficulty": phantom.difficulty,
        "labels": phantom.labels is not None,
    }
    directory.mkdir(parents=True, exist_ok=True)
    with locked(directory / ".phantom.lock"):
        folder = directory / FOLDERS[0]
        if _complete(folder, recipe, text):
            return directory
        (folder / "unfinished.json").write_text(json.dumps(recipe))
        (folder / "train.csv").write_text(text, encoding="utf-8", newline="")
        (folder / "valid.csv").write_text(
            as_csv(COLUMNS, map(as_fields, official)), encoding="utf-8", newline=""
        )
        _draw([*train, *official], folder, phantom, workers, progress)
        (folder / "unfinished.json").replace(folder / "phantom.json")
    return directory


def _training(phantom: Phantom) -> tuple[str, list[Radiograph]]:
    """The text of `train.csv` and what it says."""
    if phantom.labels is None:
        rows = training_rows(phantom.images, phantom.seed)
        return as_csv(COLUMNS, map(as_fields, rows)), rows
    return read_given(phantom.labels, phantom.images)


def _complete(folder: Path, recipe: dict[str, object], text: str) -> bool:
    """Whether this very phantom is there; makes the folder when nothing is.

    Raises:
        InputError: something else is there.
    """
    folder.mkdir(exist_ok=True)
    for marker in (folder / "phantom.json", folder / "unfinished.json"):
        if not marker.exists():
            continue
        found = json.loads(marker.read_text())
        if marker.name == "unfinished.json" and found == recipe:
            return False
        if found == recipe and (folder / "train.csv").read_bytes() == text.encode():
            return True
        differing = ", ".join(
            f"{name} {found.get(name)}" for name in recipe if found.get(name) != recipe[name]
        )
        found_text = f"another phantom ({differing or 'other labels'})"
        raise InputError([Problem(str(folder), found_text, "no phantom or the same", "name another folder")])
    if any(folder.iterdir()):
        raise InputError(
            [Problem(str(folder), "files of another origin", "an empty folder", "name another folder")]
        )
    return False


def _draw(
    rows: Sequence[Radiograph],
    folder: Path,
    phantom: Phantom,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Draws all rows, in this process if they are few, else in `workers` of their own."""
    for parent in sorted({_file_of(row, folder).parent for row in rows}):
        parent.mkdir(parents=True, exist_ok=True)
    count = min(workers or cores_of_process(), 1 + len(rows) // FEW)
    shares = [
        {
            "folder": str(folder),
            "rows": rows[k::count],
            "settings": (phantom.size, phantom.seed, phantom.difficulty),
        }
        for k in range(count)
    ]
    done = [0] * count

    def follow(worker: int) -> None:
        steps = _draw_share(shares[worker]) if count == 1 else _draw_elsewhere(shares[worker])
        for done[worker] in steps:
            if progress is not None:
                progress(sum(done), len(rows))

    with ThreadPoolExecutor(max_workers=count) as pool:
        list(pool.map(follow, range(count)))


def _draw_share(share: dict) -> Iterator[int]:
    """Draws the rows of one worker, yielding now and then how many are done."""
    size, seed, difficulty = share["settings"]
    rows = [Radiograph(*row) for row in share["rows"]]
    for number, row in enumerate(rows, start=1):
        pixels = render.render(row, size, seed, difficulty)
        Image.fromarray(pixels).save(_file_of(row, Path(share["folder"])), "JPEG", quality=QUALITY)
        if number % REPORT_EVERY == 0 or number == len(rows):
            yield number


def _draw_elsewhere(share: dict) -> Iterator[int]:
    """The same in a fresh interpreter: no fork beside threads, no second run of the main script."""
    search = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from transfusion.phantom.writing import _serve; _serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **KEEP_MEMORY, "PYTHONPATH": search},
        text=True,
        start_new_session=True,  # a Ctrl-C is for the one that draws, which then ends this one
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        json.dump(share, process.stdin)
        process.stdin.close()
        yield from (int(line) for line in process.stdout)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)


def _serve() -> None:
    try:
        for number in _draw_share(json.load(sys.stdin)):
            print(number, flush=True)
    except BrokenPipeError:  # whoever asked for it is gone
        os._exit(1)


def _file_of(row: Radiograph, folder: Path) -> Path:
    name = row.path
    for prefix in FOLDERS:
        name = name.removeprefix(f"{prefix}/")
    if leaves(name):
        raise InputError(
            [Problem(row.path, "a path that leaves the folder", "a path inside", "correct the path")]
        )
    return folder / name


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; status 2 on arguments or data that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m transfusion.phantom", description=__doc__.split("\n")[0])
    parser.add_argument("directory", type=Path, help="where to write; made if need be")
    parser.add_argument(
        "--labels", type=Path, help="a CSV in CheXpert's format to draw (default: random labels)"
    )
    parser.add_argument(
        "--images", type=int, help="training images (default: 2000, or every row of --labels)"
    )
    parser.add_argument("--official-images", type=int, default=234, help="validation images (default: 234)")
    parser.add_argument("--size", type=int, default=320, help="pixels of the short side (default: 320)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", type=float, default=0.5, help="0 (plain) to 1 (faint; default: 0.5)")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")
    options = vars(parser.parse_args(arguments))
    if options["images"] is None:
        options["images"] = 2000 if options["labels"] is None else 10**8
    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns) as bar:
            task = bar.add_task("", total=None)
            directory, workers = options.pop("directory"), options.pop("workers")
            write(
                directory,
                Phantom(**options),
                workers=workers,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
