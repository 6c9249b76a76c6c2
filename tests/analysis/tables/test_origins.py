"""Weights by name: no claim on natural images rests on weights that are something else."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torchvision

from analysis.claims import conclusion
from analysis.claims.analysed import analyse
from analysis.claims.conjectures import grid_of
from analysis.claims.estimates import estimate_table
from analysis.claims.study_results import study_result_table
from analysis.claims.verdict_table import verdict_table
from analysis.claims.verdicts import judge
from analysis.figures import draw
from analysis.figures.palette import arm_style
from analysis.names import arm_name
from analysis.report import level_tables
from analysis.statistics.catalogue import Margins
from analysis.statistics.from_evidence import measure
from analysis.tables import origins, store
from analysis.tables.networks import Networks
from sweeps.planning.named_weights import TORCHVISION

V1 = {"resnet18": "f37072fd" + "0" * 56, "resnet34": "b627a593" + "0" * 56, "resnet50": "0676ba61" + "0" * 56}
RAD = "1a2b3c4d" + "0" * 56
GAIN = {"random": 0.0, "imagenet": 0.05, "consolidation": 0.1}


def trials(weights, networks=("resnet18", "resnet50"), seeds=3):
    """A finished grid; `weights` gives (name, sha256, natural) of a network's cells with init=imagenet."""
    rng = np.random.default_rng(0)
    rows = []
    for network, size, init, seed in itertools.product(networks, (100, 200), GAIN, range(seeds)):
        name, sha256, natural = (
            weights.get(network, (None, None, None)) if init == "imagenet" else (None,) * 3
        )
        rows.append(
            {
                "cell_id": f"{network}{size}{init}{seed}", "kind": "grid", "finding": "Edema",
                "architecture": network, "depth": 18, "parameters": 9,
                "train_images": size, "init": init, "freeze": "none", "seed": seed, "status": "done",
                "train_loss": 0.3, "test_auroc": 0.8 + GAIN[init] + rng.normal(0, 0.001),
                "weights": name, "weights_sha256": sha256, "weights_natural": natural, "weights_input": None,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def loaded(folder, frame):
    store.write(folder, "trials", frame)
    store.write(folder, "epochs", pd.DataFrame({"cell_id": [], "epoch": [], "train_loss": []}))
    return store.load(folder)


def judged(found):
    measures = measure(found)
    table = verdict_table(judge(measures, found.natural, Margins()), found.natural)
    return measures, table.set_index("claim").loc["natural_weights_gain_nothing"]


OTHER = {
    "unknown sha": ("radimagenet", RAD, None),
    "said to be other": ("radimagenet", RAD, False),
    "without a name": (None, RAD, None),
    "without a file": ("radimagenet", None, False),
}


@pytest.mark.parametrize("kind", OTHER)
def test_other_weights_alone_are_never_called_imagenet(kind, tmp_path):
    found = loaded(tmp_path, trials(dict.fromkeys(("resnet18", "resnet50"), OTHER[kind])))
    assert found.natural is None
    measures, claim = judged(found)
    assert claim["verdict"] == "undecided"
    assert pd.isna(claim["estimate"])
    (arm,) = measures.other_weights
    named = {"without a name": "weights (sha 1a2b3c4d)", "without a file": "radimagenet"}
    assert arm == named.get(kind, "radimagenet (sha 1a2b3c4d)")
    assert arm_name(arm, "none") == f"fine-tuned from {arm}"
    estimates = estimate_table(measures, grid_of(measures, found.natural), None)
    told = [*estimates["name"], *estimates["init"].dropna()]
    assert not [text for text in told if "imagenet" in text.replace("radimagenet", "").lower()]
    gain = estimates.set_index("name").loc[
        f"test_auroc, {arm} minus scratch, mean of sizes, mean of networks"
    ]
    assert gain["estimate"] == pytest.approx(0.05, abs=0.003)
    assert f"12 cells of resnet18, resnet50 from {arm}" in origins.left_out(found.trials)


def test_different_weights_of_different_networks_are_not_mixed(tmp_path):
    weights = {
        "resnet18": ("torchvision IMAGENET1K_V1", V1["resnet18"], True),
        "resnet50": ("radimagenet", RAD, False),
    }
    found = loaded(tmp_path, trials(weights))
    measures, claim = judged(found)
    assert found.natural == "imagenet"
    assert measures.other_weights == ["radimagenet (sha 1a2b3c4d)"]
    assert claim["cells"] == 12, "ResNet-18 alone: two sizes, two arms, three seeds"
    alone = loaded(tmp_path / "alone", trials(weights, ("resnet18",)))
    _, same = judged(alone)
    assert claim["estimate"] == pytest.approx(same["estimate"], abs=0.002)
    starts = origins.starts(found.trials)
    assert list(starts["weights"]) == ["torchvision IMAGENET1K_V1", "consolidation", "radimagenet"]
    assert list(starts["origin"]) == ["natural images", "in domain", "other images"]
    known = {"natural": "imagenet", "in_domain": "consolidation"}
    assert arm_style("radimagenet (sha 1a2b3c4d)", "none", **known) != arm_style("imagenet", "none", **known)


def test_one_name_of_several_files_is_one_arm_with_all_of_them(tmp_path):
    weights = {
        "resnet18": ("RadImageNet", RAD, False),
        "resnet50": ("RadImageNet", "5e6f7a8b" + RAD[8:], False),
    }
    measures, _ = judged(loaded(tmp_path, trials(weights)))
    assert measures.other_weights == ["RadImageNet (sha 1a2b3c4d, 5e6f7a8b)"]


@pytest.mark.parametrize("natural", [True, None])
def test_torchvisions_files_are_natural_by_their_sha256(natural, tmp_path):
    weights = {network: ("whatever", V1[network], natural) for network in ("resnet18", "resnet50")}
    found = loaded(tmp_path, trials(weights))
    _, claim = judged(found)
    assert found.natural == "imagenet"
    assert claim["verdict"] == "refuted"
    assert "pretraining on ImageNet" in claim["why"]
    assert origins.left_out(found.trials) == ""


def test_what_the_user_says_are_natural_images_is_judged_under_its_own_name(tmp_path):
    weights = {"resnet18": ("places", RAD, True), "resnet50": ("torchvision", V1["resnet50"], True)}
    found = loaded(tmp_path, trials(weights))
    assert found.natural == "natural images: ImageNet; places (sha 1a2b3c4d)"
    _, claim = judged(found)
    assert claim["cells"] == 24
    assert found.natural in claim["why"]
    table = study_result_table(measure(found), found.natural, Margins())
    assert table["finding"].str.contains("places (sha 1a2b3c4d)", regex=False).any()


def test_tables_without_the_columns_are_read_as_they_were(tmp_path):
    frame = trials({}).drop(columns=["weights", "weights_sha256", "weights_natural", "weights_input"])
    found = loaded(tmp_path, frame)
    pd.DataFrame.to_parquet(frame, tmp_path / "evidence" / "trials.parquet")
    found = store.load(tmp_path)
    assert found.natural == "imagenet"
    measures, claim = judged(found)
    assert not measures.other_weights
    assert claim["cells"] == 24


def test_conclusion_and_report_name_what_is_left_out(tmp_path):
    found = loaded(tmp_path, trials(dict.fromkeys(("resnet18", "resnet50"), OTHER["unknown sha"])))
    analysis = analyse(found)
    text = " ".join(conclusion.paragraphs(analysis))
    assert "judged by weights from natural images alone" in text
    assert "radimagenet (sha 1a2b3c4d)" in text
    assert "ImageNet" not in text
    estimates = analysis.estimates
    assert "radimagenet (sha 1a2b3c4d)" in str(level_tables.levels(estimates, found.networks))


def test_both_lists_of_torchvisions_files_hold_what_torchvision_publishes():
    assert set(TORCHVISION) == set(origins.TORCHVISION)
    for architecture in V1:
        for one in torchvision.models.get_model_weights(architecture):
            digits = one.url.rpartition("-")[2].removesuffix(".pth")
            assert TORCHVISION[digits] == f"torchvision {one.name}"


@pytest.mark.parametrize("name", ["a $b_$ c", "weights of a hospital with a very long name (sha 1a2b3c4d)"])
def test_long_names_and_names_with_dollars_stay_inside_of_their_figures(name, tmp_path):
    """Dollars begin formulas elsewhere, and `$b_$` is none."""
    arms = pd.DataFrame(
        {
            "metric": "test_auroc", "contrast": f"{name} minus scratch", "sizes": "one",
            "architecture": [None, None], "train_images": [10, 20], "estimate": [0.1, 0.2],
            "low": [0.0, 0.1], "high": [0.2, 0.3], "seeds": 1, "patients": 9, "positives": 3,
            "seed_part": "runs",
        }
    )  # fmt: skip
    drawn = SimpleNamespace(
        cells=pd.DataFrame({"init": [name]}), pretrained=[name], gains=lambda init: arms,
        in_domain="consolidation", networks=Networks({}), margin=0.01, area="AUROC",
    )  # fmt: skip
    figure = draw.draw(drawn, "gains")
    draw.save(figure, tmp_path, "gains")
    assert (tmp_path / "gains.png").stat().st_size > 1000
    (axes,) = figure.axes
    assert axes.get_title(loc="left").replace("\n", " ") == f"{name} minus scratch"
    right = axes.title.get_window_extent().x1, axes._left_title.get_window_extent().x1
    assert max(right) <= figure.bbox.x1


def test_weights_from_the_same_domain_are_told_by_the_finding_of_their_upstream_cells(tmp_path):
    """They are compared under their own name, whatever the finding, and are no natural images."""
    frame = trials({})
    frame["init"] = frame["init"].replace("consolidation", "pleural_effusion")
    upstream = frame[:1].assign(cell_id="up", kind="upstream", finding="Pleural Effusion", init="random")
    found = loaded(tmp_path, pd.concat([frame, upstream], ignore_index=True))
    measures = measure(found)
    assert (found.natural, measures.in_domain, measures.other_weights) == ("imagenet", "pleural_effusion", [])
    estimates = estimate_table(measures, grid_of(measures, found.natural), None)
    gain = estimates.query(
        "contrast == 'pleural_effusion minus imagenet' and metric == 'test_auroc' and sizes != 'trend'"
    )
    assert gain["estimate"].to_numpy() == pytest.approx(0.05, abs=0.004)
    claims = judge(measures, found.natural, Margins())
    table = verdict_table(claims, found.natural, in_domain=measures.in_domain)
    told = table.set_index("claim").loc["in_domain_gains"]
    assert told["estimate"] == pytest.approx(0.1, abs=0.002)
    assert told["question"] == "Do weights from Pleural Effusion gain over training from scratch?"
    assert "Consolidation" not in " ".join(table["question"]) + " ".join(table["why"])
