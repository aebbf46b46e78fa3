"""Artifacts timed against each other: fresh processes that take turns until the interval closes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core import environment as machine
from conversion.core.artifact import Artifact
from conversion.core.channel import Child, Message, receive, send
from conversion.core.custom_layers import Custom
from conversion.core.errors import RunFailed
from conversion.core.progress import stage
from conversion.reading import stated

PROCESSES = 5
"""Two processes differ by more than one shows: 1.262 [1.255, 1.270] beside 1.207 [1.199, 1.214] for
the same pair of files."""

SLICE = 0.06
"""Seconds of one turn: long beside a call, short beside what else a machine does."""

LEAST_TURNS = 3
THREADS = 1
"""Threads of an operator."""
TIMEOUT = 300.0

Closed = Callable[[int, Sequence[np.ndarray]], bool]
"""Whether a batch size needs no more rounds: takes it, and for each process ``(rounds, artifacts)``
seconds."""


@dataclass(frozen=True, eq=False)
class Times:
    """Artifacts that took turns.

    Attributes:
        artifacts: their names, in the order of the columns.
        seconds: batch size to an array for each process, ``(rounds, artifacts)`` seconds.
        outputs: batch size to what each artifact gave for the images that were timed.
        memory: bytes by which each process grew when it opened an artifact and ran it,
            ``(processes, artifacts)``.
        threads: threads of an operator.
        load: processes waiting for a core before and after; None where nobody says.
        spent: seconds that it took.
    """

    artifacts: tuple[str, ...]
    seconds: Mapping[int, tuple[np.ndarray, ...]]
    outputs: Mapping[int, tuple[Mapping[str, np.ndarray], ...]]
    memory: np.ndarray
    threads: int
    load: tuple[float | None, float | None]
    spent: float


def take_turns(
    model: Path,
    artifacts: Sequence[Artifact],
    inputs: Mapping[str, np.ndarray],
    batches: Sequence[int],
    closed: Closed,
    budget: float,
    processes: int = PROCESSES,
    custom: Custom | None = None,
) -> Times:
    """Time artifacts against each other in fresh processes.

    All processes start at once and wait; then one at a time has a turn, in an order drawn again,
    and within a turn the artifacts are called in an order drawn again for each round. Turns are
    taken until every batch size is closed or the budget is spent.

    Args:
        model: the Keras file that they come from.
        artifacts: what to time.
        inputs: input name to ``(N, ...)`` float32, with as many images as the largest batch.
        batches: images in a call.
        closed: whether a batch size needs no more rounds.
        budget: seconds of turns; each process has at least three of each batch size.
        processes: how many.
        custom: the user's own layers; none by default.

    Returns:
        Every time.

    Raises:
        RunFailed: an artifact cannot be opened or run, or a process died.
    """
    began, load = time.perf_counter(), _load()
    drawn = np.random.RandomState(0)
    with ExitStack() as stack:
        words = f"timing {' and '.join(each.name for each in artifacts)}"
        timing = stack.enter_context(stage(words))
        made = [stack.enter_context(_Process()) for _ in range(processes)]
        plan: dict[str, Any] = {
            "model": str(model),
            **stated(custom or Custom()),
            "artifacts": [
                [each.name, str(each.path), each.digest, each.external] for each in artifacts
            ],
            "batches": list(batches),
            "threads": THREADS,
        }
        images = {name: array[: max(batches)] for name, array in inputs.items()}
        for process in made:
            process.send(plan, images)
        memory = [process.receive().values["memory"] for process in made]
        parts: dict[int, list[list[np.ndarray]]] = {b: [[] for _ in made] for b in batches}
        seconds: dict[int, tuple[np.ndarray, ...]] = {}
        left, end, turn = list(batches), time.perf_counter() + budget, 0
        while left and (turn < LEAST_TURNS or time.perf_counter() < end):
            for index in drawn.permutation(processes):
                for batch in left:
                    order = int(drawn.randint(2**31))
                    asked = {"batch": batch, "seconds": SLICE, "seed": order}
                    made[index].send(asked)
                    parts[batch][index].append(made[index].receive().arrays["times"])
            turn += 1
            timing.note = f"turn {turn}"
            seconds |= {b: tuple(np.concatenate(part) for part in parts[b]) for b in left}
            left = [b for b in left if turn < LEAST_TURNS or not closed(b, seconds[b])]
        outputs = {batch: _outputs(made[0], batch, len(artifacts)) for batch in batches}
    return Times(
        artifacts=tuple(each.name for each in artifacts),
        seconds=seconds,
        outputs=outputs,
        memory=np.array(memory),
        threads=THREADS,
        load=(load, _load()),
        spent=time.perf_counter() - began,
    )


def _outputs(process: _Process, batch: int, count: int) -> tuple[Mapping[str, np.ndarray], ...]:
    found = []
    for index in range(count):
        process.send({"batch": batch, "index": index})
        found.append(process.receive().arrays)
    return tuple(found)


def _load() -> float | None:
    found = machine.load()
    return None if found is None else found[0]


class _Process:
    """This end of one timing process."""

    def __init__(self) -> None:
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        settings = {"CUDA_VISIBLE_DEVICES": "", **dict.fromkeys(pools, str(THREADS))}
        self._child = Child("conversion.proof.timing.process", [], settings)

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *raised: object) -> None:
        self._child.close()

    def send(
        self, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        try:
            send(self._child.connection, Message(values, arrays or {}))
        except OSError:
            raise RunFailed(self._died()) from None

    def receive(self) -> Message:
        try:
            if not self._child.connection.poll(TIMEOUT):
                raise RunFailed(f"A timing process did not answer in {TIMEOUT:g} s.")
            answer = receive(self._child.connection)
        except (EOFError, OSError):
            raise RunFailed(self._died()) from None
        if "error" in answer.values:
            raise RunFailed(f"A timing process cannot run the artifact: {answer.values['error']}")
        return answer

    def _died(self) -> str:
        return f"A timing process died: {self._child.last_words()}"
