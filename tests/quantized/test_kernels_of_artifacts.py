"""What int8 artifacts compute in, layer by layer, and what a CPU without VNNI makes of them."""

import os
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from conversion.core.artifact import Store
from conversion.core.measurement import Verdict
from conversion.core.settings import OnnxScheme
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.kernels import integer_kernels
from conversion.proof.checks.int8.saturation import saturation
from conversion.readers.cost import multiply_accumulates


def by_layer(embedded, name):
    """Multiply-accumulates of the graph as deployed, under the names of the spec's layers."""
    from conversion.backends.onnx_cost import multiply_accumulates
    from conversion.backends.onnx_deployed import deployed
    from conversion.backends.onnx_file import load
    from conversion.proof.checks.deployed_layers import DeployedLayers
    from conversion.proof.checks.int8.seen import owners_in

    path = embedded.artifact(name).path
    model = deployed(path).model
    owners, costs = owners_in(Case(embedded, name)), multiply_accumulates(model)
    layers = DeployedLayers(owners, load(path), model)
    nodes = {node.output[0]: node for node in model.graph.node}
    return {layers.of(nodes[output]): cost for output, cost in costs.items()}


@pytest.mark.parametrize("name", ["onnx-int8", "onnx-fp32"])
def test_the_optimised_graph_costs_what_the_spec_does_layer_by_layer(embedded, name):
    assert by_layer(embedded, name) == multiply_accumulates(embedded.spec)


@pytest.mark.parametrize("name", ["onnx-int8", "torch-int8"])
def test_every_layer_has_a_time_and_the_shares_are_whole(embedded, name):
    (found,) = integer_kernels(Case(embedded, name))
    assert (found.verdict, found.value) == (Verdict.PASS, 100.0)
    assert {row["layer"] for row in found.rows} >= set(multiply_accumulates(embedded.spec))
    for column in ("time, %", "multiply-accumulates, %"):
        assert sum(row[column] for row in found.rows) == pytest.approx(100, abs=2)


def with_scheme(embedded, **scheme):
    settings = replace(embedded.settings, onnx=OnnxScheme(**scheme))
    return Case(embedded.with_settings(settings), "onnx-int8")


def test_a_layer_that_is_left_in_float_lowers_the_limit_by_its_cost(embedded):
    (found,) = integer_kernels(with_scheme(embedded, float_layers=("conv2d",)))
    costs = multiply_accumulates(embedded.spec)
    share = 100 - 100 * costs["conv2d"] / sum(costs.values())
    assert (found.verdict, found.value) == (Verdict.PASS, pytest.approx(share))
    assert found.limit == pytest.approx(share)
    assert "Conv" in found.reason


def test_onnx_runtime_quantizes_a_float_convolution_between_two_casts(embedded):
    (found,) = integer_kernels(with_scheme(embedded, float_layers=("conv2d_8",)))
    assert found.value == 100
    assert "the runtime quantizes conv2d_8" in found.reason


def test_torch_modules_left_in_float_are_seen(embedded, tmp_path, monkeypatch):
    from torch import nn

    from conversion.quantization import torch_prepared

    left = tuple(kind for kind in torch_prepared.INTEGER if kind is not nn.Conv2d)
    monkeypatch.setattr(torch_prepared, "INTEGER", left)
    same = {"calibration": embedded.artifact("calibration")}
    (found,) = integer_kernels(Case(embedded.injected(Store(tmp_path), same), "torch-int8"))
    # Convolutions that are fused with a ReLU are of another kind, and stay.
    costs = multiply_accumulates(embedded.spec)
    fused = ("conv2d", "conv2d_1", "conv2d_3", "conv2d_6", "dense")
    share = 100 * sum(costs[name] for name in fused) / sum(costs.values())
    assert (found.verdict, found.layer) == (Verdict.FAIL, "conv2d_2")
    assert found.value == pytest.approx(share)


def test_a_transposed_convolution_multiplies_each_value_that_it_reads():
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    from conversion.backends.onnx_cost import multiply_accumulates

    ports = {"x": [None, 2, 4, 5], "y": [None, 3, 9, 11]}
    given, taken = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in ports.items()
    )
    kernel = numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "k")
    node = helper.make_node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 2])
    graph = helper.make_graph([node], "it", [given], [taken], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    assert multiply_accumulates(model) == {"y": 2 * 4 * 5 * 3 * 3 * 3}


def test_a_graph_that_multiplies_nothing_costs_nothing():
    from onnx import TensorProto, helper

    from conversion.backends.onnx_cost import multiply_accumulates

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "it", *([p] for p in ports))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    assert multiply_accumulates(model) == {}


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("scheme", "verdict"),
    [
        ({"float_layers": ("conv2d",), "reduce_range": False}, Verdict.PASS),
        ({"reduce_range": False}, Verdict.FAIL),
        ({}, Verdict.PASS),
        ({"weights": "uint8", "per_channel": False}, Verdict.SKIPPED),
        ({"activations": "int8"}, Verdict.SKIPPED),
    ],
    ids=["first in float", "all eight bits", "the default", "uint8 weights", "int8 activations"],
)
def test_raw_pixels_times_eight_bits_need_vnni(embedded, scheme, verdict):
    found = saturation(with_scheme(embedded, **scheme))
    assert {measured.verdict for measured in found} == {verdict}
    if verdict is Verdict.FAIL:
        assert {measured.layer for measured in found} == {"conv2d"}


RUN = """
import sys
import numpy as np, torch
from pathlib import Path
from conversion.quantization.torch_prepared import engine
from conversion.quantization.torch_static import rebuild_integer
module, name = rebuild_integer(Path(sys.argv[1]))
with np.load("images.npz", allow_pickle=False) as content:
    images = torch.from_numpy(content["images"])
with engine(name), torch.inference_mode():
    np.savez("found.npz", found=module(images).numpy())
"""


def answers(path, images, folder, **environment):
    """A file's answers in a process of its own, since oneDNN looks at the CPU once."""
    np.savez(folder / "images.npz", images=images)
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(path)]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **environment})
    with np.load(folder / "found.npz", allow_pickle=False) as content:
        return content["found"].argmax(1)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instructions of x86")
@pytest.mark.parametrize(("reduce_range", "most"), [(True, 0.0), (False, 0.3)])
def test_seven_bit_weights_keep_torchs_answers_without_vnni(embedded, reduce_range, most, tmp_path):
    scheme = replace(embedded.settings.torch, reduce_range=reduce_range)
    workspace = embedded.with_settings(replace(embedded.settings, torch=scheme))
    path, (images,) = workspace.artifact("torch-int8").path, workspace.parity_inputs.values()
    here, there = (
        answers(path, images, tmp_path, **isa) for isa in ({}, {"ONEDNN_MAX_CPU_ISA": "AVX2"})
    )
    changed = float(np.mean(here != there))
    assert changed <= most
    if not reduce_range:  # as docs/quantization.md says; on a CPU without VNNI both are alike
        assert changed == 0 or changed > 0.05
