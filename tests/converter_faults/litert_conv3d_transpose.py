"""TensorFlow 2.21 to int8: it calibrates a Conv3DTranspose of an even kernel on other sums.

Keras's `predict` beside the range that the file states, and nothing of the package: run it as it
is. It says how far that range is off, as a part of Keras's, for an odd kernel and an even one.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

given = np.random.default_rng(0).normal(size=(48, 2, 3, 2, 12)).astype(np.float32)
for words, kernel in (("odd kernel", (3, 3, 1)), ("even kernel", (3, 2, 1))):
    keras.utils.set_random_seed(0)
    image = keras.Input(given.shape[1:])
    spread = keras.initializers.RandomNormal(stddev=0.4)
    settings = {"padding": "same", "kernel_initializer": spread}
    made = keras.Model(image, keras.layers.Conv3DTranspose(12, kernel, **settings)(image))
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in given)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_output_type = tf.int8
    interpreter = Interpreter(model_content=converter.convert())
    scale, zero = interpreter.get_output_details()[0]["quantization"]
    exact = made.predict(given, verbose=0)
    print(f"{words}: off by {abs(255 * scale / np.ptp(exact) - 1):.3f}")
