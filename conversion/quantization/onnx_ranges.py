"""What a calibration yields for an ONNX graph: the range of every tensor, kept on its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import (
    HistogramCalibrater,
    HistogramCollector,
    TensorData,
    TensorsData,
    create_calibrator,
    save_tensors_data,
)

from conversion.backends.backend import Ingredients
from conversion.backends.onnx_file import inputs, load
from conversion.quantization.calibration import batches

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


class _Once(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    """One batch, then the end: the calibrator is fed batch by batch.

    Its own way of bounding memory (`CalibMaxIntermediateOutputs`) drops whole chunks of data
    without a word (microsoft/onnxruntime#18893), and its histograms cannot take a smaller last
    batch beside larger ones.
    """

    def __init__(self, feed: Mapping[str, np.ndarray]) -> None:
        self._left: Iterator[dict[str, np.ndarray]] = iter([dict(feed)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Run the calibration images through the graph and save every tensor's range.

    Returns:
        Provenance, with the ranges themselves: tensor name to lowest and highest value.
    """
    graph = ingredients.artifacts["onnx-prepared"]
    calibration = ingredients.artifacts["calibration"]
    method = ingredients.settings.onnx.method
    feed = inputs(load(graph.path))[0].name
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            graph.path,
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=METHODS[method],
        )
        with redirect_stdout(None):  # the histogram calibrators print a line a batch
            if isinstance(calibrator, HistogramCalibrater):
                calibrator.collector = _empty_histograms(calibrator, feed, calibration.path)
            for batch in batches(calibration.path):
                calibrator.collect_data(_Once({feed: batch}))
            found = calibrator.compute_data()
    ranges = {  # arrays of one element, with or without axes
        name: (np.asarray(low).item(), np.asarray(high).item())
        for name, (low, high) in ((name, data.range_value) for name, data in found.items())
    }
    save_tensors_data(_plain(METHODS[method], ranges), target)
    return {
        "source": ingredients.spec.digest,
        "route": f"ONNX Runtime {method} calibration",
        "onnx": graph.digest,
        "calibration": calibration.provenance["content"],
        "ranges": {name: list(pair) for name, pair in ranges.items()},
    }


def _empty_histograms(calibrator: Any, feed: str, images: Path) -> HistogramCollector:
    """Histograms of every tensor with no value in them, whose bins span what all images give.

    ONNX Runtime takes the bins from the first batch and adds more of that width later, so that the
    ranges of the entropy method depend on which images come first, by 38 % of a range. With these
    bins they are those of all images in one batch, which is what they are meant to be.
    """
    collector = HistogramCollector(
        calibrator.method,
        calibrator.symmetric,
        calibrator.num_bins,
        calibrator.num_quantized_bins,
        calibrator.percentile,
        calibrator.scenario,
    )
    sizes: dict[str, tuple[float, float]] = {}  # smallest and largest, without the sign
    session = calibrator.infer_session
    names = [port.name for port in session.get_outputs()]
    for batch in batches(images):
        for name, value in zip(names, session.run(None, {feed: batch}), strict=True):
            if name in calibrator.tensors_to_calibrate:
                size, known = np.abs(value), sizes.get(name, (np.inf, 0.0))
                sizes[name] = (min(known[0], size.min()), max(known[1], size.max()))
    for name, (least, most) in sizes.items():
        nothing, ends = np.empty(0, np.float32), (np.float32(np.inf), np.float32(-np.inf))
        absolute = calibrator.method == "percentile" and calibrator.symmetric
        span = (least, most) if absolute else (-most, most)
        empty, edges = np.histogram(nothing, calibrator.num_bins, range=span)
        kept = (empty, edges.astype(np.float32), *ends)
        collector.histogram_dict[name] = kept if absolute else (*kept, np.float32(most))
    return collector


def _plain(method: CalibrationMethod, ranges: Mapping[str, tuple[float, float]]) -> TensorsData:
    """Ranges alone: the histograms behind them are large, and quantization does not read them."""
    data = {
        name: TensorData(
            lowest=np.array(low, dtype=np.float32),
            highest=np.array(high, dtype=np.float32),
        )
        for name, (low, high) in ranges.items()
    }
    return TensorsData(method, data)
