"""What every ONNX backend shares: a census of a graph, checks before saving, the runner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto

from conversion.backends.external_ports import Port, batches
from conversion.core import environment
from conversion.core.artifact import Artifact
from conversion.core.errors import RunFailed, UserError


def load(path: Path) -> ModelProto:
    """Read an ONNX file.

    Raises:
        UserError: the file is missing, empty or not ONNX.
    """
    if not path.is_file():
        raise UserError(f"Expected an ONNX file at {path}; there is none.")
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf raises types of its own, none of which names the file
        raise UserError(
            f"Expected an ONNX file at {path}; it cannot be parsed ({error})."
        ) from None
    if not model.graph.node:  # onnx reads an empty file as an empty model, without a word
        raise UserError(f"Expected an ONNX file at {path}; it holds no graph.")
    return model


def external_data(path: Path) -> tuple[Path, ...]:
    """The files that hold tensors of an ONNX file outside of it, each once.

    Args:
        path: the ONNX file; one that cannot be parsed refers to nothing, and is refused by `load`.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # as in `load`, which says it
        return ()
    tensors = [t for t in model.graph.initializer if t.data_location == t.EXTERNAL]
    named = [each.value for t in tensors for each in t.external_data if each.key == "location"]
    return tuple(path.parent / name for name in dict.fromkeys(named))


def opset(model: ModelProto) -> int:
    """The version of the default operator set that a model asks for."""
    found = (e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
    return int(next(found))


def census(model: ModelProto) -> dict[str, Any]:
    """Counts of what is in a graph: nodes, initializers, operators, initializer dtypes."""
    kinds = Counter(onnx.TensorProto.DataType.Name(t.data_type) for t in model.graph.initializer)
    return {
        "opset": opset(model),
        "ir_version": model.ir_version,
        "nodes": len(model.graph.node),
        "initializers": len(model.graph.initializer),
        "operators": dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        "initializer_dtypes": dict(sorted(kinds.items())),
        "parameters": sum(int(np.prod(t.dims)) for t in model.graph.initializer),
    }


def contents(model: ModelProto) -> dict[str, Any]:
    """What goes into the provenance of a graph: its census, inputs and outputs."""
    ends = {"inputs": ports(model.graph.input), "outputs": ports(model.graph.output)}
    return {"census": census(model), **ends}


def eight_bit_elements(model: ModelProto) -> int:
    """How many elements of kernels are stored in eight bits; scalars and vectors do not count."""
    eight = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    tensors = (t for t in model.graph.initializer if t.data_type in eight and len(t.dims) > 1)
    return sum(int(np.prod(tensor.dims)) for tensor in tensors)


def stated_source(path: Path) -> str | None:
    """The digest of the source file that an ONNX file states in its own metadata."""
    properties = {entry.key: entry.value for entry in load(path).metadata_props}
    return properties.get("conversion.source")


def with_outputs(model: ModelProto, names: Sequence[str]) -> bytes:
    """The graph with more of its tensors among its outputs."""
    tapped = ModelProto()
    tapped.CopyFrom(model)
    known = {value.name for value in (*model.graph.output, *model.graph.input)}
    tapped.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    return bytes(tapped.SerializeToString())


def ports(values: Sequence[onnx.ValueInfoProto]) -> list[dict[str, Any]]:
    """Names, dtypes and shapes of a graph's inputs or outputs; an open size is its name."""
    return [
        {
            "name": value.name,
            "dtype": onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower(),
            "shape": [
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
                for dim in value.type.tensor_type.shape.dim
            ],
        }
        for value in values
    ]


def inputs(model: ModelProto) -> list[onnx.ValueInfoProto]:
    """The graph's inputs without the initializers that old files list among them."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def save(model: ModelProto, target: Path, provenance: Mapping[str, Any]) -> None:
    """Check a model whole, write its provenance into it, and save it.

    Raises:
        onnx.checker.ValidationError: the model is not valid ONNX.
        onnx.shape_inference.InferenceError: its shapes contradict each other.
    """
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    named = {f"conversion.{key}": str(value) for key, value in provenance.items()}
    onnx.helper.set_model_props(model, {**properties, **named})
    onnx.save(model, target)


def is_guarded(artifact: Artifact) -> bool:
    """Whether a file is run with the option that keeps its integer sums from saturating.

    Whoever made an external file may have meant it for CPUs that have VNNI: it is judged for what
    it holds, and the check of saturation says what this CPU makes of it without the option.

    Args:
        artifact: an ONNX file.
    """
    waits = artifact.external and environment.sums_saturate()
    return waits and _opens_guarded(artifact.path, artifact.digest)


@cache
def _opens_guarded(path: Path, digest: str) -> bool:
    """Whether ONNX Runtime opens a file with that option: some with a QGemm it does not."""
    try:
        open_session(str(path), path.name, 1, guarded=True)
    except UserError:
        return False
    return True


def open_session(
    model: str | bytes, name: str, threads: int, optimised: bool = True, guarded: bool = False
) -> onnxruntime.InferenceSession:
    """A session on the CPU.

    Args:
        model: the file's path or its bytes.
        name: what messages call it.
        threads: threads of an operator.
        optimised: whether ONNX Runtime may rewrite the graph, as it does for a user.
        guarded: whether sums of uint8 x int8 products must not saturate, at the cost of time.

    Raises:
        UserError: ONNX Runtime cannot open it.
    """
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    )
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    if guarded:
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        sentence = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime cannot open {name}: {sentence}") from None


OTHER_CPU = (
    "it was saved with its layout optimised for another CPU (ReorderInput, ReorderOutput); save it "
    "with GraphOptimizationLevel.ORT_ENABLE_EXTENDED, or judge it on that CPU. "
)
"""Channels stand in blocks as wide as that CPU's registers: 16 with AVX-512, 8 without."""


def run_session(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    feed: Mapping[str, np.ndarray],
    ports: Sequence[Port] | None = None,
) -> list[np.ndarray]:
    """The named tensors of a session for some inputs.

    An external file may want them in another layout or dtype, or so many at a time.

    Args:
        session: an open one.
        outputs: names of the tensors.
        feed: its input names to ``(N, ...)`` in the source's layout.
        ports: of the session, where they are known already.

    Raises:
        RunFailed: ONNX Runtime stops.
    """
    known = {each.name: each for each in (ports_of(session) if ports is None else ports)}
    taken = {n: known[n].taken(np.asarray(a)) if n in known else a for n, a in feed.items()}
    size = max((each.batch for each in known.values()), default=0)
    count = len(next(iter(feed.values()))) if feed else 0
    try:
        if size in (0, count) or not taken:
            return list(session.run(list(outputs), taken))
        parts = [session.run(list(outputs), batch) for batch in batches(taken, size)]
        return [np.concatenate(each)[:count] for each in zip(*parts, strict=True)]
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        sentence = " ".join(str(error).split())[:300]
        why = OTHER_CPU if "Reorder" in sentence else ""
        raise RunFailed(f"ONNX Runtime stops on a batch of {count}: {why}{sentence}") from None


def ports_of(session: onnxruntime.InferenceSession) -> list[Port]:
    """The inputs of a session."""
    return [Port(each.name, each.type, each.shape) for each in session.get_inputs()]


class OnnxRunner:
    """An ONNX file as a user would deploy it: CPU provider, every optimisation."""

    def __init__(
        self, artifact: Artifact, spec_inputs: Sequence[str], outputs: Sequence[str], threads: int
    ) -> None:
        """Open a session.

        Args:
            artifact: the file.
            spec_inputs: the model's input names; matched by position, since a file that was made
                elsewhere names its own.
            outputs: the model's output names, matched by position.
            threads: threads of an operator.

        Raises:
            UserError: ONNX Runtime cannot open the file, or it has another count of inputs or
                outputs.
        """
        path = artifact.path
        self.session = open_session(str(path), path.name, threads, guarded=is_guarded(artifact))
        self.ports = ports_of(self.session)
        self._inputs = [port.name for port in self.ports]
        self._outputs = [port.name for port in self.session.get_outputs()]
        for what, found, wanted in (
            ("inputs", self._inputs, spec_inputs),
            ("outputs", self._outputs, outputs),
        ):
            if len(found) != len(wanted):
                raise UserError(
                    f"Expected {path.name} to have the {what} {list(wanted)}; it has {found}."
                )
        self._spec_inputs, self._spec_outputs = list(spec_inputs), list(outputs)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's own outputs, under the source model's names."""
        named = zip(self._inputs, self._spec_inputs, strict=True)
        feed = {ours: inputs[theirs] for ours, theirs in named}
        results = run_session(self.session, self._outputs, feed, self.ports)
        return dict(zip(self._spec_outputs, results, strict=True))
