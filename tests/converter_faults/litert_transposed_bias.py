"""TensorFlow 2.21 to LiteRT: the 3 of a hard sigmoid becomes a bias of one number, which stops.

TensorFlow's converter beside LiteRT, and nothing of the package: run it as it is. It says whether a
transposed convolution without a bias runs, with a hard sigmoid behind it and without.
"""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

for activation in ("linear", "hard_sigmoid"):
    layer = keras.layers.Conv2DTranspose(4, 3, use_bias=False, activation=activation)
    model = keras.Sequential([keras.Input((6, 6, 3)), layer])
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    try:
        interpreter = Interpreter(model_content=content)
        port = interpreter.get_input_details()[0]["index"]
        interpreter.allocate_tensors()
        interpreter.set_tensor(port, np.ones((1, 6, 6, 3), np.float32))
        interpreter.invoke()
        print(f"{activation}: runs")
    except RuntimeError as error:
        print(f"{activation}: stops, {' '.join(str(error).split())[:120]}")
