"""OpenVINO's CPU runtime in float32, on the network of the ONNX file."""

from conversion.backends.backend import Backend

BACKEND = Backend(
    "openvino-fp32",
    "conversion_openvino.runtime",
    (".xml", ".bin"),
    needs=("onnx-fp32",),
    packages=("openvino", "numpy"),
)
