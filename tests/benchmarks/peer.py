"""The peer: what a competent user would write for the same grid without this project.

    python tests/benchmarks/peer.py --preset smoke --data DIR --out OUT [--cells FILE]

Ray Tune with a fresh process for every trial and its default loggers; Lightning's Trainer in float32, its
learning-rate finder and its checkpoints; a torchvision dataset that decodes every JPEG anew and applies
RandomAffine image by image in DataLoader workers; one trial per GPU, or per core where there is none. First
one run for the pretrainings, then one for the cells that start from them.

The same cells, networks, labels, splits, steps and recipe as ours: range test, plateau, selection of the
epoch, evaluation of the test and official parts. Prints one line of JSON: seconds, and when the first trial
began.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import ray
import torch
import torchmetrics
from PIL import Image
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.tuner import Tuner
from ray import tune
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

from sweeps.presets import PRESETS
from transfusion.cell import Cell, Recipe, upstream_of
from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert, photos
from transfusion.networks.convolution import Convolution
from transfusion.networks.network import build
from transfusion.training.range_test import choose

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pictures(torch.utils.data.Dataset):
    """Images, JPEG files or arrays [3, H, W], and their targets, one after the other."""

    def __init__(self, images: list[Any], targets: np.ndarray, transform: Any) -> None:
        self.images, self.targets, self.transform = images, targets, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Any]:
        image = self.images[index]
        if isinstance(image, np.ndarray):
            picture = Image.fromarray(image.transpose(1, 2, 0))
        else:
            with Image.open(image) as file:
                picture = file.convert("L")
        return self.transform(picture), self.targets[index]


class Classifier(pl.LightningModule):
    """A network with its loss, optimiser, plateau and selection metric."""

    def __init__(self, network: torch.nn.Module, recipe: Recipe, binary: bool) -> None:
        super().__init__()
        self.network, self.recipe, self.binary, self.lr = network, recipe, binary, recipe.range_test_low
        self.auroc = torchmetrics.AUROC(task="binary")
        self.losses: list[torch.Tensor] = []

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.binary:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], targets)
        return functional.cross_entropy(logits, targets)

    def on_train_epoch_start(self) -> None:
        if not next(self.network.stages.parameters()).requires_grad:
            self.network.stages.eval()

    def training_step(self, batch: Any, _index: int) -> torch.Tensor:
        loss = self.loss(self.network(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, _index: int) -> None:
        logits = self.network(batch[0])
        self.log("selection_loss", self.loss(logits, batch[1]), on_epoch=True)
        if self.binary:
            self.auroc.update(logits[:, 0], batch[1].int())
            self.log("selection_auroc", self.auroc, on_epoch=True)

    def predict_step(self, batch: Any, _index: int) -> torch.Tensor:
        return self.network(batch[0])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam([w for w in self.parameters() if w.requires_grad], lr=self.lr)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.recipe.plateau_factor, patience=self.recipe.plateau_patience
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "train_loss", "interval": "epoch"},
        }


class Report(Callback):
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        tune.report({name: float(value) for name, value in trainer.callback_metrics.items()})


def loaders(
    cell: Cell, recipe: Recipe, dataset: Dataset, workers: int
) -> tuple[dict[str, DataLoader], dict[str, np.ndarray], int]:
    """A loader for each part, the labels of each, and the number of outputs."""
    size = recipe.image_size
    normalize = [
        transforms.ToTensor(),
        transforms.Lambda(lambda image: image.expand(3, -1, -1)),
        transforms.Normalize(MEAN, STD),
    ]
    shape = [transforms.Resize(size, antialias=True), transforms.CenterCrop(size)]
    affine = transforms.RandomAffine(
        recipe.rotation_degrees,
        (recipe.translate_fraction,) * 2,
        (1 - recipe.scale_fraction, 1 + recipe.scale_fraction),
        interpolation=transforms.InterpolationMode.BILINEAR,
    )
    images: dict[str, list[Any]] = {}
    labels: dict[str, np.ndarray] = {}
    if cell.finding == "photos":
        held_out = max(1, cell.train_images // 10)
        crops, classes = photos.crops(cell.train_images + held_out, size, cell.seed)
        for part, which in (
            ("train", slice(cell.train_images)),
            ("selection", slice(cell.train_images, None)),
        ):
            images[part], labels[part] = list(crops[which]), classes[which]
    else:
        found = dataset.labels(cell.finding, recipe.uncertain_policy(cell.finding), recipe.blank)
        for part in ("train", "selection", "test", "official"):
            rows = dataset.rows(part, cell.train_images if part == "train" else None)
            images[part] = [dataset.root / name for name in dataset.frame["image"].iloc[rows]]
            labels[part] = found[rows].astype(np.float32)
    outputs = (
        1 if cell.finding != "photos" else int(max(labels["train"].max(), labels["selection"].max())) + 1
    )
    made = {
        part: DataLoader(
            Pictures(
                images[part],
                labels[part],
                transforms.Compose([*shape, *([affine] if part == "train" else []), *normalize]),
            ),
            batch_size=recipe.batch_size if part == "train" else 64,
            shuffle=part == "train",
            num_workers=workers,
            persistent_workers=workers > 0 and part in ("train", "selection"),
            pin_memory=torch.cuda.is_available(),
        )
        for part in images
    }
    return made, labels, outputs


def train(
    config: dict[str, Any], *, recipe: Recipe, dataset: Dataset, folder: str, workers: int, threads: int
) -> None:
    """One trial."""
    (Path(folder) / f"began-{time.time()}").touch()
    cell = Cell(**config["cell"])
    pl.seed_everything(cell.seed, verbose=False)
    torch.set_num_threads(threads)
    parts, labels, outputs = loaders(cell, recipe, dataset, workers)
    network = build(cell.architecture, outputs, recipe.batch_norm_momentum)
    for layer in network.modules():
        if isinstance(layer, Convolution):
            layer.__class__ = torch.nn.Conv2d
    if upstream := upstream_of(cell, recipe):
        network.stages.load_state_dict(torch.load(weights_file(Path(folder), upstream), weights_only=True))
    if cell.freeze == "backbone":
        network.stages.requires_grad_(False)
    module = Classifier(network, recipe, cell.finding != "photos")
    place = Path(tune.get_context().get_trial_dir())
    options: dict[str, Any] = {
        "accelerator": "auto", "devices": 1, "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "num_sanity_val_steps": 0, "default_root_dir": place,
    }  # fmt: skip
    finder = Tuner(pl.Trainer(**options, max_epochs=1, enable_checkpointing=False)).lr_find(
        module, parts["train"], parts["selection"],
        min_lr=recipe.range_test_low, max_lr=recipe.range_test_high, num_training=recipe.range_test_steps,
        update_attr=False,
    )  # fmt: skip
    curve = finder.results if finder is not None else {}
    module.lr = choose(np.array(curve["lr"]), np.array(curve["loss"]))
    monitor, mode = ("selection_auroc", "max") if module.binary else ("selection_loss", "min")
    best = ModelCheckpoint(place, monitor=monitor, mode=mode, save_weights_only=True)
    epochs = recipe.upstream_epochs if cell.kind == "upstream" else recipe.epochs
    trainer = pl.Trainer(**options, max_epochs=epochs, callbacks=[best, Report()])
    trainer.fit(module, parts["train"], parts["selection"])
    module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    for part in ("test", "official"):
        if part in parts:
            logits = torch.cat(trainer.predict(module, parts[part]))[:, 0]
            frame = pd.DataFrame({"label": labels[part], "logit": logits.cpu().numpy()})
            frame.to_parquet(place / f"{part}.parquet")
    if cell.kind == "upstream":
        torch.save(network.stages.state_dict(), weights_file(Path(folder), cell))


def weights_file(folder: Path, upstream: Cell) -> Path:
    return folder / f"{upstream.architecture}-{upstream.finding}-{upstream.seed}.pt"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="smoke")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=Path, help="JSON list of cells to run instead of the preset's")
    parser.add_argument("--workers", type=int, help="of a DataLoader; a GPU's share of the cores, or 1")
    options = parser.parse_args()
    start = time.time()
    preset = PRESETS[options.preset]()
    recipe = preset.recipe
    if options.cells:
        wanted = [Cell(**cell) for cell in json.loads(options.cells.read_text())]
    else:
        grid = preset.cells()
        upstreams = dict.fromkeys(up for cell in grid if (up := upstream_of(cell, recipe)))
        wanted = [*upstreams, *grid]
    dataset = chexpert.read(options.data, views=recipe.views)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = str(options.out.resolve())
    gpus = torch.cuda.device_count()
    workers = options.workers if options.workers is not None else os.cpu_count() // gpus - 1 if gpus else 1
    for cell in wanted:  # a cell of a sample may start from a pretraining outside of it: stand-in weights
        upstream = upstream_of(cell, recipe)
        if upstream is not None and upstream not in wanted:
            file = weights_file(options.out, upstream)
            if not file.exists():
                torch.save(build(upstream.architecture).stages.state_dict(), file)
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    function = tune.with_parameters(
        train, recipe=recipe, dataset=dataset, folder=folder, workers=workers, threads=1
    )
    errors = 0
    for kind in ("upstream", "grid"):
        chosen = [cell for cell in wanted if cell.kind == kind]
        if not chosen:
            continue
        axes = [{name: getattr(cell, name) for name in cell.__slots__} for cell in chosen]
        found = tune.Tuner(
            tune.with_resources(function, {"cpu": workers + 1, "gpu": 1} if gpus else {"cpu": 1}),
            param_space={"cell": tune.grid_search(axes)},
            run_config=tune.RunConfig(name=kind, storage_path=str(options.out.resolve() / "tune"), verbose=0),
        ).fit()
        errors += found.num_errors
    end = time.time()
    ray.shutdown()
    began = min(float(file.name.removeprefix("began-")) for file in options.out.glob("began-*"))
    print(
        json.dumps({"seconds": end - start, "first": began - start, "cells": len(wanted), "errors": errors})
    )


if __name__ == "__main__":
    main()
