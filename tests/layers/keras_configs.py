"""Configurations of small Keras models, as Keras itself serializes them, from a few words."""

import numpy as np


def layer(kind, name="it", **settings):
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}


def entry(shape, name="input"):
    return layer("InputLayer", name, batch_shape=[None, *shape], dtype="float32")


def sequential(shape, *layers):
    config = {"name": "small", "layers": [entry(shape), *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config}


def functional(inputs, calls, outputs):
    """`inputs` are names to shapes, `calls` are pairs of a layer and the names that it reads."""
    nodes = [{**entry(inputs[name], name), "name": name, "inbound_nodes": []} for name in inputs]
    for made, sources in calls:
        read = [_tensor(source) for source in sources]
        node = {"args": [read if len(read) > 1 else read[0]], "kwargs": {}}
        nodes.append({**made, "name": made["config"]["name"], "inbound_nodes": [node]})
    config = {
        "name": "small",
        "layers": nodes,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return {"module": "keras", "class_name": "Model", "config": config}


def _tensor(source):
    config = {"shape": [None], "dtype": "float32", "keras_history": [source, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def images(shape, seed=0, count=4, mean=3.0, spread=2.0):
    """Random values that lie on both sides of 0 but are centred far from it."""
    random = np.random.default_rng(seed)
    return random.normal(mean, spread, (count, *shape)).astype(np.float32)
