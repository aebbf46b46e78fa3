"""Evidence: are the predictions that accuracy counts the artifact's own, and all of them?"""

from __future__ import annotations

import numpy as np

from conversion.backends import REFERENCE, Ingredients
from conversion.backends.in_child import open_runner
from conversion.core.measurement import Measurement
from conversion.proof.checks.case import Case
from conversion.proof.metrics import evaluation_integrity as evidence
from conversion.proof.metrics.compare import Incomparable, NoPower, uncompared
from conversion.proof.metrics.quantities import IMAGES_EVALUATED, OWN_PREDICTIONS


def evidence_of(case: Case) -> list[Measurement]:
    """All images were evaluated, by this very artifact, and the outputs vary."""
    workspace, subject = case.workspace, case.workspace.subject.test
    if subject is None:
        return case.skip(IMAGES_EVALUATED, "no data: pass --data FILE")
    found = workspace.outputs(case.name, workspace.test)
    rows = min(len(array) for array in found.arrays.values())
    measured = [
        evidence.images_evaluated(case.about, rows, len(workspace.test), len(subject)),
        evidence.outputs_vary(
            case.about,
            found.arrays,
            workspace.outputs(REFERENCE, workspace.test).arrays,
            case.heads,
        ),
    ]
    return measured if case.name == REFERENCE else [*measured, *_own(case, rows)]


def _same_file(case: Case) -> str:
    """The artifact whose file the case's is a copy of; empty where it is none."""
    for name in dict.fromkeys((case.backend.baseline or REFERENCE, REFERENCE)):
        if name != case.name and case.artifact.digest == case.workspace.artifact(name).digest:
            return name
    return ""


def _own(case: Case, count: int) -> list[Measurement]:
    """The predictions are what the file gives, and not another artifact's."""
    workspace = case.workspace
    kept, copied = workspace.outputs(case.name, workspace.test), _same_file(case)
    causes = [f"the file is a copy of {copied}'s"] if copied else []
    try:
        noise = {d.output: d.noise for d in case.noise}
        rows = _sample(min(count, len(workspace.test)), workspace.streaming.batch)
        again = _asked_again(case, rows)
        sample = {output: array[rows] for output, array in kept.arrays.items()}
        differing = evidence.differing_rows(sample, again, case.heads, noise)
    except (NoPower, Incomparable) as error:
        return [uncompared(case.about, OWN_PREDICTIONS, error)]
    # A network of one small layer may give the same bits in two runtimes; its file says so too.
    same = all(sample[output].tobytes() == again[output].tobytes() for output in sample)
    for other in dict.fromkeys((case.backend.baseline or REFERENCE, REFERENCE)):
        equal = kept.digest == workspace.outputs(other, workspace.test).digest
        if equal and not (same and case.backend.is_float):
            causes.append(f"predictions are {'Keras' if other == REFERENCE else other}'s own bytes")
    return [evidence.own_predictions(case.about, causes, differing, len(rows))]


def _sample(count: int, batch: int) -> np.ndarray:
    """The rows of the first batch and of the last."""
    last = (count - 1) // batch * batch
    return np.unique(np.concatenate([np.arange(min(batch, count)), np.arange(last, count)]))


def _asked_again(case: Case, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs for some images of the file, opened again, in the batches of the evaluation."""
    workspace, spec = case.workspace, case.workspace.spec
    ingredients = Ingredients(spec, workspace.keras, workspace.settings, {})
    runner = open_runner(case.artifact, ingredients, workspace.threads, workspace.memory)
    batch = workspace.streaming.batch
    batches = np.split(rows, np.flatnonzero(np.diff(rows // batch)) + 1)
    (name,) = spec.inputs
    parts = [runner.run({name: workspace.test.images[b].astype(np.float32)}) for b in batches]
    return {output: np.concatenate([part[output] for part in parts]) for output in spec.outputs}
