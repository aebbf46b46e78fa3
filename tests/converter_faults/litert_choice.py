"""TensorFlow 2.21 to int8: activations that choose cut off what they read, and are wrong.

Keras's `predict` beside LiteRT, and nothing of the package: run it as it is. It says how far the
int8 output lies from Keras's, as a part of its spread: of a plain ReLU, of `celu`, and of a ReLU
with a slope and a threshold.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

given = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32)
for words, activation in (
    ("relu", keras.layers.ReLU()),
    ("celu", keras.layers.Activation("celu")),
    ("slope and threshold", keras.layers.ReLU(negative_slope=0.5, threshold=0.25)),
):
    keras.utils.set_random_seed(0)
    image = keras.Input(given.shape[1:])
    made = keras.Model(image, activation(keras.layers.Conv2D(4, 3)(image)))
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in given)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = Interpreter(model_content=converter.convert())
    port = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(port, given.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(port, given)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    exact = made.predict(given, verbose=0)
    print(f"{words}: off by {np.sqrt(np.mean((found - exact) ** 2)) / exact.std():.3f}")
