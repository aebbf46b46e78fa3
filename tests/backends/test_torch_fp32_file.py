"""The `.pt` files of the float PyTorch backend hold tensors and plain values, and say whose."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from conversion import subjects
from conversion.backends import BACKENDS, Ingredients
from conversion.core.artifact import Artifact
from conversion.core.errors import UserError
from conversion.core.settings import Settings
from conversion.readers import read_spec


@pytest.fixture(scope="module")
def ingredients():
    spec = read_spec(Path(subjects.__file__).with_name("embedded.h5"))
    return Ingredients(spec, None, Settings(), {}, BACKENDS["torch-fp32"].packages)


@pytest.fixture(scope="module")
def torch_fp32():
    from conversion.backends import torch_fp32

    return torch_fp32


@pytest.fixture(scope="module")
def built(torch_fp32, ingredients, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "torch-fp32.pt"
    return path, torch_fp32.build(ingredients, path)


@pytest.fixture
def altered(built, tmp_path):
    import torch

    def alter(change):
        content = torch.load(built[0], weights_only=True)
        change(content)
        torch.save(content, tmp_path / "altered.pt")
        return tmp_path / "altered.pt"

    return alter


def test_file_loads_with_weights_only(built):
    import torch

    content = torch.load(built[0], weights_only=True)
    assert content["kind"] == "torch-fp32"
    assert len(content["spec"]["layers"]) == 30  # 29 and the input
    assert sum(tensor.numel() for tensor in content["state_dict"].values()) == 78_673


def test_file_states_its_source_and_what_made_it(built, torch_fp32, ingredients):
    path, provenance = built
    assert torch_fp32.stated_source(path) == ingredients.spec.digest
    assert provenance["parameters"] == 78_666
    assert set(provenance["versions"]) == {"python", "torch", "numpy"}


def test_rebuilt_module_is_bit_identical(built, torch_fp32, ingredients):
    import torch

    from conversion.backends import torch_module

    images = torch.arange(3 * 32 * 32 * 3).reshape(3, 32, 32, 3).remainder(251).float()
    ours = torch_module.run(torch_module.from_spec(ingredients.spec), [images])
    theirs = torch_module.run(torch_fp32.rebuild(built[0]), [images])
    assert torch.equal(ours[0], theirs[0])


def test_runner_gives_the_named_output_in_float32(built, torch_fp32, ingredients):
    artifact = Artifact("torch-fp32", built[0], "0" * 64, {})
    runner = torch_fp32.open(artifact, ingredients, 1)
    found = runner.run({"input_1": np.zeros((3, 32, 32, 3), np.float32)})
    assert list(found) == ["dense"]
    assert found["dense"].shape == (3, 10)
    assert found["dense"].dtype == np.float32


CHANGES = {
    "missing": lambda content: content["state_dict"].pop("conv2d_3.bias"),
    "unexpected": lambda content: content["state_dict"].update(
        x=content["state_dict"]["dense.bias"]
    ),
    "wrongly shaped": lambda content: content["state_dict"].update(
        {"conv2d_3.bias": content["state_dict"]["conv2d_3.bias"][:-1]}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_state_that_does_not_fit_is_refused(torch_fp32, altered, change):
    with pytest.raises(UserError, match=r"altered\.pt: the state does not fit"):
        torch_fp32.rebuild(altered(change))


def test_file_of_another_kind_is_refused(torch_fp32, altered):
    path = altered(lambda content: content.update(kind="torch-int8"))
    with pytest.raises(UserError, match=r"Expected a torch-fp32 file .* 'torch-int8'"):
        torch_fp32.rebuild(path)


def test_file_of_another_package_is_refused(torch_fp32, altered):
    path = altered(lambda content: content.pop("conversion"))
    with pytest.raises(UserError, match="Expected a file of this package"):
        torch_fp32.rebuild(path)


class Harmless:
    """An object of a class that is not a tensor."""


class Command:
    """An object that would run a command where it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("inside", [True, False], ids=["beside the tensors", "alone"])
def test_file_with_an_object_is_refused(torch_fp32, altered, tmp_path, inside):
    import torch

    path = altered(lambda content: content.update(extra=Harmless()))
    if not inside:
        torch.save(Harmless(), path)
    with pytest.raises(UserError, match="tensors and plain values"):
        torch_fp32.rebuild(path)


def test_file_with_a_command_does_not_run_it(torch_fp32, altered, tmp_path):
    mark = tmp_path / "ran"
    path = altered(lambda content: content.update(extra=Command(f"touch '{mark}'")))
    with pytest.raises(UserError, match="tensors and plain values"):
        torch_fp32.rebuild(path)
    assert not mark.exists()


BROKEN = {
    "empty": b"",
    "text": b"no PyTorch file at all",
    "half a zip": b"PK\x03\x04" + bytes(60),
    "old pickle": b"\x80\x02}q\x00.",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_file_is_refused(torch_fp32, tmp_path, content):
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="Expected a"):
        torch_fp32.rebuild(path)


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_truncated_file_is_refused(torch_fp32, built, tmp_path, kept):
    path = tmp_path / "half.pt"
    whole = built[0].read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(UserError, match="Expected a PyTorch file"):
        torch_fp32.rebuild(path)


def test_zip_of_something_else_is_refused(torch_fp32, tmp_path):
    path = tmp_path / "other.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="Expected a PyTorch file"):
        torch_fp32.rebuild(path)


def test_missing_file_is_refused(torch_fp32, tmp_path):
    with pytest.raises(UserError, match="there is none"):
        torch_fp32.rebuild(tmp_path / "none.pt")
