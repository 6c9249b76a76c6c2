"""The identity of the images: assumed while planning, certain before anything trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from sweeps.inputs import data, pretrained
from sweeps.planning.plan import PlannedCell
from sweeps.storage.places import Places
from transfusion.cell import Recipe
from transfusion.data import content, equal_images
from transfusion.data.dataset import Dataset
from transfusion.problems import Problem

FOLDER = "content"
"""Below OUT: what the images held whose cells lie there."""


@dataclass(frozen=True)
class Inputs:
    """What a sweep trains on.

    Attributes:
        dataset: the data.
        origin: what `init=imagenet` starts from.
    """

    dataset: Dataset
    origin: pretrained.Pretrained

    @property
    def identity(self) -> tuple[str, str | None]:
        """What of it enters the identity of cells and may change once the images are read."""
        return self.dataset.fingerprint, self.origin.supplied.imagenet


def recall(inputs: Inputs, places: Places) -> Inputs:
    """`inputs` named by the bytes of their images, as far as they are known without reading all."""
    return _each(inputs, lambda dataset: content.recalled(dataset, [places.out / FOLDER, places.cache]))


def settle(
    inputs: Inputs, missing: Sequence[PlannedCell], recipe: Recipe, places: Places, console: Console
) -> Inputs:
    """Reads every image whose bytes are not certain, and remembers them.

    Args:
        missing: the cells that will be run: their images are decoded into the cache meanwhile.

    Returns:
        The inputs as they are. Where their identity differs, the plan has to be made again.
    """
    dataset, origin = inputs.dataset, inputs.origin
    if missing:
        dataset = data.prepare(dataset, recipe, places.cache, console)
        origin = pretrained.prepare(origin, missing, recipe, places.cells, places.cache, console)
    ready = _each(Inputs(dataset, origin), lambda one: data.settle(one, console))
    for one in (ready.dataset, ready.origin.imagenet):
        if one is not None:
            content.remember(one, places.out / FOLDER)
            if places.store is not None:
                file = content.record_file(one, places.out / FOLDER)
                places.store.send(file, f"{FOLDER}/{file.name}")
    return ready


def _each(inputs: Inputs, change: Callable[[Dataset], Dataset]) -> Inputs:
    """`inputs` after `change` of both tables."""
    imagenet = inputs.origin.imagenet
    return Inputs(change(inputs.dataset), inputs.origin.with_images(imagenet and change(imagenet)))


def notes(inputs: Inputs, records: Mapping[str, dict[str, Any]]) -> list[str]:
    """What the plan says of the images, as sentences.

    Args:
        records: of the finished cells in OUT.
    """
    trained = {record["data"] for record in records.values()}
    lines = [*_of_bytes(inputs.dataset, "", bool(trained & {_record(inputs.dataset)}), bool(trained))]
    if inputs.origin.imagenet is not None:
        lines += _of_bytes(inputs.origin.imagenet, " of --imagenet", bool(trained), bool(trained))
    return [*lines, *map(str, equal_images.find(inputs.dataset))]


def seen_since(planned: Inputs, ready: Inputs) -> list[str]:
    """What decoding the images has shown of equal ones that the plan did not say."""
    said = set(equal_images.find(planned.dataset))
    return [str(one) for one in equal_images.find(ready.dataset) if one not in said]


def _record(dataset: Dataset) -> str | None:
    return dataset.content.record if dataset.content else None


def _of_bytes(dataset: Dataset, which: str, trained: bool, any_trained: bool) -> list[str]:
    """Whether the images are those that cells were trained on, where that is not sure."""
    known = dataset.content
    assert known is not None
    changed, assumed = int(known.changed.sum()), int(known.assumed.sum())
    unread = len(known.digests) - int((known.certain | known.assumed).sum())
    lines = []
    if changed and trained:
        lines.append(f"{changed:,} images{which} have changed since the cells in OUT were trained: new cells")
    if assumed:
        lines.append(
            f"{assumed:,} images{which} have the size but not the times of those that were read before (a "
            "copy?): the plan takes them for the same, and they are read before anything trains"
        )
    if unread and any_trained:
        lines.append(
            f"{unread:,} images{which} have not been read yet: they are before anything trains, and the plan "
            "is made again should they be those of cells in OUT"
        )
    return lines


def unsteady(dataset: Dataset) -> Problem:
    """The problem of images that are others each time that they are read."""
    found = "images that change while they are read"
    return Problem(str(dataset.root), found, "images that stay", "run again once all are there")
