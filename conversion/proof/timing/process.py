"""A fresh process that opens artifacts and times them in turns, as `turns` asks it to."""

from __future__ import annotations

import gc
import sys
import time
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from conversion.backends import Ingredients, backend, implementation
from conversion.core.artifact import Artifact, Runner
from conversion.core.channel import Message, end_with_parent, receive, send
from conversion.core.settings import Settings
from conversion.readers import read_spec
from conversion.reading import custom_of
from conversion.reference import Reference

WARM_UP = 5
LEAST_ROUNDS = 5

Inputs = Mapping[str, np.ndarray]


class Timed:
    """The artifacts of one plan, open in this process."""

    def __init__(self, message: Message) -> None:
        """Open every artifact, first to last, and note how much memory each takes.

        Args:
            message: the model file, the artifacts, threads and batch sizes, and the images.
        """
        values = message.values
        spec = read_spec(Path(values["model"]), custom_of(message))
        self._inputs: dict[int, Inputs] = {
            batch: {name: np.ascontiguousarray(a[:batch]) for name, a in message.arrays.items()}
            for batch in values["batches"]
        }
        keras = Reference().model(Path(values["model"]), spec)  # never asked, so never started
        ingredients = Ingredients(spec, keras, Settings(), {})
        names = [name for name, *_ in values["artifacts"]]
        adapters = [implementation(backend(name)) for name in names]
        self.runners: list[Runner] = []
        self.memory: list[int] = []
        for adapter, row in zip(adapters, values["artifacts"], strict=True):
            artifact = Artifact(row[0], Path(row[1]), row[2], {}, external=row[3])
            before = psutil.Process().memory_info().rss
            runner = adapter.open(artifact, ingredients, values["threads"])
            for inputs in self._inputs.values():
                for _ in range(WARM_UP):
                    runner.run(inputs)
            self.memory.append(psutil.Process().memory_info().rss - before)
            self.runners.append(runner)

    def turn(self, batch: int, seconds: float, seed: int) -> np.ndarray:
        """Time every artifact once a round, in an order drawn again for each round.

        Args:
            batch: images in a call.
            seconds: how long to go on; at least five rounds are made.
            seed: of the orders.

        Returns:
            ``(rounds, artifacts)`` seconds.
        """
        inputs, clock = self._inputs[batch], time.perf_counter
        drawn = np.random.RandomState(seed)
        order, rounds = list(range(len(self.runners))), list[list[float]]()
        for runner in self.runners:  # the caches are cold after another process's turn
            runner.run(inputs)
        gc.disable()
        end = clock() + seconds
        while len(rounds) < LEAST_ROUNDS or clock() < end:
            drawn.shuffle(order)
            found = [0.0] * len(order)
            for index in order:
                start = clock()
                self.runners[index].run(inputs)
                found[index] = clock() - start
            rounds.append(found)
        gc.enable()
        return np.array(rounds)

    def outputs(self, batch: int, index: int) -> dict[str, np.ndarray]:
        """What an artifact gives for the images that are timed."""
        return self.runners[index].run(self._inputs[batch])


def serve(connection: Connection) -> None:
    """Answer until the other side closes the connection."""
    timed: Timed | None = None
    while True:
        try:
            message = receive(connection)
        except EOFError:
            return
        values, answer, arrays = message.values, dict[str, Any](), dict[str, np.ndarray]()
        try:
            if timed is None:
                timed = Timed(message)
                answer["memory"] = timed.memory
            elif "seconds" in values:
                arrays["times"] = timed.turn(values["batch"], values["seconds"], values["seed"])
            else:
                arrays = timed.outputs(values["batch"], values["index"])
        except Exception as error:  # whatever a runtime raises, the parent says it
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        send(connection, Message(answer, arrays))


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    warnings.simplefilter("ignore")
    serve(Connection(int(sys.argv[1])))
