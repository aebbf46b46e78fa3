"""The tables of `docs/checks.md`: every check, everything that is measured, and every limit."""

from conversion.backends import BACKENDS, Capability
from conversion.core.quantity import Limit
from conversion.proof.metrics import limits
from conversion.proof.metrics.quantities import BUILT, quantities
from conversion.report.explanation import artifacts, questions

CHECKS = "| check | topic | artifacts | what must hold |\n|---|---|---|---|"
MEASUREMENTS = "| measurement | check | what it is | limit |\n|---|---|---|---|"
LIMITS = "| limit | value | unit | good artifacts | why |\n|---|---|---|---|---|"


def check_table():
    rows = (
        (name, each.topic, _named(artifacts(each)), each.holds)
        for name, each in questions().items()
        if name != BUILT.name
    )
    return "\n".join((CHECKS, *map(_row, rows)))


def measurement_table():
    rows = (
        (f"`{each.name}`", each.question.name, each.meaning, _limit(each)) for each in quantities()
    )
    return "\n".join((MEASUREMENTS, *map(_row, rows)))


def limit_table():
    rows = (
        (
            f"`{name}`",
            f"{each.relation} {each.value:g}",
            each.unit,
            "-" if each.measured is None else f"{each.measured:g}",
            each.reason,
        )
        for name, each in _limits().items()
    )
    return "\n".join((LIMITS, *map(_row, rows)))


def _limits():
    return {name: each for name, each in vars(limits).items() if isinstance(each, Limit)}


def _limit(what):
    name = next((name for name, each in _limits().items() if each is what.limit), None)
    if name:
        return f"`{name}`"
    if what.limit:
        return f"{what.limit.relation} {what.limit.value:g} {what.limit.unit}"
    return "-"


def _named(names):
    """Names of backends, by words where they are all of a kind."""
    kinds = {
        "all": lambda each: True,
        "all that are built": lambda each: each.name != "keras-fp32",
        "float": lambda each: each.is_float,
        "float, converted": lambda each: each.is_float and each.name != "keras-fp32",
        "int8": lambda each: not each.is_float,
        "ONNX": lambda each: each.offers(Capability.ONNX_FILE),
    }
    for words, applies in kinds.items():
        if {*names} == {name for name, each in BACKENDS.items() if applies(each)}:
            return words
    return ", ".join(f"`{name}`" for name in names)


def _row(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
