"""Files of weights as they are found: named in other ways, shared, cut off, or something else altogether."""

import argparse
import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file, save_model
from torch import nn

from transfusion.networks import weights, weights_file, weights_names
from transfusion.networks.network import build
from transfusion.problems import InputError


def thin(make):
    """The state of the network that `make` builds: every tensor is one number, its own, in all its places, so
    that files of it are small."""
    with torch.device("meta"):
        shapes = make().state_dict()
    return {
        name: torch.full((1,), float(number)).expand(tensor.shape) if tensor.ndim else torch.tensor(number)
        for number, (name, tensor) in enumerate(shapes.items(), start=1)
    }


@pytest.fixture(scope="module")
def resnet():
    """State dict of a ResNet-18 as torchvision names it."""
    return thin(torchvision.models.resnet18)


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return build("cbr_tiny").stages.state_dict()


def below(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def read(content, path, architecture, save=torch.save):
    save(content, path)
    return weights.read(path, architecture)


PREFIXES = (
    "backbone.", "module.encoder_q.", "encoder.", "net.", "model.", "module.", "model.backbone.body.",
    "_orig_mod.module.", "student.backbone.", "resnet.", "base_model.", "features_extractor.cnn.",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_prefix_below_which_all_names_fit_is_taken(prefix, resnet, tiny, tmp_path):
    found = read(below(prefix, resnet), tmp_path / "r.pth", "resnet18")
    assert found.prefix == prefix
    assert torch.equal(found.tensors["layer4.1.bn2.running_var"], resnet["layer4.1.bn2.running_var"])
    assert torch.equal(found.tensors["stem.conv1.weight"], resnet["conv1.weight"])
    found = read(below(prefix, tiny), tmp_path / "t.safetensors", "cbr_tiny", save_file)
    assert found.prefix == prefix
    assert all(torch.equal(found.tensors[name], tiny[name]) for name in tiny)


@pytest.mark.parametrize("prefix", ["", "backbone.", "module.encoder.0."])
def test_places_in_a_sequence_are_names(prefix, resnet, tmp_path):
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    model.load_state_dict(resnet, assign=True)
    sequence = nn.Sequential(*list(model.children())[:-1]).state_dict()
    found = read(below(prefix, sequence), tmp_path / "r.pth", "resnet18")
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, resnet[name.removeprefix("stem.")]), name


@pytest.mark.parametrize(
    "extra",
    [
        {"loss.pos_weight": torch.ones(14), "epoch": torch.tensor(3)},
        {"model.fc.weight": torch.zeros(5, 512), "model.fc.bias": torch.zeros(5)},
        {
            "model.head.0.weight": torch.zeros(5, 512),
            "queue": torch.zeros(4, 4),
            "model.op_threshs": torch.ones(3),
        },
        {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}},
        {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.8), "history": np.zeros(3)},
    ],
)
def test_what_stands_beside_the_backbone_is_left(extra, resnet, tiny, tmp_path):
    for state, architecture in ((resnet, "resnet18"), (tiny, "cbr_tiny")):
        bare = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
        plain = read(below("model.", bare) | extra, tmp_path / "w.pth", architecture)
        nested = read({"model": bare, **extra}, tmp_path / "n.pth", architecture)
        for found in (plain, nested):
            assert torch.equal(next(iter(found.tensors.values())), next(iter(bare.values())))
            assert found.prefix == "model."


def test_of_two_networks_the_one_that_is_gone_on_with_is_read_else_none(tiny, tmp_path):
    other = {name: tensor + 1 for name, tensor in tiny.items()}
    for wanted, unwanted in (
        ("module.encoder_q.", "module.encoder_k."),
        ("teacher.", "student."),
        ("online_network.", "target_network."),
        ("backbone.", "backbone_momentum."),
    ):
        for state in (
            below(wanted, tiny) | below(unwanted, other),
            below(unwanted, other) | below(wanted, tiny),
        ):
            found = read(state, tmp_path / "w.pth", "cbr_tiny")
            assert found.prefix == wanted
            assert torch.equal(found.tensors["block2.0.weight"], tiny["block2.0.weight"])
    with pytest.raises(InputError, match=r"two networks that fit and differ, below 'a\.' and below 'b\.'"):
        read(below("a.", tiny) | below("b.", other), tmp_path / "w.pth", "cbr_tiny")
    assert read(below("a.", tiny) | below("b.", tiny), tmp_path / "w.pth", "cbr_tiny").prefix in ("a.", "b.")


def test_shared_memory_is_read_and_can_be_stored(tiny, tmp_path):
    flat = torch.cat([tensor.flatten() for tensor in tiny.values() if tensor.is_floating_point()])
    at, views = 0, {}
    for name, tensor in tiny.items():
        if tensor.is_floating_point():
            views[name] = flat[at : at + tensor.numel()].view(tensor.shape)
            at += tensor.numel()
    same = {name: tiny["block1.1.bias"] if name.startswith("block1.1.") else t for name, t in tiny.items()}
    network = build("cbr_tiny")
    network.also = network.stages
    network.stages.load_state_dict(tiny)
    torch.save(views, tmp_path / "views.pth")
    torch.save(same | {"block1.1.num_batches_tracked": torch.tensor(0)}, tmp_path / "same.pth")
    save_model(network, str(tmp_path / "model.safetensors"))
    for name, expected in (("views.pth", tiny), ("model.safetensors", tiny), ("same.pth", same)):
        target = weights.store(
            tmp_path / name, "cbr_tiny", tmp_path / "cells", weights.fingerprint(tmp_path / name)
        )
        stored = weights_file.tensors(target)
        assert torch.equal(stored["block1.1.weight"], expected["block1.1.weight"]), name
        assert torch.equal(stored["block4.0.weight"], expected["block4.0.weight"]), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_layouts_become_plain_float32(dtype, tiny, tmp_path):
    given = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tiny.items()}
    given["block2.0.weight"] = given["block2.0.weight"].to(memory_format=torch.channels_last)
    found = read({name: nn.Parameter(t) if t.is_floating_point() else t for name, t in given.items()},
                 tmp_path / "w.pth", "cbr_tiny").tensors  # fmt: skip
    assert {tensor.dtype for tensor in found.values()} == {torch.float32, torch.int64}
    assert all(tensor.is_contiguous() for tensor in found.values())
    assert torch.equal(found["block2.0.weight"], given["block2.0.weight"].float())


def misfit(content, path, architecture):
    with pytest.raises(InputError) as error:
        read(content, path, architecture)
    (problem,) = error.value.problems
    assert len(str(problem)) < 900, "short"
    return str(problem)


def test_a_file_that_does_not_fit_is_told_by_its_own_names(resnet, tiny, tmp_path):
    renamed = {name.replace("layer3.1.bn", "layer3.1.norm"): tensor for name, tensor in resnet.items()}
    text = misfit(below("encoder.", renamed), tmp_path / "w.pth", "resnet18")
    assert "missing: layer3.1.bn1.weight (nearest: layer3.1.norm1.weight)" in text
    assert "below 'encoder.'" in text
    text = misfit(
        {f"blocks.{i}.attn.qkv.weight": torch.zeros(2, 2) for i in range(12)}, tmp_path / "v.pth", "resnet50"
    )
    assert (
        "12 tensors (blocks.0.attn.qkv.weight, blocks.1.attn.qkv.weight, blocks.2.attn.qkv.weight and 9 more)"
        in text
    )
    assert "stem" not in text
    wide = dict(tiny) | {"block3.0.weight": torch.zeros(1, 1, 5, 5)}
    text = misfit(wide, tmp_path / "s.pth", "cbr_tiny")
    assert "shape of block3.0.weight: (1, 1, 5, 5) in place of (128, 64, 5, 5)" in text
    without = {name: tensor for name, tensor in resnet.items() if "running" not in name}
    assert "missing: bn1.running_mean" in misfit(without, tmp_path / "g.pth", "resnet18")
    assert "too many: conv1.bias" in misfit(
        resnet | {"conv1.bias": torch.zeros(64)}, tmp_path / "b.pth", "resnet18"
    )


@pytest.mark.parametrize(
    ("is_", "named"), [("resnet34", "resnet18"), ("resnet18", "resnet34"), ("cbr_small", "cbr_tiny")]
)
def test_the_architecture_that_a_file_does_fit_is_named(is_, named, tmp_path):
    state = thin(lambda: build(is_).stages)
    assert f"it fits {is_}: --weights {is_}=" in misfit(below("net.", state), tmp_path / "w.pth", named)
    assert weights_names.others(state, named) == [is_]


def test_numbers_that_no_network_has_are_refused(tiny, tmp_path):
    assert "(NaN) or infinite in block2.1.weight" in misfit(
        tiny | {"block2.1.weight": torch.full((64,), torch.inf)}, tmp_path / "i.pth", "cbr_tiny"
    )
    assert "variances below 0 in block2.1.running_var" in misfit(
        tiny | {"block2.1.running_var": torch.full((64,), -1.0)}, tmp_path / "n.pth", "cbr_tiny"
    )
    zeros = torch.zeros_like(tiny["block2.0.weight"])
    assert "nothing but zeros in block2.0.weight, expected finite numbers, and kernels" in misfit(
        tiny | {"block2.0.weight": zeros}, tmp_path / "z.pth", "cbr_tiny"
    )
    assert "sparse" in misfit(
        tiny | {"block2.1.weight": torch.ones(64).to_sparse()}, tmp_path / "s.pth", "cbr_tiny"
    )
    assert "complex" in misfit(
        tiny | {"block2.1.weight": torch.ones(64) + 1j}, tmp_path / "c.pth", "cbr_tiny"
    )


# -- what is no file of weights


def zipped(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return content.getvalue()


def tarred(mode):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO(b""))
    return content.getvalue()


def scripted():
    content = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Conv2d(1, 1, 1)), content)
    return content.getvalue()


def saved(thing, **options):
    content = io.BytesIO()
    torch.save(thing, content, **options)
    return content.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 102530333\n" % (b"a" * 64)
OLD = {"_use_new_zipfile_serialization": False}
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(200)


@pytest.mark.parametrize(
    ("content", "found", "advice"),
    [
        (b"", "an empty file", "fetch it again"),
        (bytes(5000), "5,000 zero bytes", "fetch it again"),
        (b"<html><head><title>Sign\n in</title>", "a web page (Sign in)", "not the page about it"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>\n<body>", "a web page", "not the page about it"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "an XML answer", "not the page about it"),
        (b'{"error": "not found"}' + bytes(0), "a text", "fetch the file itself"),
        (b"Not Found", "a text (Not Found)", "fetch the file itself"),
        (b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "an index", "join"),
        (POINTER, "a pointer of Git LFS to 102,530,333 bytes", "git lfs pull"),
        (POINTER.replace(b"\n", b"\r\n"), "a pointer of Git LFS", "git lfs pull"),
        (tarred("w"), "a tar archive", "unpack it"),
        (tarred("w:gz"), "a gzip archive", "unpack it"),
        (tarred("w:xz"), "an xz archive", "unpack it"),
        (gzip.compress(saved({"a": torch.zeros(1)})), "a gzip archive", "unpack it"),
        (zipped("weights/model.pth", "README"), "a zip archive of weights/model.pth, README", "unpack it"),
        (zipped(), "a zip archive of nothing", "unpack it"),
        (zipped("config.json", "model.weights.h5"), "a model of Keras", "kernels"),
        (zipped("a.npy", "b.npy"), "NumPy arrays (a.npy, b.npy)", "a dictionary from the network's names"),
        (HDF5, "an HDF5 file", "kernels"),
        (scripted(), "a TorchScript program", "torch.jit.load(FILE).state_dict()"),
        (saved(nn.Conv2d(1, 1, 1)), "a pickled network", "model.state_dict()"),
        (saved(nn.BatchNorm2d(1), **OLD), "a pickled network", "model.state_dict()"),
        (saved({"w": torch.zeros(1), "at": Path("x")}), "a checkpoint with an object in it", "alone"),
        (saved([torch.zeros(1)]), "a list", "state_dict()"),
        (saved(torch.zeros(1)), "a Tensor", "state_dict()"),
        (saved({"lr": 0.1, "epoch": 3}), "no tensors, but lr (float), epoch (int)", "state_dict()"),
        (saved({}), "an empty dictionary", "state_dict()"),
        (pickle.dumps({"a": print}), "needs code", "state_dict()"),
        (saved({"a": torch.zeros(999)})[:2000], "a cut-off file", "fetch it again"),
        (saved({"a": torch.zeros(99)}, **OLD)[:300], "cut-off", "fetch it again"),
        (b"\x10" + bytes(7) + b'{"a":', "broken or cut-off safetensors", "fetch it again"),
        (bytes(range(129, 250)), "no weights in any known format", "state_dict()"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_told_for_what_it_is(content, found, advice, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError) as error:
        weights.read(tmp_path / "w.pth", "cbr_tiny")
    (problem,) = error.value.problems
    assert problem.where == str(tmp_path / "w.pth")
    assert found in problem.found
    assert advice in problem.advice


@pytest.mark.parametrize("cut", [5_000, -1, -60_000])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_file_that_is_cut_off_anywhere_is_refused(cut, save, tiny, tmp_path):
    save(tiny, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:cut])
    with pytest.raises(InputError, match="cut-off"):
        weights.read(tmp_path / "w.pth", "cbr_tiny")


def test_a_path_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.safetensors").touch()
    for name, found in (
        ("folder", "a folder, which holds model.safetensors"),
        ("none", "no such file"),
    ):
        with pytest.raises(InputError, match=found):
            weights.read(tmp_path / name, "cbr_tiny")


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.bool, torch.float8_e4m3fn])
@pytest.mark.parametrize("part", ["block1.0.weight", "running_mean", ""])
def test_numbers_that_want_a_scale_are_refused(dtype, part, tiny, tmp_path):
    """Quantised weights whose scale lies elsewhere: as they are, they are no weights."""
    given = {n: (t * 50).to(dtype) if part in n and "num_" not in n else t for n, t in tiny.items()}
    kind = "numbers of 8 bits in " if dtype.is_floating_point else "whole numbers (quantised?) in "
    assert kind in misfit(given, tmp_path / "w.pth", "cbr_tiny")
