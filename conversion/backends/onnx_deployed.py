"""What ONNX Runtime runs when it is given a file: the graph that it makes, and each node's time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto

from conversion.backends.onnx_file import run_session
from conversion.core.errors import UserError

WARM_UP = 5
"""Runs whose times do not count: buffers are made in the first."""

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Deployed:
    """A file as ONNX Runtime runs it.

    Attributes:
        model: the graph after every optimisation.
        seconds: node to the median of its time, as the profile tells them apart: by name.
    """

    model: ModelProto
    seconds: Mapping[str, float]


def deployed(path: Path, feed: Feed | None = None, runs: int = 0) -> Deployed:
    """Open a file with every optimisation on the CPU, and run it on one thread.

    Args:
        path: the file.
        feed: its own input names to arrays; needed where it is run.
        runs: how often to run it for the times.

    Raises:
        UserError: ONNX Runtime cannot open it.
        RunFailed: it stops on these inputs.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # it warns that the graph is for this machine only
    # Else what a file keeps beside it would be looked for beside the graph that is saved.
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_file_name", "optimised.data"
    )
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(optimised)
        options.enable_profiling = runs > 0
        options.profile_file_prefix = str(Path(folder) / "profile")
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            sentence = str(error).splitlines()[0]
            raise UserError(f"ONNX Runtime cannot open {path.name}: {sentence}") from None
        model, seconds = onnx.load(optimised), dict[str, float]()
        if runs and feed is not None:
            names = [port.name for port in session.get_outputs()]
            for _ in range(WARM_UP + runs):
                run_session(session, names, feed)
            seconds = _seconds(json.loads(Path(session.end_profiling()).read_text()))
    return Deployed(model, seconds)


def _seconds(events: list[dict[str, object]]) -> dict[str, float]:
    """The time of every node: events of category ``Node`` are named ``<node>_kernel_time``."""
    suffix, found = "_kernel_time", dict[str, list[float]]()
    for event in events:
        name, micro = str(event["name"]), event.get("dur")
        if event.get("cat") == "Node" and name.endswith(suffix) and isinstance(micro, int):
            found.setdefault(name.removesuffix(suffix), []).append(micro / 1e6)
    return {name: median(times[WARM_UP:]) for name, times in found.items()}
