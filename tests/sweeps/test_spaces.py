"""The search space and its presets."""

import pytest
from ray import tune
from ray.tune.search.variant_generator import generate_variants

from sweeps.presets import PRESETS, STUDIED, chexpert, demo, smoke
from sweeps.spaces import cells, grid, grid_search
from transfusion.cell import Cell
from transfusion.problems import SettingError


def test_the_demo_spans_the_whole_grid():
    found = demo().cells()
    sizes = sorted({cell.train_images for cell in found})
    assert len(sizes) == 4
    expected = {
        Cell(architecture=a, train_images=n, init=init, freeze=freeze, balance=balance)
        for a in STUDIED
        for n in sizes
        for init, freeze, balance in [
            ("random", "none", "natural"),
            ("random", "none", "balanced"),
            ("photos", "none", "natural"),
            ("photos", "backbone", "natural"),
            ("consolidation", "none", "natural"),
            ("consolidation", "backbone", "natural"),
        ]
    }
    assert len(found) == 7 * 4 * 6
    assert set(found) == expected


def test_the_chexpert_preset_is_the_studys_recipe():
    assert chexpert().recipe.epochs == 100
    assert (chexpert().recipe.plateau_factor, chexpert().recipe.plateau_patience) == (0.1, 10)
    found = chexpert().cells()
    assert {cell.train_images for cell in found} == {5_000, 50_000, 100_000, 200_000}
    assert {cell.init for cell in found} == {"random", "imagenet", "consolidation"}
    assert len(found) == 7 * 4 * 5 * 3


@pytest.mark.parametrize("name", PRESETS)
def test_every_space_is_one_that_ray_tune_expands_alike(name):
    preset = PRESETS[name]()
    assert preset.name == name
    variants = [config for _, config in generate_variants({"config": preset.space})]
    configs = [variant["config"] for variant in variants]
    allowed = [c for c in configs if not (c["init"] == "random" and c["freeze"] == "backbone")]
    assert {Cell(**config) for config in allowed} == set(cells(preset.space))


def test_a_key_that_is_no_axis_is_refused():
    with pytest.raises(SettingError, match="architectures"):
        cells({**smoke().space, "architectures": tune.grid_search(["resnet18"])})


def test_values_that_are_none_of_their_axis_are_all_named_at_once():
    space = grid(architecture=["resnet19"], train_images=[0], init=["random"])
    with pytest.raises(SettingError) as error:
        cells(space)
    assert "resnet19" in str(error.value)
    assert "train_images" in str(error.value)


def test_a_space_may_hold_an_axis_fixed():
    space = {"architecture": "cbr_tiny", "train_images": tune.grid_search([8, 16]), "init": "random"}
    assert cells(space) == [Cell(architecture="cbr_tiny", train_images=n) for n in (8, 16)]


def test_an_axis_is_what_tune_calls_a_grid_search():
    assert grid_search([1, "a"]) == tune.grid_search([1, "a"])
