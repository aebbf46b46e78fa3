"""What a check or a measurement is, for a reader who met its name."""

from __future__ import annotations

from difflib import get_close_matches

from conversion.backends import BACKENDS, REFERENCE, Backend
from conversion.core.errors import UserError
from conversion.core.quantity import Limit, Quantity, Question
from conversion.proof.checks import CHECKS
from conversion.proof.metrics.quantities import quantities


def questions() -> dict[str, Question]:
    """What checks ask, by the check's name, in the order of the checks."""
    return {each.question.name: each.question for each in quantities()}


def artifacts(question: Question, among: str = "") -> tuple[str, ...]:
    """The artifacts that are asked.

    Args:
        question: what is asked.
        among: only these of them, as a quantity says it.
    """
    asking = [check for check in CHECKS if check.name == question.name]
    return tuple(
        name
        for name, each in BACKENDS.items()
        if (
            not asking or any(check.applies(each) and check.can_judge(each) for check in asking)
        )  # each must be built
        and set(filter(None, among.split(", "))) <= _kinds(each)
    )


def _kinds(of: Backend) -> set[str]:
    kinds = {of.name, "float" if of.is_float else "int8"}
    return kinds if of.name == REFERENCE else {*kinds, "converted"}


def explain(name: str = "") -> str:
    """What a measurement or a check is, its unit, its limit and why, and who gets it.

    Args:
        name: of a measurement or a check; every one in a line each where it is empty.

    Raises:
        UserError: there is none of that name.
    """
    measured = [each for each in quantities() if each.name == name]
    asked = questions().get(name.replace("_", "-"))
    if not name:
        return "\n".join(f"{each.name}: {each.meaning}" for each in quantities())
    if measured:
        return "\n\n".join(map(_of_quantity, measured))
    if asked is None:
        known = dict.fromkeys((*(each.name for each in quantities()), *questions()))
        near = get_close_matches(name, known, n=3, cutoff=0.4)
        raise UserError(
            f"Expected the name of a measurement or a check; got '{name}'; "
            + (f"near it: {', '.join(near)}." if near else "`conversion explain` lists them all.")
        )
    parts = ", ".join(each.name for each in quantities() if each.question is asked)
    return "\n".join((f"{asked.name}: {asked.holds}", *_of_question(asked), f"  measures: {parts}"))


def _of_quantity(what: Quantity) -> str:
    lines = [f"{what.name}: {what.meaning}"]
    unit = what.limit.unit if what.limit else what.unit
    if unit:
        lines.append(f"  unit: {unit}")
    if what.limit is not None:
        lines.append(
            f"  limit: {what.limit.relation} {what.limit.value:g}, since {_why(what.limit)}"
        )
    if what.question.name != what.name:
        lines.append(f"  check: {what.question.name}: {what.question.holds}")
    return "\n".join((*lines, *_of_question(what.question, what.among)))


def _why(limit: Limit) -> str:
    measured = "" if limit.measured is None else f" (good artifacts: {limit.measured:g})"
    return f"{limit.reason}{measured}"


def _of_question(asked: Question, among: str = "") -> tuple[str, ...]:
    return f"  topic: {asked.topic}", f"  artifacts: {', '.join(artifacts(asked, among))}"
