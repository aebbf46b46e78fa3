"""PT2E through torchao beside eager mode: what it scores and what it costs, measured again."""

import shutil
import time
from statistics import median

import numpy as np
import pytest
from conversion.plugin.options import subjects

from conversion.quantization import calibration

# torchao and the exporter warn of what they are about to change.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BATCH, ROUNDS = 32, 15


def pytest_generate_tests(metafunc):
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", subjects(metafunc.config))


def quantized(workspace):
    """The float module and the module that PT2E makes of it, calibrated on the same images."""
    import torch

    pytest.importorskip("torchao", reason="keras-conversion-suite[pt2e] brings it")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    from conversion.backends.torch_module import from_spec

    floats = from_spec(workspace.spec)
    batches = list(calibration.batches(workspace.artifact("calibration").path))
    example = (torch.from_numpy(batches[0][:8].copy()),)
    open_batch = (({0: torch.export.Dim("batch", min=2, max=1024)},),)
    exported = torch.export.export(floats, example, dynamic_shapes=open_batch).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported, quantizer)
    with torch.inference_mode():
        for batch in batches:
            prepared(torch.from_numpy(batch))
    return floats, convert_pt2e(prepared)


def right(module, test):
    import torch

    with torch.inference_mode():
        parts = [
            module(torch.from_numpy(test.images[start : start + 250].astype(np.float32)))
            for start in range(0, len(test), 250)
        ]
    return int((torch.cat(parts).argmax(1).numpy() == test.labels).sum())


def times_as_fast(module, floats, images):
    """The median over pairs of calls, float by this module."""
    import torch

    def seconds(called):
        began = time.perf_counter()
        called(images)
        return time.perf_counter() - began

    with torch.inference_mode():
        module(images), floats(images)
        return median(seconds(floats) / seconds(module) for _ in range(ROUNDS))


def test_pt2e_beside_eager_mode(workspaces, subject, capsys):
    import torch

    workspace = workspaces(subject)
    floats, module = quantized(workspace)
    test, threads = workspace.test, torch.get_num_threads()
    images = torch.from_numpy(test.images[:BATCH].astype(np.float32))
    torch.set_num_threads(1)
    try:
        counts = right(floats, test), right(module, test)
        exported = times_as_fast(module, floats, images)
        compiled, took = compiled_speed(module, floats, images)
    finally:
        torch.set_num_threads(threads)
    found = workspace.outputs("torch-int8", test).arrays[workspace.spec.outputs[0]]
    eager = int((found.argmax(1) == test.labels).sum())
    with capsys.disabled():
        print(
            f"\n{subject}: float {counts[0]}, PT2E {counts[1]}, eager mode {eager} of "
            f"{len(test)}; at batch {BATCH} PT2E "
            f"as exported {exported:.2f} times as fast as float, compiled {compiled} ({took})"
        )
    assert counts[1] >= counts[0] - 0.05 * len(test)


def compiled_speed(module, floats, images):
    """How fast it is once compiled, and what compiling took; or why it was not."""
    import torch

    if not (shutil.which("g++") or shutil.which("clang++")):
        return "not measured", "no C++ compiler is here"
    began = time.perf_counter()
    with torch.inference_mode():
        made = torch.compile(module)
        made(images)
    took = time.perf_counter() - began
    return f"{times_as_fast(made, floats, images):.2f}", f"compiling took {took:.0f} s"
