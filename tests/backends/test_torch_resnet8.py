"""The ResNet8 that a person would write is the one that the spec gives."""

import numpy as np
import pytest


@pytest.fixture(params=["embedded", "mlperf-tiny"])
def workspace(request, workspaces):
    return workspaces(request.param)


@pytest.fixture
def by_hand(workspace):
    import torch
    from tools.resnet8 import ResNet8

    model = ResNet8()
    content = torch.load(workspace.artifact("torch-fp32").path, weights_only=True)
    model.load_state_dict(content["state_dict"])
    return model.eval()


def test_it_has_the_weights_of_the_file_and_no_others(workspace, by_hand):
    counted = sum(t.numel() for t in by_hand.state_dict().values() if t.dim())
    assert counted == workspace.spec.parameters() == 78_666


@pytest.mark.parametrize("count", [1, 7, 64])
def test_it_computes_the_same_bits(workspace, by_hand, count):
    import torch

    from conversion.backends.torch_fp32 import rebuild
    from conversion.backends.torch_module import run

    images = torch.from_numpy(workspace.test.images[:count].astype(np.float32))
    ours, theirs = (
        run(module, [images])[0]
        for module in (rebuild(workspace.artifact("torch-fp32").path), by_hand)
    )
    # The same operators on the same memory layout; nothing but the padding is written otherwise.
    assert torch.equal(ours, theirs)
    assert float((theirs.sum(dim=1) - 1).abs().max()) <= 1e-6
