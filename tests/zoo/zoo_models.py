"""The models of the zoo: names, and how each file comes to be."""

import handmade
import numpy as np
import pytest

from conversion.core.settings import Settings, TorchScheme
from conversion.readers import read_spec
from conversion.subjects import mlperf_tiny
from conversion.subjects.synthetic_inputs import synthetic_inputs

FAMILIES = {
    "convnext": 32,
    "densenet": 32,
    "efficientnet": 32,
    "efficientnet_v2": 32,
    "inception_resnet_v2": 75,
    "inception_v3": 75,
    "mobilenet": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3": 32,
    "nasnet": 32,
    "resnet": 32,
    "resnet_v2": 32,
    "vgg16": 32,
    "vgg19": 32,
    "xception": 71,
}
"""Family to the size of its input."""

VWW = "vww_96"
SOURCE = (
    "benchmark/training/visual_wake_words/trained_models/vww_96.h5 of github.com/mlcommons/tiny"
)
MODELS = (*FAMILIES, VWW, *handmade.MODELS)
SETTINGS = {"convnext": Settings(torch=TorchScheme(engine="x86"))}
"""Choices other than the default. Where a matrix has a zero point other than 0, as behind GELU,
oneDNN of PyTorch 2.15 multiplies it by its reference code: 6 s for 1 ms of the engine x86."""

JOB = "tools.keras_jobs:application_file"
SETTLED_ON = 64
"""Images that weights are settled on; none of them is judged on."""


def built(process, name, folder):
    """The model's file; skips where it is one that cannot be made here."""
    if name == VWW:
        path = mlperf_tiny.folder() / "models" / f"{VWW}.h5"
        if not path.is_file():
            pytest.skip(f"{path.name} is not in {path.parent}; to get it: bring {SOURCE}")
        return path
    path = folder / f"{name.replace(', ', '_')}.keras"
    values = {"seed": 0, "path": str(path)}
    if name in FAMILIES:
        drawn = {"images": pictures(SETTLED_ON, FAMILIES[name])}
        process.call(JOB, {**values, "family": name}, drawn)
    else:
        values["config"] = handmade.MODELS[name]
        process.call(JOB, values)  # once to read what inputs it takes
        process.call(JOB, values, synthetic_inputs(read_spec(path), SETTLED_ON))
    return path


def pictures(count, size):
    """Patches of several sizes over each other, whole numbers from 0 to 255."""
    random = np.random.RandomState(1)
    total = np.zeros((count, size, size, 3))
    for grain in (1, 4, 16):
        coarse = random.rand(count, -(-size // grain), -(-size // grain), 3)
        fine = coarse.repeat(grain, axis=1).repeat(grain, axis=2)[:, :size, :size]
        total += random.rand(count, 1, 1, 1) * (fine - 0.5)
    total -= total.min(axis=(1, 2, 3), keepdims=True)
    total /= total.max(axis=(1, 2, 3), keepdims=True)
    contrast = 0.3 + 0.7 * random.rand(count, 1, 1, 1)
    light = (1 - contrast) * random.rand(count, 1, 1, 1)
    return np.rint(255 * (light + contrast * total)).astype(np.float32)
