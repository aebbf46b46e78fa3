"""Faults in the scales and zero points of activations in the int8 ONNX file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto, numpy_helper

from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import RELATIVE, in_onnx
from conversion.proof.faults.integer_graph import (
    INT8,
    activation_scales,
    activation_zero_points,
    change_alone,
    in_parameter,
    in_qdq,
    moved,
    operator,
    scaled,
    writer,
)


def zero_point_off(steps: float) -> Inject:
    """The zero point of one activation is off."""
    return in_parameter("conv2d_2", "zero_point", moved(int(steps)))


def every_scale_halved(model: ModelProto) -> None:
    """The scales of all activations are half of what they should be."""
    names = activation_scales(model)
    for tensor in model.graph.initializer:
        if tensor.name in names:
            array = scaled(0.5)(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def every_zero_point_off(model: ModelProto) -> None:
    """The zero points of all activations are off by one."""
    names = activation_zero_points(model)
    for tensor in model.graph.initializer:
        if tensor.name in names:
            array = moved(1)(numpy_helper.to_array(tensor)).astype(np.uint8)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def scale_off(share: float) -> Inject:
    """The scale of one activation is off by a share of itself."""
    return in_parameter("conv2d_1", "scale", scaled(1 + share))


def disagreeing(layer: str, role: str, edit: Callable[[np.ndarray], np.ndarray]) -> Inject:
    """A layer reads its input by another scale or zero point than it was written with."""
    return in_onnx(lambda model: change_alone(model, operator(model, layer), role, edit), INT8)


def disagreeing_qdq(layer: str, role: str, edit: Callable[[np.ndarray], np.ndarray]) -> Inject:
    """The same between the QuantizeLinear and the DequantizeLinear ahead of a layer."""

    def fault(model: ModelProto) -> None:
        change_alone(model, writer(model, operator(model, layer).input[0]), role, edit)

    return in_qdq(fault)


def swapped(model: ModelProto) -> None:
    """Scale and zero point of the two summands of `add_1` are exchanged."""
    first, second = (operator(model, layer) for layer in ("conv2d_5", "conv2d_4"))
    pairs = [(list(node.input[6:8])) for node in (first, second)]
    renamed = dict(zip([*pairs[0], *pairs[1]], [*pairs[1], *pairs[0]], strict=True))
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def onnx_fault(
    name: str,
    magnitude: str,
    where: str,
    inject: Inject,
    check: str = "quantized-parameters",
    sizes: tuple[float, ...] = (),
    resized: Callable[[float], Inject] | None = None,
) -> Fault:
    """A fault of the parameters of an int8 ONNX file."""
    return Fault(
        f"onnx-{name}",
        "quantization",
        INT8,
        magnitude,
        check,
        where,
        inject,
        sizes=sizes,
        resized=resized,
    )


FAULTS: tuple[Fault, ...] = (
    onnx_fault(
        "zero-point-off-by-one",
        "1 step of one activation",
        "batch_normalization_2",
        zero_point_off(1),
        sizes=(8, 4, 2, 1),
        resized=zero_point_off,
    ),
    onnx_fault(
        "every-zero-point-off-by-one",
        "1 step of every activation",
        "input_1",
        in_onnx(every_zero_point_off, INT8),
    ),
    onnx_fault(
        "read-zero-point-disagrees",
        "1 step between writer and reader",
        "activation_3 as conv2d_4 reads it",
        disagreeing("conv2d_4", "read_zero_point", moved(1)),
    ),
    onnx_fault(
        "qdq-zero-points-disagree",
        "1 step between QuantizeLinear and DequantizeLinear",
        "activation_3",
        disagreeing_qdq("conv2d_4", "zero_point", moved(1)),
    ),
    onnx_fault(
        "scale-one-ulp",
        "1 unit in the last place of one activation's scale",
        "activation_5",
        in_parameter("conv2d_6", "scale", lambda scale: np.nextafter(scale, np.float32(np.inf))),
    ),
    onnx_fault(
        "scale-two-percent",
        "2 % of one activation's scale",
        "activation_1",
        scale_off(0.02),
        sizes=RELATIVE,
        resized=scale_off,
    ),
    onnx_fault(
        "scale-tenth-too-small",
        "x0.9 of one activation's scale",
        "activation_3",
        in_parameter("conv2d_3", "scale", scaled(0.9)),
    ),
    onnx_fault(
        "scale-halved",
        "x0.5 of one activation's scale",
        "activation_4",
        in_parameter("add_1", "scale", scaled(0.5)),
    ),
    onnx_fault(
        "every-scale-halved",
        "x0.5 of every activation's scale",
        "answers are not onnx-fp32's",
        in_onnx(every_scale_halved, INT8),
        check="agreement",
    ),
    onnx_fault(
        "read-scale-disagrees",
        "5 % between writer and reader",
        "activation_5 as conv2d_7 reads it",
        disagreeing("conv2d_7", "read_scale", scaled(1.05)),
    ),
    onnx_fault(
        "qdq-scales-disagree",
        "5 % between QuantizeLinear and DequantizeLinear",
        "activation_5",
        disagreeing_qdq("conv2d_7", "scale", scaled(1.05)),
    ),
    onnx_fault(
        "scales-of-two-tensors-swapped",
        "scale and zero point of both summands of one sum",
        "conv2d_5",
        in_onnx(swapped, INT8),
    ),
)
