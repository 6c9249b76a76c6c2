"""The command line of the grid: its options, and what of them is refused as it stands.

Nothing of torch or Ray is imported here or by what is imported here: help and a mistyped option need neither.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from sweeps.options.values import Options
from sweeps.presets import DEFAULT, PRESETS
from transfusion.cell import AXES, Recipe
from transfusion.images.reading import INTENSITY_HELP
from transfusion.layouts.readers import READERS
from transfusion.problems import SettingError
from transfusion.records.code_version import code_version
from transfusion.weights_input import EXPECTED

LOGGERS = ("mlflow", "wandb")
STEM = 6
"""Signs, dashes among them, by which an option is known again, as `--archs` is."""
AXIS = "axis "
"""Before the name of an axis among the parser's values."""

EPILOG = """examples:
  python sweeps/full_grid.py                      the whole grid on embedded data, on this machine
  python sweeps/full_grid.py --check              what this machine can do, and what is wrong with it
  python sweeps/full_grid.py --dry-run            what that would run, and for how long
  python sweeps/full_grid.py --seeds 3            two more seeds; what is done stays done
  python sweeps/full_grid.py --preset chexpert --data /data/CheXpert-v1.0-small --out /shared/study

Running the same command again continues an interrupted grid and adds what is missing. Ctrl-C saves what is
running and stops; a second Ctrl-C stops at once.

Exit status: 0 all cells are done, 1 some cell failed, storage or Ray did, or another sweep took OUT,
2 unusable options or data (nothing was started), 130 interrupted."""


class Wrapped(argparse.HelpFormatter):
    """Wraps the paragraphs around the options to the terminal's width, and keeps lines that are set in."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for set_in, lines in itertools.groupby(
            text.splitlines(), lambda line: line.startswith((" ", "examples"))
        ):
            if set_in:
                filled += lines
            else:
                for empty, paragraph in itertools.groupby(lines, lambda line: not line):
                    filled += [""] if empty else textwrap.wrap(" ".join(paragraph), width)
        return "\n".join(f"{indent}{line}" for line in filled)


class Parser(argparse.ArgumentParser):
    """Tells what is wrong in lines that can be read, with what comes near, and not with all options."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        found = re.search(r"(?:unrecognized arguments: |invalid choice: ')([^ ']+)", message)
        expected = re.search(r"choose from (.*)\)", message)
        names = re.findall(r"[\w-]+", expected[1]) if expected else list(self._option_string_actions)
        near = get_close_matches(found[1], names, 1, 0.75) if found else []
        alike = [name for name in names if found and name.startswith(found[1][:STEM])]
        near = alike if len(alike) == 1 else near
        advice = f" (is it {near[0]}?)" if near else ""
        self.exit(2, f"Nothing was started.\n{self.prog}: {message}{advice}; --help lists all options\n")


def parser() -> argparse.ArgumentParser:
    """The command line; options left out take the preset's values."""
    p = Parser(
        prog="full_grid.py",
        description="Train every cell of a grid of architecture, data set size, initialisation and freezing, "
        "then write tables, figures and a report.",
        epilog=EPILOG,
        formatter_class=Wrapped,
        argument_default=argparse.SUPPRESS,
    )
    summaries = "; ".join(f"{name}: {preset().summary}" for name, preset in PRESETS.items())
    p.add_argument("--preset", choices=PRESETS, help=f"{summaries} (default: {DEFAULT})")
    p.add_argument(
        "--study", metavar="FILE.py[:FUNCTION]",
        help="a preset of your own: a Python file whose function `study`, or the one that is named, returns "
        "it (docs/studies.md)",
    )  # fmt: skip
    p.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="the data: a folder as CheXpert or ChestX-ray14 is distributed, or a CSV of your own "
        "(default: the embedded phantom)",
    )
    p.add_argument(
        "--dataset", choices=READERS,
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
        "--skip-missing", action="store_true",
        help="--data: rows whose image is not there are left out, and counted in the plan (default: they are "
        "refused)",
    )  # fmt: skip
    p.add_argument(
        "--imagenet", type=Path, metavar="DIR",
        help="a folder in ImageNet's layout, on which networks without public weights (the CBR family) are "
        "pretrained for --inits imagenet",
    )  # fmt: skip
    p.add_argument(
        "--weights", nargs="+", action="extend", metavar="ARCHITECTURE=FILE",
        help="weights for --inits imagenet, safetensors or a saved state dict (default for the ResNets: "
        "torchvision's, downloaded when not in its cache)",
    )  # fmt: skip
    p.add_argument(
        "--weights-origin", nargs="+", action="extend", metavar="ARCHITECTURE=ORIGIN",
        help="what a file of --weights was trained on: natural, natural:NAME, or NAME; torchvision's own are "
        "known, any other file is not taken for natural images unless that is said",
    )  # fmt: skip
    p.add_argument(
        "--weights-input", nargs="+", action="extend", metavar="ARCHITECTURE=INPUT",
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
    p.add_argument(
        "--power", type=int, nargs="*", choices=(1, 2, 3, 4), metavar="CONJECTURE",
        help="with --dry-run: how likely every verdict is right with the planned seeds and patients, and the "
        "cheapest design that decides these conjectures (default: all four) with 80 %%; simulates "
        "for about a minute",
    )  # fmt: skip
    p.add_argument(
        "--pilot", action="store_true",
        help="train the cheapest cells that measure how runs scatter, three seeds at the two smallest sizes; "
        "they are cells of the whole grid, and --power goes by them",
    )  # fmt: skip
    p.add_argument("--retry-failed", action="store_true", help="train failed cells again")
    p.add_argument("--fail-fast", action="store_true", help="stop at the first cell that fails")
    p.add_argument("--wait", action="store_true", help="wait for another sweep on the same OUT to end")
    p.add_argument(
        "--prune",
        action="store_true",
        help="list the cells in OUT that no plan names; asked again, remove them. Starts nothing",
    )

    looks = p.add_argument_group("seeds in looks", "docs/looks.md")
    looks.add_argument(
        "--until-decided", nargs="?", const="conjectures", choices=("conjectures", "claims"),
        help="add seeds, in looks that are fixed before the first, until every conjecture (or claim) is "
        "decided; what is decided stays, and cells that nothing open needs are not trained further",
    )  # fmt: skip
    looks.add_argument(
        "--looks", type=int, nargs="+", metavar="N",
        help="after how many seeds to look (default: 3 4 5 6 8); later, the same and those held in reserve",
    )  # fmt: skip
    looks.add_argument(
        "--budget", type=float, metavar="H",
        help="end before a look that would bring the cost of all cells above so many GPU-hours, or "
        "core-hours where there is no GPU",
    )  # fmt: skip

    axes = p.add_argument_group("axes of the grid")
    for axis in AXES:
        add_axis(axes, axis)
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
        "--recipe", nargs="+", action="extend", metavar="NAME=VALUE",
        help="settings of the recipe: " + ", ".join(one.name for one in dataclasses.fields(Recipe)),
    )  # fmt: skip

    machine = p.add_argument_group("machine")
    machine.add_argument(
        "--address", metavar="ADDR", help="a running Ray cluster: auto, host:port, or ray://host:port"
    )
    machine.add_argument("--cpus-per-trial", type=int, metavar="N", help="CPU cores per trial (default: 1)")
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


def add_axis(group: argparse._ArgumentGroup, axis: dataclasses.Field[Any]) -> None:
    """The option of one axis, as its metadata says: several values, how many, or one."""
    known = axis.metadata
    kinds: dict[str, type[int] | type[float]] = {"int": int, "float": float}
    name = option_of(axis)
    more: dict[str, Any] = {"dest": f"{AXIS}{axis.name}", "metavar": name[2].upper(), "help": known["help"]}
    if "count" in known:
        group.add_argument(name, type=int, **{**more, "metavar": "N"})
        return
    if choices := known.get("choices"):
        more |= {"choices": choices, "help": f"{known['help']}: {', '.join(map(str, choices))}"}
    if "plural" in known:
        more["nargs"] = "+"
    else:
        more["help"] += f" (default: {axis.default})"
    group.add_argument(name, type=kinds.get(str(axis.type), str), **more)


def option_of(axis: dataclasses.Field[Any]) -> str:
    """How the option of an axis is written."""
    known = axis.metadata
    return "--" + str(known.get("count") or known.get("plural") or axis.name).replace("_", "-")


def options_of(arguments: Sequence[str]) -> Options:
    """What the command line says; help and a mistyped option end the process here."""
    given = vars(parser().parse_args(arguments))
    axes = {name.removeprefix(AXIS): given.pop(name) for name in list(given) if name.startswith(AXIS)}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Options(axes=axes, **{**given, **lists})


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
