"""One cell of the grid: the axes (`Cell`), the settings (`Recipe`) and the identity (`cell_id`) of a trial.

A setting is defined here once; search spaces, records and tables only ever name these fields.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from transfusion.architectures import ARCHITECTURES, Architecture
from transfusion.problems import SettingError
from transfusion.weights_input import DEFAULT, InputScale

SCHEMA = 3
"""Raised whenever the same cell and recipe would no longer give the same result.

1: data were named by their table and the bytes of 32 images, cells by every field. 2: data are named by the
bytes of every image, cells by the fields that differ from their default; features of a frozen backbone are
rounded to float16. 3: the learning rate is the middle of the range test's valley, not a tenth of its lowest
point; every loss of its curve stands at the rate of the step before it; a head alone climbs a ladder of rates
ten times as high.
"""

Init: TypeAlias = str
Freeze = Literal["none", "backbone"]
Balance = Literal["natural", "balanced"]
Kind = Literal["upstream", "grid"]

FREEZES: tuple[Freeze, ...] = get_args(Freeze)
BALANCES: tuple[Balance, ...] = get_args(Balance)
KINDS: tuple[Kind, ...] = get_args(Kind)

NATURAL_IMAGES: tuple[Init, ...] = ("imagenet", "photos")
"""The upstream tasks that are natural images; `Cell.finding` of such an upstream cell is the task's name."""

IN_DOMAIN: dict[Init, str] = {"consolidation": "Consolidation"}
"""The upstream tasks that are findings of the data, by the word that `init` takes. Another is chosen here
alone, in lower case with `_` for spaces: options, presets and the plan follow, and the analysis tells it by
the finding of its upstream cells."""

INITS: tuple[Init, ...] = ("random", *NATURAL_IMAGES, *IN_DOMAIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The axes of one trial.

    What else is known of an axis stands in its metadata: `choices`, or the `least` whole number; `help`;
    `plural`, the name of the option that takes several values, or `count`, of one that takes how many;
    `words`, a format of a value in a sentence; `told`, whether it is said of a cell also at its default.

    Attributes:
        kind: `grid` for a cell of the study, `upstream` for a pretraining that others start from.
        finding: the CheXpert finding that is trained, or the name of the natural-image task of an
            upstream cell (`imagenet`, `photos`).
        architecture: one of `ARCHITECTURES`.
        train_images: number of training images; the smaller subset lies inside the larger.
        init: where the weights come from; other than `random` it names the upstream task.
        freeze: `none` trains every weight, `backbone` the head alone.
        balance: `natural` trains on the classes as they are; `balanced` fills every epoch with as many images
            of either class, of which the rarer one repeats and the more frequent one takes turns.
        seed: initialisation, order and augmentation.
        subset: which order of the training patients the nested subsets are cut from; 0 is the usual one.
    """

    kind: Kind = field(default="grid", metadata={"choices": KINDS})
    finding: str = field(default="Edema", metadata={"help": "which finding of the data is trained"})
    architecture: Architecture = field(
        metadata={"choices": tuple(ARCHITECTURES), "plural": "architectures", "help": "networks"}
    )
    train_images: int = field(
        metadata={"least": 1, "plural": "train_images", "words": "{:,} images", "help": "data set sizes"}
    )
    init: Init = field(
        default="random",
        metadata={"choices": INITS, "plural": "inits", "told": True, "help": "where the weights come from"},
    )
    freeze: Freeze = field(
        default="none",
        metadata={
            "choices": FREEZES,
            "plural": "freeze",
            "words": "{} frozen",
            "help": "what of the network stays as it starts",
        },
    )
    balance: Balance = field(
        default="natural",
        metadata={
            "choices": BALANCES,
            "plural": "balance",
            "words": "{} classes",
            "help": "classes in training",
        },
    )
    seed: int = field(
        default=0,
        metadata={"least": 0, "count": "seeds", "words": "seed {}", "told": True, "help": "seeds 0 to N-1"},
    )
    subset: int = field(
        default=0,
        metadata={
            "least": 0,
            "count": "subsets",
            "words": "subsets in order {}",
            "help": "orders of the training patients, 0 to N-1, that the nested subsets are cut from",
        },
    )

    def __post_init__(self) -> None:
        problems = []
        for one in dataclasses.fields(self):
            value, choices, least = (
                getattr(self, one.name),
                one.metadata.get("choices"),
                one.metadata.get("least"),
            )
            if choices is not None and value not in choices:
                problems.append(
                    f"{one.name}: found {value!r}, expected one of {', '.join(map(str, choices))}"
                )
            if least is not None and not (type(value) is int and value >= least):
                problems.append(f"{one.name}: found {value!r}, expected a whole number of at least {least}")
        if self.init == "random" and self.freeze == "backbone":
            problems.append("freeze: a random backbone cannot be frozen; expected init other than random")
        if problems:
            raise SettingError("; ".join(problems))


AXES: tuple[dataclasses.Field[Any], ...] = tuple(
    one for one in dataclasses.fields(Cell) if one.name != "kind"
)
"""The fields of `Cell` that a sweep varies; options, spaces, the plan's rows and the table of failed cells
follow from them."""


def axis_words(axis: dataclasses.Field[Any], value: Any) -> str:
    """A value of an axis as people read it: `5,000 images`, `seed 0`."""
    words = "{}" if axis.metadata.get("choices") else f"{axis.name} {{}}"
    return str(axis.metadata.get("words", words)).format(value)


def describe(cell: Cell) -> str:
    """`resnet18, 48 images, photos, backbone frozen, seed 0`: most axes only where they are not at their
    default."""
    words = [] if cell.kind == "grid" else [f"upstream {cell.finding}"]
    for axis in AXES:
        value = getattr(cell, axis.name)
        if axis.name == "finding" and cell.kind == "upstream":
            continue
        if value != axis.default or axis.metadata.get("told"):
            words.append(axis_words(axis, value))
    return ", ".join(words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The settings that all cells of one sweep share; the defaults are the study's own recipe.

    Attributes:
        image_size: pixels; images are resized on the short side and centre-cropped to this square.
        epochs: passes over the training subset of a grid cell.
        batch_size: images per optimiser step.
        range_test_steps: rungs of the learning-rate range test (Smith, arXiv 1506.01186, section 3.3), one
            optimiser step each.
        range_test_low, range_test_high: the first and the last learning rate of that test; where the head
            alone is trained, ten times these.
        plateau_factor, plateau_patience: the rate is multiplied by the factor once the training loss has
            not improved for more than `patience` epochs.
        rotation_degrees, translate_fraction, scale_fraction: half-widths of the random affine.
        batch_norm_momentum: weight of the newest batch in the running statistics.
        frozen_views: augmented views of each training image whose features a frozen backbone computes once,
            and which the epochs take in turn; 0 runs the backbone in every epoch.
        upstream_images, upstream_epochs: size and length of every pretraining.
        uncertain: policy for the label -1 as (finding, `ones` | `zeros` | `ignore`) pairs; a finding not
            named is `zeros` (Irvin et al. 2019: ones suits Edema and Atelectasis, zeros Consolidation).
        blank: policy for an empty label, `zeros` or `ignore`.
        views: `frontal` or `all`.
    """

    image_size: int = 224
    epochs: int = 100
    batch_size: int = 32
    range_test_steps: int = 100
    range_test_low: float = 1e-6
    range_test_high: float = 1.0
    plateau_factor: float = 0.1
    plateau_patience: int = 10
    rotation_degrees: float = 10.0
    translate_fraction: float = 0.05
    scale_fraction: float = 0.05
    batch_norm_momentum: float = 0.1
    frozen_views: int = 10
    upstream_images: int = 100_000
    upstream_epochs: int = 100
    uncertain: tuple[tuple[str, str], ...] = (
        ("Atelectasis", "ones"),
        ("Consolidation", "zeros"),
        ("Edema", "ones"),
    )
    blank: str = "zeros"
    views: str = "frontal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "uncertain", tuple(sorted((f, p) for f, p in self.uncertain)))
        problems = []
        for one in dataclasses.fields(self):
            if one.type == "float":
                object.__setattr__(self, one.name, float(getattr(self, one.name)))
        for name in (
            "image_size",
            "epochs",
            "batch_size",
            "range_test_steps",
            "upstream_images",
            "upstream_epochs",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                problems.append(f"{name}: found {value!r}, expected a whole number of at least 1")
        for name in ("plateau_patience", "frozen_views"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                problems.append(f"{name}: found {value!r}, expected a whole number of at least 0")
        if not 0 < self.range_test_low < self.range_test_high:
            problems.append(
                f"range_test_low, range_test_high: found {self.range_test_low}, {self.range_test_high}, "
                "expected 0 < low < high"
            )
        for name in ("plateau_factor", "batch_norm_momentum"):
            if not 0 < getattr(self, name) < 1:
                problems.append(f"{name}: found {getattr(self, name)!r}, expected a number between 0 and 1")
        for finding, policy in self.uncertain:
            if policy not in ("ones", "zeros", "ignore"):
                problems.append(f"uncertain: found {finding}={policy}, expected ones, zeros or ignore")
        if self.blank not in ("zeros", "ignore"):
            problems.append(f"blank: found {self.blank!r}, expected zeros or ignore")
        if self.views not in ("frontal", "all"):
            problems.append(f"views: found {self.views!r}, expected frontal or all")
        if problems:
            raise SettingError("; ".join(problems))

    def uncertain_policy(self, finding: str) -> str:
        """`ones`, `zeros` or `ignore` for the label -1 of `finding`."""
        return dict(self.uncertain).get(finding, "zeros")


@dataclass(frozen=True, kw_only=True, slots=True)
class Supplied:
    """What `init=imagenet` starts from besides the cells of the sweep: by content, never by path.

    Attributes:
        weights: (architecture, sha256 of the weights file) pairs; such an architecture needs no pretraining.
        imagenet: fingerprint of the ImageNet images (`Dataset.fingerprint`) that the other architectures are
            pretrained on, or None.
        inputs: (architecture, scale) pairs of weights that were made for other inputs than torchvision's.
    """

    weights: tuple[tuple[Architecture, str], ...] = ()
    imagenet: str | None = None
    inputs: tuple[tuple[Architecture, InputScale], ...] = ()

    def weights_of(self, cell: Cell) -> str | None:
        """The sha256 of the file that `cell` starts from, or None when it starts from none."""
        return dict(self.weights).get(cell.architecture) if cell.init == "imagenet" else None

    def input_of(self, cell: Cell) -> InputScale:
        """What the first layer of `cell` expects of an image: its weights' scale, else torchvision's."""
        return dict(self.inputs).get(cell.architecture, DEFAULT) if self.weights_of(cell) else DEFAULT


NOTHING_SUPPLIED = Supplied()


def upstream_of(cell: Cell, recipe: Recipe, supplied: Supplied = NOTHING_SUPPLIED) -> Cell | None:
    """The pretraining that `cell` starts from; None when it starts from scratch or from supplied weights."""
    if cell.init == "random" or supplied.weights_of(cell):
        return None
    return _pretraining(cell.init, cell.architecture, recipe.upstream_images, cell.seed)


@lru_cache(maxsize=4096)
def _pretraining(init: Init, architecture: Architecture, images: int, seed: int) -> Cell:
    """Many cells share one pretraining, and a plan may have a hundred thousand cells."""
    return Cell(
        kind="upstream",
        finding=IN_DOMAIN.get(init, init),
        architecture=architecture,
        train_images=images,
        seed=seed,
    )


def cell_id(cell: Cell, recipe: Recipe, fingerprint: str, supplied: Supplied = NOTHING_SUPPLIED) -> str:
    """16 hexadecimal digits naming everything that changes the result of `cell`.

    A field at its default stays out, so that a new axis or setting with a default leaves every identity as it
    is; hence a default never changes once results exist. What is supplied enters the identity of those cells
    only that start from it.

    Args:
        fingerprint: of the data set (`Dataset.fingerprint`).
    """
    upstream = upstream_of(cell, recipe, supplied)
    identity = {
        "schema": _text(SCHEMA),
        "cell": _text(_chosen(cell)),
        "recipe": _settings(recipe),
        "data": _text(fingerprint),
        "upstream": _text(_upstream_id(upstream, recipe, fingerprint, supplied) if upstream else None),
    }
    if weights := supplied.weights_of(cell):
        identity["weights"] = _text(weights)
        if (scale := supplied.input_of(cell)) != DEFAULT:
            identity["weights_input"] = _text([scale.black, scale.white])
    if cell.kind == "upstream" and cell.finding == "imagenet" and supplied.imagenet:
        identity["imagenet"] = _text(supplied.imagenet)
    text = ",".join(f'"{name}":{identity[name]}' for name in sorted(identity))
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    """Canonical JSON, which the identity of cells is hashed from."""
    return _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=16)
def _settings(recipe: Recipe) -> str:
    return _text(_chosen(recipe))


def _chosen(values: Any) -> dict[str, Any]:
    """The fields that differ from their default; those without one always."""
    kind: Any = type(values)
    return {name: value for name, default in _defaults(kind) if (value := getattr(values, name)) != default}


@lru_cache(maxsize=16)
def _defaults(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (one.name, one.default_factory() if callable(one.default_factory) else one.default)
        for one in dataclasses.fields(kind)
    )


@lru_cache(maxsize=4096)
def _upstream_id(upstream: Cell, recipe: Recipe, fingerprint: str, supplied: Supplied) -> str:
    """Many cells share one pretraining, and a plan may have a hundred thousand cells."""
    return cell_id(upstream, recipe, fingerprint, supplied)
