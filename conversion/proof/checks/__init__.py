"""Which checks an artifact gets; pytest and the command line are two doors to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from conversion.backends import Backend, backend
from conversion.core.errors import NoTruth, RunFailed
from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import Quantity, Question
from conversion.proof.checks import (
    accuracy,
    latency,
    layers,
    margins,
    parity,
    structure,
    weights,
)
from conversion.proof.checks import (
    batching as rows,
)
from conversion.proof.checks import (
    evaluation_integrity as evidence,
)
from conversion.proof.checks import (
    optimization_levels as levels,
)
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8 import (
    calibration,
    kernels,
    quantized,
    quantized_layers,
    ranges,
    saturation,
    stability,
)
from conversion.readers import custom_layers

TOPICS = ("structure", "parity", "accuracy", "quantization", "latency")
"""What checks are about; each is a pytest marker."""


MAPPED = (
    layers.layer_error,
    weights.onnx_weights,
    weights.litert_weights,
    ranges.onnx_ranges,
    ranges.torch_ranges,
    ranges.litert_ranges,
    quantized.quantized_parameters,
    quantized_layers.layer_sqnr,
    saturation.saturation,
)
"""What looks for the layers of the spec in a file, where it knows what each becomes there."""


ON_PARITY_INPUTS = (
    *(parity.output_error, layers.layer_error, quantized_layers.layer_sqnr, rows.rows),
    *(levels.optimisation_levels, kernels.integer_kernels, saturation.saturation, latency.speed),
)
"""What runs a file on the parity inputs, which are synthetic where there are too few images."""


@dataclass(frozen=True)
class Check:
    """A named check, its topic, and which artifacts it applies to.

    Attributes:
        name: a stable word, part of test ids.
        topic: its pytest marker.
        function: makes the measurements.
        applies: whether a backend gets it.
    """

    name: str
    topic: str
    function: Callable[[Case], list[Measurement]]
    applies: Callable[[Backend], bool]

    def measure(self, case: Case) -> list[Measurement]:
        """The check's measurements; an artifact that does not run fails it.

        Where a layer has no truth to compare with, it is undecided.
        """
        own = custom_layers.current().layers
        unmapped = [each.name for each in case.workspace.spec.layers if each.kind in own]
        if unmapped and self.function in MAPPED:
            reason = f"'{unmapped[0]}' of the --custom file has no place in the map of layers"
            return case.skip(self._whole, reason)
        try:
            return self._seeded(case, self.function(case))
        except NoTruth as error:
            undecided = Verdict.UNDECIDED
            return [case.about.measure(self._whole, reason=str(error), verdict=undecided)]
        except RunFailed as error:
            return [case.about.measure(self._whole, reason=str(error), verdict=Verdict.FAIL)]

    @property
    def _whole(self) -> Quantity:
        """What stands for the check where it cannot be made."""
        return Question(self.name, self.topic, "").whole

    def _seeded(self, case: Case, measured: list[Measurement]) -> list[Measurement]:
        """The measurements with the seed of the inputs, where those are synthetic."""
        seed = case.workspace.synthetic_seed if self.function in ON_PARITY_INPUTS else None
        return [
            m if m.value is None or m.seed is not None else replace(m, seed=seed) for m in measured
        ]


def _all(each: Backend) -> bool:
    return True


def _is_float(each: Backend) -> bool:
    return each.is_float


def _is_int8(each: Backend) -> bool:
    return not each.is_float


def _is_onnx(each: Backend) -> bool:
    return each.suffix == ".onnx"


def _is_converted(each: Backend) -> bool:
    return each.name != "keras-fp32"


def _is_converted_float(each: Backend) -> bool:
    return _is_float(each) and _is_converted(each)


CHECKS: tuple[Check, ...] = (
    Check("onnx-valid", "structure", structure.onnx_valid, _is_onnx),
    Check("onnx-ports", "structure", structure.onnx_ports, _is_onnx),
    Check("onnx-operators", "structure", structure.onnx_operators, _is_onnx),
    Check(
        "integer-weights",
        "structure",
        structure.onnx_integer_weights,
        lambda each: _is_onnx(each) and _is_int8(each),
    ),
    Check(
        "integer-weights",
        "structure",
        structure.litert_integer_weights,
        lambda each: each.name == "litert-int8",
    ),
    Check("weights", "structure", structure.torch_weights, lambda each: each.name == "torch-fp32"),
    Check(
        "integer-weights",
        "structure",
        structure.torch_integer_weights,
        lambda each: each.name == "torch-int8",
    ),
    Check(
        "weights",
        "structure",
        weights.onnx_weights,
        lambda each: each.name in ("onnx-fp32", "torch-via-onnx-fp32"),
    ),
    Check("weights", "structure", weights.litert_weights, lambda each: each.name == "litert-fp32"),
    Check("provenance", "structure", structure.provenance, _is_converted),
    Check("optimisation-levels", "structure", levels.optimisation_levels, _is_onnx),
    Check(
        "integer-kernels",
        "structure",
        kernels.integer_kernels,
        lambda each: each.name in ("onnx-int8", "torch-int8"),
    ),
    Check("rows", "structure", rows.rows, _is_converted),
    Check("output-error", "parity", parity.output_error, _is_float),
    Check("layers", "parity", layers.layer_error, _is_converted_float),
    Check("margins", "parity", margins.certificate, _is_converted_float),
    Check("top1", "accuracy", accuracy.top1, _all),
    Check("evidence", "accuracy", evidence.evidence_of, _all),
    Check("quantized-top1", "quantization", accuracy.quantized_top1, _is_int8),
    Check("classes", "quantization", accuracy.class_changes, _is_int8),
    Check("agreement", "quantization", margins.agreement, _is_int8),
    Check("calibration", "quantization", calibration.calibration_of, _is_int8),
    Check("calibration-stability", "quantization", stability.calibration_stability, _is_int8),
    Check("ranges", "quantization", ranges.onnx_ranges, lambda each: each.name == "onnx-int8"),
    Check("ranges", "quantization", ranges.torch_ranges, lambda each: each.name == "torch-int8"),
    Check("ranges", "quantization", ranges.litert_ranges, lambda each: each.name == "litert-int8"),
    Check("quantized-parameters", "quantization", quantized.quantized_parameters, _is_int8),
    Check("quantized-layers", "quantization", quantized_layers.layer_sqnr, _is_int8),
    Check(
        "saturation", "quantization", saturation.saturation, lambda each: each.name == "onnx-int8"
    ),
    Check("speed", "latency", latency.speed, _is_converted),
)
"""Every check; a new one is a function and one line here."""


def checks(name: str, topics: tuple[str, ...] | None = None) -> Iterator[Check]:
    """The checks that a backend gets.

    Args:
        name: the backend's name.
        topics: only these; all of them by default.
    """
    for check in CHECKS:
        if check.applies(backend(name)) and (topics is None or check.topic in topics):
            yield check
