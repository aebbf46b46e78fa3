"""TensorFlow 2.21 to int8: what an adaptive average pooling reads is cut off at its means.

Keras's `predict` beside LiteRT, and nothing of the package: run it as it is. It says how far the
int8 outputs lie from Keras's, of a convolution that is pooled into means whose windows are alike
and whose windows are not: the converter concatenates such means, and all that is concatenated has
one scale with what it is pooled from.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


def model(size):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    shared = keras.layers.Conv2D(4, 3, padding="same")(image)
    if size == 6:
        pooled = keras.layers.AveragePooling2D(2, strides=1)(shared)
    else:
        pooled = keras.layers.AdaptiveAveragePooling2D((size, size))(shared)
    return keras.Model(image, keras.layers.Dense(3)(pooled))


def int8(made, images):
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in images)
    interpreter = Interpreter(model_content=converter.convert())
    port = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(port, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(port, images)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


given = np.random.default_rng(0).normal(size=(64, 6, 6, 3)).astype(np.float32)
for words, size in (("average pooling", 6), ("adaptive average pooling", 4)):
    made = model(size)
    exact = made.predict(given, verbose=0)
    off = np.sqrt(np.mean((int8(made, given) - exact) ** 2)) / exact.std()
    print(f"{words}: off by {off:.3f}")
