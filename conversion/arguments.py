"""The command line's options, and the choices that they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conversion.errors import UserError

if TYPE_CHECKING:
    from conversion.settings import Settings
    from conversion.subjects.preprocessing import Preprocessing


def data(verb: argparse.ArgumentParser) -> None:
    """`--data`, and the preprocessing of its images."""
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


def preprocessing(given: argparse.Namespace) -> Preprocessing:
    """What the options say is done to the images."""
    from conversion.subjects.preprocessing_options import chosen

    return chosen(given)


def out(verb: argparse.ArgumentParser) -> None:
    """`--out`."""
    verb.add_argument("--out", metavar="DIR", type=Path, help="default: a folder beside the model")


def custom(verb: argparse.ArgumentParser) -> None:
    """`--custom`."""
    verb.add_argument(
        "--custom",
        metavar="FILE.py",
        type=Path,
        action="append",
        default=[],
        help="layers of your own (docs/custom.md); the file is executed; may be repeated",
    )


def opset(verb: argparse.ArgumentParser) -> None:
    """`--opset`."""
    verb.add_argument(
        "--opset", metavar="N", type=int, default=15, help="13 to 26 (default: %(default)s)"
    )


def backends(verb: argparse.ArgumentParser, default: list[str] | None) -> None:
    """`--backends`; without a default, all that are installed."""
    from conversion.backends import BACKENDS

    shown = ",".join(default) if default else f"all that are installed of {', '.join(BACKENDS)}"
    verb.add_argument(
        "--backends",
        metavar="A,B",
        type=names,
        default=default,
        help=f"default: {shown}",
    )


def names(text: str) -> list[str]:
    """`A,B` as a list.

    Raises:
        argparse.ArgumentTypeError: there is no name in it.
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("expected at least one name; got none")
    return found


def artifact(verb: argparse.ArgumentParser) -> None:
    """`--artifact`."""
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


def topics(text: str) -> list[str]:
    """`T,T` as a list.

    Raises:
        argparse.ArgumentTypeError: one is unknown.
    """
    from conversion.verification import TOPICS

    found = [topic.strip() for topic in text.split(",")]
    for topic in found:
        if topic not in TOPICS:
            raise argparse.ArgumentTypeError(f"unknown topic '{topic}'; known: {', '.join(TOPICS)}")
    return found


def schemes(verb: argparse.ArgumentParser) -> None:
    """Options of quantization; left out, each has the default that measured best."""
    opset(verb)
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


def scheme_options(given: argparse.Namespace) -> list[str]:
    """The options of a scheme that were given."""
    return [f"--{name.replace('_', '-')}" for name in _SCHEME if getattr(given, name)]


def searching(verb: argparse.ArgumentParser) -> None:
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


def settings(given: argparse.Namespace) -> Settings:
    """The choices that the options make; each that is left out has its default."""
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
