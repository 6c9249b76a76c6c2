"""Identity of cells: stable, and sensitive to everything that changes a result."""

import dataclasses
import subprocess
import sys

import pytest

from analysis import names
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import (
    FREEZES,
    IN_DOMAIN,
    INITS,
    NOTHING_SUPPLIED,
    SCHEMA,
    Cell,
    Recipe,
    Supplied,
    cell_id,
    describe,
    upstream_of,
)
from transfusion.problems import SettingError

CELL = Cell(architecture="cbr_tiny", train_images=64)
DATA = "0123456789abcdef"


def test_cell_id_is_stable_across_processes_and_machines():
    code = (
        "from transfusion.cell import *;"
        f"print(cell_id(Cell(architecture='cbr_tiny', train_images=64), Recipe(), {DATA!r}))"
    )
    for seed in ("0", "1"):
        other = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        )
        assert other.stdout.strip() == cell_id(CELL, Recipe(), DATA)


GOLDEN = (
    ("e006534692899352", CELL, Recipe(), NOTHING_SUPPLIED),
    (
        "e89a33119785c26c",
        Cell(architecture="resnet50", train_images=200_000, balance="balanced", seed=4),
        Recipe(),
        NOTHING_SUPPLIED,
    ),
    (
        "7560c659edf90c33",
        Cell(architecture="resnet18", train_images=5, init="photos", freeze="backbone"),
        Recipe(image_size=24, views="all"),
        NOTHING_SUPPLIED,
    ),
    (
        "e28f649875588907",
        Cell(architecture="resnet18", train_images=5, init="imagenet"),
        Recipe(),
        Supplied(weights=(("resnet18", "ab" * 32),)),
    ),
    (
        "f3a3188d23ed294a",
        Cell(architecture="cbr_tiny", train_images=5, init="imagenet"),
        Recipe(),
        Supplied(imagenet="f" * 16),
    ),
    (
        "96da878b9f6cafac",
        Cell(kind="upstream", finding="Consolidation", architecture="cbr_tiny", train_images=100_000),
        Recipe(),
        NOTHING_SUPPLIED,
    ),
)


@pytest.mark.parametrize(("golden", "cell", "recipe", "supplied"), GOLDEN)
def test_identities_are_those_of_every_release_of_this_schema(golden, cell, recipe, supplied):
    """A change here orphans every finished cell that anybody has: raise `SCHEMA` if it must be."""
    assert SCHEMA == 3
    assert cell_id(cell, recipe, DATA, supplied) == golden


def test_a_new_field_with_a_default_leaves_every_identity_as_it_is():
    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class WiderCell(Cell):
        precision: str = "float32"
        sizes: list[int] = dataclasses.field(default_factory=lambda: [1, 2])

    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class LongerRecipe(Recipe):
        mixup: float = 0.0

    plain = {name: getattr(Recipe(), name) for name in Recipe.__slots__}
    for golden, cell, recipe, supplied in GOLDEN:
        if cell.init != "random":
            continue  # its pretraining is a plain `Cell`, made inside
        wider = WiderCell(**dataclasses.asdict(cell))
        longer = LongerRecipe(**{name: getattr(recipe, name) for name in plain})
        assert cell_id(wider, longer, DATA, supplied) == golden
        for other in (
            cell_id(dataclasses.replace(wider, precision="float16"), longer, DATA, supplied),
            cell_id(dataclasses.replace(wider, sizes=[1]), longer, DATA, supplied),
            cell_id(wider, dataclasses.replace(longer, mixup=0.1), DATA, supplied),
        ):
            assert other != golden


def test_a_value_of_one_field_is_not_that_of_another():
    """Fields that stay out leave no gap that another could fill."""
    ids = [
        cell_id(CELL, Recipe(plateau_patience=11), DATA),
        cell_id(CELL, Recipe(frozen_views=11), DATA),
        cell_id(dataclasses.replace(CELL, seed=11), Recipe(), DATA),
        cell_id(dataclasses.replace(CELL, train_images=11), Recipe(), DATA),
    ]
    assert len(set(ids)) == 4


def test_cell_id_changes_with_every_axis():
    changed = [
        dataclasses.replace(CELL, kind="upstream"),
        dataclasses.replace(CELL, finding="Consolidation"),
        dataclasses.replace(CELL, train_images=65),
        dataclasses.replace(CELL, balance="balanced"),
        dataclasses.replace(CELL, seed=1),
        *(dataclasses.replace(CELL, architecture=a) for a in ARCHITECTURES if a != CELL.architecture),
        *(dataclasses.replace(CELL, init=init) for init in INITS if init != "random"),
        *(dataclasses.replace(CELL, init="photos", freeze=freeze) for freeze in FREEZES if freeze != "none"),
    ]
    ids = {cell_id(cell, Recipe(), DATA) for cell in [CELL, *changed]}
    assert len(ids) == len(changed) + 1


@pytest.mark.parametrize("field", dataclasses.fields(Recipe), ids=lambda field: field.name)
def test_cell_id_changes_with_every_setting(field):
    value = getattr(Recipe(), field.name)
    other = {
        "uncertain": (("Edema", "ignore"),),
        "blank": "ignore",
        "views": "all",
        "range_test_low": 1e-7,
    }.get(
        field.name, value + 1 if isinstance(value, int) else value * 0.5 if isinstance(value, float) else None
    )
    assert other is not None
    assert cell_id(CELL, dataclasses.replace(Recipe(), **{field.name: other}), DATA) != cell_id(
        CELL, Recipe(), DATA
    )


def test_cell_id_changes_with_the_data_and_not_with_the_spelling_of_a_number():
    assert cell_id(CELL, Recipe(), "another") != cell_id(CELL, Recipe(), DATA)
    assert cell_id(CELL, Recipe(range_test_high=1), DATA) == cell_id(CELL, Recipe(range_test_high=1.0), DATA)
    swapped = tuple(reversed(Recipe().uncertain))
    assert cell_id(CELL, Recipe(uncertain=swapped), DATA) == cell_id(CELL, Recipe(), DATA)


def test_upstream_cells():
    recipe = Recipe(upstream_images=77)
    assert upstream_of(CELL, recipe) is None
    photos = upstream_of(dataclasses.replace(CELL, init="photos", freeze="backbone", seed=3), recipe)
    assert photos == Cell(kind="upstream", finding="photos", architecture="cbr_tiny", train_images=77, seed=3)
    consolidation = upstream_of(dataclasses.replace(CELL, init="consolidation"), recipe)
    assert consolidation is not None
    assert consolidation.finding == "Consolidation"


def test_the_analysis_knows_the_finding_that_in_domain_weights_come_from():
    assert {names.init_of(finding): finding for finding in IN_DOMAIN.values()} == IN_DOMAIN
    assert names.IN_DOMAIN in IN_DOMAIN
    for init, finding in IN_DOMAIN.items():
        assert upstream_of(dataclasses.replace(CELL, init=init), Recipe()).finding == finding


def test_all_problems_of_a_cell_are_named_at_once():
    with pytest.raises(SettingError) as error:
        Cell(architecture="resnet19", train_images=0, freeze="all", seed=-1)  # type: ignore[arg-type]
    for word in ("resnet19", "train_images", "freeze", "seed"):
        assert word in str(error.value)


def test_a_frozen_random_backbone_is_refused():
    with pytest.raises(SettingError, match="random backbone"):
        Cell(architecture="cbr_tiny", train_images=1, freeze="backbone")


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"batch_size": 1.5},
        {"range_test_low": 2.0},
        {"plateau_factor": 1.0},
        {"uncertain": (("Edema", "maybe"),)},
        {"blank": "ones"},
        {"views": "side"},
        {"frozen_views": -1},
    ],
)
def test_unusable_settings_are_refused_by_name(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        Recipe(**setting)


def test_a_cell_in_words_tells_what_differs_from_the_defaults():
    plain = Cell(architecture="resnet18", train_images=5_000)
    assert describe(plain) == "resnet18, 5,000 images, random, seed 0"
    other = Cell(
        finding="Pneumonia", architecture="cbr_tiny", train_images=8, init="photos", freeze="backbone",
        balance="balanced", seed=2,
    )  # fmt: skip
    assert (
        describe(other)
        == "finding Pneumonia, cbr_tiny, 8 images, photos, backbone frozen, balanced classes, seed 2"
    )
    assert describe(Cell(kind="upstream", finding="photos", architecture="cbr_tiny", train_images=8)) == (
        "upstream photos, cbr_tiny, 8 images, random, seed 0"
    )
