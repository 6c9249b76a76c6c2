"""The command line of the grid: its options, and a preset with those options put in.

Nothing of torch or Ray is imported here or by what is imported here: help and a mistyped option need neither.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps.spaces import PRESETS, Preset, Space, grid_search
from transfusion.cell import ARCHITECTURES, BALANCES, FREEZES, INITS, Recipe
from transfusion.images.reading import INTENSITY_HELP
from transfusion.problems import SettingError
from transfusion.records.code_version import code_version
from transfusion.weights_input import EXPECTED

DATASETS = ("chexpert", "nih", "table")
"""What `--data` may be; without `--data` it is the embedded phantom."""
LOGGERS = ("mlflow", "wandb")

EPILOG = """examples:
  python sweeps/full_grid.py                      the whole grid on embedded data, on this machine
  python sweeps/full_grid.py --check              what this machine can do, and what is wrong with it
  python sweeps/full_grid.py --dry-run            what that would run, and for how long
  python sweeps/full_grid.py --seeds 3            two more seeds; what is done stays done
  python sweeps/full_grid.py --preset chexpert --data /data/CheXpert-v1.0-small --out /shared/study

Running the same command again continues an interrupted grid and adds what is missing. Ctrl-C saves what is
running and stops; a second Ctrl-C stops at once.
Exit status: 0 all cells are done, 1 some cell failed or storage did, 2 unusable options or data (nothing was
started), 130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The command line; options left out take the preset's values."""
    p = argparse.ArgumentParser(
        prog="full_grid.py",
        description="Train every cell of a grid of architecture, data set size, initialisation and freezing, "
        "then write tables, figures and a report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    presets = "; ".join(f"{preset.name}: {preset.summary}" for preset in PRESETS)
    p.add_argument(
        "--preset", default="demo", choices=[x.name for x in PRESETS], help=f"{presets} (default: demo)"
    )
    p.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the data: a folder as CheXpert or ChestX-ray14 is distributed, or a CSV of your own "
        "(default: the embedded phantom)",
    )
    p.add_argument(
        "--dataset", choices=DATASETS, default="chexpert",
        help="what --data is: CheXpert's layout, NIH ChestX-ray14, or a CSV with the columns that follow "
        "(default: chexpert)",
    )  # fmt: skip
    p.add_argument("--path-column", metavar="C", help="table: the image's path, relative to the CSV")
    p.add_argument(
        "--patient-column", metavar="C",
        help="table: whose image it is; dicom:PatientID takes it from the images' own headers",
    )  # fmt: skip
    p.add_argument("--intensity", metavar="RANGE", help=INTENSITY_HELP)
    p.add_argument(
        "--frame", type=int, metavar="N",
        help="which page or frame, from 1, is read of files that hold several (default: they are refused)",
    )  # fmt: skip
    p.add_argument(
        "--part-column", metavar="C",
        help="table: its part (train, val, test or official); parts that no row names are made",
    )  # fmt: skip
    p.add_argument(
        "--test-share", type=float, metavar="F",
        help="share of the patients to test on, those with and without the finding in proportion (default: "
        "0.08 by a hash of the patient; 0.2 of a small set, in proportion)",
    )  # fmt: skip
    p.add_argument(
        "--selection-share", type=float, metavar="F",
        help="share of the patients to choose the epoch by (default: 0.02; 0.1 of a small set)",
    )  # fmt: skip
    p.add_argument(
        "--distinct-ids", action="store_true",
        help="--data: ids of patients that differ only in zeros before a number, '.0' behind it, case, "
        "spaces or Unicode form are different people (default: such ids are refused, with their rows)",
    )  # fmt: skip
    p.add_argument(
        "--imagenet", type=Path, metavar="DIR",
        help="a folder in ImageNet's layout, on which networks without public weights (the CBR family) are "
        "pretrained for --inits imagenet",
    )  # fmt: skip
    p.add_argument(
        "--weights", nargs="+", action="extend", default=[], metavar="ARCHITECTURE=FILE",
        help="weights for --inits imagenet, safetensors or a saved state dict (default for the ResNets: "
        "torchvision's, downloaded when not in its cache)",
    )  # fmt: skip
    p.add_argument(
        "--weights-origin", nargs="+", action="extend", default=[], metavar="ARCHITECTURE=ORIGIN",
        help="what a file of --weights was trained on: natural, natural:NAME, or NAME; torchvision's own are "
        "known, any other file is not taken for natural images unless that is said",
    )  # fmt: skip
    p.add_argument(
        "--weights-input", nargs="+", action="extend", default=[], metavar="ARCHITECTURE=INPUT",
        help="what a file of --weights expects of an image: " + EXPECTED,
    )  # fmt: skip
    p.add_argument(
        "--out",
        metavar="DIR",
        help="where results go, a folder or s3://bucket/prefix (default: results/PRESET)",
    )
    p.add_argument("--cache", type=Path, metavar="DIR", help="where decoded images go (default: OUT/cache)")
    p.add_argument(
        "--version", action="version", version=f"%(prog)s {code_version().describe()}",
        help="which code this is: version and commit",
    )  # fmt: skip
    p.add_argument(
        "--check", action="store_true",
        help="the first two minutes on a machine: train a few steps of every architecture on made-up images, "
        "print what fits, how fast, and what is wrong; keep the speeds for the plan. Starts nothing",
    )  # fmt: skip
    p.add_argument("--dry-run", action="store_true", help="print the plan and start nothing")
    p.add_argument("--retry-failed", action="store_true", help="train failed cells again")
    p.add_argument("--fail-fast", action="store_true", help="stop at the first cell that fails")
    p.add_argument("--wait", action="store_true", help="wait for another sweep on the same OUT to end")
    p.add_argument(
        "--prune",
        action="store_true",
        help="list the cells in OUT that no plan names; asked again, remove them. Starts nothing",
    )

    axes = p.add_argument_group("axes of the grid")
    axes.add_argument(
        "--architectures", nargs="+", choices=ARCHITECTURES, metavar="A", help=", ".join(ARCHITECTURES)
    )
    axes.add_argument("--train-images", nargs="+", type=int, metavar="N", help="data set sizes")
    axes.add_argument("--inits", nargs="+", choices=INITS, metavar="I", help=", ".join(INITS))
    axes.add_argument("--freeze", nargs="+", choices=FREEZES, metavar="F", help=", ".join(FREEZES))
    axes.add_argument(
        "--balance",
        nargs="+",
        choices=BALANCES,
        metavar="B",
        help="classes in training: " + ", ".join(BALANCES),
    )
    axes.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1")
    axes.add_argument("--finding", metavar="F", help="which finding of the data is trained (default: Edema)")
    axes.add_argument("--views", choices=("frontal", "all"), help="CheXpert's layout: which views are used")
    axes.add_argument(
        "--uncertain", nargs="+", action="extend", metavar="FINDING=POLICY",
        help="what the label -1 of a trained finding means: ones (default for Edema and Atelectasis), zeros "
        "(else) or ignore; to be given for a table with such labels",
    )  # fmt: skip
    axes.add_argument(
        "--blank", choices=("zeros", "ignore"),
        help="what an empty label means (default: zeros; to be given for a table with empty labels)",
    )  # fmt: skip
    axes.add_argument(
        "--recipe", nargs="+", action="extend", default=[], metavar="NAME=VALUE",
        help="settings of the recipe: " + ", ".join(field.name for field in dataclasses.fields(Recipe)),
    )  # fmt: skip

    machine = p.add_argument_group("machine")
    machine.add_argument(
        "--address", metavar="ADDR", help="a running Ray cluster: auto, host:port, or ray://host:port"
    )
    machine.add_argument(
        "--cpus-per-trial", type=int, default=1, metavar="N", help="CPU cores per trial (default: 1)"
    )
    machine.add_argument(
        "--gpus-per-trial",
        type=float,
        metavar="F",
        help="share of a GPU per trial, 0 for none (default: by the architecture's need for memory)",
    )
    machine.add_argument("--gpu-price", type=float, metavar="X", help="price of one GPU for one hour")
    watch = p.add_argument_group("watching")
    watch.add_argument("--tensorboard", action="store_true", help="write TensorBoard files to OUT/tune")
    watch.add_argument("--logger", choices=LOGGERS, help="send every epoch there; needs its package")
    return p


def refuse_empty(arguments: Sequence[str]) -> None:
    """A value that is empty, as of a variable that is not set, would be taken for an option left out.

    Raises:
        SettingError: with every such option.
    """
    options = [
        argument.rstrip("=") if argument.startswith("--") else before
        for before, argument in zip(["", *arguments], arguments, strict=False)
        if not argument.strip() or (argument.startswith("--") and argument.endswith("=") and "=" in argument)
    ]
    if options:
        named = ", ".join(option or "arguments" for option in options)
        advice = "is a variable of the shell not set?"
        raise SettingError(f"{named}: found an empty text, expected a value; {advice}")


def refuse_impossible_places(data: Path | None, folders: dict[str, Path | None]) -> None:
    """Paths that no file system has, and files where folders are to be written.

    Args:
        data: what is read; whether it is there is for its reader to say.
        folders: what is written to, by option.

    Raises:
        SettingError: with every such path.
    """
    problems = []
    for option, place in {"--data": data, **folders}.items():
        if place is None:
            continue
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            pass
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            problems.append(f"{option} {str(place)!r}: found {reason.lower()}, expected a path that can be")
            continue
        there = next((one for one in (place, *place.parents) if one.exists()), place)
        if option in folders and there.exists() and not there.is_dir():
            problems.append(f"{option} {place}: found a file, {there}, expected a folder; name another")
    if problems:
        raise SettingError("; ".join(problems))


def preset_of(options: argparse.Namespace) -> Preset:
    """The preset that the options name, their axes and settings in place of its own.

    Raises:
        SettingError: an unknown or unusable setting.
    """
    preset = next(preset for preset in PRESETS if preset.name == options.preset)
    return dataclasses.replace(
        preset,
        space=override_space(preset.space, options),
        recipe=override_recipe(label_policy(preset.recipe, options), options.recipe),
    )


def label_policy(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """`recipe` with the views and the label policies that the options give."""
    given = {name: value for name in ("views", "blank") if (value := getattr(options, name)) is not None}
    policies = dict(recipe.uncertain)
    for assignment in options.uncertain or []:
        finding, _, policy = assignment.partition("=")
        policies[finding] = policy
    return dataclasses.replace(recipe, uncertain=tuple(policies.items()), **given)


def override_space(space: Space, options: argparse.Namespace) -> Space:
    """`space` with the axes that the options give."""
    given: dict[str, Any] = {
        "architecture": options.architectures,
        "train_images": options.train_images,
        "init": options.inits,
        "freeze": options.freeze,
        "balance": options.balance,
        "seed": None if options.seeds is None else list(range(options.seeds)),
    }
    replaced = {axis: grid_search(list(dict.fromkeys(values))) for axis, values in given.items() if values}
    if options.seeds is not None and options.seeds < 1:
        raise SettingError(f"--seeds: found {options.seeds}, expected at least 1")
    return {**space, **replaced, **({"finding": options.finding} if options.finding else {})}


def override_recipe(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """`recipe` with `name=value` assignments; the values are written as in JSON, text without quotes.

    Raises:
        SettingError: with every assignment that is wrong.
    """
    names = {field.name: field.type for field in dataclasses.fields(Recipe)}
    values: dict[str, Any] = {}
    problems = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in names:
            problems.append(
                f"--recipe: found {assignment!r}, expected NAME=VALUE with one of {', '.join(names)}"
            )
            continue
        try:
            values[name] = text if names[name] == "str" else json.loads(text)
        except json.JSONDecodeError:
            problems.append(f"--recipe {name}: found {text!r}, expected a {names[name]}")
    if problems:
        raise SettingError("; ".join(problems))
    return dataclasses.replace(recipe, **values)
