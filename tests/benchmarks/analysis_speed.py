"""python tests/benchmarks/analysis_speed.py: the whole analysis at the size of CheXpert, in seconds and GB.

Writes the evidence of 420 cells (7 networks, 4 sizes, 5 arms, 3 seeds) with 22,000 test images each, 100
epochs
and a step table, and judges it: all contrasts, verdicts, figures and the report. Aim: 60 seconds and 4 GB on
two cores.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

sys.path[:0] = [str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parent.parent.parent)]

import cell_folders as folders  # noqa: E402

import analysis  # noqa: E402
from analysis.calibration.patients import draw_logits, draw_split  # noqa: E402
from analysis.calibration.settings import CHEXPERT  # noqa: E402
from analysis.calibration.worlds import Reading  # noqa: E402

EPOCHS, STEPS = 100, 2_000


def write_evidence(out: Path, images: int) -> None:
    """Tables of evidence as a CheXpert sweep would leave them."""
    folder = out / "evidence"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    cells = folders.grid(sizes=CHEXPERT.sizes, seeds=3)
    names = [folders.identity(cell) for cell in cells]
    trials = pd.DataFrame(cells).assign(
        cell_id=names, status="done", train_loss=rng.normal(0.3, 0.01, len(cells))
    )
    networks = trials["architecture"].map(folders.NETWORKS)
    trials["depth"], trials["parameters"] = networks.str[0], networks.str[1]
    trials.to_parquet(folder / "trials.parquet")
    losses = 0.3 + 0.3 * np.exp(-np.arange(EPOCHS) / 20)
    pd.concat(
        pd.DataFrame({"cell_id": name, "epoch": np.arange(1, EPOCHS + 1), "train_loss": losses})
        for name in names
    ).to_parquet(folder / "epochs.parquet")
    pd.concat(
        pd.DataFrame(
            {
                "cell_id": name, "step": np.arange(1, STEPS + 1),
                "epoch": np.repeat(np.arange(1, 101), STEPS // 100),
                "train_loss": np.repeat(losses, STEPS // 100) * np.exp(rng.normal(0, 0.05, STEPS)),
            }
        )
        for name in names
    ).to_parquet(folder / "steps.parquet")  # fmt: skip
    split = draw_split(CHEXPERT, Reading(), rng)
    patients, labels = split.patients[:images], split.labels[:images].astype(np.float32)
    patient = pa.array([f"patient{p:05d}" for p in patients])
    image = pa.array(
        [f"CheXpert-v1.0/train/patient{p:05d}/study1/view{k}.jpg" for k, p in enumerate(patients)]
    )
    study = pa.array([f"patient{p:05d}/study1" for p in patients])
    writer, how = None, (CHEXPERT, Reading())
    for name, cell in zip(names, cells, strict=True):
        auroc = 0.84 + 0.01 * np.log2(cell["train_images"] / 5_000) + rng.normal(0, 0.004)
        table = pa.table(
            {
                "cell_id": pa.repeat(name, len(labels)), "split": pa.repeat("test", len(labels)),
                "image": image,
                "patient": patient, "study": study, "label": labels,
                "logit": draw_logits(np.array([auroc]), np.zeros(1, int), split, how, rng)[0, :images],
            }
        )  # fmt: skip
        writer = writer or pq.ParquetWriter(folder / "predictions.parquet", table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=CHEXPERT.images)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        write_evidence(out, options.images)
        wall, cpu = time.perf_counter(), time.process_time()
        summary = analysis.run(out)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = sum(file.stat().st_size for file in summary.evidence.iterdir()) / 2**20
        rows = len(analysis.load(out).estimates)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"| {summary.counts['done']} cells, {options.images:,} test images | |\n|---|---|")
    print(
        f"| wall seconds | {wall:.1f} |\n| processor seconds | {cpu:.1f} |\n| peak memory, GB | {peak:.2f} |"
    )
    print(f"| contrasts and levels | {rows:,} |\n| evidence on disk, MB | {size:.0f} |")


if __name__ == "__main__":
    main()
