"""Is every float fault really in its file, and the good file as it was?"""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

STAGES = ("input", "conversion", "output")
ARTIFACTS = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32")
IMAGES = 64

DO_NOT_RUN = {
    "onnx-flattened-to-one-row",
    "onnx-extra-output",
    "onnx-attribute-of-a-later-opset",
    "onnx-node-gone",
}
"""Their point is that ONNX Runtime or the runner refuses the file or the images."""

SAME_NUMBERS = {
    "onnx-batch-of-1",
    "onnx-input-of-doubles",
    "onnx-input-renamed",
    "onnx-output-renamed",
    "onnx-output-of-doubles",
    "onnx-opset-13",
}
"""Their point is what the file says around the network."""

NOT_FINITE = {"torch-mean-variance-swapped"}
"""A negative mean under the root."""


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def centred_logs(probabilities):
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    return logs - logs.mean(axis=1, keepdims=True)


def rms(value):
    return np.sqrt(np.mean(value**2))


@pytest.fixture(scope="module")
def good(workspaces):
    """The three good artifacts: their bytes' digests, outputs, and distance from the truth."""
    workspace = workspaces("embedded")
    inputs = {name: array[:IMAGES] for name, array in workspace.parity_inputs.items()}
    exact = centred_logs(workspace.truth["dense"][:IMAGES])
    found = {}
    for name in ARTIFACTS:
        logs = centred_logs(workspace.runner(name).run(inputs)["dense"])
        found[name] = SimpleNamespace(
            sha256=sha256(workspace.artifact(name).path), logs=logs, noise=rms(logs - exact)
        )
    return SimpleNamespace(workspace=workspace, inputs=inputs, artifacts=found)


@pytest.fixture(scope="module")
def injected(request, good, tmp_path_factory):
    """One stage's faults: each injected, opened and run, or the error that it gave."""
    found = []
    for fault in faults(request.param):
        folder = tmp_path_factory.mktemp(fault.name)
        found.append(ran(fault, fault.inject, good, folder))
    return found


def faults(stage):
    from conversion.proof.faults import all_faults

    return [
        each for each in all_faults() if (each.stage, each.artifact in ARTIFACTS) == (stage, True)
    ]


def ran(fault, inject, good, folder):
    workspace = inject(good.workspace, folder)
    made = SimpleNamespace(fault=fault, path=workspace.artifact(fault.artifact).path)
    made.output, made.error = None, None
    try:
        made.output = workspace.runner(fault.artifact).run(good.inputs)["dense"]
    except Exception as error:
        made.error = error
    return made


def distance(made, good):
    """How far the outputs moved, as a multiple of the good artifact's distance from the truth."""
    own = good.artifacts[made.fault.artifact]
    return rms(centred_logs(made.output) - own.logs) / own.noise


per_stage = pytest.mark.parametrize("injected", STAGES, indirect=True, scope="module")


@per_stage
def test_the_file_is_another_one(injected, good):
    for made in injected:
        assert sha256(made.path) != good.artifacts[made.fault.artifact].sha256, made.fault.name


@per_stage
def test_it_runs_unless_that_is_the_fault(injected):
    refused = {made.fault.name for made in injected if made.error is not None}
    assert refused == {made.fault.name for made in injected} & DO_NOT_RUN


@per_stage
def test_its_outputs_have_the_shape_and_are_finite_unless_that_is_the_fault(injected):
    for made in injected:
        if made.output is not None:
            assert made.output.shape == (IMAGES, 10), made.fault.name
            finite = np.isfinite(made.output).all()
            assert finite == (made.fault.name not in NOT_FINITE), made.fault.name


@per_stage
def test_no_fault_is_an_equivalent_mutant(injected, good):
    for made in injected:
        if made.output is None or made.fault.name in NOT_FINITE:
            continue
        moved = distance(made, good)
        if made.fault.name in SAME_NUMBERS:
            assert moved == 0, made.fault.name
        else:
            assert moved > 10, made.fault.name


@per_stage
def test_the_good_file_is_as_it_was(injected, good):
    for name in ARTIFACTS:
        assert sha256(good.workspace.artifact(name).path) == good.artifacts[name].sha256


@pytest.mark.parametrize("stage", STAGES)
def test_a_larger_size_does_more(stage, good, tmp_path):
    for fault in faults(stage):
        assert list(fault.sizes) == sorted(fault.sizes, reverse=True)
        assert bool(fault.sizes) is (fault.resized is not None)
        if fault.sizes:
            ends = fault.sizes[0], fault.sizes[-1]
            moved = []
            for size in ends:
                folder = tmp_path / f"{fault.name}-{size}"
                folder.mkdir()
                moved.append(distance(ran(fault, fault.resized(size), good, folder), good))
            assert moved[0] > 10, fault.name
            assert moved[1] < moved[0] / 100, fault.name


def test_names_are_unique():
    names = [fault.name for stage in STAGES for fault in faults(stage)]
    assert len(names) == len(set(names)) >= 55


def test_a_name_begins_with_its_artifact():
    for stage in STAGES:
        for fault in faults(stage):
            prefix = fault.artifact.removesuffix("-fp32").replace("torch-via-onnx", "via-onnx")
            assert fault.name.startswith(f"{prefix}-"), fault.name


def test_the_excused_faults_exist():
    names = {fault.name for stage in STAGES for fault in faults(stage)}
    assert names >= DO_NOT_RUN | SAME_NUMBERS | NOT_FINITE


@pytest.fixture
def graph():
    """The good ONNX file, as the operators look at it."""
    from conversion.proof.faults.injection import in_onnx

    def looked_at(workspace, folder):
        seen = []
        in_onnx(seen.append, "onnx-fp32")(workspace, folder)
        return seen[0]

    return looked_at


@pytest.mark.parametrize("layer", ["conv2d", *(f"conv2d_{index}" for index in range(1, 9))])
def test_the_node_of_a_convolution_holds_its_kernel(workspaces, graph, tmp_path, layer):
    workspace = workspaces("embedded")
    found = graph(workspace, tmp_path)
    kernel = found.stored(found.weighted(layer).input[1])
    wanted = workspace.spec.layer(layer).weights["kernel"]
    assert np.array_equal(kernel, wanted.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("index", range(7))
def test_the_node_of_a_relu_stands_behind_what_the_layer_reads(workspaces, graph, tmp_path, index):
    found = graph(workspaces("embedded"), tmp_path)
    sums = {2: "add", 4: "add_1", 6: "add_2"}
    numbered = "" if index == 0 else f"_{index}"
    before = found.node(sums.get(index, f"batch_normalization{numbered}"), "Add")
    assert found.node(f"activation{numbered}", "Relu").input[0] == before.output[0]
