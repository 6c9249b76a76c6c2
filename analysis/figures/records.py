"""Every figure, once: its name, what it shows, where it belongs, and how it is drawn.

A figure is added here; `analysis.figure`, the files below OUT/figures and the report follow from its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analysis.figures import areas, decisions, networks, robust, training, verdict
from analysis.figures.canvas import Absent, Drawing

if TYPE_CHECKING:
    from analysis.claims.drawn import Drawn


Part = Literal["first", 1, 2, 3, 4, "robust", "small", "methods"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One figure.

    Attributes:
        name: of its files, and for `analysis.figure`.
        caption: a sentence; `{natural}`, `{in_domain}` and `{law}` are filled in from `Drawn.words`.
        part: where in the report it stands: a conjecture, 1 to 4, or one of the other parts.
        draw: tables in, picture out, or why there is none.
        within: a figure that shows all of this one and more; where it can be drawn the report shows it alone.
        narrow: a form of the figure `within` for phones and columns of print.
        wide: as wide as a page.
    """

    name: str
    caption: str
    part: Part
    draw: Callable[[Drawn], Drawing | Absent]
    within: str = ""
    narrow: bool = False
    wide: bool = False


RECORDS: tuple[Record, ...] = (
    Record(
        name="verdicts",
        caption="What was found: every effect, in units of the smallest that matters.",
        part="first",
        draw=verdict.wide,
    ),
    Record(
        name="verdicts_column",
        caption="What was found: every effect, in units of the smallest that matters.",
        part="first",
        draw=verdict.narrow,
        within="verdicts",
        narrow=True,
    ),
    Record(
        name="figure1",
        caption="Training loss of ResNet-50 over training, spikes marked (the study's figure 1).",
        part=1,
        draw=training.spikes,
    ),
    Record(
        name="figure2",
        caption="Training loss by epoch (the study's figure 2).",
        part=1,
        draw=training.wide_and_resnets,
        within="figure3",
    ),
    Record(
        name="figure3",
        caption="Training loss by epoch of the large networks (the study's figures 2 and 3).",
        part=1,
        draw=training.large,
    ),
    Record(
        name="figure5",
        caption="AUROC by number of parameters and by depth (the study's figure 5).",
        part=2,
        draw=networks.by_network,
    ),
    Record(
        name="learning_curve",
        caption="AUROC from scratch by size of the data set{law}.",
        part=3,
        draw=areas.learning_curve,
    ),
    Record(
        name="figure4",
        caption="AUROC of CBR-Large-Wide by size of the data set, from scratch and pretrained on {natural} "
        "(the study's figure 4).",
        part=3,
        draw=areas.pretrained,
    ),
    Record(
        name="gains",
        caption="What pretraining gains over training from scratch, by size and network.",
        part=4,
        draw=areas.gains,
    ),
    Record(
        name="figure6",
        caption="AUROC of CBR-Large-Wide from scratch, fine-tuned and frozen from {in_domain} (the study's "
        "figure 6).",
        part=4,
        draw=areas.in_domain,
    ),
    Record(
        name="robustness",
        caption="Every claim that a conjecture stands or falls with, judged in other ways.",
        part="robust",
        draw=robust.alternatives,
        wide=True,
    ),
    Record(
        name="decisions",
        caption="Which decisions a smaller size alone would have got right.",
        part="small",
        draw=decisions.shares,
    ),
    Record(
        name="range_tests",
        caption="The learning-rate range tests.",
        part="methods",
        draw=training.range_tests,
    ),
)
"""In the order of the report."""
