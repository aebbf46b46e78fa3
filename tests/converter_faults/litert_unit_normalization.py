"""LiteRT under XNNPACK gives no number where a UnitNormalization reads zeros; Keras gives zeros.

Keras's `predict` beside LiteRT, and nothing of the package: run it as it is. It says how far
LiteRT is off for rows of zeros and for others.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

row = keras.Input((4,))
made = keras.Model(row, keras.layers.UnitNormalization()(row))
interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(made).convert())
for words, given in (
    ("others", np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)),
    ("zeros", np.zeros((1, 4), np.float32)),
):
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    print(f"{words}: off by {np.abs(found - made.predict(given, verbose=0)).max():.3g}")
