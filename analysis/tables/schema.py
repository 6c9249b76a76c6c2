"""The tables of evidence: name, type, unit and meaning of every column. A public format.

Anyone may write such tables and have them judged; only `REQUIRED` columns have to be there, the others
are taken as null. A rate or share is a fraction, a time is in seconds, a missing value is null.
"""

from __future__ import annotations

import pyarrow as pa

from analysis.tables.axes import AXES
from analysis.tables.columns import Column, area, count, loss, real, span, text
from analysis.tables.derived import CHECKS, DECISIONS, ESTIMATES, FINDINGS, PUBLISHED, ROBUSTNESS, VERDICTS


class EvidenceError(ValueError):
    """Evidence that cannot be read: the file, what was found, what was expected, what to do."""


class UnreadableError(EvidenceError):
    """A table that is cut or damaged; one that is derived from cells can be written anew."""


STATES = ("done", "failed", "missing")
SPLITS = ("test", "official")

NETWORK = (
    count("parameters", "trainable numbers of the network", "parameters"),
    count("depth", "layers with weights from input to output", "layers"),
    count("macs", "multiply-adds for one image", "multiply-adds"),
)

LOOKS = (
    text("network", "name of the network in figures and tables"),
    text("family", "family of the network: those of one stand together"),
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
    text("cell_id", "identity of the cell: a hash of all that changes its result"),
    *AXES,
    text("status", "`done`, `failed` or `missing` (planned, no result)", STATES),
    text("failure", "class of failure: diverged, out_of_memory, error, upstream, ..."),
    text("error", "what went wrong, one paragraph"),
    text("upstream", "cell_id of the pretraining that this cell starts from"),
    text("weights", "name of the weights that this cell starts from; null from scratch"),
    text("weights_sha256", "sha256 of the file that they came in; null where they were trained here"),
    Column(
        "weights_natural", pa.bool_(), "", "they were trained on natural images; null where that is unsaid"
    ),
    text("weights_input", "what their first layer takes black and white for"),
    real("learning_rate", "initial learning rate, from the range test", low=0),
    text(
        "rate_at_edge",
        "`low` or `high`: end of the range test's ladder that cut the choice of the rate off; `no`: none; "
        "null of cells from before this was recorded",
        ("no", "low", "high"),
    ),
    count("epochs", "epochs trained", "epochs"),
    count(
        "best_epoch",
        "epoch with the highest selection AUROC; between equals, or without one, the lowest selection loss",
        "epochs",
    ),
    loss("train_loss", "training loss (binary cross-entropy) of the last epoch"),
    loss("selection_loss", "selection loss of the best epoch"),
    area("selection_auroc", "selection AUROC of the best epoch"),
    area("test_auroc", "area under the ROC curve on the hold-out patients"),
    area("test_auprc", "area under the precision-recall curve (average precision), hold-out patients"),
    area("official_auroc", "AUROC on the official validation split, per image"),
    area("official_auprc", "average precision on the official validation split, per image"),
    area("official_study_auroc", "AUROC on the official validation split, per study (maximum over views)"),
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
    span("range_test_seconds", "time of the range test; null after an interruption"),
    span("feature_seconds", "time to compute the features of a frozen backbone"),
    span("train_seconds", "time inside training"),
    span("epoch_seconds", "time of the epochs, training and selection"),
    span("evaluation_seconds", "time to predict and measure the test and official parts"),
    span("seconds", "time of the whole trial"),
    real("images_per_second", "training throughput", "images / second", low=0),
    text("device", "device of the trial"),
    real("device_share", "share of the device that the trial was given, or of the machine's cores", low=0),
    count("threads", "cores that the trial computed with", low=1),
    text("host", "machine of the trial"),
    text("started", "ISO 8601"),
    text("finished", "ISO 8601"),
    text("data", "fingerprint of the data set"),
    text("code_version", "version of the code that trained the cell"),
    text("code_commit", "its commit; null where neither git nor the installation tells it"),
    Column("code_clean", pa.bool_(), "", "whether it was as committed; null where git does not tell"),
    text("code_digest", "of the bytes of all modules that make a result: the same for the same code"),
    text("recipe", "settings that all cells of a sweep share, as JSON with sorted keys"),
)

EPOCHS = (
    text("cell_id", "cell"),
    count("epoch", "from 1", "epochs"),
    loss("train_loss", "mean training loss of the epoch"),
    loss("selection_loss", "selection loss after the epoch"),
    area("selection_auroc", "selection AUROC after the epoch"),
    real("learning_rate", "learning rate of the epoch", low=0),
    span("seconds", "time of the epoch"),
)

STEPS = (
    text("cell_id", "cell"),
    count("step", "optimiser step, from 1", "steps"),
    count("epoch", "epoch of the step, from 1", "epochs"),
    Column("train_loss", pa.float32(), "nats", "training loss of the step's batch", low=0),
)

RANGE_TESTS = (
    text("cell_id", "cell"),
    count("step", "step of the learning-rate range test, from 1", "steps"),
    real("learning_rate", "learning rate of the step", low=0),
    loss("loss", "loss after the step, on the next step's batch (up to schema 2: before it, on its own)"),
)

PREDICTIONS = (
    text("cell_id", "cell"),
    text("split", "`test` or `official`", SPLITS),
    text("image", "image, as in the data set's own table"),
    text("patient", "patient"),
    text("study", "study of the patient"),
    Column("label", pa.float32(), "", "1 positive, 0 negative, null masked", ("0", "1")),
    Column("logit", pa.float32(), "", "the network's output before the sigmoid"),
)

SWEEP = (
    text("name", "what the sweep recorded of itself: recipe, data, labels, versions, hardware, times, ..."),
    text("value", "as JSON"),
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
