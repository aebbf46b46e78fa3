"""What each verb of the command line does with its options."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from conversion.cli import options
from conversion.core.demands import Demands
from conversion.core.errors import UserError
from conversion.core.running import Running
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping


def convert(given: argparse.Namespace) -> int:
    """Make files of float artifacts and list them."""
    from conversion.api import convert

    made = convert(
        given.model,
        backends=given.backends,
        settings=options.settings(given),
        out=given.out or _folder(given.model, "converted"),
        custom=given.custom,
        replace=options.replaced(given),
    )
    for artifact in made.values():
        print(f"{artifact.path}  {artifact.size / 1000:.1f} KB  sha256 {artifact.digest[:12]}")
    return 0


def quantize(given: argparse.Namespace) -> int:
    """Make int8 files and list them, or search for the best scheme."""
    from conversion.api import quantize

    if given.search:
        return _search(given)
    for option in ("ban", "budget", "resume"):
        if getattr(given, option):
            raise UserError(f"Expected --search beside --{option}; it belongs to the search.")
    made = quantize(
        given.model,
        data=given.data,
        preprocessing=options.made(Preprocessing, given),
        backends=given.backends or ("onnx-int8", "torch-int8"),
        settings=options.settings(given),
        running=options.made(Running, given),
        out=given.out or _folder(given.model, "quantized"),
        custom=given.custom,
        replace=options.replaced(given),
    )
    for artifact in made.values():
        print(f"{artifact.path}  {artifact.size / 1000:.1f} KB  {artifact.provenance['route']}")
    return 0


def _search(given: argparse.Namespace) -> int:
    from conversion.api import search
    from conversion.proof.search.search import Choice

    if chosen := [option.flag for option in options.given(given, options.SCHEMES)]:
        raise UserError(
            f"Expected --search or a scheme of your own; got both ({', '.join(chosen)}): the "
            "search chooses the scheme."
        )
    out = given.out or _folder(given.model, "searched")
    choice = Choice(
        backends=tuple(given.backends or ("onnx-int8",)),
        banned=tuple(given.ban),
        budget=given.budget or Choice().budget,
        resume=given.resume,
    )
    found = search(
        given.model,
        out=out,
        data=given.data,
        preprocessing=options.made(Preprocessing, given),
        choice=choice,
        settings=options.settings(given),
        running=options.made(Running, given),
        custom=given.custom,
        replace=options.replaced(given),
    )
    print(found.table)
    print(
        f"record: {out / 'search.json'}; report: {out / 'report.html'}; files: {out / 'artifacts'}"
    )
    return found.exit_code()


def evaluate(given: argparse.Namespace) -> int:
    """Print the right answers of every artifact, by class."""
    from conversion.api import evaluate

    found = evaluate(
        given.model,
        data=given.data,
        preprocessing=options.made(Preprocessing, given),
        backends=given.backends,
        artifacts=dict(given.artifact),
        settings=options.settings(given),
        running=options.made(Running, given),
        custom=given.custom,
        replace=options.replaced(given),
    )
    width = max(map(len, found))
    for name, tally in found.items():
        share = 100 * tally.hits / tally.n
        classes = " ".join(f"{correct}/{images}" for correct, images in tally.per_class)
        print(f"{name:<{width}}  {tally.hits} of {tally.n} ({share:.2f} %)  by class: {classes}")
    return 0


def inspect(given: argparse.Namespace) -> int:
    """Print what a file holds."""
    from conversion import custom
    from conversion.reference import Reference
    from conversion.report.inspection import inspect, render
    from conversion.subjects.weights_alone import whole

    own = custom.load(given.custom, options.replaced(given))
    with (
        Reference(custom=own.files) as reference,
        whole(str(given.file), own, reference) as file,
    ):
        found = inspect(Path(file), own)
    print(json.dumps(found, indent=1, default=str) if given.json else render(found))
    return 0


def explain(given: argparse.Namespace) -> int:
    """Print what a measurement or a check is."""
    from conversion.report.explanation import explain

    print(explain(given.name))
    return 0


def fetch(given: argparse.Namespace) -> int:
    """Download a subject's files and print where they are."""
    from conversion.subjects.mlperf_tiny import fetch

    print(fetch(given.out))
    return 0


def power(given: argparse.Namespace) -> int:
    """Inject faults and print which checks catch them, or list them."""
    from conversion.api import listed_faults, power

    same = {key: getattr(given, key) for key in ("faults", "data", "backends", "custom")}
    same["replace"] = options.replaced(given)
    if given.list:
        for fault in listed_faults(given.subjects, **same):
            print(f"{fault.name}: {fault.magnitude}; {fault.check or 'any check'}, {fault.where}")
        return 0
    found = power(
        given.subjects,
        **same,
        sweeps=not given.no_sweep,
        report=given.report,
        budget=given.budget,
        preprocessing=options.made(Preprocessing, given),
        settings=options.settings(given),
        running=options.made(Running, given),
    )
    print(found.table)
    if given.report is not None:
        print(f"report: {given.report / 'power.json'} and {given.report / 'report.html'}")
    return found.exit_code()


def verify(given: argparse.Namespace) -> int:
    """Judge everything, print the table, write the report."""
    from conversion.api import verify

    found = verify(
        given.model,
        data=given.data,
        preprocessing=options.made(Preprocessing, given),
        shipping=options.made(Shipping, given),
        artifacts=dict(given.artifact),
        backends=given.backends,
        topics=given.topics,
        settings=options.settings(given),
        running=options.made(Running, given),
        demands=options.made(Demands, given),
        custom=given.custom,
        replace=options.replaced(given),
        report=given.report,
    )
    print(found.table)
    print(f"report: {given.report / 'report.json'} and {given.report / 'report.html'}")
    return found.exit_code()


def test(given: argparse.Namespace) -> int:
    """Judge a model with pytest."""
    from conversion.cli.pytest_run import run

    return run(given)


def _folder(model: str, words: str) -> Path:
    return Path(f"{Path(model).stem}-{words}")
