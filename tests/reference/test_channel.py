"""What one side of the channel sends, the other receives: values, dtypes, shapes and bytes."""

import os
import threading
from multiprocessing import Pipe

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conversion.core.channel import Message, receive, send

DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?"),
    hnp.complex_number_dtypes(endianness="?"),
    hnp.byte_string_dtypes(min_len=1),
    hnp.unicode_string_dtypes(min_len=1),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def travelled(message):
    ours, theirs = Pipe()
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, message))
        sender.start()
        found = receive(theirs)
        sender.join()
    return found


@settings(max_examples=30)
@given(
    st.dictionaries(st.text(), PLAIN, max_size=4), st.dictionaries(st.text(), ARRAYS, max_size=4)
)
def test_a_message_arrives_as_it_was_sent(values, arrays):
    found = travelled(Message(values, arrays))
    assert found.values == values
    assert list(found.arrays) == list(arrays)
    for name, array in arrays.items():
        arrived = found.arrays[name]
        assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
        assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.float32(3.5) * np.ones(()),
        np.zeros((0, 3), np.float32),
        np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10)[::-3],
        np.array([np.nan, np.inf, -0.0, 5e-324]),
    ],
    ids=["0-d", "empty", "transposed", "strided", "odd numbers"],
)
def test_awkward_arrays_arrive(array):
    arrived = travelled(Message({}, {"a": array})).arrays["a"]
    assert (arrived.shape, arrived.dtype) == (array.shape, array.dtype)
    assert arrived.tobytes() == array.tobytes()


def test_several_megabytes_arrive():
    array = np.random.RandomState(0).normal(size=(3, 1 << 20)).astype(np.float32)
    arrived = travelled(Message({}, {"a": array, "b": array[::2]})).arrays
    assert arrived["a"].tobytes() == array.tobytes()
    assert arrived["b"].tobytes() == array[::2].tobytes()


@pytest.mark.parametrize(
    "array",
    [np.array([object()]), np.zeros(2, [("a", np.int8)])],
    ids=["objects", "records"],
)
def test_what_has_no_plain_bytes_is_refused_before_anything_is_sent(array):
    ours, theirs = Pipe()
    with ours, theirs:
        with pytest.raises(TypeError, match=r"'b' of dtype .* cannot travel"):
            send(ours, Message({}, {"a": np.ones(2), "b": array}))
        assert not theirs.poll()


def test_nothing_that_runs_code_is_read():
    ours, theirs = Pipe()
    with ours, theirs:
        ours.send(os.getcwd)  # a pickle
        with pytest.raises(ValueError, match=r"codec can't decode|Expecting value"):
            receive(theirs)


def test_the_end_of_the_other_side_is_an_end_of_file():
    ours, theirs = Pipe()
    ours.close()
    with theirs, pytest.raises(EOFError):
        receive(theirs)
