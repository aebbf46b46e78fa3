"""The documents say what the code says."""

from pathlib import Path

import pytest

from conversion.backends import BACKENDS
from conversion.proof.checks import CHECKS, TOPICS
from conversion.proof.metrics import limits
from conversion.proof.metrics.limits import Limit
from conversion.subjects.preprocessing import FAMILIES

ROOT = Path(__file__).parent.parent
LIMITS = {name: limit for name, limit in vars(limits).items() if isinstance(limit, Limit)}


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_stands_in_the_table_with_its_measured_value_and_reason(name):
    limit = LIMITS[name]
    measured = "-" if limit.measured is None else f"{limit.measured:g}"
    row = f"| `{name}` | {limit.value:g} | {limit.unit} | {measured} | {limit.reason} |"
    assert row in (ROOT / "docs" / "checks.md").read_text()


@pytest.mark.parametrize("name", sorted({check.name for check in CHECKS}))
def test_every_check_is_described(name):
    assert f"| {name} |" in (ROOT / "docs" / "checks.md").read_text()


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_is_in_the_readme(name):
    assert f"| `{name}` |" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", TOPICS)
def test_every_topic_is_a_registered_marker(pytestconfig, name):
    assert any(line.startswith(f"{name}:") for line in pytestconfig.getini("markers"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_preprocessing_is_documented(family):
    rows = [row for row in (ROOT / "docs" / "data.md").read_text().splitlines() if "|" in row]
    assert any(f"`{family}`" in row for row in rows)
