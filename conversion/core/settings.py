"""The choices that a build depends on, with the defaults that measured best."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, is_dataclass, replace
from operator import attrgetter
from typing import Any

from conversion.core.errors import UserError
from conversion.core.options import as_names, check_choices, option

OPSETS = range(13, 27)
"""Opsets on offer: 13 to 18 by tf2onnx, 19 to 26 through `onnx.version_converter`."""

PER_CHANNEL_OPSET = 13
"""QuantizeLinear has an axis from opset 13 on (ONNX changelog)."""

_TYPES = ("uint8", "int8")


def _per_channel() -> Any:
    return option(True, "--per-tensor", "one scale for a whole weight", const=False)


def _float_layers() -> Any:
    told = "layers of the model that int8 leaves in float32"
    return option((), "--float-layers", told, metavar="NAME,NAME", parse=as_names)


def _reduce_range() -> Any:
    told = "ONNX, PyTorch: all eight bits for weights, wrong on x86 CPUs without VNNI (default: 7)"
    return option(True, "--full-range", told, const=False)


NAMED = 3
"""Layers in float that a label names."""


def _labelled(words: str, float_layers: tuple[str, ...]) -> str:
    named, more = "+".join(float_layers[:NAMED]), len(float_layers) - NAMED
    if not float_layers:
        return words
    return f"{words}, {named}{f' and {more} more' if more > 0 else ''} in float"


@dataclass(frozen=True)
class OnnxScheme:
    """How ONNX Runtime quantizes.

    Attributes:
        activations: ``uint8`` or ``int8``.
        weights: ``uint8`` or ``int8``; per channel in ``qoperator`` format, ONNX Runtime writes the
            kernels of convolutions as int8 whichever is asked for, and the provenance says so.
        per_channel: one scale for each output channel of a weight, not one for the tensor.
        format: ``qoperator`` or ``qdq``.
        method: how ranges come from calibration: ``minmax``, ``entropy`` or ``percentile``.
        float_layers: names of the model's layers that are left in float32.
        reduce_range: int8 weights in seven bits where activations are uint8. On x86 CPUs without
            VNNI two products of such a pair are added in 16 bits, which all eight bits overflow:
            2.7 to 6.7 points of top-1 are lost there, and none here.
    """

    activations: str = option("uint8", "--activations", "ONNX", choices=_TYPES)
    weights: str = option("int8", "--weights", "ONNX", choices=_TYPES)
    per_channel: bool = _per_channel()
    format: str = option("qoperator", "--format", "ONNX", choices=("qoperator", "qdq"))
    method: str = option(
        "minmax",
        "--method",
        "ONNX: how ranges come from calibration",
        choices=("minmax", "entropy", "percentile"),
    )
    float_layers: tuple[str, ...] = _float_layers()
    reduce_range: bool = _reduce_range()

    def __post_init__(self) -> None:
        check_choices(self)
        if (self.activations, self.weights) == ("int8", "uint8"):
            raise UserError(
                "Expected activations/weights uint8/uint8, uint8/int8 or int8/int8; got int8/uint8,"
                " for which ONNX Runtime has no kernels."
            )

    @property
    def label(self) -> str:
        """Stable words, such as ``uint8-int7-channel-qoperator-minmax``."""
        grain = "channel" if self.per_channel else "tensor"
        weights = "int7" if self.seven_bits else self.weights
        words = "-".join((self.activations, weights, grain, self.format, self.method))
        return _labelled(words, self.float_layers)

    @property
    def seven_bits(self) -> bool:
        """Whether weights take seven of their eight bits."""
        return self.reduce_range and (self.activations, self.weights) == ("uint8", "int8")


@dataclass(frozen=True)
class TorchScheme:
    """How PyTorch quantizes, in eager mode.

    Attributes:
        engine: ``onednn``, ``x86``, ``fbgemm`` or ``qnnpack``.
        per_channel: one scale for each output channel of a weight, not one for the tensor.
        method: the observer of activations: ``histogram`` or ``minmax``.
        float_layers: names of the model's layers that are left in float32, with what is fused into
            them: the BatchNormalization and the ReLU that alone read a convolution.
        reduce_range: weights in seven bits. On x86 CPUs without VNNI all eight bits overflow, as
            they do in ONNX: ResNet8 loses 14.8 points there, and none with seven. PyTorch's own
            `reduce_range` takes the bit from the activations, which costs 0.52.
    """

    engine: str = option(
        "onednn", "--engine", "PyTorch", choices=("onednn", "x86", "fbgemm", "qnnpack")
    )
    per_channel: bool = _per_channel()
    method: str = option(
        "histogram",
        "--torch-method",
        "PyTorch: how ranges come from calibration",
        choices=("histogram", "minmax"),
    )
    float_layers: tuple[str, ...] = _float_layers()
    reduce_range: bool = _reduce_range()

    def __post_init__(self) -> None:
        check_choices(self)

    @property
    def label(self) -> str:
        """Stable words, such as ``onednn-int7-channel-histogram``."""
        grain = "channel" if self.per_channel else "tensor"
        weights = "int7" if self.seven_bits else "int8"
        words = "-".join((self.engine, weights, grain, self.method))
        return _labelled(words, self.float_layers)

    @property
    def seven_bits(self) -> bool:
        """Whether weights take seven of their eight bits; qnnpack's kernels never overflow."""
        return self.reduce_range and self.engine != "qnnpack"


@dataclass(frozen=True)
class LitertScheme:
    """How TensorFlow's converter quantizes for LiteRT: in int8, per channel, by lowest and highest.

    Attributes:
        float_layers: names of the model's layers that are left in float32, with what the converter
            fuses into them.
    """

    float_layers: tuple[str, ...] = _float_layers()

    @property
    def label(self) -> str:
        """Stable words, such as ``int8-channel-minmax``."""
        return _labelled("int8-channel-minmax", self.float_layers)


@dataclass(frozen=True)
class CalibrationChoice:
    """Which training images calibrate.

    Attributes:
        count: how many, 500 to 1,000; fewer only where there are no more.
        seed: of the draw, stratified by class; never chosen on test images. None is the seed of
            the run, 0 by default.
        part: 0 for the first so many of the seed's order, 1 for as many that 0 has none of.
    """

    count: int = option(
        1000, "--calibration-count", "how many images calibrate", metavar="N", parse=int
    )
    seed: int | None = option(
        None,
        "--calibration-seed",
        "of the draw of these images (default: that of --seed)",
        metavar="N",
        parse=int,
    )
    part: int = option(
        0,
        "--calibration-part",
        "1 calibrates on as many other images of the same seed's order",
        metavar="N",
        parse=int,
    )

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 100_000:
            raise UserError(f"Expected 1 to 100000 calibration images; got {self.count}.")
        if not 0 <= self.drawn_by < 2**32:
            raise UserError(f"Expected a calibration seed from 0 to {2**32 - 1}; got {self.seed}.")
        if self.part < 0:
            raise UserError(f"Expected a calibration part from 0 on; got {self.part}.")

    @property
    def drawn_by(self) -> int:
        """The seed of the draw."""
        return 0 if self.seed is None else self.seed


@dataclass(frozen=True)
class Settings:
    """Everything that a build depends on beside the subject.

    Attributes:
        opset: the ONNX opset, 13 to 26.
        onnx: how ONNX Runtime quantizes.
        torch: how PyTorch quantizes.
        litert: how TensorFlow's converter to LiteRT quantizes.
        calibration: which training images calibrate.
    """

    opset: int = option(
        15, "--opset", f"ONNX: {OPSETS.start} to {OPSETS.stop - 1}", metavar="N", parse=int
    )
    onnx: OnnxScheme = field(default_factory=OnnxScheme)
    torch: TorchScheme = field(default_factory=TorchScheme)
    litert: LitertScheme = field(default_factory=LitertScheme)
    calibration: CalibrationChoice = field(default_factory=CalibrationChoice)

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise UserError(
                f"Expected an opset from {OPSETS.start} to {OPSETS.stop - 1}; got {self.opset}."
            )

    @property
    def float_layers(self) -> tuple[str, ...]:
        """Layers that some scheme leaves in float, each once."""
        schemes = (self.onnx, self.torch, self.litert)
        return tuple(dict.fromkeys(name for each in schemes for name in each.float_layers))

    def seeded(self, seed: int) -> Settings:
        """The same, with a seed for the calibration images where none is chosen.

        Args:
            seed: of the run.
        """
        if self.calibration.seed is not None:
            return self
        return replace(self, calibration=replace(self.calibration, seed=seed))

    def part(self, name: str) -> Any:
        """One setting by its dotted name as plain values, for keys and provenance."""
        value = attrgetter(name)(self)
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        return value
