"""Weights from outside: read without running code, fitted to our stages, part of a cell's identity."""

import dataclasses
import hashlib
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
from one_trial import run_trial
from safetensors.torch import save_file
from torch import nn

from transfusion.cell import Cell, Recipe, Supplied, cell_id, upstream_of
from transfusion.networks import weights
from transfusion.networks.initialization import copy_stages
from transfusion.networks.network import build
from transfusion.problems import InputError
from transfusion.trial import initial_network

RECIPE = Recipe()


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from more threads, and wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder where torch.hub caches weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def torchvision_model(architecture, seed=0):
    """Torchvision's own network with 1000 classes; batch norms as if trained, none of them alike."""
    torch.manual_seed(seed)
    model = torchvision.models.get_model(architecture).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.bias.data):
                tensor.normal_(0, 0.1)
            for tensor in (layer.running_var, layer.weight.data):
                tensor.uniform_(0.5, 1.5)
    return model


def penultimate(model, images):
    """What torchvision's network hands to its classifier, in double precision."""
    model.fc = nn.Identity()
    with torch.no_grad():
        return model.double()(images.double())


def features(given, architecture, images):
    network = build(architecture).eval()
    copy_stages(network, given)
    with torch.no_grad():
        return network.double().features(images.double())


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50"])
def test_torchvisions_names_give_torchvisions_features(architecture, tmp_path):
    model = torchvision_model(architecture)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    images = torch.randn(2, 3, 40, 40)
    ours = features(weights.read(tmp_path / "w.pth", architecture).tensors, architecture, images)
    torch.testing.assert_close(ours, penultimate(model, images))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {f"model.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"network._orig_mod.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: tensor for name, tensor in state.items() if "num_batches" not in name},
        lambda state: {name: tensor for name, tensor in state.items() if not name.startswith("fc.")},
        lambda state: {name: t.double() if t.is_floating_point() else t for name, t in state.items()},
    ],
    ids=["plain", "checkpoint", "parallel", "lightning", "compiled", "old", "headless", "double"],
)
def test_wrappers_and_heads_make_no_difference(wrap, tmp_path):
    state = torchvision_model("resnet18").state_dict()
    torch.save(wrap(state), tmp_path / "w.pth")
    for name, tensor in weights.read(tmp_path / "w.pth", "resnet18").tensors.items():
        theirs = state[name.removeprefix("stem.")]
        assert tensor.dtype == theirs.dtype
        assert torch.equal(tensor, theirs), name


@pytest.mark.parametrize("part", ["network", "stages"])
@pytest.mark.parametrize("architecture", ["cbr_tiny", "resnet18"])
def test_our_own_networks_are_read_in_both_formats(architecture, part, tmp_path):
    network = build(architecture, outputs=7)
    module = network if part == "network" else network.stages
    torch.save(module.state_dict(), tmp_path / "w.pth")
    save_file(module.state_dict(), tmp_path / "misnamed.bin")
    own = network.stages.state_dict()
    for name in ("w.pth", "misnamed.bin"):
        read = weights.read(tmp_path / name, architecture).tensors
        assert read.keys() == own.keys()
        assert all(torch.equal(read[one], own[one]) for one in own)


@pytest.mark.parametrize(("architecture", "first"), [("resnet18", "stem.conv1"), ("cbr_tiny", "block1.0")])
def test_a_first_layer_for_gray_images_answers_the_same_to_three_equal_channels(
    architecture, first, tmp_path
):
    state = build(architecture).stages.state_dict()
    gray = torch.randn(state[f"{first}.weight"].shape[0], 1, *state[f"{first}.weight"].shape[2:])
    save_file(state | {f"{first}.weight": gray}, tmp_path / "w.safetensors")
    ours = weights.read(tmp_path / "w.safetensors", architecture).tensors[f"{first}.weight"]
    image = torch.randn(1, 1, 16, 16)
    expected = nn.functional.conv2d(image, gray)
    torch.testing.assert_close(nn.functional.conv2d(image.expand(-1, 3, -1, -1), ours), expected)


def test_what_does_not_fit_is_named(tmp_path):
    state = build("cbr_tiny").stages.state_dict()
    del state["block2.0.weight"]
    state["block9.0.weight"] = torch.zeros(1)
    state["block1.0.weight"] = torch.zeros(32, 4, 5, 5)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError) as error:
        weights.read(tmp_path / "w.safetensors", "cbr_tiny")
    for words in (
        str(tmp_path / "w.safetensors"),
        "missing: block2.0.weight",
        "too many: block9.0.weight",
        "shape of block1.0.weight: (32, 4, 5, 5) in place of (32, 3, 5, 5)",
        "--weights cbr_tiny=FILE",
    ):
        assert words in str(error.value)


def test_a_file_of_another_architecture_does_not_fit(tmp_path):
    torch.save(torchvision_model("resnet34").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"too many: layer1\.2\.conv1\.weight.* and \d+ more"):
        weights.read(tmp_path / "w.pth", "resnet18")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = build("cbr_tiny").stages.state_dict()
    state["block3.1.bias"][5] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"\(NaN\) or infinite in block3\.1\.bias"):
        weights.read(tmp_path / "w.safetensors", "cbr_tiny")


class Touch:
    """Pickles to a call that leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_file_runs(tmp_path):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Touch(tmp_path / "ran"), protocol=2))
    torch.save({"w": torch.zeros(1), "x": Touch(tmp_path / "ran")}, tmp_path / "evil.pt")
    for name in ("evil.pth", "evil.pt"):
        with pytest.raises(InputError, match="needs code"):
            weights.read(tmp_path / name, "cbr_tiny")
    assert not (tmp_path / "ran").exists()


def serve(monkeypatch, url):
    """Let torchvision name `url` as the address of its weights."""
    enum = {"IMAGENET1K_V1": SimpleNamespace(url=url)}
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: enum)


def test_a_file_that_is_not_cached_is_downloaded_and_its_hash_checked(hub, tmp_path, monkeypatch):
    source = tmp_path / "source"
    torch.save(torchvision_model("resnet18").state_dict(), source)
    digest = weights.fingerprint(source)[:8]
    good, bad = tmp_path / f"resnet18-{digest}.pth", tmp_path / "resnet18-00000000.pth"
    for path in (good, bad):
        path.write_bytes(source.read_bytes())
    serve(monkeypatch, good.as_uri())
    assert weights.torchvision_file("resnet18") == hub / good.name
    assert (hub / good.name).read_bytes() == source.read_bytes()
    serve(monkeypatch, bad.as_uri())
    with pytest.raises(InputError, match="invalid hash"):
        weights.torchvision_file("resnet18")
    assert [path.name for path in hub.iterdir()] == [good.name]


def test_offline_the_error_says_which_file_to_put_where(hub, monkeypatch):
    serve(monkeypatch, "http://127.0.0.1:9/models/resnet50-0676ba61.pth")
    with pytest.raises(InputError) as error:
        weights.torchvision_file("resnet50")
    for words in (
        "fetch http://127.0.0.1:9/models/resnet50-0676ba61.pth",
        f"put it into {hub} as resnet50-0676ba61.pth",
        "--weights resnet50=FILE",
    ):
        assert words in str(error.value)


# -- identity

GRID = [
    Cell(architecture=architecture, train_images=64, init=init)
    for architecture in ("resnet18", "cbr_tiny")
    for init in ("random", "imagenet", "photos", "consolidation")
]


def ids(supplied, cells=GRID):
    return {cell: cell_id(cell, RECIPE, "data", supplied) for cell in cells}


def changed(supplied, other):
    before, after = ids(supplied), ids(other)
    return [(cell.architecture, cell.init) for cell in GRID if before[cell] != after[cell]]


def test_weights_change_the_identity_of_the_cells_that_start_from_them_alone():
    nothing, one, two = (
        Supplied(weights=pairs) for pairs in ((), (("resnet18", "a" * 64),), (("resnet18", "b" * 64),))
    )
    assert changed(nothing, one) == [("resnet18", "imagenet")]
    assert changed(one, two) == [("resnet18", "imagenet")]


def test_images_change_the_identity_of_the_pretraining_on_them_and_of_what_follows():
    weights_, images = (("resnet18", "a" * 64),), "0123456789abcdef"
    before, after = (Supplied(weights=weights_, imagenet=one) for one in (None, images))
    assert changed(before, after) == [("cbr_tiny", "imagenet")]
    pretraining = upstream_of(GRID[5], RECIPE, after)
    assert pretraining.finding == "imagenet"
    assert ids(before, [pretraining]) != ids(after, [pretraining])


def test_a_cell_with_weights_has_no_upstream_cell():
    cell = Cell(architecture="resnet18", train_images=64, init="imagenet")
    supplied = Supplied(weights=(("resnet18", "a" * 64),))
    assert upstream_of(cell, RECIPE).finding == "imagenet"
    assert upstream_of(cell, RECIPE, supplied) is None
    consolidation = dataclasses.replace(cell, init="consolidation")
    assert upstream_of(consolidation, RECIPE, supplied) == upstream_of(consolidation, RECIPE)


def test_the_fingerprint_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"weights")
    (tmp_path / "b").write_bytes(b"weights")
    assert weights.fingerprint(tmp_path / "a") == weights.fingerprint(tmp_path / "b")
    assert weights.fingerprint(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()


# -- a trial


def test_a_trial_starts_from_supplied_weights(dataset, image_folder, quick, tmp_path):
    given = build("cbr_tiny")
    torch.save(given.state_dict(), tmp_path / "mine.pth")
    fingerprint = weights.fingerprint(tmp_path / "mine.pth")
    supplied, cells = Supplied(weights=(("cbr_tiny", fingerprint),)), tmp_path / "cells"
    weights.store(tmp_path / "mine.pth", "cbr_tiny", cells, fingerprint)
    (tmp_path / "mine.pth").unlink()
    cell = Cell(architecture="cbr_tiny", train_images=32, init="imagenet", freeze="backbone")
    network = initial_network(cell, quick, dataset.fingerprint, cells, 1, supplied)
    for name, tensor in network.stages.state_dict().items():
        assert torch.equal(tensor, given.stages.state_dict()[name]), name
    record = run_trial(cell, quick, dataset, cells=cells, cache=image_folder, supplied=supplied)
    assert record["status"] == "done", record["error"]
    assert record["weights"] == fingerprint
    assert record["upstream"] is None
    assert record["cell_id"] == cell_id(cell, quick, dataset.fingerprint, supplied)
