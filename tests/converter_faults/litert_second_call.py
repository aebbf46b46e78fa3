"""LiteRT under XNNPACK: an interpreter that is asked again may give the same images other outputs.

`litert_second_call.py MODEL.keras IMAGES.npy`: Keras's `predict` beside LiteRT, and nothing of the
package. It says how far the outputs of first calls and of later ones lie from Keras's, as a part of
their spread, with and without XNNPACK. What a later call gives depends on what lies in memory, so
many interpreters are asked, for many sizes of batch.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

SIZES, INTERPRETERS, CALLS = (2, 7, 16, 28, 48), 8, 3


def calls(content, images, resolver):
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=resolver, num_threads=1
    )
    port = interpreter.get_input_details()[0]["index"]
    end = interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(port, images.shape)
    interpreter.allocate_tensors()
    for _ in range(CALLS):
        interpreter.set_tensor(port, images)
        interpreter.invoke()
        yield interpreter.get_tensor(end)


model = keras.saving.load_model(sys.argv[1], compile=False)
given = np.load(sys.argv[2]).astype(np.float32)
exact = model.predict(given, verbose=0)
made = tf.lite.TFLiteConverter.from_keras_model(model).convert()
for words, resolver in (
    ("under XNNPACK", OpResolverType.AUTO),
    ("without it", OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES),
):
    first, later = [], []
    for size in SIZES * INTERPRETERS:
        found = calls(made, given[:size], resolver)
        off = [np.abs(each - exact[:size]).max() / exact.std() for each in found]
        first, later = [*first, off[0]], [*later, *off[1:]]
    print(f"{words}, first calls: off by {max(first):.2g}")
    print(f"{words}, later calls: off by {max(later):.2g}")
