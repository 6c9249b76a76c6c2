"""The preset that the options name, with their axes and settings put in.

Nothing of torch or Ray is imported here or by what is imported here: a wrong option needs neither.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from sweeps.options import study_file
from sweeps.options.command_line import option_of
from sweeps.options.values import Options
from sweeps.presets import DEFAULT, PRESETS
from sweeps.spaces import Preset, every_cell, with_axes
from transfusion.cell import AXES, Recipe
from transfusion.problems import SettingError


def preset_of(options: Options) -> Preset:
    """The preset that the options name, their axes and settings in place of its own.

    Raises:
        SettingError: an unknown or unusable setting, or a file of `--study` that gives no preset.
    """
    refuse_half_asked(options)
    preset = named_preset(options)
    axes = axis_values(options)
    # The presets' own condition is about balanced classes, and whoever asks for those means them.
    where = preset.where if options.study or "balance" not in axes else every_cell
    preset = dataclasses.replace(
        preset,
        space=with_axes(preset.space, axes),
        where=where,
        recipe=override_recipe(label_policy(preset.recipe, options), options.recipe),
    )
    return pilot(preset) if options.pilot else preset


PILOT_SEEDS, PILOT_SIZES = 3, 2


def pilot(preset: Preset) -> Preset:
    """The cells of `preset` that measure how runs scatter at the least cost."""
    sizes = sorted({cell.train_images for cell in preset.cells()})[:PILOT_SIZES]
    space = with_axes(preset.space, {"train_images": sizes, "seed": range(PILOT_SEEDS)})
    return dataclasses.replace(preset, space=space)


def named_preset(options: Options) -> Preset:
    """What `--preset` or `--study` gives.

    Raises:
        SettingError: both are there, or the file gives none.
    """
    if options.study is None:
        return PRESETS[options.preset or DEFAULT]()
    if options.preset is not None:
        raise SettingError(
            f"--study {options.study} --preset {options.preset}: found both, expected one of them"
        )
    return study_file.load(options.study)


def label_policy(recipe: Recipe, options: Options) -> Recipe:
    """`recipe` with the views and the label policies that the options give."""
    given = {name: value for name in ("views", "blank") if (value := getattr(options, name)) is not None}
    policies = dict(recipe.uncertain)
    for assignment in options.uncertain:
        finding, _, policy = assignment.partition("=")
        policies[finding] = policy
    return dataclasses.replace(recipe, uncertain=tuple(policies.items()), **given)


def axis_values(options: Options) -> dict[str, Sequence[Any]]:
    """The values of the axes that the options give.

    Raises:
        SettingError: less than one of those that are counted.
    """
    values: dict[str, Sequence[Any]] = {}
    for axis in AXES:
        if (given := options.axes.get(axis.name)) is None:
            continue
        if "count" not in axis.metadata:
            values[axis.name] = given if isinstance(given, list) else [given]
        elif given < 1:
            raise SettingError(f"{option_of(axis)}: found {given}, expected at least 1")
        else:
            values[axis.name] = range(given)
    return values


def override_recipe(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """`recipe` with `name=value` assignments; the values are written as in JSON, text without quotes.

    Raises:
        SettingError: with every assignment that is wrong.
    """
    names = {one.name: one.type for one in dataclasses.fields(Recipe)}
    values: dict[str, Any] = {}
    problems = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in names:
            near = get_close_matches(name, names, 1)
            meant = f"; is it {near[0]}={text or 'VALUE'}?" if near else ""
            problems.append(
                f"--recipe: found {assignment!r}, expected NAME=VALUE with one of {', '.join(names)}{meant}"
            )
            continue
        try:
            values[name] = text if names[name] == "str" else json.loads(text)
        except json.JSONDecodeError:
            problems.append(f"--recipe {name}: found {text!r}, expected a {names[name]}")
    if problems:
        raise SettingError("; ".join(problems))
    return dataclasses.replace(recipe, **values)


def refuse_half_asked(options: Options) -> None:
    """Options of looks, power and pilots that mean nothing by themselves or together.

    Raises:
        SettingError: with all of them.
    """
    problems = []
    if options.until_decided is None:
        given = [name for name in ("looks", "budget") if getattr(options, name)]
        problems += [f"--{name}: found no --until-decided, expected it; add it" for name in given]
    elif "seed" in options.axes:
        problems.append("--seeds: found --until-decided too; leave it out, --looks says how many seeds")
    if options.budget is not None and not options.budget > 0:
        problems.append(f"--budget: found {options.budget:g}, expected hours above 0")
    if options.power is not None and not options.dry_run:
        problems.append("--power: found no --dry-run, expected both; add it")
    if options.pilot and (options.until_decided is not None or "seed" in options.axes):
        problems.append("--pilot: found --seeds or --until-decided too; leave them out, it has three seeds")
    if problems:
        raise SettingError("; ".join(problems))
