"""What the zoo measures of a model: parity on every route, and what eight bits cost."""

import numpy as np

from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import agreement
from conversion.proof.checks.parity import output_error
from conversion.proof.metrics.sqnr import sqnr
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.subjects.synthetic_inputs import synthetic_inputs

ROUTES = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32")
INT8 = ("onnx-int8", "torch-int8")
IMAGES = 200
"""Synthetic inputs that are judged on, and as many others that int8 is calibrated on."""
LOOKED_AT = 16
"""Of them, those on which every layer's SQNR is measured."""
FOUND = {False: 60.0, True: 0.0}
"""Whether a file is int8, to the dB that every layer reaches that is found in it: rounding leaves
120 in float; with eight bits, values below 0 dB have nothing to do with the layer."""
BAD = (Verdict.FAIL, Verdict.UNDECIDED)


def subject(name, path):
    """A model with synthetic inputs; with several of them it has none to calibrate on."""
    spec = read_spec(path)
    if len(spec.inputs) != 1:
        return Subject(name, path, spec)
    made = synthetic_inputs(spec, 2 * IMAGES)[spec.inputs[0]]
    test, train = (Dataset(part, None, "synthetic inputs") for part in np.split(made, 2))
    return Subject(name, path, spec, test=test, train=train)


def measured(workspace, say):
    """One row of the table, as plain values."""
    spec = workspace.spec
    computed = [layer for layer in spec.layers if layer.kind != "InputLayer"]
    row = {"layers": len(computed), "kinds": sorted({layer.kind for layer in computed})}
    row["keras"] = parity(Case(workspace, "keras-fp32"))
    row["answers"] = answers(workspace)
    row["routes"] = {}
    for name in ROUTES:
        row["routes"][name] = found = route(Case(workspace, name))
        say(f"{name} {found.get('pooled', '-')}, {found['verdict']}")
    row["rewritten"] = workspace.artifact("onnx-fp32").provenance["route"].split("; ")[1:]
    row["int8"] = {}
    if workspace.subject.train is not None:
        for name in INT8:
            row["int8"][name] = found = eight_bits(Case(workspace, name))
            say(f"{name} {found.get('outputs', 'refused')} dB, {found.get('kept')} % kept")
    return row


def answers(workspace):
    """How many different classes Keras answers; None where its outputs are no classes."""
    if workspace.spec.without_answers:
        return None
    (found,) = workspace.outputs("keras-fp32").arrays.values()
    return len({*(found.argmax(axis=-1) if found.shape[-1] > 1 else found[:, 0] > 0.5).tolist()})


def route(case):
    """Parity of a float file, and its layers."""
    found = parity(case)
    return found if found["verdict"] == "refused" else {**found, **places(case, own_sqnr(case))}


def places(case, own):
    """How many layers are seen in a file, how many fused with a later one, and those mistaken."""
    matches, least = case.taps.matches.values(), FOUND[bool(case.backend.baseline)]
    seen = sum(bool(each.tensor) for each in matches)
    mistaken = sorted(name for name, value in own.items() if value < least)
    return {"seen": seen, "fused": len(matches) - seen, "mistaken": mistaken}


def parity(case):
    """The worst of the outputs by each measure, as a multiple of Keras's noise."""
    try:
        found = output_error(case)
    except UserError as error:
        return {"verdict": "refused", "why": str(error)}
    worst = {}
    for each in found:
        if each.value is not None:
            worst[each.name] = max(each.value, worst.get(each.name, 0.0))
    names = {"reference_noise": "noise"}
    names |= {f"output_error_{part}": part for part in ("pooled", "channel", "image")}
    row = {names[name]: float(f"{value:.3g}") for name, value in worst.items() if name in names}
    verdicts = [m.verdict for m in found]
    bad = next((v for v in BAD if v in verdicts), None)
    why = next((m.reason for m in found if m.verdict is bad), "")
    return {**row, "verdict": str(bad or Verdict.PASS), **({"why": why} if why else {})}


def eight_bits(case):
    """SQNR of the worst layer and of the outputs in dB, and the answers that are kept."""
    try:
        every = own_sqnr(case)
    except UserError as error:
        return {"verdict": "refused", "why": str(error)}
    workspace = case.workspace
    found, exact = workspace.outputs(case.name).arrays, workspace.truth
    # Of what differs from input to input: the mean of the outputs is no answer.
    reached = min(
        sqnr(exact[name] - exact[name].mean(axis=0), found[name] - exact[name].mean(axis=0))
        for name in exact
    )
    (agreed,) = agreement(case)
    layer, own = min(every.items(), key=lambda pair: pair[1])
    row = {"layer": layer, "own": round(own, 1), **places(case, every)}
    row |= {"outputs": round(reached, 1), "kept": agreed.value}
    return {**row, "float": len(case.in_float)}


def own_sqnr(case):
    """SQNR in dB of every layer that can be seen, for the inputs that it has in the file."""
    from conversion.proof.checks.layers import own_truth
    from conversion.proof.taps.moving import moves

    workspace, spec = case.workspace, case.workspace.spec
    inputs = {name: values[:LOOKED_AT] for name, values in workspace.parity_inputs.items()}
    taps = case.taps
    seen = taps.layers(inputs).layers
    own = {}
    for name, value in seen.items():
        group = taps.matches[name].group
        if spec.layer(name).inputs and (len(group) > 1 or not moves(spec.layer(name))):
            exact = own_truth(spec, group, seen, name, inputs)
            if value.shape == exact.shape:  # otherwise it is not the layer's: it was not found
                own[name] = sqnr(exact, value)
    return own
