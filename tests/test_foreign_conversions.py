"""Conversions external, right and wrong: PyTorch's own exporter on a hand-written network."""

from dataclasses import replace

import pytest

from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import layer_error
from conversion.proof.checks.weights import file_weights

pytestmark = [
    # The exporter that needs no further package is the older one, and says so.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:You are using the legacy"),
    pytest.mark.filterwarnings("ignore:Constant folding"),
]


@pytest.fixture
def exported(workspaces, tmp_path):
    """The embedded model written by hand in PyTorch, perhaps with a bug, as ONNX."""
    workspace = workspaces("embedded")

    def export(bug=lambda model: model):
        import torch
        from tools.resnet8 import ResNet8

        model, path = ResNet8(), tmp_path / "foreign.onnx"
        file = workspace.artifact("torch-fp32").path
        model.load_state_dict(torch.load(file, weights_only=True)["state_dict"])
        wrong = bug(model.eval())
        torch.onnx.export(
            wrong.eval(),
            (torch.zeros(2, 32, 32, 3),),
            str(path),
            dynamo=False,
            opset_version=15,
            input_names=["pixels"],
            output_names=["answer"],
            dynamic_axes={"pixels": {0: "n"}, "answer": {0: "n"}},
        )
        return Case(replace(workspace, external={"onnx-fp32": path}), "onnx-fp32")

    return export


def small_epsilon(model):
    model.batch_normalization_4.eps = 1e-5
    return model


def turned_kernel(model):
    kernel = model.conv2d_6.weight.data
    kernel.copy_(kernel.transpose(2, 3).clone())
    return model


def softmax_twice(model):
    import torch

    return torch.nn.Sequential(model, torch.nn.Softmax(-1))


BUGS = {
    "epsilon": (small_epsilon, "batch_normalization_4", "its epsilon is 1e-05, not 0.001"),
    "kernel": (turned_kernel, "batch_normalization_5", "conv2d_6: its kernel's height and width"),
    "softmax": (softmax_twice, "dense", "followed by an operation of no layer (softmax)"),
}


def test_a_right_one_is_found_layer_by_layer_and_weight_by_weight(exported):
    case = exported()
    measured = layer_error(case) + file_weights(case)
    assert [m.explain() for m in measured if m.verdict.value != "pass"] == []


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_is_named_with_its_layer_and_kind(exported, name):
    bug, layer, words = BUGS[name]
    measured = layer_error(exported(bug))
    assert measured[0].verdict.value == "fail"
    assert measured[0].layer == layer
    assert words in measured[0].reason
