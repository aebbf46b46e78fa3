"""Dense layers by Einstein's summation, as the reader sees them."""

from __future__ import annotations

from string import digits

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, Inputs, LayerRule
from conversion.core.spec import Shape

ELIDED = "..."


def _parts(config: Config, inputs: Inputs) -> tuple[str, str, dict[str, int | None]]:
    """Letters of the kernel and of the output, and each letter's size; elided axes are digits."""
    equation = config["equation"].replace(" ", "")
    given, kernel = equation.partition("->")[0].split(",")
    output = equation.partition("->")[2]
    full = (None, *inputs[0])
    elided = digits[: len(full) - len(given.replace(ELIDED, ""))] if ELIDED in given else ""
    axes = given.replace(ELIDED, elided)
    if len(axes) != len(full):
        raise UserError(f"its equation {equation} does not fit an input of {inputs[0]}.")
    sizes = dict(zip(axes, full, strict=True))
    found = output.replace(ELIDED, elided)
    stated = config["output_shape"]
    sized = [axis for axis in found if axis not in elided]
    sized = sized[0 if output.startswith(ELIDED) else 1 :]
    for axis, size in zip(sized, [stated] if isinstance(stated, int) else stated, strict=True):
        sizes[axis] = sizes.get(axis) if size is None else int(size)
    return kernel, found, sizes


def _summed(config: Config, inputs: Inputs) -> Shape:
    _, output, sizes = _parts(config, inputs)
    return tuple(sizes[axis] for axis in output[1:])


def _summed_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    kernel, output, sizes = _parts(config, inputs)
    weights: dict[str, Shape] = {"kernel": tuple(sizes[axis] for axis in kernel)}
    biased = config.get("bias_axes") or ""
    if biased:
        behind = output[min(output.index(axis) for axis in biased) :]
        weights["bias"] = tuple(sizes[axis] if axis in biased else 1 for axis in behind)
    return weights


LAYERS: dict[str, LayerRule] = {
    "EinsumDense": LayerRule(
        _summed,
        _summed_weights,
        allowed={"quantization_config": (None,)},
        supported=("equation", "output_shape", "bias_axes", "activation"),
    ),
}
"""Layer class to its rule."""
