"""Faults of int8 files, calibration and measurement are there once injected, and nowhere else."""

import numpy as np
import pytest
from first_faults import first_faults

GROUPS = ("onnx", "torch", "calibration", "ranges", "measurement")
FILES = GROUPS[:2]
"""The int8 files themselves, by how their names begin."""
IMAGES = 8


@pytest.fixture(scope="module")
def good(workspaces):
    return workspaces("embedded")


def faults(group):
    from conversion.proof.faults import all_faults

    if group == "measurement":
        return [fault for fault in all_faults() if fault.stage == group]
    if group in FILES:
        name = f"{group}-int8"
        return [f for f in all_faults() if (f.stage, f.artifact) == ("quantization", name)]
    return [fault for fault in all_faults() if fault.name.startswith(f"{group}-")]


def others(group):
    """The faults of a group but those that are caught each day, and so injected, by test_faults."""
    caught = {fault.name for fault in first_faults()}
    return [fault for fault in faults(group) if fault.name not in caught]


def run(workspace, name):
    """Whether the artifact opens and runs, by its outputs on a few images."""
    images = {key: array[:IMAGES] for key, array in workspace.parity_inputs.items()}
    (found,) = workspace.runner(name).run(images).values()
    assert found.shape == (IMAGES, 10)
    assert np.isfinite(found).all()
    return found


def stored(artifact):
    """What a file holds, however it is written down: values, and what an operator reads."""
    if artifact.path.suffix == ".pt":
        return of_state(artifact)
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(artifact.path).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    values = {name: (array.dtype.str, array.tobytes()) for name, array in arrays.items()}
    return {
        each.output[0]: (
            [values.get(name) for name in each.input],
            [attribute.i for attribute in each.attribute if attribute.name == "axis"],
        )
        for each in graph.node
    }


def of_state(artifact):
    from conversion.backends import torch_file

    content = torch_file.load(artifact.path, artifact.name)["state_dict"]
    found = {}
    for name, entry in content.items():
        for index, part in enumerate(entry if isinstance(entry, tuple) else (entry,)):
            found[name, index] = plain(part)
    return found


def plain(part):
    import torch

    if not isinstance(part, torch.Tensor):
        return str(part)
    if part.is_quantized:
        return part.int_repr().numpy().tobytes(), part.q_per_channel_scales().tolist()
    return part.detach().numpy().tobytes()


def images_of(workspace):
    return np.load(workspace.artifact("calibration").path)


@pytest.mark.parametrize("group", GROUPS)
def test_every_fault_says_what_it_is_in_words_of_its_own(group):
    from conversion.backends import BACKENDS
    from conversion.proof.faults.fault import STAGES

    for fault in faults(group):
        assert fault.name == fault.name.lower().replace(" ", "-")
        assert fault.stage in STAGES
        assert fault.artifact in BACKENDS
        assert all((fault.magnitude, fault.check, fault.where))


def test_there_are_many_and_no_name_is_used_twice():
    names = [fault.name for group in GROUPS for fault in faults(group)]
    assert len(names) == len(set(names))
    assert len(names) >= 70


@pytest.mark.parametrize("group", FILES)
def test_an_injected_file_holds_something_else_and_still_runs(group, good, tmp_path, subtests):
    for index, fault in enumerate(others(group)):
        before = good.artifact(fault.artifact)
        with subtests.test(fault.name):
            injected = fault.inject(good, folder(tmp_path, index))
            after = injected.artifact(fault.artifact)
            assert after.digest != before.digest
            assert after.provenance["source"] == good.spec.digest
            same = injected.settings == good.settings
            other = good if same else good.with_settings(injected.settings)
            assert stored(after) != stored(other.artifact(fault.artifact))
            run(injected, fault.artifact)


def folder(tmp_path, index):
    made = tmp_path / str(index)
    made.mkdir()
    return made


@pytest.mark.parametrize("group", [*FILES, "ranges"])
def test_the_smallest_size_of_a_fault_still_changes_something(group, good, tmp_path, subtests):
    sized = [fault for fault in faults(group) if fault.sizes and "chunk" not in fault.name]
    assert sized
    for index, fault in enumerate(sized):
        with subtests.test(fault.name):
            assert list(fault.sizes) == sorted(fault.sizes, reverse=True)
            injected = fault.resized(fault.sizes[-1])(good, folder(tmp_path, index))
            name = fault.artifact
            if group == "ranges":
                name = name.replace("int8", "ranges")
                assert injected.artifact(name).digest != good.artifact(name).digest
            else:
                assert stored(injected.artifact(name)) != stored(good.artifact(name))


def test_an_injected_calibration_set_holds_other_images(good, tmp_path, subtests):
    before = images_of(good)
    for index, fault in enumerate(faults("calibration")):
        with subtests.test(fault.name):
            injected = fault.inject(good, folder(tmp_path, index))
            after = images_of(injected)
            assert after.shape[1:] == before.shape[1:]
            assert not np.array_equal(after, before)
            notes = injected.artifact("calibration").provenance
            assert notes["content"] != good.artifact("calibration").provenance["content"]
            for step in ("onnx-ranges", "onnx-int8", "torch-ranges", "torch-int8"):
                assert step in injected.artifacts.derived  # and so rebuilt from these images


@pytest.mark.parametrize("name", ["calibration-on-ten-images", "calibration-in-bgr"])
def test_int8_files_are_made_from_the_injected_images(name, good, tmp_path):
    (fault,) = (each for each in faults("calibration") if each.name == name)
    injected = fault.inject(good, tmp_path)
    ranges = fault.artifact.replace("int8", "ranges")
    before, after = (each.artifact(ranges).provenance["ranges"] for each in (good, injected))
    assert set(before) == set(after)
    assert before != after
    assert stored(injected.artifact(fault.artifact)) != stored(good.artifact(fault.artifact))
    run(injected, fault.artifact)


def test_the_size_of_a_calibration_fault_is_the_number_of_other_images(good, tmp_path):
    by_name = {fault.name: fault for fault in faults("calibration")}
    kept = images_of(
        by_name["calibration-with-chunks-lost"].resized(0.1)(good, folder(tmp_path, 0))
    )
    assert len(kept) == 900
    leaked = images_of(by_name["calibration-on-test-images"].resized(10)(good, folder(tmp_path, 1)))
    assert np.array_equal(leaked[-10:], good.test.images[:10])
    assert np.array_equal(leaked[:-10], images_of(good)[:-10])
    fewer = by_name["calibration-on-one-class"].resized(2)(good, folder(tmp_path, 2))
    counts = fewer.artifact("calibration").provenance["classes"]
    assert [count > 0 for count in counts] == [True] * 8


def test_injected_ranges_are_other_ranges_and_int8_files_are_made_from_them(
    good, tmp_path, subtests
):
    for index, fault in enumerate(others("ranges")):
        name = fault.artifact.replace("int8", "ranges")
        with subtests.test(fault.name):
            injected = fault.inject(good, folder(tmp_path, index))
            before, after = good.artifact(name), injected.artifact(name)
            assert after.digest != before.digest
            assert set(after.provenance["ranges"]) == set(before.provenance["ranges"])
            assert after.provenance["ranges"] != before.provenance["ranges"]
            assert after.provenance["calibration"] == before.provenance["calibration"]
            assert stored(injected.artifact(fault.artifact)) != stored(
                good.artifact(fault.artifact)
            )
            run(injected, fault.artifact)


def test_a_fault_of_the_measurement_changes_what_is_measured(good, tmp_path, subtests):
    for index, fault in enumerate(others("measurement")):
        with subtests.test(fault.name):
            injected = fault.inject(good, folder(tmp_path, index))
            assert measured(injected, fault.artifact) != measured(good, fault.artifact)
            run(injected, fault.artifact)


def measured(workspace, name):
    """What a measurement rests on: a file, two calls of it, outputs, images, labels, what ships."""
    two = [run(workspace, name).tobytes() for _ in range(2)] if name != "keras-fp32" else []
    few = workspace.outputs(name).arrays["dense"]
    test = workspace.subject.test
    file = workspace.artifact(name).path.read_bytes()
    shipped = workspace.subject.shipped
    ships = None if shipped is None else shipped.shipped.images[:IMAGES].tobytes()
    return file, two, few.tobytes(), test.images[:IMAGES].tobytes(), test.labels.tobytes(), ships


def test_planting_leaves_the_good_workspace_as_it_was(good, tmp_path, subtests):
    before = snapshot(good)
    for number, group in enumerate(GROUPS):
        for index, fault in enumerate(faults(group)):
            if fault.name.startswith("ranges-"):  # injected above; the slow ones
                continue
            with subtests.test(fault.name):
                fault.inject(good, folder(tmp_path, f"{number}-{index}"))
    assert snapshot(good) == before


def snapshot(workspace):
    from conversion.core import digest

    names = ("onnx-int8", "torch-int8", "calibration", "onnx-ranges", "torch-ranges", "onnx-fp32")
    files = {name: digest.of_file(workspace.artifact(name).path) for name in names}
    runs = {name: run(workspace, name).tobytes() for name in ("onnx-int8", "torch-int8")}
    data = (workspace.test.labels.tobytes(), workspace.subject.test.digest)
    return files, runs, data, workspace.outputs("onnx-int8").digest


def test_as_deployed_a_wrong_channel_axis_changes_no_output(good, tmp_path):
    (fault,) = (each for each in faults("onnx") if each.name == "onnx-qdq-channel-axis-wrong")
    injected = fault.inject(good, tmp_path)
    sound = good.with_settings(injected.settings)
    assert run(injected, "onnx-int8").tobytes() == run(sound, "onnx-int8").tobytes()
