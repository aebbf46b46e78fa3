"""Calibration sets, ranges, and the static quantizers of ONNX Runtime and PyTorch."""
