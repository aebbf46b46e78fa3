"""The documents say what the code says."""

from pathlib import Path

import pytest
from tools import pages

from conversion.backends import BACKENDS
from conversion.proof.checks import CHECKS, TOPICS
from conversion.report.explanation import questions
from conversion.subjects.preprocessing import FAMILIES

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_tables_of_a_page_are_those_that_the_registries_give(page):
    assert pages.written(page) == (pages.DOCS / page).read_text()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_is_explained_under_its_topic(check):
    assert questions()[check.name].topic == check.topic


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
