"""The route through ONNX: its file is enough, it agrees, and it refuses in one line."""

import shutil

import numpy as np
import pytest

from conversion.backends import Ingredients
from conversion.core.artifact import Artifact
from conversion.core.errors import UserError
from conversion.core.settings import Settings
from conversion.proof.metrics.compare import compare
from conversion.proof.metrics.views import centred_log

NAME = "torch-via-onnx-fp32"


@pytest.fixture(scope="module")
def via_onnx():
    from conversion.backends import torch_via_onnx

    return torch_via_onnx


@pytest.fixture(scope="module")
def embedded(workspaces):
    return workspaces("embedded")


def onnx_model(operator, domain="", **attributes):
    from onnx import TensorProto, helper

    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy")
    node = helper.make_node(operator, ["x"], ["y"], domain=domain, **attributes)
    graph = helper.make_graph([node], "made", *([end] for end in ends))
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets)


def ingredients(spec, **artifacts):
    return Ingredients(spec, None, Settings(), artifacts)


def test_it_opens_from_its_file_alone(via_onnx, embedded, tmp_path):
    path = shutil.copy(embedded.artifact(NAME).path, tmp_path / "alone.pt")
    runner = via_onnx.open(Artifact(NAME, path, "0" * 64, {}), ingredients(embedded.spec), 1)
    found = runner.run({"input_1": embedded.test.images[:5].astype(np.float32)})
    assert list(found) == ["dense"]
    assert found["dense"].shape == (5, 10)
    assert found["dense"].dtype == np.float32


def test_its_file_loads_with_weights_only(embedded):
    import torch

    content = torch.load(embedded.artifact(NAME).path, weights_only=True)
    assert content["kind"] == NAME
    assert content["graph"].dtype == torch.uint8


def test_it_agrees_with_the_direct_route(embedded):
    inputs = {"input_1": embedded.test.images[:200].astype(np.float32)}
    direct, detour = (embedded.runner(name).run(inputs) for name in ("torch-fp32", NAME))
    (found,) = compare(direct, detour, {"dense": centred_log})
    # Two float32 routes, each 5e-7 of the spread from the truth. BatchNormalization's eps 1e-5
    # stands at 6e-3, float16 weights at 2e-3.
    assert found.rms <= 2e-6 * found.spread


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_of_any_size_gives_its_rows(embedded, count):
    images = embedded.test.images[:5].astype(np.float32)
    runner = embedded.runner(NAME)
    whole, part = (runner.run({"input_1": images[:n]})["dense"] for n in (5, count))
    (found,) = compare({"dense": whole[:count]}, {"dense": part})
    assert found.largest <= 2e-6


def test_provenance_tells_the_route(embedded):
    provenance = embedded.artifact(NAME).provenance
    assert provenance["route"] == "onnx2torch on onnx-fp32"
    assert provenance["opset"] == 15
    assert provenance["onnx"] == embedded.artifact("onnx-fp32").digest
    assert provenance["source"] == embedded.spec.digest


@pytest.mark.parametrize("opset", [13, 18])
def test_an_opset_that_it_takes_is_recorded(embedded, opset):
    other = embedded.with_settings(Settings(opset=opset))
    assert other.artifact(NAME).provenance["opset"] == opset


@pytest.mark.parametrize("opset", [19, 21])
def test_an_opset_that_it_cannot_take_is_refused_in_one_line(embedded, opset):
    other = embedded.with_settings(Settings(opset=opset))
    with pytest.raises(
        UserError, match=r"^Expected a graph that onnx2torch can convert; it says .*"
    ):
        other.artifact(NAME)


@pytest.mark.parametrize("domain", ["", "own"])
def test_an_operator_that_it_does_not_know_is_refused_by_name(via_onnx, embedded, tmp_path, domain):
    import onnx

    onnx.save(onnx_model("Bernoulli", domain), tmp_path / "odd.onnx")
    source = Artifact("onnx-fp32", tmp_path / "odd.onnx", "0" * 64, {"opset": 15})
    target = tmp_path / "odd.pt"
    with pytest.raises(
        UserError, match=r"^Expected a graph that onnx2torch can convert; it says .*Bernoulli"
    ):
        via_onnx.build(ingredients(embedded.spec, **{"onnx-fp32": source}), target)
    assert not target.exists()


def test_a_file_of_the_direct_route_is_refused(via_onnx, embedded):
    path = embedded.artifact("torch-fp32").path
    with pytest.raises(UserError, match=f"Expected a {NAME} file .* 'torch-fp32'"):
        via_onnx.open(Artifact(NAME, path, "0" * 64, {}), ingredients(embedded.spec), 1)
