"""This side of the reference process: starts it, gives it jobs, restarts it after a crash."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import digest
from conversion.core.channel import Child, Message, receive, send
from conversion.core.errors import MissingDependency, ReferenceCrashed, UserError
from conversion.core.extras import needs
from conversion.core.guarded import limit_in_words, most
from conversion.core.progress import stage
from conversion.core.spec import Layer, Spec
from conversion.core.user_code import UserFile

TIMEOUT = 600.0
"""Seconds that a job may take; a broken HDF5 file can make Keras hang for ever."""


LACKING = "could not create a primitive descriptor"
"""What oneDNN says where it lacks a kernel, as for a separable convolution of one channel. Such a
model is computed by a process without it, which lacks others, as those for channels_first.
"""

BATCH = 250
"""Images that Keras computes at a time."""


class Reference:
    """A process that holds TensorFlow and answers named jobs; started by the first of them.

    TensorFlow and PyTorch's CUDA build abort when they share a process, a broken file can crash
    HDF5, and nobody should wait for TensorFlow's import who does not need it: so it lives alone.
    """

    def __init__(self, timeout: float = TIMEOUT, custom: Sequence[UserFile] = ()) -> None:
        """Prepare a reference without starting it.

        Args:
            timeout: seconds that a job may take before the process is ended.
            custom: files with classes, which the user named; executed there before a model is
                opened.
        """
        self._timeout = timeout
        self._custom = _named(custom)
        self._child: Child | None = None
        self._onednn, self._without = True, set[str]()

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._child is not None and self._child.running

    @property
    def memory(self) -> int:
        """Bytes that the process has to itself; 0 where there is none."""
        import psutil

        child = self._child
        if child is None or not child.running:
            return 0
        return int(psutil.Process(child.process.pid).memory_full_info().uss)

    def call(
        self, job: str, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> Message:
        """Have the process do one job.

        Args:
            job: a name in `conversion.reference.jobs.JOBS`, or ``module:function`` of the caller's.
            values: the job's plain arguments.
            arrays: the job's arrays, by name.

        Returns:
            What the job answers; ``values["warnings"]`` holds what the libraries warned of.

        Raises:
            MissingDependency: TensorFlow is not installed.
            UserError: the job refuses its arguments.
            ReferenceCrashed: the process died or did not answer in time; the next call starts
                another one.
        """
        digest = values.get("digest", "")
        if self._onednn is (digest in self._without):
            self.close()
            self._onednn = not self._onednn
        child = self._child if self.running else None
        words = f"Keras: {job.replace('_', ' ')}" if child else f"starting TensorFlow for '{job}'"
        with stage(words):
            if child is None:
                child = self._start()
            sent = {"job": job, "custom": self._custom, **values}
            answer = self._ask(child, job, Message(sent, arrays or {}))
        failure = answer.values.get("error")
        if failure is not None and LACKING in failure and digest and self._onednn:
            self._without.add(digest)
            return self.call(job, values, arrays)
        if failure is not None and answer.values["kind"] == UserError.__name__:
            raise UserError(failure.removeprefix(f"{UserError.__name__}: "))
        if failure is not None:
            raised = UserError(f"Keras could not do '{job}': {failure}")
            raised.add_note(answer.values["traceback"])
            raise raised
        return answer

    def _ask(self, child: Child, job: str, message: Message) -> Message:
        try:
            send(child.connection, message)
            if not child.connection.poll(self._timeout):
                raise ReferenceCrashed(f"Keras did not finish '{job}' in {self._timeout:g} s.")
            return receive(child.connection)
        except (EOFError, OSError) as error:
            tail = child.last_words()
            self.close()
            limit = limit_in_words(most())
            raise ReferenceCrashed(
                f"The Keras process died during '{job}' ({limit}): {tail}"
            ) from error
        except BaseException:  # Ctrl-C too: the next call must not read this one's answer
            self.close()
            raise

    def build(
        self, file: UserFile, custom: Sequence[UserFile], weights: Path, target: Path
    ) -> None:
        """Save the model that a user's function returns, with weights of a file.

        Args:
            file: has the function.
            custom: all files that the user named, executed before it is called.
            weights: alone, in HDF5.
            target: a `.keras` file.

        Raises:
            UserError: the function returns no Keras model, or the weights do not fit it.
        """
        paths = {"weights": str(weights.resolve()), "target": str(target)}
        self.call("build_model", {"file": file.digest, "custom": _named(custom), **paths})

    def model(self, path: Path, spec: Spec, digest: str = "") -> KerasModel:
        """The Keras model of a file that the reader has already accepted.

        Args:
            path: the model file, or a copy of it in one file.
            spec: what the reader made of it; asking for it here is what keeps a file with code
                in it away from TensorFlow.
            digest: SHA-256 of a copy that is packed in another way than the source.
        """
        return KerasModel(self, path.resolve(), spec, digest)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._child is not None:
            self._child.close()
        self._child = None

    def _start(self) -> Child:
        if importlib.util.find_spec("tensorflow") is None:
            raise MissingDependency(
                f"The Keras reference needs {needs(('tensorflow',))} (the direct route to PyTorch "
                "works without it)."
            )
        self.close()
        settings = {
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "",
            "KERAS_BACKEND": "tensorflow",
            # TensorFlow's own kernels have no channels_first on a CPU; where this one lacks VNNI it
            # would use them.
            "TF_ENABLE_ONEDNN_OPTS": str(int(self._onednn)),
        }
        limit = str(math.ceil(self._timeout))
        self._child = Child(
            "conversion.core.worker", [limit, "conversion.reference.jobs", str(most())], settings
        )
        return self._child


def _named(files: Sequence[UserFile]) -> list[list[str]]:
    return [[str(file.path), file.digest] for file in files]


@dataclass(frozen=True, eq=False)
class KerasModel:
    """One model file as the reference process sees it; opened there on first use.

    Attributes:
        reference: the process.
        path: the file.
        spec: what the reader made of it.
        digest: SHA-256 of a copy that is packed in another way than the source.
        batch: images that Keras computes at a time.
        chunk: the same where it computes all layers, which TensorFlow may hold at once.
    """

    reference: Reference
    path: Path
    spec: Spec
    digest: str = ""
    batch: int = BATCH
    chunk: int = BATCH
    _ranges: dict[str, np.ndarray] = field(default_factory=dict)

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's own outputs: output name to ``(N, ...)`` float32."""
        return self._arrays("outputs", inputs)

    def logits(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs before the last softmax or sigmoid: output name to ``(N, ...)`` float32."""
        return self._arrays("logits", inputs)

    def layer_outputs(
        self, inputs: Mapping[str, np.ndarray], layers: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The output of each named layer: layer name to ``(N, ...)`` float32."""
        return self._arrays("layer_outputs", inputs, layers=list(layers))

    def layer_ranges(
        self,
        inputs: Mapping[str, np.ndarray],
        layers: Sequence[tuple[str, bool]],
        bounds: Sequence[tuple[float, float]] | None = None,
    ) -> np.ndarray:
        """The range of each layer over all inputs; the layers' outputs stay in the process.

        What was asked before is answered from what was kept.

        Args:
            inputs: input name to ``(N, ...)``, any numeric dtype.
            layers: names, each with whether the layer is meant as it is before its own activation.
            bounds: lowest and highest value for each; none by default.

        Returns:
            ``(layers, 4)`` float64: lowest value, highest value, how many values lie beyond the
            bounds, how many there are.
        """
        known = [list(each) for each in bounds or [(-math.inf, math.inf)] * len(layers)]
        asked = {"layers": [list(each) for each in layers], "bounds": known}
        key = digest.of_settings([digest.of_arrays(inputs.values()), asked])
        if key not in self._ranges:
            found = self._arrays("layer_ranges", inputs, **asked, batch=self.chunk)
            self._ranges[key] = found["ranges"]
        return self._ranges[key]

    def in_float64(self, layer: Layer, values: Sequence[np.ndarray]) -> np.ndarray:
        """What one layer gives where Keras computes it in float64.

        Args:
            layer: with its weights, in Keras's order.
            values: its inputs, ``(N, ...)`` float64.

        Returns:
            ``(N, ...)`` float64.
        """
        given = {f"input {index}": array for index, array in enumerate(values)}
        given |= {f"weight {index}": each for index, each in enumerate(layer.weights.values())}
        path = list(layer.path or (layer.name,))
        answer = self._call("in_float64", given, layer=path, count=len(values))
        return np.asarray(answer.arrays["output"], np.float64)

    def to_onnx(self, opset: int) -> tuple[bytes, list[str]]:
        """The model as tf2onnx writes it.

        Args:
            opset: 8 to 18, the range of tf2onnx.

        Returns:
            The serialized ONNX model, and the converter's warnings.
        """
        answer = self._call("to_onnx", {}, opset=opset)
        said = list(answer.values["warnings"])
        if answer.values["plainly"]:
            said.append(
                "tf2onnx left a compiled call in the file, which ONNX does not have: converted "
                "again with grouped convolutions traced as operators"
            )
        return answer.arrays["onnx"].tobytes(), said

    def to_litert(
        self, images: Path | None = None, quantized: bool = True
    ) -> tuple[bytes, list[str]]:
        """The model as TensorFlow's converter to LiteRT writes it.

        Args:
            images: a file of calibration images, ``(N, H, W, C)``; with it the file is int8
                throughout, its inputs and outputs too, else float32.
            quantized: whether it is quantized once it is calibrated.

        Returns:
            The content of the `.tflite` file, and the converter's warnings; one says which
            recurrent layers were unrolled for it.
        """
        chosen = None if images is None else str(images.resolve())
        answer = self._call("to_litert", {}, images=chosen, quantized=quantized)
        warnings, names = list(answer.values["warnings"]), answer.values["unrolled"]
        if names:
            warnings.append(f"unrolled, step by step in one graph: {', '.join(names)}")
        return answer.arrays["litert"].tobytes(), warnings

    def quantize_litert(self, calibrated: bytes, in_float: Sequence[str]) -> bytes:
        """A calibrated LiteRT file in int8 throughout, but for some operators.

        Args:
            calibrated: what `to_litert` gives where it does not quantize.
            in_float: names of the tensors that these operators give.
        """
        given = {"calibrated": np.frombuffer(calibrated, np.uint8)}
        answer = self.reference.call("quantize_litert", {"in_float": list(in_float)}, given)
        return answer.arrays["litert"].tobytes()

    def versions(self) -> dict[str, str]:
        """Versions of the packages in the reference process."""
        return dict(self.reference.call("versions", {}).values["versions"])

    def _arrays(
        self, job: str, inputs: Mapping[str, np.ndarray], **values: Any
    ) -> dict[str, np.ndarray]:
        return dict(self._call(job, inputs, **values).arrays)

    def _call(self, job: str, inputs: Mapping[str, np.ndarray], **values: Any) -> Message:
        spec, whole = self.spec, bool(self.digest) or not self.spec.weights_file
        known = {
            "path": str(self.path),
            "digest": self.digest or spec.digest,
            "replaced": dict(spec.custom.replaced),
            "version": spec.keras_version,
            "own": list(spec.custom.layers),
            "weights": None if whole else str(self.path.with_name(spec.weights_file)),
        }
        described = {
            "inputs": spec.inputs,
            "outputs": spec.outputs,
            "batch": self.batch,
            "graph": [[each.name, each.path or [each.name], each.inputs] for each in spec.layers],
        }
        return self.reference.call(job, {**known, **described, **values}, inputs)
