"""The tables of evidence that the analysis writes: estimates, verdicts and what stands beside them."""

from __future__ import annotations

import pyarrow as pa

from analysis.tables.axes import AXES
from analysis.tables.columns import Column, count, real, text

EFFECTS = ("gain", "small gain", "none", "small loss", "loss", "unknown")
ESTIMATE_KINDS = ("level", "difference", "gain", "power_law")
SIZES = ("one", "mean", "trend", "step")

ESTIMATES = (
    text("name", "what is estimated; traceable from every figure and sentence"),
    text("metric", "measure: train_loss, spikes, convergence_epochs, test_auroc, ..."),
    text(
        "kind",
        "`level` of one condition, `difference` between initialisations, `gain` per doubling of the data, or "
        "`power_law`",
        ESTIMATE_KINDS,
    ),
    text(
        "contrast",
        "what is compared: `photos minus scratch`, `from 48 to 96`, `all sizes`; of a power law `exponent` "
        "or `promised`; null for a level",
    ),
    text(
        "sizes",
        "`one` size, the `mean` of all, the `trend` per doubling over all, the `step` between neighbours",
        SIZES,
    ),
    *(axis for axis in AXES if axis.name not in ("kind", "finding", "seed")),
    text("unit", "unit of the estimate"),
    real("estimate", "point estimate"),
    real("low", "lower end of the 95 % interval"),
    real("high", "upper end of the 95 % interval"),
    real("standard_error", "standard error"),
    real("degrees_of_freedom", "of the t distribution behind the interval; null is normal"),
    text(
        "seed_part",
        "`measured`, `runs` (one seed: the scatter around learning curves stands in) or `unknown`",
    ),
    real("smallest_effect", "smallest effect found in 80 % of such grids (two-sided, 5 %)"),
    count("seeds", "distinct seeds used"),
    count("patients", "patients in the split, null where no patients are involved"),
    count("positives", "positive images in the split, null where no patients are involved"),
    count("cells", "cells used"),
    count("cells_missing", "cells that the contrast asks for and that are not there"),
)

VERDICTS = (
    count("conjecture", "1 to 4"),
    text("claim", "claim's name, or `overall`"),
    text("question", "the claim in words"),
    Column("needed", pa.bool_(), "", "the conjecture stands or falls with this claim"),
    text("expects", "`positive`, `negative`, `zero` or `not_positive`"),
    text("metric", "measure"),
    text("unit", "unit of estimate, interval and margin"),
    real("estimate", "point estimate"),
    real("low", "lower end of the 95 % interval"),
    real("high", "upper end of the 95 % interval"),
    real("margin", "smallest effect that matters, fixed beforehand"),
    count("seeds", "distinct seeds used"),
    count("patients", "patients in the split"),
    count("cells", "cells used"),
    count("cells_missing", "cells that the claim asks for and that are not there"),
    count(
        "cells_doubtful",
        "cells among them that failed or ended at chance: judged left out, and at their worst",
    ),
    text("seed_part", "`measured`, `runs` or `unknown`; nothing is decided unless it is measured"),
    real(
        "smallest_effect",
        "smallest effect that four of five such grids would find to matter by the verdict's own test; "
        "null if none",
    ),
    count(
        "patients_needed",
        "test patients with which four of five such grids could tell no effect from one that matters; "
        "null where "
        "no number would do",
    ),
    count(
        "seeds_needed",
        "more seeds that would decide it with 80 %; null where it is decided, none would, or nothing can be "
        "said",
    ),
    real("hours_needed", "of training, of the cells that it asks for with so many seeds", "hours", low=0),
    text("hours_of", "what those are hours of: `GPU` (its share times its time) or `core`"),
    real("decided_at_best", "how likely any number of seeds decides it; null as of `seeds_needed`"),
    count(
        "patients_for_seeds",
        "where no number of seeds would: test patients with which enough seeds would decide it with 80 %",
    ),
    real("p_supported", "p of the test whose rejection supports the claim, times the number of tests"),
    real("p_refuted", "p of the test whose rejection refutes the claim, times the number of tests"),
    text("verdict", "`supported`, `refuted` or `undecided`: of the claim"),
    text(
        "effect",
        "what was found, at the same level: `gain` or `loss` (for the better or the worse by the margin "
        "or more), "
        "`small gain` or `small loss` (beyond chance, but less), `none` (less than the margin), `unknown`",
        EFFECTS,
    ),
    count("look", "seeds of the look that decided it; null where none has, or seeds do not come in looks"),
    real("repeated_low", "lower end of the interval that holds for all claims and looks together"),
    real("repeated_high", "upper end of the interval that holds for all claims and looks together"),
    real("likely_worse", "how likely it is the worse by the margin or more; descriptive, no test"),
    real("likely_same", "how likely it differs by less than the margin; descriptive, no test"),
    real("likely_better", "how likely it is the better by the margin or more; descriptive, no test"),
    text("because", "what decided it, or what would, in words, without the numbers beside it"),
    text("why", "the verdict in a sentence with its numbers"),
)

FINDINGS = (
    text("figure", "figure of the study"),
    text("finding", "what the study found"),
    text("published", "published number, where one was read"),
    text("source", "where the published number was read"),
    text("metric", "measure"),
    text("unit", "unit of estimate and interval"),
    real("estimate", "ours"),
    real("low", "lower end of the 95 % interval"),
    real("high", "upper end of the 95 % interval"),
    real("margin", "smallest effect that matters"),
    count("seeds", "distinct seeds used"),
    count("patients", "patients in the split"),
    text("verdict", "`reproduced`, `not reproduced` or `undecided`"),
    text("effect", "what was found, as in `verdicts`", EFFECTS),
    text("why", "the verdict in a sentence with its numbers"),
)

PUBLISHED = (
    text("data", "published data set"),
    text("finding", "published finding"),
    text("architecture", "network"),
    text("init", "`random` or `imagenet`"),
    count("train_images", "published training images, null for all of the data set", "images"),
    real("published_auroc", "published AUROC"),
    text("source", "where it was read"),
    text("estimate_name", "row of `estimates` beside it, null where this grid trains another finding"),
    real("estimate", "ours: AUROC on the hold-out test split"),
    real("low", "lower end of the 95 % interval"),
    real("high", "upper end of the 95 % interval"),
    count("seeds", "distinct seeds used"),
    count("patients", "patients in the split"),
)

CHECKS = (
    text("code", "stable code of the check, `TS001` and so on (docs/checks.md)"),
    text("title", "what is wrong where it finds something"),
    text(
        "result",
        "`doubt`, `muted` (a doubt that was looked at), `not known` (the evidence cannot tell) or `clear`",
        ("doubt", "muted", "not known", "clear"),
    ),
    text("found", "what it found, with numbers; null where there is nothing to doubt"),
    count("cells", "cells that it concerns", "cells"),
    text("cell_ids", "their ids, separated by spaces"),
    text("how", "what it looks at, with its threshold"),
    text("why", "what it does to a conclusion"),
    text("action", "what to do"),
)

DECISIONS = (
    text("compared", "decisions between `networks` of one initialisation or between `arms` of one network"),
    count("train_images", "the size that decides alone", "images"),
    count("pairs", "decisions"),
    real("share", "share of them that agree with the largest size's mean over (for itself, other) seeds"),
    real("low", "lower end of the 95 % interval over seeds, null for one seed"),
    real("high", "upper end of the 95 % interval over seeds, null for one seed"),
    count("seeds", "distinct seeds used"),
    real(
        "hours", "training hours of one seed of all cells of that size, without pretraining", "hours", low=0
    ),
)

ROBUSTNESS = (
    count("conjecture", "1 to 4"),
    text("claim", "claim's name, or `overall`"),
    text("question", "the claim in words"),
    Column("needed", pa.bool_(), "", "the conjecture stands or falls with this claim"),
    text(
        "choice",
        "what is chosen otherwise: `measure`, `epoch`, `network`, `runs` or `margin`; null for the verdict "
        "itself",
        ("measure", "epoch", "network", "subset", "runs", "margin"),
    ),
    text("alternative", "how, in words"),
    text("not_available", "why the evidence cannot tell; null where it can"),
    text("metric", "measure"),
    real("estimate", "point estimate"),
    real("low", "lower end of the 95 % interval"),
    real("high", "upper end of the 95 % interval"),
    real("margin", "smallest effect that matters, as this alternative has it"),
    count("seeds", "distinct seeds used"),
    count("patients", "patients in the split"),
    text("verdict", "by the same tests; null where it is not available or cannot be estimated"),
    text("effect", "what is found, as in `verdicts`", EFFECTS),
    text("as_judged", "the verdict itself"),
    Column("same", pa.bool_(), "", "this alternative has the same verdict; null without one"),
)
