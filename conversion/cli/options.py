"""One table of options: each is added to argparse and to pytest by the same row.

The rows of schemes, calibration, preprocessing and running come from the fields of the dataclasses
that hold the choices, so that a name, a default and a sentence of help exist once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from conversion.cli import values
from conversion.core.demands import Demands
from conversion.core.options import as_names
from conversion.core.running import Running
from conversion.core.settings import (
    CalibrationChoice,
    LitertScheme,
    OnnxScheme,
    Settings,
    TorchScheme,
)
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Option:
    """One option at both doors.

    Attributes:
        flag: as it is typed, such as ``--max-drop``.
        keywords: what `argparse.ArgumentParser.add_argument` and `pytest.OptionGroup.addoption`
            take beside the flag.
        fields: the fields that it sets, each a dataclass and a field's name.
    """

    flag: str
    keywords: Mapping[str, Any]
    fields: tuple[tuple[type, str], ...] = ()

    @property
    def name(self) -> str:
        """The attribute that the parsed value is found under."""
        return self.flag.removeprefix("--").replace("-", "_")


SCHEMES = (OnnxScheme, TorchScheme, LitertScheme)
QUANTIZATION = (*SCHEMES, CalibrationChoice)

GROUPS: Mapping[str, tuple[type, ...]] = {
    "conversion": (Settings,),
    "quantization": QUANTIZATION,
    "preprocessing of the images of --data, once, when they are read": (Preprocessing,),
    "preprocessing that ships": (Shipping,),
    "demands": (Demands,),
    "running": (Running,),
}
"""Heading to the dataclasses whose fields stand under it."""

DATA = Option(
    "--data",
    {
        "metavar": "FILE",
        "type": Path,
        "help": "images, with labels or without: a .npz in Keras's naming, a folder with one "
        "folder a class, or a Python file with generators, which is executed (docs/data.md); the "
        "word synthetic for images drawn to calibrate on, where there are none",
    },
)
BACKENDS = Option(
    "--backends",
    {
        "metavar": "A,B",
        "type": as_names,
        "help": "only these artifacts (default: all whose packages are installed)",
    },
)
ARTIFACT = Option(
    "--artifact",
    {
        "metavar": "NAME=FILE",
        "type": values.external,
        "action": "append",
        "default": [],
        "help": "an external file, judged in place of the one that would be built; may be repeated",
    },
)
CUSTOM = Option(
    "--custom",
    {
        "metavar": "FILE.py",
        "type": Path,
        "action": "append",
        "default": [],
        "help": "layers of your own (docs/custom.md); the file is executed; may be repeated",
    },
)
REPLACE = Option(
    "--replace",
    {
        "metavar": "NAME=LAYER(...)",
        "action": "append",
        "default": [],
        "help": "a standard layer, or one of --custom, in place of one that carries code, such as "
        "lambda_1=Rescaling(scale=1/127.5,offset=-1); may be repeated (docs/custom.md)",
    },
)
INPUT_SHAPE = Option(
    "--input-shape",
    {
        "metavar": "H,W,C",
        "type": values.input_shape,
        "help": "the shape of the model's only input, where its file leaves sizes open or has none",
    },
)
FILES = (DATA, BACKENDS, ARTIFACT, CUSTOM, REPLACE, INPUT_SHAPE)
"""Options that name files and artifacts."""


@cache
def of_fields(*kinds: type) -> tuple[Option, ...]:
    """The options of some dataclasses, in the order of their fields.

    A flag that several fields name is one option that sets all of them.
    """
    found: dict[str, Option] = {}
    for kind in kinds:
        for field in fields(kind):
            told = field.metadata
            if "option" not in told:
                continue
            flag = told["option"]
            keywords = {key: told[key] for key in ("metavar", "choices", "type") if key in told}
            if "const" in told:
                keywords = {"action": "store_const", "const": told["const"]}
            made = found.get(flag, Option(flag, keywords | {"default": None, "help": told["help"]}))
            found[flag] = replace(made, fields=(*made.fields, (kind, field.name)))
    return tuple(found.values())


def table() -> Iterable[Option]:
    """Every option that both doors have."""
    yield from FILES
    for kinds in GROUPS.values():
        yield from of_fields(*kinds)


def given(parsed: Any, kinds: tuple[type, ...]) -> list[Option]:
    """The options of some dataclasses that were typed.

    Args:
        parsed: has an attribute for each option, as argparse and pytest leave it.
        kinds: the dataclasses.
    """
    return [each for each in of_fields(*kinds) if getattr(parsed, each.name, None) is not None]


def replaced(parsed: Any) -> list[str]:
    """What stands in place of layers of the file, its input among them.

    Args:
        parsed: has an attribute for each option, as argparse and pytest leave it.
    """
    shape = parsed.input_shape
    return [*parsed.replace, *([] if shape is None else [shape])]


def made(kind: type[Made], parsed: Any) -> Made:
    """The choices of one dataclass; what was not typed has its default.

    Args:
        kind: the dataclass.
        parsed: has an attribute for each option, as argparse and pytest leave it.

    Raises:
        UserError: the values contradict each other.
    """
    chosen = {
        name: getattr(parsed, option.name)
        for option in given(parsed, (kind,))
        for _, name in option.fields
    }
    return kind(**chosen)


def settings(parsed: Any) -> Settings:
    """The choices of conversion and quantization.

    Raises:
        UserError: the values contradict each other.
    """
    return replace(
        made(Settings, parsed),
        onnx=made(OnnxScheme, parsed),
        torch=made(TorchScheme, parsed),
        litert=made(LitertScheme, parsed),
        calibration=made(CalibrationChoice, parsed),
    )
