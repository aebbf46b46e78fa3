"""`python -m conversion`: convert, quantize, evaluate, inspect, fetch, verify, power."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from conversion.errors import ReferenceCrashed, UserError
from conversion.variables import refuse_unknown

if TYPE_CHECKING:
    from conversion.settings import Settings
    from conversion.subjects.preprocessing import Preprocessing

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
    _backends(verb, ["onnx-fp32", "torch-fp32"])
    _out(verb)
    _opset(verb)
    _custom(verb)

    verb = _verb(verbs, "quantize", _quantize, "make int8 files, calibrated on training images")
    verb.add_argument("model", metavar="SUBJECT|FILE", help="a Keras file or a subject")
    _data(verb)
    _backends(verb, ["onnx-int8", "torch-int8"])
    verb.set_defaults(backends=None)  # a search has another default
    _out(verb)
    _searching(verb)
    _schemes(verb)
    _custom(verb)

    verb = _verb(verbs, "evaluate", _evaluate, "count the right answers of every artifact")
    verb.add_argument("model", metavar="SUBJECT|FILE", help="a Keras file or a subject")
    _data(verb)
    _backends(verb, None)
    _artifact(verb)
    _schemes(verb)
    _custom(verb)

    verb = _verb(verbs, "inspect", _inspect, "say what a .h5, .onnx or .pt file holds")
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
    verb.add_argument("--faults", metavar="A,B", type=_names, help="only these faults")
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
    _data(verb)
    _artifact(verb)
    _backends(verb, None)
    verb.add_argument(
        "--topics",
        metavar="T,T",
        type=_topics,
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
    _schemes(verb)
    _custom(verb)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; `sys.argv`'s by default.

    Returns:
        The exit code.
    """
    given = parser().parse_args(arguments)
    _console()
    try:
        refuse_unknown(os.environ)
        return int(given.run(given))
    except (UserError, ReferenceCrashed) as error:
        print(f"conversion: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("conversion: stopped", file=sys.stderr)
        return 130


def _console() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("conversion")
    log.handlers[:] = [handler]
    log.propagate = False  # libraries that log set up the root logger, which would say all twice


def _convert(given: argparse.Namespace) -> int:
    from conversion.api import convert

    out = given.out or _folder(given.model, "converted")
    made = convert(
        given.model,
        backends=given.backends,
        settings=_settings(given),
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
        preprocessing=_preprocessing(given),
        backends=given.backends or ("onnx-int8", "torch-int8"),
        settings=_settings(given),
        out=out,
        custom=given.custom,
    )
    for artifact in made.values():
        print(f"{artifact.path}  {artifact.size / 1000:.1f} KB  {artifact.provenance['route']}")
    return 0


def _search(given: argparse.Namespace) -> int:
    from conversion.api import search
    from conversion.search.search import Choice

    chosen = _scheme_options(given)
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
        preprocessing=_preprocessing(given),
        choice=choice,
        settings=_settings(given),
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
        preprocessing=_preprocessing(given),
        backends=given.backends,
        artifacts=dict(given.artifact),
        settings=_settings(given),
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
        preprocessing=_preprocessing(given),
        artifacts=dict(given.artifact),
        backends=given.backends,
        topics=given.topics,
        settings=_settings(given),
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


def _data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--data",
        metavar="FILE",
        type=Path,
        help="images, with labels or without: a .npz in Keras's naming, a folder with one folder a "
        "class, or a Python file with generators, which is executed (docs/data.md)",
    )
    from conversion.subjects.preprocessing_options import OPTIONS

    group = verb.add_argument_group("preprocessing", "of the images of --data, once, when read")
    for option, told in OPTIONS:
        group.add_argument(option, **told)


def _preprocessing(given: argparse.Namespace) -> Preprocessing:
    from conversion.subjects.preprocessing_options import chosen

    return chosen(given)


def _out(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", metavar="DIR", type=Path, help="default: a folder beside the model")


def _custom(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--custom",
        metavar="FILE.py",
        type=Path,
        action="append",
        default=[],
        help="layers of your own (docs/custom.md); the file is executed; may be repeated",
    )


def _opset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--opset", metavar="N", type=int, default=15, help="13 to 26 (default: %(default)s)"
    )


def _backends(verb: argparse.ArgumentParser, default: list[str] | None) -> None:
    from conversion.backends import BACKENDS

    shown = ",".join(default) if default else f"all that are installed of {', '.join(BACKENDS)}"
    verb.add_argument(
        "--backends",
        metavar="A,B",
        type=_names,
        default=default,
        help=f"default: {shown}",
    )


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError("expected at least one name; got none")
    return names


def _artifact(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--artifact",
        metavar="NAME=FILE",
        type=brought,
        action="append",
        default=[],
        help="a file made elsewhere, to be judged in place of the one that would be built",
    )


def brought(text: str) -> tuple[str, Path]:
    """`NAME=FILE` as a backend's name and a path.

    Raises:
        argparse.ArgumentTypeError: there is no equals sign, or the name is unknown.
    """
    from conversion.backends import backend

    name, sign, file = text.partition("=")
    if not sign or not file:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE; got '{text}'")
    try:
        return backend(name).name, Path(file)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _topics(text: str) -> list[str]:
    from conversion.verification import TOPICS

    found = [topic.strip() for topic in text.split(",")]
    for topic in found:
        if topic not in TOPICS:
            raise argparse.ArgumentTypeError(f"unknown topic '{topic}'; known: {', '.join(TOPICS)}")
    return found


def _schemes(verb: argparse.ArgumentParser) -> None:
    """Options of quantization; left out, each has the default that measured best."""
    _opset(verb)
    group = verb.add_argument_group("quantization")
    group.add_argument("--activations", choices=["uint8", "int8"], help="ONNX (default: uint8)")
    group.add_argument("--weights", choices=["uint8", "int8"], help="ONNX (default: int8)")
    group.add_argument(
        "--full-range",
        action="store_true",
        help="ONNX: eight bits for int8 weights, wrong on x86 CPUs without VNNI (default: seven)",
    )
    group.add_argument("--per-tensor", action="store_true", help="one scale for a whole weight")
    group.add_argument("--format", choices=["qoperator", "qdq"], help="(default: qoperator)")
    group.add_argument(
        "--method", choices=["minmax", "entropy", "percentile"], help="ONNX (default: minmax)"
    )
    group.add_argument(
        "--engine",
        choices=["onednn", "x86", "fbgemm", "qnnpack"],
        help="PyTorch (default: onednn)",
    )
    group.add_argument("--calibration-count", metavar="N", type=int, help="(default: 1000)")
    group.add_argument("--calibration-seed", metavar="N", type=int, help="(default: 0)")


_SCHEME = ("activations", "weights", "full_range", "per_tensor", "format", "method", "engine")


def _scheme_options(given: argparse.Namespace) -> list[str]:
    """The options of a scheme that were given."""
    return [f"--{name.replace('_', '-')}" for name in _SCHEME if getattr(given, name)]


def _searching(verb: argparse.ArgumentParser) -> None:
    """Options of the search for a scheme."""
    group = verb.add_argument_group(
        "search", "measure many schemes on this machine and take the best"
    )
    group.add_argument(
        "--search", action="store_true", help="find the fastest scheme that costs no accuracy"
    )
    group.add_argument(
        "--budget", metavar="S", type=_seconds, help="seconds for all of it (default: 300)"
    )
    group.add_argument(
        "--ban",
        metavar="WORDS",
        action="append",
        default=[],
        help="try no scheme whose label has these words; may be repeated",
    )
    group.add_argument(
        "--resume", action="store_true", help="go on with the search that was stopped in --out"
    )


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(f"expected seconds above 0; got '{text}'")
    return found


def _settings(given: argparse.Namespace) -> Settings:
    from conversion.settings import CalibrationChoice, OnnxScheme, Settings, TorchScheme

    def chosen(*names: str) -> dict[str, Any]:
        found = {name.rpartition("_")[2]: getattr(given, name, None) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    coarse: dict[str, Any] = {"per_channel": False} if getattr(given, "per_tensor", False) else {}
    return Settings(
        opset=given.opset,
        onnx=OnnxScheme(
            **chosen("activations", "weights", "format", "method"),
            **coarse,
            reduce_range=not getattr(given, "full_range", False),
        ),
        torch=TorchScheme(**chosen("engine"), **coarse),
        calibration=CalibrationChoice(**chosen("calibration_count", "calibration_seed")),
    )


def _folder(model: str, words: str) -> Path:
    return Path(f"{Path(model).stem}-{words}")


if __name__ == "__main__":
    sys.exit(main())
