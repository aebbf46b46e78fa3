"""TensorFlow 2.21 to int8: what a minimum reads is cut off at its result, for other readers too.

Keras's `predict` beside LiteRT, and nothing of the package: run it as it is. It says how far the
int8 output lies from Keras's, of a convolution that reads what a minimum reads too, and without
the minimum.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter


def model(with_minimum):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 3, padding="same")(image)
    found = [keras.layers.Conv2D(4, 1, name="reader")(shared)]
    if with_minimum:
        lower = keras.layers.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(-8.0))
        found.append(keras.layers.Minimum()([lower(image), shared]))
    return keras.Model(image, found)


def int8(made, images):
    converter = tf.lite.TFLiteConverter.from_keras_model(made)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    interpreter = Interpreter(model_content=converter.convert())
    port = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(port, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(port, images)
    interpreter.invoke()
    return [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]


given = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32)
for with_minimum in (False, True):
    made = model(with_minimum)
    exact = made.get_layer("reader").output
    exact = keras.Model(made.inputs, exact).predict(given, verbose=0)
    # the outputs may come in another order: the reader's is the one that is nearest
    off = min(np.sqrt(np.mean((each - exact) ** 2)) for each in int8(made, given))
    print(f"{'with' if with_minimum else 'without'} minimum: off by {off / exact.std():.3f}")
