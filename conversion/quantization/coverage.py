"""Which layers an int8 artifact computes in float: by choice, or for want of an integer kernel."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from conversion.core.errors import UserError
from conversion.core.settings import Settings
from conversion.core.spec import Spec

BY_CHOICE = "left in float by the scheme"

_TORCH_TRANSPOSED = (
    "torch.ao has no kernel per channel for transposed convolutions, and oneDNN's per tensor gives "
    "wrong sums where the channels differ in number (PyTorch 2.15)"
)
_TORCH_DOT = "torch.ao multiplies two activations in float on x86 (its qmatmul needs ruy)"
_TORCH_ELEMENTS = "it has no multiply-accumulates to win by: in float between two casts"

_ONNX_TRANSPOSED = (
    "ONNX Runtime has no integer kernel for transposed convolutions on the CPU: in QOperator "
    "format they stay as they are, in QDQ format their stored integers are made real to be computed"
)
_LITERT_ELEMENTS = (
    "TensorFlow's converter has no 8-bit form of an operator that it is made of (ELU, NEG, SQUARE, "
    "ZEROS_LIKE, CUMSUM), and leaves that one in float between two casts"
)
_LITERT_SPANNING = (
    "its activation is left in float: TensorFlow's converter makes it of operators, such as e to "
    "the power of x, whose values eight bits cannot hold"
)
_LITERT_VOLUMES = "LiteRT has no integer kernel for convolutions in three dimensions"
_LITERT_ONE_RANGE = (
    "it has one range for all that it reads, some of which is in float: TensorFlow's converter "
    "leaves it in float then"
)

TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")

WITHOUT_KERNEL: Mapping[str, Mapping[str, str]] = {
    "onnx": dict.fromkeys(TRANSPOSED, _ONNX_TRANSPOSED),
    "torch": {
        **dict.fromkeys(TRANSPOSED, _TORCH_TRANSPOSED),
        "Dot": _TORCH_DOT,
        **dict.fromkeys(("LayerNormalization", "GroupNormalization"), _TORCH_ELEMENTS),
        "RMSNormalization": _TORCH_ELEMENTS,
        **dict.fromkeys(("PReLU", "Normalization", "LayerScale"), _TORCH_ELEMENTS),
    },
    "litert": dict.fromkeys(
        (
            *("ELU", "LayerNormalization", "GroupNormalization"),
            *("RMSNormalization", "UnitNormalization"),
        ),
        _LITERT_ELEMENTS,
    )
    | dict.fromkeys(("Conv3D", "Conv3DTranspose"), _LITERT_VOLUMES),
}
"""Scheme to the kinds of layers with weights for which its runtime has no integer kernel, and why.

Written down once, not read off the file that is judged: a file that has more in float than this is
at fault. ONNX Runtime's part is from the registry of its quantizer, PyTorch's from the kernels of
torch.ao run one by one; LiteRT's converter is no Python, so its part is from models of one layer.
"""


LITERT_FLOAT_ACTIVATIONS = (
    *("elu", "hard_shrink", "log_sigmoid", "soft_shrink"),
    *("sparse_plus", "sparsemax", "squareplus"),
)
"""Activations of which TensorFlow's converter leaves an operator in float."""

LITERT_SPANNING = ("celu", "log_sigmoid", "mish", "selu", "softplus")
"""Activations whose operators our LiteRT files leave in float. In eight bits, e to the power of the
largest x leaves no step for that of all others: a network of `selu` answers at random."""

OF_ONE_RANGE = ("Concatenate", "Maximum", "Minimum")
"""Layers of which a LiteRT operator has one range for all that it reads and gives."""


def float_steps(spec: Spec, settings: Settings) -> dict[str, str]:
    """Layers of which a LiteRT int8 file computes something in float, and why.

    A layer whose activation alone is in float keeps its kernel in integers.
    """
    found = in_float(spec, "litert", settings)
    for layer in spec.layers:
        normal = layer.kind == "Dot" and layer.config.get("normalize")
        if layer.activation in LITERT_SPANNING:
            found.setdefault(layer.name, _LITERT_SPANNING)
        elif layer.activation.lower() in LITERT_FLOAT_ACTIVATIONS or normal:
            found.setdefault(layer.name, _LITERT_ELEMENTS)
        elif layer.kind in OF_ONE_RANGE and not found.keys().isdisjoint(layer.inputs):
            found.setdefault(layer.name, _LITERT_ONE_RANGE)
    return found


def in_float(spec: Spec, scheme: str, settings: Settings) -> dict[str, str]:
    """Layers that an int8 artifact of ours computes in float, and why.

    Args:
        spec: the model.
        scheme: the part of the settings that quantizes it.
        settings: the choices.
    """
    chosen = getattr(settings, scheme).float_layers
    without = dict(WITHOUT_KERNEL.get(scheme, {}))
    if scheme == "torch":
        why = "a layer of your own is computed by its own module, in float"
        without |= dict.fromkeys(spec.custom.layers, why)
    found = {
        layer.name: BY_CHOICE if layer.name in chosen else without.get(layer.kind, "")
        for layer in spec.layers
    }
    return {name: why for name, why in found.items() if why}


def check_names(spec: Spec, settings: Settings) -> None:
    """Refuse to leave in float what the model does not have.

    Raises:
        UserError: a name is none of its layers'.
    """
    known = [layer.name for layer in spec.layers]
    for name in settings.float_layers:
        if name not in known:
            near = get_close_matches(name, known, cutoff=0.0)
            raise UserError(
                f"Expected layers of {spec.name} to leave in float; it has no '{name}', the "
                f"nearest names are {', '.join(near)}."
            )


def without_effect(chosen: Collection[str], computing: Collection[str]) -> list[str]:
    """Warnings of layers that were chosen and have nothing that could be left in float.

    Args:
        chosen: the layers that were to be left in float.
        computing: those of them of which the artifact computes something by itself.
    """
    return [
        f"'{name}' has no step of its own that computes, so nothing of it is left in float: it "
        "moves elements, or is part of another layer, which could be named"
        for name in chosen
        if name not in computing
    ]
