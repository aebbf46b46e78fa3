"""Faults of the file around the network: names, dtypes, sizes, operator set, validity."""

from __future__ import annotations

from onnx import ModelProto, TensorProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults.fault import Fault
from conversion.proof.faults.injection import in_onnx

ONNX = "onnx-fp32"


def batch_of_one(model: ModelProto) -> None:
    """Inputs and outputs that say 1 where they said batch."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def flattened_to_one(model: ModelProto) -> None:
    """A reshape to one row, whatever the batch, behind ports that promise any."""
    flatten = graph.node(model, "Reshape", "flatten")
    graph.store(model, flatten.input[1], graph.ints(1, 64))


def input_of_doubles(model: ModelProto) -> None:
    """The input as float64, cast inside."""
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    first = graph.node(model, "Transpose", "input_1")
    graph.ahead(model, first, "Cast", to=TensorProto.FLOAT)


def output_of_doubles(model: ModelProto) -> None:
    """The output as float64."""
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.behind(model, graph.node(model, "Softmax", "dense"), "Cast", to=TensorProto.DOUBLE)


def extra_output(model: ModelProto) -> None:
    """The logits beside the probabilities."""
    logits = graph.node(model, "Softmax", "dense").input[0]
    model.graph.output.append(graph.port(logits, TensorProto.FLOAT, ["batch", 10]))


def older_opset(model: ModelProto) -> None:
    """An operator set of 13, whose operators here mean the same."""
    for each in model.opset_import:
        if each.domain in ("", "ai.onnx"):
            each.version = 13


def attribute_of_a_later_opset(model: ModelProto) -> None:
    """An attribute that AveragePool has since opset 19."""
    pool = graph.node(model, "AveragePool", "average_pooling2d")
    graph.set_attribute(pool, "dilations", [1, 1])


def node_gone(model: ModelProto) -> None:
    """A ReLU removed and its readers left without."""
    model.graph.node.remove(graph.node(model, "Relu", "activation"))


FAULTS: tuple[Fault, ...] = (
    Fault(
        "onnx-batch-of-1",
        "conversion",
        ONNX,
        "the batch fixed at 1",
        "onnx-ports",
        "'shape': [1, 32, 32, 3]",
        in_onnx(batch_of_one),
    ),
    Fault(
        "onnx-flattened-to-one-row",
        "conversion",
        ONNX,
        "the batch fixed at 1 inside, any batch promised",
        "rows",
        "stops on a batch of",
        in_onnx(flattened_to_one),
    ),
    Fault(
        "onnx-input-renamed",
        "conversion",
        ONNX,
        "input_1:0 for input_1",
        "onnx-ports",
        "input_1:0",
        in_onnx(lambda model: graph.rename(model, "input_1", "input_1:0")),
    ),
    Fault(
        "onnx-output-renamed",
        "conversion",
        ONNX,
        "Identity:0 for dense",
        "onnx-ports",
        "Identity:0",
        in_onnx(lambda model: graph.rename(model, "dense", "Identity:0")),
    ),
    Fault(
        "onnx-input-of-doubles",
        "conversion",
        ONNX,
        "float64 for float32",
        "onnx-ports",
        "'dtype': 'double'",
        in_onnx(input_of_doubles),
    ),
    Fault(
        "onnx-output-of-doubles",
        "conversion",
        ONNX,
        "float64 for float32",
        "output-error",
        "should be float32; it is float64",
        in_onnx(output_of_doubles),
    ),
    Fault(
        "onnx-extra-output",
        "conversion",
        ONNX,
        "the logits as a second output",
        "onnx-ports",
        "BiasAdd",
        in_onnx(extra_output),
    ),
    Fault(
        "onnx-opset-13",
        "conversion",
        ONNX,
        "opset 13 for 15",
        "onnx-operators",
        "found 13",
        in_onnx(older_opset),
    ),
    Fault(
        "onnx-attribute-of-a-later-opset",
        "conversion",
        ONNX,
        "one attribute that the operator set does not know",
        "onnx-valid",
        "AveragePool",
        in_onnx(attribute_of_a_later_opset),
    ),
    Fault(
        "onnx-node-gone",
        "conversion",
        ONNX,
        "one node gone, its readers left without",
        "onnx-valid",
        "activation_1/Relu:0",
        in_onnx(node_gone),
    ),
)
