"""Layers of Keras that are refused, each with the reason and the way on."""

from __future__ import annotations

from collections.abc import Mapping

CODE = "it carries code, or a program of another framework: nothing in a model file is run"
LOOKUPS = (
    "it reads whole numbers or text, and looks them up: a float32 file converts behind it, so save "
    "the model from the first layer of floats on"
)
BASE = (
    "a base class, which computes nothing: the layer of a class of your own goes through --custom"
)
CELL = "one step of a recurrent layer: put it into RNN(cell), which is read"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"), CODE),
    **dict.fromkeys(("CategoryEncoding", "Discretization", "Embedding", "HashedCrossing"), LOOKUPS),
    **dict.fromkeys(("Hashing", "IntegerLookup", "ReversibleEmbedding", "StringLookup"), LOOKUPS),
    **dict.fromkeys(("TextVectorization",), LOOKUPS),
    **dict.fromkeys(("InputSpec", "Layer", "Wrapper"), BASE),
    **dict.fromkeys(("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"), CELL),
    "ContrastLimitedAdaptiveHistogramEqualization": (
        "it counts pixels into bins, where a rounding moves whole steps: no limit on its error can "
        "be derived; equalize the images before they enter the model"
    ),
    "Equalization": (
        "Keras 3.15 finds a circle in a model that holds it, and cannot open it: leave it out, it "
        "changes images in training only"
    ),
    "Masking": (
        "the mask that it makes would change what all layers behind it compute, and a converted "
        "file has none: give sequences of one length and leave it out"
    ),
    "MelSpectrogram": (
        "Keras 3.15 cannot compute it in float64, and ONNX has none of its operators: compute it "
        "before the model, or use STFTSpectrogram"
    ),
    "SpectralNormalization": (
        "it changes weights in training only: build the model without the wrapper, with the "
        "layer's own weights (`wrapper.layer.get_weights()`), and save it again"
    ),
}
"""Class to the reason."""
