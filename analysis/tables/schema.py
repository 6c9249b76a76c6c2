"""The tables of evidence: name, type, unit and meaning of every column. A public format.

Anyone may write such tables and have them judged; only `REQUIRED` columns have to be there, the others
are taken as null. A rate or share is a fraction, a time is in seconds, a missing value is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.names import IN_DOMAIN


class EvidenceError(ValueError):
    """Evidence that cannot be read: the file, what was found, what was expected, what to do."""


class UnreadableError(EvidenceError):
    """A table that is cut or damaged; one that is derived from cells can be written anew."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `unit` is empty for names, labels and counts.

    Attributes:
        words: the only values that it may have; empty where any will do.
        ours: names that this code knows, to be spelled so; others may be there as well.
        pattern: what a text must match as a whole, and that in words; None where any will do.
        low, high: the ends of its range, themselves in it; None where there is none.
        default: what a null of an axis stands for; None where an axis may not be null.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    ours: tuple[str, ...] = ()
    default: str | int | None = None
    pattern: tuple[str, str] | None = None

    def expected(self) -> str:
        """What may stand in it, in words."""
        if self.words:
            return f"{', '.join(self.words[:-1])} or {self.words[-1]}"
        if self.pattern:
            return self.pattern[1]
        kind = {"string": "text", "int64": "a whole number", "bool": "true or false"}
        of_kind = kind.get(str(self.type), "a number")
        if self.low is None:
            return of_kind
        if self.high is None:
            return f"{of_kind}, at least {self.low:g}"
        return f"{of_kind} from {self.low:g} to {self.high:g}"


def _text(name: str, meaning: str, words: tuple[str, ...] = ()) -> Column:
    return Column(name, pa.string(), "", meaning, words)


def _count(name: str, meaning: str, unit: str = "", low: int | None = 0) -> Column:
    return Column(name, pa.int64(), unit, meaning, low=low)


def _real(name: str, meaning: str, unit: str = "", low: float | None = None) -> Column:
    return Column(name, pa.float64(), unit, meaning, low=low)


def _loss(name: str, meaning: str) -> Column:
    """Cross-entropies are never negative."""
    return _real(name, meaning, "nats", low=0)


def _span(name: str, meaning: str) -> Column:
    return _real(name, meaning, "seconds", low=0)


def _area(name: str, meaning: str) -> Column:
    return Column(name, pa.float64(), "", meaning, low=0, high=1)


KINDS = ("grid", "upstream")
FREEZES = ("none", "backbone")
BALANCES = ("natural", "balanced")
STATES = ("done", "failed", "missing")
SPLITS = ("test", "official")

INITS = ("random", "imagenet", "photos", IN_DOMAIN)
NETWORK_NAMES = (
    "resnet50", "resnet34", "resnet18", "cbr_large_wide", "cbr_large_tall", "cbr_small", "cbr_tiny",
)  # fmt: skip

EFFECTS = ("gain", "small gain", "none", "small loss", "loss", "unknown")
ESTIMATE_KINDS = ("level", "difference", "gain", "power_law")
SIZES = ("one", "mean", "trend", "step")

AXES = (
    Column(
        "kind", pa.string(), "",
        "`grid`: a cell of the study; `upstream`: a pretraining that others start from", KINDS,
        default="grid",
    ),
    _text("finding", "finding that is trained, or the upstream task's name"),
    Column("architecture", pa.string(), "", "network", ours=NETWORK_NAMES),
    _count("train_images", "training images; the smaller subset lies inside the larger", "images", low=1),
    Column("init", pa.string(), "", "where the weights come from: `random` or the upstream task", ours=INITS),
    _text("freeze", "`none`: every weight is trained; `backbone`: the head alone", FREEZES),
    _count("seed", "initialisation, order and augmentation"),
    Column(
        "balance", pa.string(), "", "`natural` or `balanced` classes in training; null is natural", BALANCES,
        default="natural",
    ),
    Column(
        "subset", pa.int64(), "",
        "which order of the training patients the nested subsets are cut from; null is 0, the usual one",
        low=0, default=0,
    ),
)  # fmt: skip

NETWORK = (
    _count("parameters", "trainable numbers of the network", "parameters"),
    _count("depth", "layers with weights from input to output", "layers"),
    _count("macs", "multiply-adds for one image", "multiply-adds"),
)

LOOKS = (
    _text("network", "name of the network in figures and tables"),
    _text("family", "family of the network: those of one stand together"),
    Column(
        "colour", pa.string(), "", "colour of the network",
        pattern=("#[0-9A-Fa-f]{6}", "a colour as #RRGGBB"),
    ),
    Column(
        "marker", pa.string(), "", "marker of the network",
        pattern=("[.,ov^<>12348spP*hH+xXDd|_]", "one of matplotlib's markers, such as o"),
    ),
)  # fmt: skip
"""How a network is called and drawn; null takes what is known of it, else its own name in gray."""

TRIALS = (
    _text("cell_id", "identity of the cell: a hash of all that changes its result"),
    *AXES,
    _text("status", "`done`, `failed` or `missing` (planned, no result)", STATES),
    _text("failure", "class of failure: diverged, out_of_memory, error, upstream, ..."),
    _text("error", "what went wrong, one paragraph"),
    _text("upstream", "cell_id of the pretraining that this cell starts from"),
    _text("weights", "name of the weights that this cell starts from; null from scratch"),
    _text("weights_sha256", "sha256 of the file that they came in; null where they were trained here"),
    Column(
        "weights_natural", pa.bool_(), "", "they were trained on natural images; null where that is unsaid"
    ),
    _text("weights_input", "what their first layer takes black and white for"),
    _real("learning_rate", "initial learning rate, from the range test", low=0),
    _text(
        "rate_at_edge",
        "`low` or `high`: end of the range test's ladder that cut the choice of the rate off; `no`: none; "
        "null of cells from before this was recorded",
        ("no", "low", "high"),
    ),
    _count("epochs", "epochs trained", "epochs"),
    _count(
        "best_epoch",
        "epoch with the highest selection AUROC; between equals, or without one, the lowest selection loss",
        "epochs",
    ),
    _loss("train_loss", "training loss (binary cross-entropy) of the last epoch"),
    _loss("selection_loss", "selection loss of the best epoch"),
    _area("selection_auroc", "selection AUROC of the best epoch"),
    _area("test_auroc", "area under the ROC curve on the hold-out patients"),
    _area("test_auprc", "area under the precision-recall curve (average precision), hold-out patients"),
    _area("official_auroc", "AUROC on the official validation split, per image"),
    _area("official_auprc", "average precision on the official validation split, per image"),
    _area("official_study_auroc", "AUROC on the official validation split, per study (maximum over views)"),
    Column(
        "still_falling",
        pa.bool_(),
        "",
        "the training loss was still falling when the run ended (analysis/statistics/flags.py); null where "
        "its curve does not tell",
    ),
    Column(
        "collapsed",
        pa.bool_(),
        "",
        "trained worse and tests far worse than its neighbours in size (analysis/statistics/flags.py); null "
        "where there are none",
    ),
    *NETWORK,
    *LOOKS,
    _span("range_test_seconds", "time of the range test; null after an interruption"),
    _span("feature_seconds", "time to compute the features of a frozen backbone"),
    _span("train_seconds", "time inside training"),
    _span("epoch_seconds", "time of the epochs, training and selection"),
    _span("evaluation_seconds", "time to predict and measure the test and official parts"),
    _span("seconds", "time of the whole trial"),
    _real("images_per_second", "training throughput", "images / second", low=0),
    _text("device", "device of the trial"),
    _real("device_share", "share of the device that the trial was given, or of the machine's cores", low=0),
    _count("threads", "cores that the trial computed with", low=1),
    _text("host", "machine of the trial"),
    _text("started", "ISO 8601"),
    _text("finished", "ISO 8601"),
    _text("data", "fingerprint of the data set"),
    _text("code_version", "version of the code that trained the cell"),
    _text("code_commit", "its commit; null where neither git nor the installation tells it"),
    Column("code_clean", pa.bool_(), "", "whether it was as committed; null where git does not tell"),
    _text("code_digest", "of the bytes of all modules that make a result: the same for the same code"),
    _text("recipe", "settings that all cells of a sweep share, as JSON with sorted keys"),
)

EPOCHS = (
    _text("cell_id", "cell"),
    _count("epoch", "from 1", "epochs"),
    _loss("train_loss", "mean training loss of the epoch"),
    _loss("selection_loss", "selection loss after the epoch"),
    _area("selection_auroc", "selection AUROC after the epoch"),
    _real("learning_rate", "learning rate of the epoch", low=0),
    _span("seconds", "time of the epoch"),
)

STEPS = (
    _text("cell_id", "cell"),
    _count("step", "optimiser step, from 1", "steps"),
    _count("epoch", "epoch of the step, from 1", "epochs"),
    Column("train_loss", pa.float32(), "nats", "training loss of the step's batch", low=0),
)

RANGE_TESTS = (
    _text("cell_id", "cell"),
    _count("step", "step of the learning-rate range test, from 1", "steps"),
    _real("learning_rate", "learning rate of the step", low=0),
    _loss("loss", "loss after the step, on the next step's batch (up to schema 2: before it, on its own)"),
)

PREDICTIONS = (
    _text("cell_id", "cell"),
    _text("split", "`test` or `official`", SPLITS),
    _text("image", "image, as in the data set's own table"),
    _text("patient", "patient"),
    _text("study", "study of the patient"),
    Column("label", pa.float32(), "", "1 positive, 0 negative, null masked", ("0", "1")),
    Column("logit", pa.float32(), "", "the network's output before the sigmoid"),
)

ESTIMATES = (
    _text("name", "what is estimated; traceable from every figure and sentence"),
    _text("metric", "measure: train_loss, spikes, convergence_epochs, test_auroc, ..."),
    _text(
        "kind",
        "`level` of one condition, `difference` between initialisations, `gain` per doubling of the data, or "
        "`power_law`",
        ESTIMATE_KINDS,
    ),
    _text(
        "contrast",
        "what is compared: `photos minus scratch`, `from 48 to 96`, `all sizes`; of a power law `exponent` "
        "or `promised`; null for a level",
    ),
    _text(
        "sizes",
        "`one` size, the `mean` of all, the `trend` per doubling over all, the `step` between neighbours",
        SIZES,
    ),
    *(axis for axis in AXES if axis.name not in ("kind", "finding", "seed")),
    _text("unit", "unit of the estimate"),
    _real("estimate", "point estimate"),
    _real("low", "lower end of the 95 % interval"),
    _real("high", "upper end of the 95 % interval"),
    _real("standard_error", "standard error"),
    _real("degrees_of_freedom", "of the t distribution behind the interval; null is normal"),
    _text(
        "seed_part",
        "`measured`, `runs` (one seed: the scatter around learning curves stands in) or `unknown`",
    ),
    _real("smallest_effect", "smallest effect found in 80 % of such grids (two-sided, 5 %)"),
    _count("seeds", "distinct seeds used"),
    _count("patients", "patients in the split, null where no patients are involved"),
    _count("positives", "positive images in the split, null where no patients are involved"),
    _count("cells", "cells used"),
    _count("cells_missing", "cells that the contrast asks for and that are not there"),
)

VERDICTS = (
    _count("conjecture", "1 to 4"),
    _text("claim", "claim's name, or `overall`"),
    _text("question", "the claim in words"),
    Column("needed", pa.bool_(), "", "the conjecture stands or falls with this claim"),
    _text("expects", "`positive`, `negative`, `zero` or `not_positive`"),
    _text("metric", "measure"),
    _text("unit", "unit of estimate, interval and margin"),
    _real("estimate", "point estimate"),
    _real("low", "lower end of the 95 % interval"),
    _real("high", "upper end of the 95 % interval"),
    _real("margin", "smallest effect that matters, fixed beforehand"),
    _count("seeds", "distinct seeds used"),
    _count("patients", "patients in the split"),
    _count("cells", "cells used"),
    _count("cells_missing", "cells that the claim asks for and that are not there"),
    _count(
        "cells_doubtful",
        "cells among them that failed or ended at chance: judged left out, and at their worst",
    ),
    _text("seed_part", "`measured`, `runs` or `unknown`; nothing is decided unless it is measured"),
    _real(
        "smallest_effect",
        "smallest effect that four of five such grids would find to matter by the verdict's own test; "
        "null if none",
    ),
    _count(
        "patients_needed",
        "test patients with which four of five such grids could tell no effect from one that matters; "
        "null where "
        "no number would do",
    ),
    _count(
        "seeds_needed",
        "more seeds that would decide it with 80 %; null where it is decided, none would, or nothing can be "
        "said",
    ),
    _real("hours_needed", "of training, of the cells that it asks for with so many seeds", "hours", low=0),
    _text("hours_of", "what those are hours of: `GPU` (its share times its time) or `core`"),
    _real("decided_at_best", "how likely any number of seeds decides it; null as of `seeds_needed`"),
    _count(
        "patients_for_seeds",
        "where no number of seeds would: test patients with which enough seeds would decide it with 80 %",
    ),
    _real("p_supported", "p of the test whose rejection supports the claim, times the number of tests"),
    _real("p_refuted", "p of the test whose rejection refutes the claim, times the number of tests"),
    _text("verdict", "`supported`, `refuted` or `undecided`: of the claim"),
    _text(
        "effect",
        "what was found, at the same level: `gain` or `loss` (for the better or the worse by the margin "
        "or more), "
        "`small gain` or `small loss` (beyond chance, but less), `none` (less than the margin), `unknown`",
        EFFECTS,
    ),
    _count("look", "seeds of the look that decided it; null where none has, or seeds do not come in looks"),
    _real("repeated_low", "lower end of the interval that holds for all claims and looks together"),
    _real("repeated_high", "upper end of the interval that holds for all claims and looks together"),
    _real("likely_worse", "how likely it is the worse by the margin or more; descriptive, no test"),
    _real("likely_same", "how likely it differs by less than the margin; descriptive, no test"),
    _real("likely_better", "how likely it is the better by the margin or more; descriptive, no test"),
    _text("because", "what decided it, or what would, in words, without the numbers beside it"),
    _text("why", "the verdict in a sentence with its numbers"),
)

FINDINGS = (
    _text("figure", "figure of the study"),
    _text("finding", "what the study found"),
    _text("published", "published number, where one was read"),
    _text("source", "where the published number was read"),
    _text("metric", "measure"),
    _text("unit", "unit of estimate and interval"),
    _real("estimate", "ours"),
    _real("low", "lower end of the 95 % interval"),
    _real("high", "upper end of the 95 % interval"),
    _real("margin", "smallest effect that matters"),
    _count("seeds", "distinct seeds used"),
    _count("patients", "patients in the split"),
    _text("verdict", "`reproduced`, `not reproduced` or `undecided`"),
    _text("effect", "what was found, as in `verdicts`", EFFECTS),
    _text("why", "the verdict in a sentence with its numbers"),
)

PUBLISHED = (
    _text("data", "published data set"),
    _text("finding", "published finding"),
    _text("architecture", "network"),
    _text("init", "`random` or `imagenet`"),
    _count("train_images", "published training images, null for all of the data set", "images"),
    _real("published_auroc", "published AUROC"),
    _text("source", "where it was read"),
    _text("estimate_name", "row of `estimates` beside it, null where this grid trains another finding"),
    _real("estimate", "ours: AUROC on the hold-out test split"),
    _real("low", "lower end of the 95 % interval"),
    _real("high", "upper end of the 95 % interval"),
    _count("seeds", "distinct seeds used"),
    _count("patients", "patients in the split"),
)

CHECKS = (
    _text("code", "stable code of the check, `TS001` and so on (docs/checks.md)"),
    _text("title", "what is wrong where it finds something"),
    _text(
        "result",
        "`doubt`, `muted` (a doubt that was looked at), `not known` (the evidence cannot tell) or `clear`",
        ("doubt", "muted", "not known", "clear"),
    ),
    _text("found", "what it found, with numbers; null where there is nothing to doubt"),
    _count("cells", "cells that it concerns", "cells"),
    _text("cell_ids", "their ids, separated by spaces"),
    _text("how", "what it looks at, with its threshold"),
    _text("why", "what it does to a conclusion"),
    _text("action", "what to do"),
)

DECISIONS = (
    _text("compared", "decisions between `networks` of one initialisation or between `arms` of one network"),
    _count("train_images", "the size that decides alone", "images"),
    _count("pairs", "decisions"),
    _real("share", "share of them that agree with the largest size's mean over (for itself, other) seeds"),
    _real("low", "lower end of the 95 % interval over seeds, null for one seed"),
    _real("high", "upper end of the 95 % interval over seeds, null for one seed"),
    _count("seeds", "distinct seeds used"),
    _real(
        "hours", "training hours of one seed of all cells of that size, without pretraining", "hours", low=0
    ),
)

ROBUSTNESS = (
    _count("conjecture", "1 to 4"),
    _text("claim", "claim's name, or `overall`"),
    _text("question", "the claim in words"),
    Column("needed", pa.bool_(), "", "the conjecture stands or falls with this claim"),
    _text(
        "choice",
        "what is chosen otherwise: `measure`, `epoch`, `network`, `runs` or `margin`; null for the verdict "
        "itself",
        ("measure", "epoch", "network", "subset", "runs", "margin"),
    ),
    _text("alternative", "how, in words"),
    _text("not_available", "why the evidence cannot tell; null where it can"),
    _text("metric", "measure"),
    _real("estimate", "point estimate"),
    _real("low", "lower end of the 95 % interval"),
    _real("high", "upper end of the 95 % interval"),
    _real("margin", "smallest effect that matters, as this alternative has it"),
    _count("seeds", "distinct seeds used"),
    _count("patients", "patients in the split"),
    _text("verdict", "by the same tests; null where it is not available or cannot be estimated"),
    _text("effect", "what is found, as in `verdicts`", EFFECTS),
    _text("as_judged", "the verdict itself"),
    Column("same", pa.bool_(), "", "this alternative has the same verdict; null without one"),
)

SWEEP = (
    _text("name", "what the sweep recorded of itself: recipe, data, labels, versions, hardware, times, ..."),
    _text("value", "as JSON"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "trials": TRIALS,
    "epochs": EPOCHS,
    "steps": STEPS,
    "range_tests": RANGE_TESTS,
    "predictions": PREDICTIONS,
    "estimates": ESTIMATES,
    "verdicts": VERDICTS,
    "findings": FINDINGS,
    "published": PUBLISHED,
    "checks": CHECKS,
    "decisions": DECISIONS,
    "robustness": ROBUSTNESS,
    "sweep": SWEEP,
}

REQUIRED: dict[str, tuple[str, ...]] = {
    "trials": ("cell_id", "architecture", "train_images", "init", "freeze", "seed", "status"),
    "epochs": ("cell_id", "epoch", "train_loss"),
    "steps": ("cell_id", "step", "train_loss"),
    "range_tests": ("cell_id", "learning_rate", "loss"),
    "predictions": ("cell_id", "split", "patient", "label", "logit"),
}

NEVER_NULL: dict[str, tuple[str, ...]] = {
    "trials": REQUIRED["trials"],
    "epochs": ("cell_id", "epoch"),
    "steps": ("cell_id", "step"),
    "range_tests": ("cell_id", "learning_rate"),
    "predictions": ("cell_id", "split", "patient"),
}
"""A loss may be null (it was not a number), and a label (masked)."""

UNIQUE: dict[str, tuple[str, ...]] = {
    "epochs": ("cell_id", "epoch"),
    "steps": ("cell_id", "step"),
    "predictions": ("cell_id", "split", "image"),
}
"""What no two rows share; in `trials` it is the `cell_id`, and within `grid` the condition with its seed."""


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of one of `TABLES`, units and meanings as field metadata."""
    return pa.schema(
        [
            pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.meaning})
            if c.unit
            else pa.field(c.name, c.type, metadata={"meaning": c.meaning})
            for c in TABLES[table]
        ]
    )


def conform(data: pa.Table, table: str, file: Path, *, without: tuple[str, ...] = ()) -> pa.Table:
    """`data` with exactly the columns of `table`: cast, in order, absent ones null, NaN in them null.

    Args:
        file: named in errors.
        without: columns that are left out, required or not.

    Raises:
        EvidenceError: a required column is missing or a column does not have its type.
    """
    missing = [c for c in REQUIRED.get(table, ()) if c not in data.column_names and c not in without]
    if missing:
        raise EvidenceError(
            f"{file}: found columns {', '.join(data.column_names)}; the table {table} needs "
            f"{', '.join(missing)} as well. Columns and meanings: analysis/tables/schema.py"
        )
    schema = pa.schema([f for f in arrow_schema(table) if f.name not in without])
    columns = []
    for field in schema:
        if field.name not in data.column_names:
            columns.append(pa.nulls(data.num_rows, field.type))
            continue
        column = data.column(field.name)
        if column.type == field.type and not pa.types.is_floating(field.type):
            columns.append(column)
            continue
        try:
            columns.append(_cast(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
            raise EvidenceError(
                f"{file}: column {field.name}: found {column.type}, expected {field.type} ({problem})"
            ) from problem
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column.cast(to)
