"""TensorFlow to int8: which tensors of a model it cuts off on the images that it was calibrated on.

`litert_cut_ranges.py MODEL.keras IMAGES.npy`. The model is converted to float and to int8, both by
TensorFlow alone, and nothing of the package is imported. A line for each tensor that both files
have: what the int8 one can hold, what the float one gives for the images, and who reads it.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

STEPS = 2.0
"""Steps of the int8 file by which a value must lie beyond its range."""


def converted(model, images, integers):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if integers:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([each[None]] for each in images)
    return Interpreter(
        model_content=converter.convert(),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


def ranges(interpreter, images):
    """Tensor to its lowest and highest value over the images."""
    port, found = interpreter.get_input_details()[0]["index"], {}
    interpreter.allocate_tensors()
    for image in images:
        interpreter.set_tensor(port, image[None])
        interpreter.invoke()
        for each in interpreter.get_tensor_details():
            try:
                value = interpreter.get_tensor(each["index"])
            except ValueError:  # it has no values of its own
                continue
            if value.dtype == np.float32 and value.size:
                known = found.get(each["name"], (np.inf, -np.inf))
                found[each["name"]] = (min(known[0], value.min()), max(known[1], value.max()))
    return found


def cut_off(model, images):
    """Name, range in int8, range of the values, and readers of every tensor that is cut off."""
    given = ranges(converted(model, images, integers=False), images)
    file = converted(model, images, integers=True)
    read = {}
    for step in file._get_ops_details():
        for index in step["inputs"]:
            read.setdefault(index, []).append(step["op_name"])
    for each in file.get_tensor_details():
        scale, zero = each["quantization"]
        if each["dtype"] is np.int8 and scale and each["name"] in given and each["index"] in read:
            held = ((-128 - zero) * scale, (127 - zero) * scale)
            low, high = given[each["name"]]
            if low < held[0] - STEPS * scale or high > held[1] + STEPS * scale:
                yield each["name"], held, (low, high), read[each["index"]]


if __name__ == "__main__":
    path, data = sys.argv[1:]
    network = keras.models.load_model(path, compile=False)
    for name, held, values, readers in cut_off(network, np.load(data).astype(np.float32)):
        print(f"{name[-60:]}: int8 holds [{held[0]:.4g}, {held[1]:.4g}], the images give ", end="")
        print(f"[{values[0]:.4g}, {values[1]:.4g}]; read by {', '.join(readers)}")
