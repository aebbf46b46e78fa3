"""PyTorch's ranges from images in batches are those of all images at once."""

import json
from functools import cache

import numpy as np
import pytest
from small_models import artifact, saved

from conversion.backends import Ingredients
from conversion.core.settings import Settings, TorchScheme

COUNTS = [1, 50, 51, 101]
"""One image, a batch, a batch and one image, two batches and one image."""

FUSED = {
    "body.conv2d": "activation",
    "body.conv2d_1": "activation_1",
    "body.add.functional": "activation_2",
    "body.add_2.functional": "activation_6",
}
"""Observer to the last layer of what it sees."""


@pytest.fixture(scope="module")
def ranges(embedded, tmp_path_factory):
    """Observer to lowest and highest value, from the first training images in batches."""
    source = embedded.artifact("torch-fp32")

    @cache
    def found(method, count, batch=50):
        from conversion.quantization import calibration, torch_ranges

        folder = tmp_path_factory.mktemp("ranges")
        needs = {
            "torch-fp32": artifact("torch-fp32", source.path),
            "calibration": saved(folder, embedded.subject.train.images[:count]),
        }
        chosen = Settings(torch=TorchScheme(method=method))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(calibration, "BATCH", batch)
            torch_ranges.build(
                Ingredients(embedded.spec, None, chosen, needs), folder / "torch-ranges.json"
            )
        entries = json.loads((folder / "torch-ranges.json").read_text())
        return {name: ends(entry) for name, entry in entries.items()}

    return found


def ends(entry):
    return entry["scale"] * -entry["zero_point"], entry["scale"] * (255 - entry["zero_point"])


@pytest.mark.parametrize("count", COUNTS)
def test_lowest_and_highest_value_are_those_of_all_images(embedded, ranges, count):
    from conversion.proof import truth

    found = ranges("minmax", count)
    (port,), images = embedded.spec.inputs, embedded.subject.train.images[:count]
    exact = truth.evaluate(embedded.spec, {port: images.astype(np.float32)}).layers
    for observer, layer in {"enter.0": port, **FUSED}.items():
        low, high = min(exact[layer].min(), 0.0), max(exact[layer].max(), 0.0)
        # A zero point is a whole number: either end moves by up to half a step.
        reach = 0.501 * (high - low) / 255
        ends_ = found[f"{observer}.activation_post_process"]
        assert ends_ == pytest.approx((low, high), rel=0, abs=reach)


@pytest.mark.parametrize("count", [each for each in COUNTS if each > 50])
@pytest.mark.parametrize(("method", "share"), [("minmax", 1e-5), ("histogram", 0.05)])
def test_ranges_do_not_depend_on_the_size_of_a_batch(ranges, method, share, count):
    found, at_once = ranges(method, count), ranges(method, count, batch=count)
    assert set(found) == set(at_once)
    for name, (low, high) in at_once.items():
        assert found[name] == pytest.approx((low, high), rel=0, abs=share * (high - low)), name
