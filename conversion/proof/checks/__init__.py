"""Which checks an artifact gets; pytest and the command line are two doors to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from conversion.backends import REFERENCE, Backend, Capability, backend
from conversion.core.errors import NotMapped, NoTruth, RunFailed
from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.core.quantity import Quantity, Question
from conversion.proof.checks import (
    accuracy,
    latency,
    layers,
    margins,
    parity,
    preprocessing,
    structure,
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
    stability,
)

TOPICS = ("structure", "parity", "accuracy", "quantization", "latency")
"""What checks are about; each is a pytest marker."""


Measuring = Callable[[Case], list[Measurement]]


def _all(each: Backend) -> bool:
    return True


@dataclass(frozen=True)
class Check:
    """A named check, its topic, and which artifacts it applies to.

    Attributes:
        name: a stable word, part of test ids.
        topic: its pytest marker.
        function: makes the measurements; a capability is measured by the backend's own function.
        applies: whether a backend gets it.
        needs: what it asks of a backend; the check is skipped where that is not offered.
        on_parity_inputs: whether it runs a file on these, which are synthetic where there are too
            few images.
        constant: what it gives where the model gives all images the same outputs, so that layers
            cannot be told apart nor images; None where it is made all the same.
    """

    name: str
    topic: str
    function: Measuring | Capability
    applies: Callable[[Backend], bool] = _all
    needs: Capability | None = None
    on_parity_inputs: bool = False
    constant: Verdict | None = None

    @property
    def _needed(self) -> Capability | None:
        return self.function if isinstance(self.function, Capability) else self.needs

    def can_judge(self, own: Backend) -> bool:
        """Whether a backend that gets the check shows what it asks for."""
        return self._needed is None or own.offers(self._needed)

    def measure(self, case: Case) -> list[Measurement]:
        """The check's measurements; an artifact that does not run fails it.

        Where a layer has no truth to compare with, it is undecided.
        """
        if not self.can_judge(case.backend):
            return case.skip(self._whole, f"{case.name} does not show its {self._needed}")
        if self.constant and case.name != REFERENCE and (reason := case.says_nothing):
            return [case.about.measure(self._whole, reason=reason, verdict=self.constant)]
        try:
            return self._seeded(case, self._measuring(case.backend)(case))
        except NotMapped as error:
            return case.skip(self._whole, str(error))
        except NoTruth as error:
            undecided = Verdict.UNDECIDED
            return [case.about.measure(self._whole, reason=str(error), verdict=undecided)]
        except RunFailed as error:
            return [case.about.measure(self._whole, reason=case.why(error), verdict=Verdict.FAIL)]

    def stopped(self, case: Case, error: Exception) -> Measurement:
        """What stands for a check that a fault of its own ended: nothing is decided by it.

        Args:
            case: the artifact.
            error: what nobody expected.
        """
        reason = f"a fault of this suite ended the check: {type(error).__name__}: {error}"
        found = case.about.measure(self._whole, reason=reason, verdict=Verdict.UNDECIDED)
        return replace(found, concerns=Concern.SUITE)

    @property
    def _whole(self) -> Quantity:
        """What stands for the check where it cannot be made."""
        return Question(self.name, self.topic, "").whole

    def _measuring(self, own: Backend) -> Measuring:
        if isinstance(self.function, Capability):
            return own.capability(self.function)
        return self.function

    def _seeded(self, case: Case, measured: list[Measurement]) -> list[Measurement]:
        """The measurements with the seed of the inputs, where those are synthetic."""
        seed = case.workspace.synthetic_seed if self.on_parity_inputs else None
        return [
            m if m.value is None or m.seed is not None else replace(m, seed=seed) for m in measured
        ]


def _is_float(each: Backend) -> bool:
    return each.is_float


def _is_int8(each: Backend) -> bool:
    return not each.is_float


def _is_onnx(each: Backend) -> bool:
    return each.offers(Capability.ONNX_FILE)


def _is_reference(each: Backend) -> bool:
    return each.name == REFERENCE


def _is_converted(each: Backend) -> bool:
    return each.name != REFERENCE


def _is_converted_float(each: Backend) -> bool:
    return _is_float(each) and _is_converted(each)


CHECKS: tuple[Check, ...] = (
    Check("onnx-valid", "structure", structure.onnx_valid, _is_onnx),
    Check("onnx-ports", "structure", structure.onnx_ports, _is_onnx),
    Check("onnx-operators", "structure", structure.onnx_operators, _is_onnx),
    Check(
        "integer-weights",
        "structure",
        Capability.EIGHT_BIT_WEIGHTS,
        _is_int8,
        constant=Verdict.SKIPPED,
    ),
    Check("weights", "structure", Capability.STORED_WEIGHTS, _is_converted_float),
    Check("provenance", "structure", structure.provenance, _is_converted),
    Check(
        "optimisation-levels",
        "structure",
        levels.optimisation_levels,
        _is_onnx,
        on_parity_inputs=True,
        constant=Verdict.SKIPPED,
    ),
    Check(
        "integer-kernels",
        "structure",
        kernels.integer_kernels,
        _is_int8,
        needs=Capability.INTEGER_KERNELS,
        on_parity_inputs=True,
        constant=Verdict.SKIPPED,
    ),
    Check(
        "rows",
        "structure",
        rows.rows,
        _is_converted,
        on_parity_inputs=True,
        constant=Verdict.SKIPPED,
    ),
    Check("output-error", "parity", parity.output_error, _is_float, on_parity_inputs=True),
    Check(
        "layers",
        "parity",
        layers.layer_error,
        _is_converted_float,
        needs=Capability.TAPS,
        on_parity_inputs=True,
        constant=Verdict.SKIPPED,
    ),
    Check("margins", "parity", margins.certificate, _is_converted_float, constant=Verdict.SKIPPED),
    Check("preprocessing", "parity", preprocessing.preprocessing, _is_reference),
    Check("top1", "accuracy", accuracy.top1),
    Check("evidence", "accuracy", evidence.evidence_of, constant=Verdict.SKIPPED),
    Check("quantized-top1", "quantization", accuracy.quantized_top1, _is_int8),
    Check("classes", "quantization", accuracy.class_changes, _is_int8),
    Check("agreement", "quantization", margins.agreement, _is_int8, constant=Verdict.SKIPPED),
    Check("calibration", "quantization", calibration.calibration_of, _is_int8),
    Check("calibration-stability", "quantization", stability.calibration_stability, _is_int8),
    Check("ranges", "quantization", Capability.RANGES, _is_int8, constant=Verdict.SKIPPED),
    Check(
        "quantized-parameters",
        "quantization",
        quantized.quantized_parameters,
        _is_int8,
        needs=Capability.QUANTIZATION_PARAMETERS,
        constant=Verdict.SKIPPED,
    ),
    Check(
        "quantized-layers",
        "quantization",
        quantized_layers.layer_sqnr,
        _is_int8,
        needs=Capability.TAPS,
        on_parity_inputs=True,
        constant=Verdict.UNDECIDED,
    ),
    Check(
        "saturation",
        "quantization",
        Capability.NARROW_SUMS,
        _is_int8,
        on_parity_inputs=True,
        constant=Verdict.SKIPPED,
    ),
    Check("speed", "latency", latency.speed, _is_converted, on_parity_inputs=True),
)
"""Every check; a new one is a function and one entry here."""


def checks(name: str, topics: tuple[str, ...] | None = None) -> Iterator[Check]:
    """The checks that a backend gets.

    Args:
        name: the backend's name.
        topics: only these; all of them by default.
    """
    for check in CHECKS:
        if check.applies(backend(name)) and (topics is None or check.topic in topics):
            yield check
