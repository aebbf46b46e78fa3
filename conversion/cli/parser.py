"""The command line's verbs and which options each of them has."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from conversion.cli import options, values, verbs
from conversion.cli.options import (
    BACKENDS,
    CUSTOM,
    DATA,
    GROUPS,
    INPUT_SHAPE,
    REPLACE,
    Option,
)
from conversion.core.demands import Demands
from conversion.core.running import Running
from conversion.core.version import __version__
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping

EXAMPLES = """\
examples:
  conversion verify                          the embedded model, everything, offline
  conversion verify mine.h5 --data mine.npz --report out/
  conversion verify mine.h5 --data photos/ --preprocess resnet --resize
  conversion verify mine.h5 --data mine.npz --artifact onnx-fp32=theirs.onnx
  conversion test mine.h5 --data photos/ -- -m parity
  conversion convert mine.h5 --backends onnx-fp32,torch-fp32 --opset 17 --out out/
  conversion quantize mine.h5 --data mine.npz --format qdq --out out/
  conversion quantize mine.h5 --data mine.npz --search --out out/
  conversion evaluate mlperf-tiny
  conversion inspect out/onnx-fp32.onnx
  conversion explain output_error_pooled     what a line of the report means
  conversion fetch mlperf-tiny
  conversion power mine.h5 --report out/     inject known faults; what is caught?

artifacts: keras-fp32 (the reference), onnx-fp32, torch-fp32, torch-via-onnx-fp32, onnx-int8,
torch-int8, litert-fp32, litert-int8. A subject is embedded, mlperf-tiny, or a Keras file of your
own. `python -m conversion` is the same command.

exit codes: 0 every check that was asked for passed; 1 converted wrongly: a check failed (power: a
fault is not caught or not named); 2 a mistake in what was given, said in one sentence; 3 converted
rightly, but int8 costs more than allowed, or is slower than demanded; 4 parity has too little power
to decide; 130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """Says a mistake in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"conversion: {message} (see {self.prog} --help)\n")


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """What was typed; `test` has pytest's own words in `behind`, and its own as typed in `typed`.

    Args:
        words: without the program's name.
    """
    words, behind = list(words), list[str]()
    judging = words[:1] == ["test"]
    if judging and "--" in words:
        cut = words.index("--")
        words, behind = words[:cut], words[cut + 1 :]
    top = parser()
    given, unknown = top.parse_known_args(words)
    if unknown:
        advice = "; pytest's own options stand behind --" if judging else ""
        top.error(f"unrecognized arguments: {' '.join(unknown)}{advice}")
    if judging:
        given.typed, given.behind = _as_typed(words[1:]), behind
    return given


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    top = _Parser(
        prog="conversion",
        description="Convert, quantize and judge a Keras model.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"conversion {__version__}")
    made = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    def verb(
        name: str, run: Callable[[argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = made.add_parser(name, help=words, description=words)
        added.set_defaults(run=run)
        return added

    _convert(verb("convert", verbs.convert, "make ONNX and PyTorch files from a Keras file"))
    _quantize(verb("quantize", verbs.quantize, "make int8 files, calibrated on training images"))
    _evaluate(verb("evaluate", verbs.evaluate, "count the right answers of every artifact"))
    words = "say what a .h5, .keras, .onnx, .pt or .tflite file holds"
    _inspect(verb("inspect", verbs.inspect, words))
    words = "say what a measurement or a check is, its limit and why; all of them without a name"
    _explain(verb("explain", verbs.explain, words))
    _fetch(verb("fetch", verbs.fetch, "download a subject's files, checked by digest"))
    _power(verb("power", verbs.power, "inject every known fault and say which checks catch it"))
    _verify(verb("verify", verbs.verify, "convert, quantize and judge; print one table"))
    _test(verb("test", verbs.test, "judge a model with pytest; its own options stand behind --"))
    return top


def _convert(verb: argparse.ArgumentParser) -> None:
    _model(verb)
    backends = ("onnx-fp32", "torch-fp32")
    words = {"default": backends, "help": f"only these artifacts (default: {','.join(backends)})"}
    _add(
        verb,
        (replace(BACKENDS, keywords={**BACKENDS.keywords, **words}), CUSTOM, REPLACE, INPUT_SHAPE),
    )
    _out(verb)
    _groups(verb, without=(Preprocessing, Shipping, Demands, Running, *options.QUANTIZATION))


def _quantize(verb: argparse.ArgumentParser) -> None:
    _model(verb)
    _add(verb, (DATA, BACKENDS, CUSTOM, REPLACE, INPUT_SHAPE))
    _out(verb)
    _searching(verb)
    _groups(verb, without=(Demands, Shipping))


def _evaluate(verb: argparse.ArgumentParser) -> None:
    _model(verb)
    _add(verb, options.FILES)
    _groups(verb, without=(Demands, Shipping))


def _verify(verb: argparse.ArgumentParser) -> None:
    _model(verb, nargs="?", default="embedded")
    _add(verb, options.FILES)
    verb.add_argument(
        "--topics",
        metavar="T,T",
        type=values.topics,
        help="only structure, parity, accuracy, quantization, latency",
    )
    verb.add_argument(
        "--report",
        metavar="DIR",
        type=Path,
        default=Path("conversion-report"),
        help="for report.json, report.html, the log and the artifacts (default: %(default)s)",
    )
    _groups(verb)


def _test(verb: argparse.ArgumentParser, typed: bool = True) -> None:
    _model(verb)
    _add(verb, options.FILES, typed)
    verb.add_argument("--report", metavar="DIR", help="for report.json and report.html")
    verb.add_argument("--slow", action="store_true", help="run slow tests too")
    _groups(verb, typed=typed)


def _as_typed(words: list[str]) -> argparse.Namespace:
    """The words behind `test`, each value as text, to be given to pytest."""
    verb = _Parser(prog="conversion test")
    _test(verb, typed=False)
    return verb.parse_args(words)


def _inspect(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("file", metavar="FILE", type=Path, help="the file")
    _add(verb, (CUSTOM, REPLACE, INPUT_SHAPE))
    verb.add_argument("--json", action="store_true", help="print JSON")


def _explain(verb: argparse.ArgumentParser) -> None:
    words = "such as output_error_pooled, or a check such as layers"
    verb.add_argument("name", metavar="NAME", nargs="?", default="", help=words)


def _fetch(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("subject", choices=["mlperf-tiny"], help="the subject")
    verb.add_argument("--out", metavar="DIR", type=Path, help="where to (default: the user's data)")


def _power(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "subjects",
        metavar="SUBJECT|FILE",
        nargs="*",
        help="embedded, mlperf-tiny (default: those whose files are here), or one Keras file",
    )
    verb.add_argument(
        "--faults",
        metavar="A,B",
        type=BACKENDS.keywords["type"],
        help="only these; a name may be a pattern such as onnx-*",
    )
    verb.add_argument("--list", action="store_true", help="list the faults and inject none")
    verb.add_argument(
        "--budget", metavar="S", type=values.seconds, help="seconds for the faults (default: all)"
    )
    _add(verb, (DATA, BACKENDS, CUSTOM, REPLACE, INPUT_SHAPE))
    verb.add_argument(
        "--no-sweep", action="store_true", help="do not look for the smallest size that is caught"
    )
    verb.add_argument(
        "--report", metavar="DIR", type=Path, help="for power.json, report.json and report.html"
    )
    _groups(verb, without=(Demands, Shipping))


def _searching(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group(
        "search", "measure many schemes on this machine and take the best"
    )
    group.add_argument(
        "--search", action="store_true", help="find the fastest scheme that costs no accuracy"
    )
    group.add_argument(
        "--budget", metavar="S", type=values.seconds, help="seconds for all of it (default: 300)"
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


def _model(verb: argparse.ArgumentParser, **keywords: Any) -> None:
    default = f"; default: {keywords['default']}" if keywords else ""
    verb.add_argument(
        "model", metavar="SUBJECT|FILE", help=f"a Keras file or a subject{default}", **keywords
    )


def _out(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", metavar="DIR", type=Path, help="default: a folder beside the model")


def _groups(
    verb: argparse.ArgumentParser, without: tuple[type, ...] = (), typed: bool = True
) -> None:
    for heading, kinds in GROUPS.items():
        wanted = tuple(kind for kind in kinds if kind not in without)
        if wanted:
            _add(verb.add_argument_group(heading), options.of_fields(*wanted), typed)


def _add(verb: argparse._ActionsContainer, rows: Iterable[Option], typed: bool = True) -> None:
    for row in rows:
        keywords = dict(row.keywords)
        if not typed:
            keywords.pop("type", None)
        verb.add_argument(row.flag, **keywords)
