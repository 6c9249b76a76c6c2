"""What torch finds of a machine's GPUs, what others hold of them, and why one cannot be used."""

import sys
from types import SimpleNamespace

import pytest
import torch

from sweeps import full_grid
from sweeps.planning import gpus, resources
from sweeps.planning.gpus import runs_on, unfit, unused_gpu
from sweeps.planning.resources import of_machine
from transfusion.problems import SettingError

GB = 2**30
UUID = "5f0e1d2c-0000-1111-2222-333344445555"


@pytest.fixture
def a_gpu_that(monkeypatch):
    """A function from a capability, or an error in its place, to one GPU that the driver counts."""

    def there(found, built=("sm_75", "sm_80", "sm_86", "sm_90", "compute_90")):
        def properties(_index):
            if isinstance(found, Exception):
                raise found
            return SimpleNamespace(name="Some GPU", major=found[0], minor=found[1], total_memory=16 * GB)

        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(built))

    return there


TOO_OLD = RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update it.")


@pytest.mark.parametrize("error", [TOO_OLD, AssertionError("Invalid device id")])
def test_a_gpu_that_cuda_cannot_open_is_refused_with_advice_or_left_alone(a_gpu_that, error):
    a_gpu_that(error)
    with pytest.raises(SettingError, match="update the driver") as refused:
        of_machine(1, None)
    assert str(error).rstrip(".") in str(refused.value)
    assert of_machine(1, 0).device == "cpu"


def test_a_command_on_a_driver_too_old_ends_with_status_2(a_gpu_that, tmp_path, capsys, phantom_folder):
    a_gpu_that(TOO_OLD)
    command = [
        "--preset",
        "smoke",
        "--data",
        str(phantom_folder),
        "--out",
        str(tmp_path / "out"),
        "--dry-run",
    ]
    assert full_grid.main(command) == 2
    said = capsys.readouterr().err
    assert "too old" in said
    assert "--gpus-per-trial 0" in said
    assert full_grid.main([*command, "--gpus-per-trial", "0"]) == 0


@pytest.mark.parametrize("capability", [(3, 7), (6, 1), (7, 0)])
def test_a_gpu_older_than_torch_is_built_for_is_refused(a_gpu_that, capability):
    a_gpu_that(capability)
    with pytest.raises(SettingError, match=f"capability {capability[0]}.{capability[1]}, expected"):
        of_machine(1, None)
    assert of_machine(1, 0).device == "cpu"


@pytest.mark.parametrize(("capability", "bytes_each"), [((7, 5), 4), ((8, 0), 2), ((8, 9), 2), ((12, 0), 2)])
def test_gpus_that_torch_is_built_for_are_taken_and_counted_in_their_type(a_gpu_that, capability, bytes_each):
    a_gpu_that(capability)
    found = of_machine(1, None)
    assert (found.device, found.gpu_memory, found.element_bytes) == ("cuda", 16 * GB, bytes_each)


def test_an_amd_gpu_is_left_to_its_own_torch(a_gpu_that):
    a_gpu_that((9, 0), built=("gfx90a", "gfx1100"))
    assert of_machine(1, None).device == "cuda"


def test_slices_of_which_torch_opens_fewer_than_the_driver_counts_are_told_as_such(a_gpu_that, monkeypatch):
    a_gpu_that((9, 0))
    properties = torch.cuda.get_device_properties

    def opened(index):
        if index:
            raise RuntimeError("CUDA error: invalid device ordinal")
        return properties(index)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", opened)
    with pytest.raises(SettingError, match=r"2 GPUs of which torch can open 1.*MIG.*CUDA_VISIBLE_DEVICES"):
        of_machine(1, None)
    assert of_machine(1, 0).device == "cpu"


def test_two_kinds_of_cards_count_by_the_smaller_and_in_the_type_that_both_have(a_gpu_that, monkeypatch):
    cards = [("A100", 8, 80 * GB), ("T4", 7, 15 * GB)]
    a_gpu_that((8, 0))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda index: SimpleNamespace(
            name=cards[index][0], major=cards[index][1], minor=5, total_memory=cards[index][2]
        ),
    )
    found = of_machine(1, None)
    assert (found.gpus, found.gpu_memory, found.element_bytes, found.device_name) == ((2.0,), 15 * GB, 4, "")


def test_a_driver_whose_gpus_torch_does_not_count_is_not_passed_over_in_silence(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = tmp_path / "version"
    assert unused_gpu(driver) == ""
    driver.write_text("NVRM version: 580.65")
    assert "--check says why" in unused_gpu(driver)
    for hidden in ("", "-1", "NoDevFiles"):  # the last by Slurm, where a job asked for no GPU
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert unused_gpu(driver).startswith(f"CUDA_VISIBLE_DEVICES={hidden} hides every GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert "--check says why" in unused_gpu(driver)
    monkeypatch.setattr(resources, "unused_gpu", lambda: "NVIDIA")
    assert (of_machine(1, None).told, of_machine(1, 0).told) == ("NVIDIA", "")


def test_where_no_driver_is_torch_is_not_imported_to_count_gpus(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "GPU_FILES", (str(tmp_path / "nvidia0"),))
    monkeypatch.delitem(sys.modules, "torch")
    assert gpus.gpus_here() == (0, gpus.Gpus())
    assert "torch" not in sys.modules


def test_machine_code_runs_on_its_own_major_version_only():
    assert runs_on((8, 9), ["sm_80"])
    assert not runs_on((8, 0), ["sm_86"])
    assert not runs_on((12, 0), ["sm_90a"])
    assert runs_on((12, 0), ["sm_90", "compute_90"])


@pytest.fixture
def nvidia_smi(a_gpu_that, monkeypatch, tmp_path):
    """A function from what `nvidia-smi` says, one text for each time that it is asked."""
    a_gpu_that((8, 0))
    properties = torch.cuda.get_device_properties
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(**vars(properties(i)), uuid=UUID)
    )
    monkeypatch.setattr(gpus, "SETTLED_SECONDS", 0.0)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def says(*texts):
        for number, text in enumerate(texts):
            (tmp_path / f"said{number}").write_text(text)
        (tmp_path / "turn").write_text("0")
        program = tmp_path / "nvidia-smi"
        answer = 'turn=$(cat turn); cat "said$turn" || exit 9; echo $((turn + 1)) > turn'
        program.write_text(f"#!/bin/sh\ncd {tmp_path}; {answer}\n")
        program.chmod(0o755)

    return says


def test_memory_that_others_hold_is_none_for_trials(nvidia_smi):
    """10 GiB of 16 are in use: a cell that needs 3 GiB takes half of the rest, not a quarter of the card."""
    taken = f"GPU-other, 16000\nGPU-{UUID}, {10 * 1024}\n"
    nvidia_smi(taken, taken)
    found = of_machine(1, None)
    assert (found.gpu_memory, found.share(3 * GB), found.share(3 * GB + 1)) == (6 * GB, 0.5, 1.0)
    assert found.told.startswith("GPU 0: others hold 10.0 GiB of 16.0 GiB")


@pytest.mark.parametrize(
    "said",
    [
        (f"GPU-{UUID}, 300\n", f"GPU-{UUID}, 300\n"),
        (f"GPU-{UUID}, 9000\n", f"GPU-{UUID}, 0\n"),
        (f"GPU-{UUID}, [N/A]\n",),
        ("GPU-another, 16000\n", "GPU-another, 16000\n"),
        ("No devices were found\n",),
        (),
    ],
    ids=["a screen", "that ends just now", "untold", "of another card", "nothing", "no answer"],
)
def test_a_card_that_nobody_else_computes_on_is_counted_whole(nvidia_smi, said):
    nvidia_smi(*said)
    found = of_machine(1, None)
    assert (found.gpu_memory, found.told) == (16 * GB, "")


@pytest.mark.parametrize(
    ("found", "precision", "words"),
    [
        (TOO_OLD, "float32", "update the driver"),
        (AssertionError("Invalid device id"), "bfloat16", "cannot open (Invalid device id)"),
        (torch.AcceleratorError("CUDA error: out of memory"), "bfloat16", ""),
        ((7, 5), "bfloat16", "Some GPU, which has no bfloat16"),
        ((7, 5), "float32", ""),
        ((8, 0), "bfloat16", ""),
    ],
)
def test_a_trial_sees_whether_the_gpu_that_it_was_given_is_like_those_of_the_plan(
    a_gpu_that, found, precision, words
):
    a_gpu_that(found)
    assert words in unfit(precision)
    assert bool(words) == bool(unfit(precision))
