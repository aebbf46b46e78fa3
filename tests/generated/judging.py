"""One drawn network: its file, its artifacts, every check, and a fault in one of them."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
from generated.networks import Network, of_seed

from conversion import report, session
from conversion.core.artifact import Store
from conversion.core.demands import Demands
from conversion.core.measurement import Verdict
from conversion.core.running import Running
from conversion.proof.faults import faults_of
from conversion.proof.faults.fault import NotInjectable
from conversion.proof.faults.trial import Control, trial
from conversion.reference import Reference

TOPICS = ("structure", "parity", "quantization", "accuracy")
"""All but latency, which takes processes of its own."""
IMAGES = 48
"""Images to calibrate on, and as many others to judge on; parity adds synthetic ones."""


@dataclass(frozen=True)
class Judged:
    """What came of a network.

    Attributes:
        seed: of the network.
        code: the exit code of the untouched artifacts.
        seconds: of CPU, without those of the Keras process.
        made: the artifacts that were judged.
        skipped: routes that could not be made, with the reason.
        bad: what failed or stayed undecided, in words.
        fault: what was injected; empty where nothing was.
        caught: the checks that saw it.
        localised: whether the layer at fault was named.
        told: what the power table had said of the fault, in times of what is seen; None where it
            has no row of it.
    """

    seed: int
    code: int
    seconds: float
    made: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    bad: tuple[str, ...] = ()
    fault: str = ""
    caught: tuple[str, ...] = ()
    localised: bool = False
    told: float | None = None

    def plain(self) -> dict[str, object]:
        """For a line of a log."""
        return asdict(self)


def save(process: Reference, network: Network, seed: int, folder: Path) -> Path:
    """The network's file, with weights settled on the images that it is calibrated on."""
    path = folder / f"drawn_{seed}{network.ending}"
    values = {"config": network.config, "seed": seed, "steps": network.steps, "path": str(path)}
    process.call("tools.settled_network:save", values, images(network, seed))
    return path


def images(network: Network, seed: int, count: int = IMAGES) -> dict[str, np.ndarray]:
    """Smooth and rough images of whole numbers from 0 to 255; other inputs are about 0."""
    drawn, made = np.random.default_rng(seed), {}
    for name, shape in network.inputs.items():
        values = drawn.normal(size=(count, *shape))
        if len(shape) == 3:
            light = drawn.normal(size=(count, 4, 4, shape[2])).repeat(8, axis=1).repeat(8, axis=2)
            values = values * drawn.uniform(0.1, 1, (count, 1, 1, 1))
            values = np.rint(
                np.clip(128 + 40 * (values + light[:, : shape[0], : shape[1]]), 0, 255)
            )
        made[name] = values.astype(np.float32)
    return made


def judged(process: Reference, seed: int, folder: Path, faulty: bool = False) -> Judged:
    """Draw, convert, quantize and judge a network.

    Args:
        process: runs Keras; all networks share it.
        seed: of the network, its weights and its images.
        folder: for the file.
        faulty: whether a fault is injected into a copy of an artifact as well.
    """
    network, began = of_seed(seed), time.process_time()
    path = save(process, network, seed, folder)
    data = None
    if len(network.inputs) == 1:
        train, test = (images(network, each)["image"] for each in (seed, seed + 2**20))
        data = {"x_train": train, "x_test": test}
    with one_process(process), tempfile.TemporaryDirectory() as kept:
        given = {"data": data, "store": Store(Path(kept)), "running": Running(threads=1)}
        with session.opened(str(path), **given) as workspace:
            names = session.chosen(None, workspace)
            measured, made = session.judge_all(workspace, names, None, TOPICS)
            fault = _injected(workspace, list(made), measured, seed) if faulty else ()
    skipped = {m.artifact: m.reason for m in measured if m.artifact not in made}
    return Judged(
        seed,
        report.exit_code(measured, Demands()),
        time.process_time() - began,
        tuple(made),
        skipped,
        tuple(m.explain() for m in measured if m.verdict in (Verdict.FAIL, Verdict.UNDECIDED)),
        *fault,
    )


def _injected(workspace, made, measured, seed):
    """The first of the network's standard faults, in an order of its own, that has a place."""
    controls = [
        Control("", name, tuple(m for m in measured if m.artifact == name)) for name in made
    ]
    faults = faults_of(workspace.spec, [name for name in made if name != "keras-fp32"])
    random.Random(seed).shuffle(faults)
    for fault in faults:
        try:
            found = trial(workspace, fault, False, controls)
        except NotInjectable:
            continue
        return fault.name, found.caught_by, found.localised, _told(fault, measured)
    return ()


def _told(fault, measured):
    rows = (row for m in measured if m.artifact == fault.artifact for row in m.rows)
    about = (r for r in rows if (r.get("layer"), r.get("fault")) == (fault.where, fault.magnitude))
    return next((each["x the limit"] for each in about), None)


@contextmanager
def one_process(process: Reference) -> Iterator[None]:
    """Every run asks this Keras process instead of starting one, which takes seconds."""
    with patch.object(session, "Reference", lambda custom=(): nullcontext(process)):
        yield
