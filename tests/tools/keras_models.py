"""The one builder of test models: Keras saves a described model with weights drawn from a seed."""


def save_model(reference, path, config, seed=0):
    """Build it in the Keras process; the path's ending is the format."""
    values = {"config": config, "seed": seed, "path": str(path)}
    reference.call("tools.keras_jobs:build", values)
    return path
