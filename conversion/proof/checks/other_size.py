"""Another size: is a file that leaves sizes open right at more than one?"""

from __future__ import annotations

import numpy as np

from conversion.core.errors import RunFailed, UserError
from conversion.core.measurement import Measurement
from conversion.proof import truth
from conversion.proof.checks.case import Case
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, uncompared
from conversion.proof.metrics.parity import elsewhere
from conversion.proof.metrics.quantities import OTHER_SIZE
from conversion.proof.metrics.views import views_of
from conversion.subjects.open_sizes import is_open
from conversion.subjects.synthetic_inputs import synthetic_inputs

IMAGES = 8
"""Images of the other size: what a file fixed at one size gives for another is wrong in all."""


def other_size(case: Case) -> list[Measurement]:
    """The outputs on images of another size are as close to the truth as Keras's; none is fixed."""
    workspace, spec = case.workspace, case.workspace.spec
    if not is_open(spec):
        return []
    real = None if workspace.subject.test is None else workspace.parity_inputs
    try:
        inputs = synthetic_inputs(spec, IMAGES, real, workspace.seed, other_size=True)
    except UserError as error:  # its layers take the size of the data and no other
        return case.skip(OTHER_SIZE, str(error))
    sizes = " and ".join(" x ".join(map(str, array.shape[1:])) for array in inputs.values())
    layers = truth.evaluate(spec, inputs, spec.outputs).layers
    exact = {name: layers[name] for name in spec.outputs}
    try:
        found = workspace.run(case.name, inputs)
    except RunFailed as why:
        if case.artifact.external:  # it may have been made for one size, which nobody calls wrong
            return case.skip(OTHER_SIZE, f"the file is for one size: {why}")
        return [uncompared(case.about, OTHER_SIZE, Incomparable(f"at {sizes}: {why}"))]
    keras, views = workspace.keras.outputs(inputs), views_of(case.heads)
    try:
        noise = compare(exact, keras, views, np.float32)
    except (NoPower, Incomparable) as why:
        failure = elsewhere(case.about, exact, keras, found, case.heads, OTHER_SIZE)
        return [failure] if failure else case.skip(OTHER_SIZE, f"at {sizes}: {why}")
    try:
        errors = compare(exact, found, views, np.float32)
    except (NoPower, Incomparable) as why:
        return [uncompared(case.about, OTHER_SIZE, why)]
    return [
        case.about.measure(
            OTHER_SIZE, error.rms / own.noise, f"at {sizes}", layer=own.output, n=own.n
        )
        for own, error in zip(noise, errors, strict=True)
    ]
