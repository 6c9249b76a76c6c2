"""The paired sums behind a contrast, one per network and seed with every term; the weights of networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.measures import Measures
from analysis.statistics.terms import Contrast, Term

Reals: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """The paired sums of all networks, one per network and seed that has every term.

    Attributes:
        network: position of each block's network in `names` [B].
        seed: position of each block's seed [B].
        rows: the cells of each block, in the order of the terms [B, K].
        values: the sum of each block [B].
        seeds, cells, missing: distinct seeds, cells used, cells that are not there.
    """

    names: list[str]
    network: NDArray[np.intp]
    seed: NDArray[np.intp]
    rows: NDArray[np.intp]
    values: Reals
    seeds: int
    missing: int
    networks_missing: tuple[str, ...]

    @property
    def alone(self) -> tuple[str, ...]:
        """Networks with one block, where there are other seeds: of their own scatter nothing is seen."""
        once = np.bincount(self.network, minlength=len(self.names)) == 1
        return tuple(np.array(self.names, dtype=object)[once]) if self.seeds > 1 else ()

    def each(self, weights: Reals) -> Reals:
        """The weight of every block [B]: that of its network [A], shared by the network's seeds."""
        return weights[self.network] / np.bincount(self.network)[self.network]


def coefficients(measures: Measures, contrast: Contrast) -> Reals:
    """The weight of every cell [cells] in the estimate: `coefficients @ values` is the point estimate.

    Raises:
        ValueError: too few networks have all the cells that the contrast needs.
    """
    blocks = blocks_of(measures, contrast)
    weights = weights_across(measures, contrast, blocks.names)
    if weights is None:
        raise ValueError(f"{contrast.name}: too few networks have all of its cells")
    return per_cell(measures, contrast, blocks, blocks.each(weights))


def per_cell(measures: Measures, contrast: Contrast, blocks: Blocks, each: Reals) -> Reals:
    """The weight of every cell [cells], from that of every block [B]."""
    total = np.zeros(len(measures.cells))
    np.add.at(total, blocks.rows, each[:, None] * contrast.weights)
    return total


def network_weights(measures: Measures, contrast: Contrast) -> dict[str, float]:
    """The weight of every network that takes part; empty if there are too few."""
    names = blocks_of(measures, contrast).names
    weights = weights_across(measures, contrast, names)
    return {} if weights is None else dict(zip(names, weights.tolist(), strict=True))


def blocks_of(measures: Measures, contrast: Contrast) -> Blocks:
    if contrast not in measures.blocks:
        measures.blocks[contrast] = _find_blocks(measures, contrast)
    found: Blocks = measures.blocks[contrast]
    return found


def _find_blocks(measures: Measures, contrast: Contrast) -> Blocks:
    wanted = planned_rows(measures, contrast)
    values = measures.values(contrast.metric)
    there: NDArray[np.bool_] = (wanted >= 0) & np.isfinite(values[wanted])
    complete: NDArray[np.bool_] = np.all(there, axis=2)
    has_block: NDArray[np.bool_] = np.any(complete, axis=1)
    lacking: NDArray[np.bool_] = np.any(np.all(wanted >= 0, axis=2), axis=1) & ~has_block
    names = contrast.architectures or measures.architectures
    network, seed = np.nonzero(complete)
    rows = wanted[network, seed]
    return Blocks(
        names=[name for name, has in zip(names, has_block, strict=True) if has],
        network=(np.cumsum(has_block) - 1)[network],
        seed=seed,
        rows=rows,
        values=values[rows] @ contrast.weights,
        seeds=len(np.unique(seed)),
        missing=int((~there).sum()),
        networks_missing=tuple(name for name, lacks in zip(names, lacking, strict=True) if lacks),
    )


def has_copies(measures: Measures, contrast: Contrast) -> bool:
    """Whether two seeds of a network have the same loss and AUROC, to the last digit, in all of its cells."""
    if measures.alike is None:
        return False
    blocks = blocks_of(measures, contrast)
    results = np.column_stack([blocks.network, measures.alike[blocks.rows]])
    return len(np.unique(results, axis=0)) < len(results)


def planned_rows(measures: Measures, contrast: Contrast) -> NDArray[np.intp]:
    """The row of every cell that `contrast` asks for, -1 where none is planned [networks, seeds, terms]."""
    if contrast not in measures.planned_rows:
        names = contrast.architectures or measures.architectures
        conditions = [[term.of(name) for term in contrast.terms] for name in names]
        measures.planned_rows[contrast] = np.array(
            [
                [[measures.rows.get((one, seed), -1) for one in network] for seed in measures.seeds]
                for network in conditions
            ],
            dtype=np.intp,
        ).reshape(len(names), len(measures.seeds), len(contrast.terms))
    return measures.planned_rows[contrast]


def absent(measures: Measures, contrast: Contrast) -> tuple[int, str]:
    """Of a contrast without an estimate: how many of its cells are not there, and why, in words."""
    blocks = blocks_of(measures, contrast)
    names = contrast.architectures or measures.architectures
    unplanned = {
        term: [name for name in names if not _planned(measures, name, term)] for term in contrast.terms
    }
    if any(len(lacking) == len(names) for lacking in unplanned.values()):
        return blocks.missing, "the grid plans no cells of one kind that it compares"
    if contrast.across == "difference" and len({name in contrast.group for name in names}) == 1:
        return blocks.missing, "the grid has no network of one of the two groups that it compares"
    if blocks.names and contrast.across in ("log2_depth", "log10_parameters"):
        return (
            blocks.missing,
            "fewer than two networks of different, known size have all of the cells that it asks for",
        )
    planned = planned_rows(measures, contrast)
    cells = measures.cells.iloc[np.unique(planned[planned >= 0])]
    done = cells["status"] == "done"
    if undefined := int((done & cells[contrast.metric].isna()).sum()):
        why = "of its cells have finished without this measure (too few steps or images for it)"
        return blocks.missing, f"{undefined:,} {why}"
    if done.all():
        return blocks.missing, "the grid plans some of the cells that it compares only"
    return blocks.missing, f"{int((~done).sum()):,} of the cells that it asks for have not finished"


def _planned(measures: Measures, architecture: str, term: Term) -> bool:
    return any((term.of(architecture), seed) in measures.rows for seed in measures.seeds)


def weights_across(measures: Measures, contrast: Contrast, names: list[str]) -> Reals | None:
    """The least-squares weight of every network [A]; None if there are too few of them."""
    key = contrast.across, contrast.group, tuple(names)
    if key not in measures.network_weights:
        measures.network_weights[key] = _least_squares(measures, contrast, names)
    return measures.network_weights[key]


def _least_squares(measures: Measures, contrast: Contrast, names: list[str]) -> Reals | None:
    if not names:
        return None
    if contrast.across == "mean":
        return np.full(len(names), 1 / len(names))
    scale = 1.0
    if contrast.across == "difference":
        column = np.array([float(name in contrast.group) for name in names])
    else:
        measure, log = ("depth", np.log2) if contrast.across == "log2_depth" else ("parameters", np.log10)
        network = measures.networks[measure]
        column = log(network.reindex(names).to_numpy(float))
        scale = float(column.max() - column.min())
    centred = column - column.mean()
    spread = float(centred @ centred)
    return scale * centred / spread if np.isfinite(spread) and spread > 0 else None
