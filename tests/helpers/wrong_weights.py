"""Files of weights that cannot be used, one for each way to be wrong: name -> what makes it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save
from torch import Tensor

from transfusion.architectures import Architecture
from transfusion.networks import weights
from transfusion.networks.network import build
from transfusion.problems import InputError


@cache
def tiny() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return build("cbr_tiny").stages.state_dict()


@cache
def resnet(depth: int) -> dict[str, Tensor]:
    with torch.device("meta"):
        network = {18: torchvision.models.resnet18, 34: torchvision.models.resnet34}[depth]()
    return {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in network.state_dict().items()
    }


def said(file: Path, architecture: Architecture) -> str:
    try:
        weights.read(file, architecture)
    except InputError as error:
        return str(error)
    return ""


def of_bytes(content: bytes, name: str = "w.pth") -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return said(folder / name, "cbr_tiny")

    return make


def of_tensors(state: Callable[[], object], architecture: Architecture = "cbr_tiny") -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        torch.save(state(), folder / "w.pth")
        return said(folder / "w.pth", architecture)

    return make


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name in names:
            packed.writestr(name, "")
    return stream.getvalue()


def tar() -> bytes:
    return bytes(257) + b"ustar" + bytes(300)


def renamed(old: str, new: str) -> dict[str, Tensor]:
    return {name.replace(old, new): tensor for name, tensor in tiny().items()}


WEIGHTS: dict[str, Callable[[Path], str]] = {
    "no such file": lambda folder: said(folder / "w.pth", "cbr_tiny"),
    "a folder": lambda folder: ((folder / "model.safetensors").touch(), said(folder, "cbr_tiny"))[1],
    "an empty file": of_bytes(b""),
    "zero bytes": of_bytes(bytes(1000)),
    "a web page": of_bytes(b"<!DOCTYPE html><html><head><title>Sign in to continue</title></head></html>"),
    "an answer in XML": of_bytes(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
    "a pointer of Git LFS": of_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 94000000\n"
    ),
    "a text": of_bytes(b"Rate limit exceeded"),
    "an index of shards": of_bytes(
        b'{"weight_map": {"a": "model-00001.safetensors"}}', "model.safetensors.index.json"
    ),
    "an HDF5 file": of_bytes(b"\x89HDF\r\n\x1a\n" + bytes(40)),
    "a tar archive": of_bytes(tar()),
    "a gzip archive": of_bytes(b"\x1f\x8b" + bytes(40)),
    "a zip archive of a file": of_bytes(archive("model.pth", "readme.txt")),
    "a TorchScript program": of_bytes(archive("a/constants.pkl", "a/code/x.py", "a/data.pkl")),
    "a model of TensorFlow": of_bytes(archive("m/saved_model.pb")),
    "NumPy arrays": of_bytes(archive("conv1.npy", "conv2.npy")),
    "an ONNX model": of_bytes(b"\x08\x07\x12\x07pytorch" + bytes(40), "w.onnx"),
    "a DICOM file": of_bytes(bytes(128) + b"DICM" + bytes(40)),
    "a PNG": of_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40)),
    "a cut zip of torch.save": of_bytes(b"PK\x03\x04" + bytes(200)),
    "a cut safetensors file": of_bytes(save({"a": torch.zeros(4)})[:-6], "w.safetensors"),
    "a number in place of tensors": of_tensors(lambda: 3.5),
    "a dictionary without tensors": of_tensors(lambda: {"epoch": 3, "lr": 0.1}),
    "weights of another ResNet": of_tensors(lambda: resnet(34), "resnet18"),
    "weights of a transformer": of_tensors(
        lambda: {f"blocks.{n}.attn.qkv.weight": torch.zeros(3) for n in range(12)}, "resnet18"
    ),
    "a layer renamed": of_tensors(lambda: renamed("block2.0", "block2.conv")),
    "a layer missing": of_tensors(lambda: {n: t for n, t in tiny().items() if not n.startswith("block4")}),
    "another width": of_tensors(
        lambda: {n: t[:3] if n == "block1.0.weight" else t for n, t in tiny().items()}
    ),
    "two networks": of_tensors(
        lambda: {f"a.{n}": t for n, t in tiny().items()} | {f"b.{n}": t + 1 for n, t in tiny().items()}
    ),
    "not finite": of_tensors(lambda: {n: t / 0 if n == "block2.0.weight" else t for n, t in tiny().items()}),
    "variances below 0": of_tensors(
        lambda: {n: t - 9 if "running_var" in n else t for n, t in tiny().items()}
    ),
    "whole numbers": of_tensors(lambda: {n: t.to(torch.int8) for n, t in tiny().items()}),
    "the optimiser alone": of_tensors(lambda: {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}),
}
"""Name of a wrong file -> what makes it in a folder and says what the error is."""
