"""A file that names anything which can carry code is refused by the reader."""

import legacy_files as files
import pytest
from refused_files import refusal

from conversion.readers import read_spec

CODE = "4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAACXAHwAUwA=\n"
LAMBDA = {"class_name": "__lambda__", "config": {"code": CODE, "defaults": None, "closure": None}}
NAMED = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
BUILTIN = {"module": "builtins", "class_name": "function", "config": "exec"}
REGISTERED = {"module": None, "class_name": "Mine", "config": {}, "registered_name": "pack>Mine"}
FOREIGN = {"module": "mine.layers", "class_name": "Mine", "config": {}, "registered_name": "Mine"}
NUMPY = {"module": "numpy.testing", "class_name": "Tester", "config": {}}
LOOKALIKE = {"module": "keras_addon.layers", "class_name": "Dense", "config": {}}

LAYERS = {
    "lambda-keras3": ("Lambda", {"function": LAMBDA, "arguments": {}}),
    "lambda-keras2": ("Lambda", {"function": [CODE, None, None], "function_type": "lambda"}),
    "lambda-named": ("Lambda", {"function": NAMED}),
    "lambda-bare": ("Lambda", {}),
    "op-lambda": ("TFOpLambda", {"function": "math.add"}),
    "slicing-lambda": ("SlicingOpLambda", {"function": "__operators__.getitem"}),
    "tensorflow-op": ("TensorFlowOpLayer", {"node_def": "x", "constants": {}}),
    "saved-model": ("TFSMLayer", {"filepath": "folder"}),
    "torch": ("TorchModuleWrapper", {"module": "UEsDBA=="}),
    "jax": ("JaxLayer", {"call_fn": LAMBDA}),
    "flax": ("FlaxLayer", {"module": "x"}),
    "registered-keras2": ("pack>Mine", {}),
}
PLACES = {
    "activation": ("dense", "activation"),
    "initializer": ("conv", "kernel_initializer"),
    "regularizer": ("conv", "activity_regularizer"),
    "constraint": ("dense", "bias_constraint"),
    "dtype": ("norm", "dtype"),
    "unknown-setting": ("flatten", "more"),
}
OBJECTS = {
    "lambda": LAMBDA,
    "function": NAMED,
    "builtin": BUILTIN,
    "registered": REGISTERED,
    "foreign": FOREIGN,
    "numpy": NUMPY,
    "lookalike": LOOKALIKE,
    "layer": {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "hidden"}},
    "type": {"class_name": "__typespec__", "spec_name": "x", "module": "os"},
    "method": {"class_name": "InstanceMethod", "config": {}},
}


def by_id(known):
    return pytest.mark.parametrize("what", known.values(), ids=list(known))


def entry(config, name):
    return next(each for each in config["config"]["layers"] if each["config"]["name"] == name)


@pytest.fixture(params=["functional", "sequential"])
def config(request):
    return getattr(files, request.param)(files.small())


@by_id(LAYERS)
def test_layer_with_code_is_refused_by_name(path, config, what):
    kind, settings = what
    entry(config, "flatten")["class_name"] = kind
    entry(config, "flatten")["config"].update(settings)
    sentence = refusal(files.write(path, files.small(), config))
    assert f"layer 'flatten' uses '{kind}'" in sentence.replace("the custom class ", "")
    assert "code" in sentence


@pytest.mark.parametrize("place", PLACES.values(), ids=list(PLACES))
@by_id(OBJECTS)
def test_code_in_a_setting_is_refused(path, config, place, what):
    layer, setting = place
    entry(config, layer)["config"][setting] = what
    sentence = refusal(files.write(path, files.small(), config))
    assert what["class_name"] in sentence
    assert "code" in sentence


def test_lambda_inside_a_wrapper_is_refused(path, config):
    inner = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": LAMBDA}}
    entry(config, "flatten")["class_name"] = "TimeDistributed"
    entry(config, "flatten")["config"]["layer"] = inner
    assert "'Lambda', which can carry code" in refusal(files.write(path, files.small(), config))


def test_lambda_inside_a_nested_model_is_refused(path, config):
    inner = files.sequential(files.small())
    inner["config"]["layers"][2] = {"class_name": "Lambda", "config": {"name": "inner"}}
    entry(config, "flatten").update(inner)
    sentence = refusal(files.write(path, files.small(), config))
    assert "layer 'inner' uses 'Lambda'" in sentence


def test_lambda_deep_inside_lists_is_refused(path, config):
    deep = LAMBDA
    for _ in range(400):
        deep = [deep]
    entry(config, "flatten")["config"]["more"] = deep
    assert "'__lambda__'" in refusal(files.write(path, files.small(), config))


def test_lambda_among_call_arguments_is_refused(path):
    config = files.functional(files.small())
    entry(config, "norm")["inbound_nodes"][0]["kwargs"] = {"mask": LAMBDA}
    assert "'__lambda__'" in refusal(files.write(path, files.small(), config))


def test_lambda_written_as_bare_code_for_an_activation_is_refused(path, config):
    entry(config, "dense")["config"]["activation"] = {"value": [CODE, None, None]}
    assert "'dense'" in refusal(files.write(path, files.small(), config))


@pytest.mark.parametrize("changes", [{"class_name": "pack>Model"}, {"module": "mine"}])
def test_custom_model_class_is_refused(path, config, changes):
    assert "custom class" in refusal(files.write(path, files.small(), config | changes))


@pytest.mark.parametrize("what", ["keras", "keras.layers", "keras.src.models.functional", None])
def test_keras_s_own_modules_are_read(path, config, what):
    policy = {"module": what, "class_name": "DTypePolicy", "config": {"name": "float32"}}
    entry(config, "dense")["config"]["dtype"] = policy
    read_spec(files.write(path, files.small(), config))
