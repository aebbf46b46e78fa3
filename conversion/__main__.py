"""`python -m conversion`: convert, quantize, evaluate, inspect, fetch, verify, power."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from conversion import arguments
from conversion.console import LOG, console
from conversion.errors import ReferenceCrashed, UserError
from conversion.interrupt import Interruption
from conversion.progress import stage
from conversion.variables import refuse_unknown

EXAMPLES = """\
examples:
  python -m conversion verify                          the embedded model, everything, offline
  python -m conversion verify mine.h5 --data mine.npz --report out/
  python -m conversion verify mine.h5 --data photos/ --preprocess resnet --resize
  python -m conversion verify mine.h5 --data mine.npz --artifact onnx-fp32=made-elsewhere.onnx
  python -m conversion convert mine.h5 --backends onnx-fp32,torch-fp32 --opset 17 --out out/
  python -m conversion quantize mine.h5 --data mine.npz --format qdq --out out/
  python -m conversion quantize mine.h5 --data mine.npz --search --out out/
  python -m conversion evaluate mlperf-tiny
  python -m conversion inspect out/onnx-fp32.onnx
  python -m conversion fetch mlperf-tiny
  python -m conversion power --report out/             plant every known fault; what is caught?

artifacts: keras-fp32 (the reference), onnx-fp32, torch-fp32, torch-via-onnx-fp32, onnx-int8,
torch-int8, and with pip install conversion[litert] litert-fp32, litert-int8. A subject is embedded,
mlperf-tiny, or a Keras file of your own.

exit codes: 0 all pass; 1 a check fails, or parity or accuracy is undecided (power: a fault is not
caught or not named, or an untouched artifact fails); 2 a mistake in what
was given, said in one sentence.
"""


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"conversion: {message} (see python -m conversion --help)\n")


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    top = _Parser(
        prog="python -m conversion",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    verb = _verb(verbs, "convert", _convert, "make ONNX and PyTorch files from a Keras file")
    verb.add_argument("model", metavar="SUBJECT|FILE", help="a Keras file or a subject")
    arguments.backends(verb, ["onnx-fp32", "torch-fp32"])
    arguments.out(verb)
    arguments.opset(verb)
    arguments.custom(verb)

    verb = _verb(verbs, "quantize", _quantize, "make int8 files, calibrated on training images")
    verb.add_argument("model", metavar="SUBJECT|FILE", help="a Keras file or a subject")
    arguments.data(verb)
    arguments.backends(verb, ["onnx-int8", "torch-int8"])
    verb.set_defaults(backends=None)  # a search has another default
    arguments.out(verb)
    arguments.searching(verb)
    arguments.schemes(verb)
    arguments.custom(verb)

    verb = _verb(verbs, "evaluate", _evaluate, "count the right answers of every artifact")
    verb.add_argument("model", metavar="SUBJECT|FILE", help="a Keras file or a subject")
    arguments.data(verb)
    arguments.backends(verb, None)
    arguments.artifact(verb)
    arguments.schemes(verb)
    arguments.custom(verb)

    words = "say what a .h5, .keras, .onnx, .pt or .tflite file holds"
    verb = _verb(verbs, "inspect", _inspect, words)
    verb.add_argument("file", metavar="FILE", type=Path, help="the file")
    verb.add_argument("--json", action="store_true", help="print JSON")

    verb = _verb(verbs, "fetch", _fetch, "download a subject's files, checked by digest")
    verb.add_argument("subject", choices=["mlperf-tiny"], help="the subject")
    verb.add_argument("--out", metavar="DIR", type=Path, help="where to (default: the user's data)")

    verb = _verb(verbs, "power", _power, "plant every known fault and say which checks catch it")
    verb.add_argument(
        "subjects",
        metavar="SUBJECT",
        nargs="*",
        help="embedded, mlperf-tiny (default: those whose files are here)",
    )
    verb.add_argument("--faults", metavar="A,B", type=arguments.names, help="only these faults")
    verb.add_argument(
        "--no-sweep", action="store_true", help="do not look for the smallest size that is caught"
    )
    verb.add_argument(
        "--report", metavar="DIR", type=Path, help="for power.json, report.json and report.html"
    )

    verb = _verb(verbs, "verify", _verify, "convert, quantize and judge; print one table")
    verb.add_argument(
        "model", metavar="SUBJECT|FILE", nargs="?", default="embedded", help="default: embedded"
    )
    arguments.data(verb)
    arguments.artifact(verb)
    arguments.backends(verb, None)
    verb.add_argument(
        "--topics",
        metavar="T,T",
        type=arguments.topics,
        help="only structure, parity, accuracy, quantization, latency",
    )
    verb.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        default=Path("conversion-report"),
        help="for report.json, report.html, the log and the artifacts (default: %(default)s)",
    )
    verb.add_argument(
        "--allow-undecided", action="store_true", help="undecided does not make the exit code 1"
    )
    arguments.schemes(verb)
    arguments.custom(verb)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: without the program's name; `sys.argv`'s by default, and then the process is taken
            for the command's own: signals end it, and what libraries print goes to the log.

    Returns:
        The exit code.
    """
    if words is not None:
        return _run(words, None)
    with Interruption() as interruption:
        return _run(sys.argv[1:], interruption)


def _run(words: Sequence[str], interruption: Interruption | None) -> int:
    given = parser().parse_args(words)
    with console(interruption):
        try:
            refuse_unknown(os.environ)
            with stage(given.verb):
                return int(given.run(given))
        except (UserError, ReferenceCrashed) as error:
            LOG.error("conversion: %s", " ".join(str(error).split()))
            return 2
        except KeyboardInterrupt:
            if interruption is None:  # else it says so itself
                LOG.error("conversion: stopped")
            return 130


def _convert(given: argparse.Namespace) -> int:
    from conversion.api import convert

    out = given.out or _folder(given.model, "converted")
    made = convert(
        given.model,
        backends=given.backends,
        settings=arguments.settings(given),
        out=out,
        custom=given.custom,
    )
    for artifact in made.values():
        print(f"{artifact.path}  {artifact.size / 1000:.1f} KB  sha256 {artifact.digest[:12]}")
    return 0


def _quantize(given: argparse.Namespace) -> int:
    from conversion.api import quantize

    if given.search:
        return _search(given)
    for option in ("ban", "budget", "resume"):
        if getattr(given, option):
            raise UserError(f"Expected --search beside --{option}; it belongs to the search.")
    out = given.out or _folder(given.model, "quantized")
    made = quantize(
        given.model,
        data=given.data,
        preprocessing=arguments.preprocessing(given),
        backends=given.backends or ("onnx-int8", "torch-int8"),
        settings=arguments.settings(given),
        out=out,
        custom=given.custom,
    )
    for artifact in made.values():
        print(f"{artifact.path}  {artifact.size / 1000:.1f} KB  {artifact.provenance['route']}")
    return 0


def _search(given: argparse.Namespace) -> int:
    from conversion.api import search
    from conversion.search.search import Choice

    chosen = arguments.scheme_options(given)
    if chosen:
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
        preprocessing=arguments.preprocessing(given),
        choice=choice,
        settings=arguments.settings(given),
        custom=given.custom,
        progress=sys.stderr.isatty(),
    )
    print(found.table)
    print(
        f"record: {out / 'search.json'}; report: {out / 'report.html'}; files: {out / 'artifacts'}"
    )
    return found.exit_code()


def _evaluate(given: argparse.Namespace) -> int:
    from conversion.api import evaluate

    found = evaluate(
        given.model,
        data=given.data,
        preprocessing=arguments.preprocessing(given),
        backends=given.backends,
        artifacts=dict(given.artifact),
        settings=arguments.settings(given),
        custom=given.custom,
        progress=sys.stderr.isatty(),
    )
    width = max(map(len, found))
    for name, tally in found.items():
        share = 100 * tally.hits / tally.n
        classes = " ".join(f"{correct}/{images}" for correct, images in tally.per_class)
        print(f"{name:<{width}}  {tally.hits} of {tally.n} ({share:.2f} %)  by class: {classes}")
    return 0


def _inspect(given: argparse.Namespace) -> int:
    from conversion.inspection import inspect, render

    found = inspect(given.file)
    print(json.dumps(found, indent=1, default=str) if given.json else render(found))
    return 0


def _fetch(given: argparse.Namespace) -> int:
    from conversion.subjects.mlperf_tiny import fetch

    print(fetch(given.out))
    return 0


def _power(given: argparse.Namespace) -> int:
    from conversion.api import power

    found = power(
        given.subjects,
        faults=given.faults,
        sweeps=not given.no_sweep,
        report=given.report,
    )
    print(found.table)
    if given.report is not None:
        print(f"report: {given.report / 'power.json'} and {given.report / 'report.html'}")
    return found.exit_code()


def _verify(given: argparse.Namespace) -> int:
    from conversion.api import verify

    found = verify(
        given.model,
        data=given.data,
        preprocessing=arguments.preprocessing(given),
        artifacts=dict(given.artifact),
        backends=given.backends,
        topics=given.topics,
        settings=arguments.settings(given),
        custom=given.custom,
        report=given.report,
        progress=sys.stderr.isatty(),
    )
    print(found.table)
    print(f"report: {given.report / 'report.json'} and {given.report / 'report.html'}")
    return found.exit_code(given.allow_undecided)


def _verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=words)
    added.set_defaults(run=run)
    return added


def _folder(model: str, words: str) -> Path:
    return Path(f"{Path(model).stem}-{words}")


if __name__ == "__main__":
    sys.exit(main())
