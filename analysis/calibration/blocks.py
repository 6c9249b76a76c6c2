"""Many grids of many cases, in blocks: in parallel, and each finished block kept, so that a run resumes.

A block is some grids of one case. Its sums lie in `OUT/blocks`, under a name made of the case, the numbers of
its grids and a fingerprint of the code: what lies there is not simulated again, and nothing of other code is
taken. Which process simulates a block changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from analysis.calibration.cases import SUMS, Case, add_up, fingerprint, plant

GRIDS_PER_BLOCK = 50
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

Block = tuple[Case, int, int, Path]
"""A case, its first grid and the one after its last, and the file that keeps the sums."""


def blocks(cases: Sequence[Case], grids: Mapping[str, int], out: Path) -> list[Block]:
    """The blocks of all cases: the first block of each case first, so that early tables show every case.

    Args:
        grids: of every case of a preset.
    """
    return [
        (case, first, min(first + GRIDS_PER_BLOCK, grids[case.preset]), _file(case, first, grids, out))
        for first in range(0, max(grids.values()), GRIDS_PER_BLOCK)
        for case in cases
        if first < grids[case.preset]
    ]


def _file(case: Case, first: int, grids: Mapping[str, int], out: Path) -> Path:
    last = min(first + GRIDS_PER_BLOCK, grids[case.preset]) - 1
    return out / "blocks" / f"{case.entropy:016x}-{fingerprint()}-{first:06d}-{last:06d}.parquet"


def simulate_block(block: Block) -> Path:
    """Simulate a block and keep its sums; written aside and renamed, so that a file is whole or not there."""
    case, first, end, file = block
    table = add_up(plant(case), case.entropy, range(first, end))
    aside = file.with_suffix(f".{os.getpid()}.part")
    table.to_parquet(aside, index=False)
    aside.replace(file)
    return file


def run(
    cases: Sequence[Case],
    grids: Mapping[str, int],
    out: Path,
    processes: int,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> pd.DataFrame:
    """Simulate what is missing of so many grids of every case of a preset; the sums of all, a row per case
    and claim."""
    (out / "blocks").mkdir(parents=True, exist_ok=True)
    wanted = blocks(cases, grids, out)
    missing = [block for block in wanted if not block[3].exists()]
    todo, whole = (sum(end - first for _, first, end, _ in some) for some in (missing, wanted))
    say(f"{len(cases)} cases: {todo:,} of {whole:,} grids are to be simulated")
    if missing:
        _simulate(missing, processes, say)
    return collect(wanted)


def _simulate(missing: list[Block], processes: int, say: Callable[[str], None]) -> None:
    began, shown = time.monotonic(), time.monotonic()
    with _one_thread_each(), multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, _ in enumerate(pool.imap_unordered(simulate_block, missing), start=1):
            now = time.monotonic()
            if now - shown > 20 or done == len(missing):
                shown = now
                left = (now - began) / done * (len(missing) - done)
                ends = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
                say(f"{done:,} of {len(missing):,} blocks in {now - began:.0f} s; ends at about {ends}")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here use one thread each: their matrices are small."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def collect(wanted: Sequence[Block]) -> pd.DataFrame:
    """Add up the blocks that are there, a row per case and claim."""
    parts = [
        pd.read_parquet(file).assign(
            world=case.world, preset=case.preset, seeds=case.seeds, effect=case.effect
        )
        for case, _, _, file in wanted
        if file.exists()
    ]
    keys = ["world", "preset", "seeds", "effect", "claim", "kind", "true"]
    return pd.concat(parts).groupby(keys, sort=False, dropna=False)[list(SUMS)].sum(min_count=1).reset_index()
