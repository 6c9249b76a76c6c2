"""The data of a sweep and what its cells start from, opened and checked together."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sweeps.inputs import pretrained
from sweeps.inputs.data import open_data
from sweeps.inputs.settling import Inputs
from sweeps.options.values import Options
from sweeps.planning.named_weights import Given
from sweeps.spaces import Preset
from transfusion.problems import InputError, Problem


def open_inputs(options: Options, preset: Preset, out: Path, console: Console) -> Inputs:
    """The data, and what `init=imagenet` starts from.

    Raises:
        SettingError: no data are named.
        InputError: everything that is wrong with either.
    """
    dataset = origin = None
    wanted = preset.cells()
    problems: list[Problem] = []
    try:
        dataset = open_data(preset, options, out, wanted, console)
    except InputError as error:
        problems += error.problems
    try:
        given = Given(options.weights, options.weights_origin, options.weights_input)
        origin = pretrained.open_pretrained(given, options.imagenet, wanted, preset.recipe, console)
    except InputError as error:
        problems += error.problems
    if dataset is None or origin is None:
        raise InputError(problems)
    return Inputs(dataset, pretrained.checked(origin, dataset, preset.recipe))
