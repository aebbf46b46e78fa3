"""TensorFlow to int8: whether LiteRT runs what TensorFlow alone makes of a model.

`litert_stops.py MODEL.keras IMAGES.npy`. A layer whose values are 0 on every calibration image gets
a scale next to 0, by which LiteRT cannot multiply: it stops, or ends the process. It says what the
smallest scale is and, last, how an image ended: `runs`, `stops` or `ends the process`. Nothing of
the package is imported.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

RUN = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

found = Interpreter(model_path=sys.argv[1])
found.allocate_tensors()
(port,) = found.get_input_details()
found.set_tensor(port["index"], np.load(sys.argv[2])[:1].astype(np.float32))
found.invoke()
"""


def converted(path, images):
    import keras
    import tensorflow as tf

    model = keras.models.load_model(path, compile=False)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in images)
    return converter.convert()


def smallest_scale(content):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    details = Interpreter(
        model_content=content, experimental_op_resolver_type=plain
    ).get_tensor_details()
    known = [(each["quantization"][0], each["name"]) for each in details]
    return min((scale, name) for scale, name in known if scale)


if __name__ == "__main__":
    import numpy as np

    path, data = sys.argv[1:]
    content = converted(path, np.load(data).astype(np.float32))
    print("the smallest scale is {:.3g}, of {}".format(*smallest_scale(content)))
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "model.tflite"
        file.write_bytes(content)
        ran = subprocess.run(
            [sys.executable, "-c", RUN, file, data], capture_output=True, text=True
        )
    print(ran.stderr.strip().splitlines()[-1] if ran.returncode else "")
    print("runs" if not ran.returncode else "stops" if ran.returncode > 0 else "ends the process")
