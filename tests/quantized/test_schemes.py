"""What does int8 cost, by scheme, granularity, format, calibration method and engine?"""

from dataclasses import replace
from itertools import product

import pytest
from conversion.plugin.options import subjects

from conversion.core.settings import OnnxScheme, TorchScheme
from conversion.proof.checks import accuracy
from conversion.proof.checks.case import Case
from conversion.proof.checks.structure import onnx_integer_weights, torch_integer_weights

TYPES = [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8")]
SCHEMES = [
    OnnxScheme(activations, weights, per_channel, form, method)
    for (activations, weights), per_channel, form, method in product(
        TYPES, (True, False), ("qoperator", "qdq"), ("minmax", "entropy", "percentile")
    )
]
ENGINES = [
    TorchScheme(engine, per_channel)
    for engine, per_channel in product(("onednn", "x86", "fbgemm", "qnnpack"), (True, False))
]


EVERYDAY = (
    OnnxScheme(),
    OnnxScheme(format="qdq"),
    OnnxScheme(per_channel=False),
    OnnxScheme(weights="uint8", per_channel=False),
    TorchScheme(),
    TorchScheme(per_channel=False),
    TorchScheme("x86"),
)
"""What people use; the others take `tox -e slow`, and so do all on any subject but the first: it is
the same network, whose default int8 files the suite judges every day."""


def pytest_generate_tests(metafunc):
    if "scheme" not in metafunc.fixturenames:
        return
    first, *others = subjects(metafunc.config)
    metafunc.parametrize(
        ("subject", "scheme"),
        [
            pytest.param(
                subject,
                scheme,
                id=f"{subject}-{scheme.label}",
                marks=() if subject == first and scheme in EVERYDAY else (pytest.mark.slow,),
            )
            for subject in (first, *others)
            for scheme in (SCHEMES if "onnx" in metafunc.function.__name__ else ENGINES)
        ],
    )


def test_every_onnx_scheme_stays_within_five_points(workspaces, subject, scheme, judge):
    workspace = workspaces(subject)
    chosen = replace(workspace.settings, onnx=scheme)
    case = Case(workspace.with_settings(chosen), "onnx-int8")
    judge(accuracy.quantized_top1(case) + onnx_integer_weights(case))


@pytest.mark.one_in(3)
def test_every_torch_engine_stays_within_five_points(workspaces, subject, scheme, judge):
    import torch

    if scheme.engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this build of PyTorch has no engine {scheme.engine}")
    workspace = workspaces(subject)
    chosen = replace(workspace.settings, torch=scheme)
    case = Case(workspace.with_settings(chosen), "torch-int8")
    judge(accuracy.quantized_top1(case) + torch_integer_weights(case))
