"""Finished work is discarded where the code that makes it changes, and nowhere else."""

import ast

import pytest

from conversion.backends import BACKENDS, STEPS
from conversion.core import code

ADAPTERS = {name: each.module for name, each in {**BACKENDS, **STEPS}.items()}
MAKERS = {**ADAPTERS, "truth": "conversion.proof.truth"}
"""Kind of entry to the module that makes it."""


@pytest.fixture
def discarded(monkeypatch):
    """Kinds of entries whose code digest is another one after an edit of a module."""

    def discarded(module):
        before = {kind: digest(maker) for kind, maker in MAKERS.items()}
        real = code._digest
        monkeypatch.setattr(code, "_digest", lambda name: "other" if name == module else real(name))
        return {kind for kind, maker in MAKERS.items() if digest(maker) != before[kind]}

    return discarded


def digest(maker):
    """As the workspace asks for it."""
    stating = ("conversion.workspace.entries", "conversion.workspace.artifacts")
    return code.code_digest(maker, "conversion.readers", alone=stating)


@pytest.mark.parametrize(
    "module",
    ["conversion.report.page", "conversion.cli.parser", "conversion.proof.metrics.parity"],
)
def test_what_makes_nothing_discards_nothing(discarded, module):
    assert discarded(module) == set()


def test_an_edit_of_the_onnx_adapter_discards_its_entries_alone(discarded):
    assert discarded("conversion.backends.onnx_fp32") == {"onnx-fp32"}


def test_an_edit_of_the_truth_discards_what_the_truth_makes_alone(discarded):
    # The places of layers, which int8 files with layers in float need, are found by their values.
    found = {"truth", "onnx-places", "litert-places"}
    assert discarded("conversion.proof.truth.windows") == found


def test_an_edit_of_a_pytorch_layer_leaves_onnx_and_litert_alone(discarded):
    found = discarded("conversion.backends.torch_windows")
    assert {"torch-fp32", "torch-int8"} <= found
    assert not found & {"onnx-fp32", "onnx-int8", "litert-fp32", "litert-int8", "truth"}


@pytest.mark.parametrize(
    "module",
    ["conversion.readers.schema", "conversion.core.spec", "conversion.workspace.artifacts"],
)
def test_an_edit_of_what_all_stands_on_discards_everything(discarded, module):
    assert discarded(module) == set(MAKERS)


def test_the_keras_process_belongs_to_what_it_makes(discarded):
    assert {"keras-fp32", "onnx-fp32", "litert-fp32"} <= discarded("conversion.reference.jobs")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("import conversion.core.spec", "conversion.core.spec"),
        ("def f():\n    from conversion.core import spec", "conversion.core.spec"),
        ("start('conversion.core.worker')", "conversion.core.worker"),
    ],
    ids=["import", "lazily", "for another process"],
)
def test_every_way_to_name_a_module_is_seen(line, named):
    assert named in set(code._named(ast.parse(line), strings=True))
