"""The Keras model itself, run by TensorFlow in a long-lived process of its own."""

from conversion.reference.client import KerasModel, Reference

__all__ = ["KerasModel", "Reference"]
