"""The backends of this package, one entry each; a new one is a module and an entry here.

This table names modules of every room as strings, so that nothing is imported before it is used. It
imports none of them.
"""

from __future__ import annotations

from conversion.backends.backend import Backend, Capability

_TF = ("tensorflow", "keras", "numpy")
_INT8 = "conversion.proof.checks.int8"
_STRUCTURE = "conversion.proof.checks.structure"
_TAPS = "conversion.proof.taps"
_OPENED = f"{_TAPS}.opened"

ADAPTERS = (
    Backend("keras-fp32", "conversion.backends.keras_fp32", packages=_TF),
    Backend(
        "onnx-fp32",
        "conversion.backends.onnx_fp32",
        (".onnx",),
        settings=("opset",),
        packages=(*_TF, "tf2onnx", "onnx", "onnxruntime"),
        capabilities={
            Capability.ONNX_FILE: "conversion.backends.onnx_file:load",
            Capability.FILES_BESIDE: "conversion.backends.onnx_file:external_data",
            Capability.TAPS: f"{_OPENED}:open_onnx",
            Capability.STORED_WEIGHTS: "conversion.proof.checks.weights:file_weights",
        },
    ),
    Backend(
        "torch-fp32",
        "conversion.backends.torch_fp32",
        (".pt",),
        packages=("torch", "numpy"),
        capabilities={
            Capability.TAPS: f"{_OPENED}:open_torch",
            Capability.STORED_WEIGHTS: f"{_STRUCTURE}:torch_weights",
        },
    ),
    Backend(
        "torch-via-onnx-fp32",
        "conversion.backends.torch_via_onnx",
        (".pt",),
        needs=("onnx-fp32",),
        packages=("torch", "torchvision", "onnx2torch", "onnx", "numpy"),
        capabilities={
            Capability.TAPS: f"{_OPENED}:open_torch_via_onnx",
            Capability.STORED_WEIGHTS: "conversion.proof.checks.weights:torch_via_onnx_weights",
        },
    ),
    Backend(
        "onnx-int8",
        "conversion.quantization.onnx_static",
        (".onnx",),
        precision="int8",
        needs=("onnx-prepared", "onnx-places", "onnx-ranges"),
        settings=("onnx",),
        scheme="onnx",
        packages=("onnx", "onnxruntime", "numpy"),
        baseline="onnx-fp32",
        capabilities={
            Capability.ONNX_FILE: "conversion.backends.onnx_file:load",
            Capability.FILES_BESIDE: "conversion.backends.onnx_file:external_data",
            Capability.TAPS: f"{_OPENED}:open_onnx",
            Capability.EIGHT_BIT_WEIGHTS: f"{_STRUCTURE}:onnx_integer_weights",
            Capability.QUANTIZATION_PARAMETERS: f"{_INT8}.quantized:onnx_parameters",
            Capability.RANGES: f"{_INT8}.ranges:onnx_ranges",
            Capability.INTEGER_KERNELS: f"{_INT8}.kernels:onnx_steps",
            Capability.NARROW_SUMS: f"{_INT8}.saturation:saturation",
        },
    ),
    Backend(
        "torch-int8",
        "conversion.quantization.torch_static",
        (".pt",),
        precision="int8",
        needs=("torch-fp32", "torch-ranges"),
        settings=("torch",),
        scheme="torch",
        packages=("torch", "numpy"),
        baseline="torch-fp32",
        capabilities={
            Capability.TAPS: f"{_OPENED}:open_torch_int8",
            Capability.EIGHT_BIT_WEIGHTS: f"{_STRUCTURE}:torch_integer_weights",
            Capability.QUANTIZATION_PARAMETERS: f"{_INT8}.quantized:torch_parameters",
            Capability.RANGES: f"{_INT8}.ranges:torch_ranges",
            Capability.INTEGER_KERNELS: f"{_INT8}.kernels:torch_steps",
            # It opens into the modules of ours, by the scheme that it states, or not at all.
            Capability.STATED_SCHEME: "conversion.quantization.torch_static:stated_scheme",
        },
    ),
    Backend(
        "litert-fp32",
        "conversion.backends.litert_fp32",
        (".tflite",),
        packages=(*_TF, "ai-edge-litert"),
        fragile=True,
        capabilities={
            Capability.TAPS: f"{_OPENED}:open_litert",
            Capability.STORED_WEIGHTS: "conversion.proof.checks.weights:file_weights",
        },
    ),
    Backend(
        "litert-int8",
        "conversion.quantization.litert_static",
        (".tflite",),
        precision="int8",
        needs=("calibration", "litert-places"),
        settings=("litert",),
        scheme="litert",
        packages=(*_TF, "ai-edge-litert"),
        baseline="onnx-fp32",
        fragile=True,
        capabilities={
            Capability.TAPS: f"{_OPENED}:open_litert",
            Capability.EIGHT_BIT_WEIGHTS: f"{_STRUCTURE}:litert_integer_weights",
            Capability.QUANTIZATION_PARAMETERS: f"{_INT8}.quantized:litert_parameters",
            Capability.RANGES: f"{_INT8}.ranges:litert_ranges",
            Capability.WEAK_SPOT: "conversion.backends.litert_file:smallest_scale",
        },
    ),
)
"""What converts or quantizes, in the order of reports; the reference comes first."""

STEPS = (
    Backend(
        "onnx-prepared",
        "conversion.quantization.onnx_prepared",
        (".onnx",),
        needs=("onnx-fp32",),
        packages=("onnx", "onnxruntime"),
    ),
    Backend(
        "onnx-places",
        "conversion.proof.taps.onnx_places",
        (".json",),
        needs=("onnx-prepared", "calibration"),
        packages=("onnx", "onnxruntime", "numpy"),
    ),
    Backend(
        "onnx-ranges",
        "conversion.quantization.onnx_ranges",
        (".json",),
        needs=("onnx-prepared", "calibration"),
        settings=("onnx.method",),
        packages=("onnx", "onnxruntime", "numpy"),
    ),
    Backend(
        "litert-places",
        "conversion.proof.taps.litert_places",
        (".tflite",),
        needs=("calibration",),
        settings=("litert",),
        packages=(*_TF, "ai-edge-litert"),
    ),
    Backend(
        "torch-ranges",
        "conversion.quantization.torch_ranges",
        (".json",),
        needs=("torch-fp32", "calibration"),
        settings=("torch",),
        packages=("torch", "numpy"),
    ),
)
"""What lies between backends: built and kept like an artifact, never run."""
