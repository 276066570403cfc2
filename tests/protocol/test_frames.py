"""Frames: what goes in comes out, and hostile bytes raise RemoteProtocolError and nothing else."""

from __future__ import annotations

import contextlib
import enum

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from latent_loom.protocol import frames, limits
from latent_loom.protocol.errors import LocalProtocolError, RemoteProtocolError, TooLargeToSend

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4), max_leaves=12
)
NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name not in frames.RESERVED)
ARRAYS = st.sampled_from(list(frames.DTYPES)).flatmap(
    lambda name: hnp.arrays(frames.DTYPES[name], hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.dictionaries(NAMES, ARRAYS, max_size=3))
def test_header_and_arrays_come_back_unchanged(header, arrays):
    got_header, got_arrays = frames.decode(frames.encode(header, arrays))
    assert got_header == header
    assert list(got_arrays) == list(arrays)
    for name, array in arrays.items():
        assert got_arrays[name].dtype == array.dtype and got_arrays[name].shape == array.shape
        assert got_arrays[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("order", ["F", "strided", "big-endian"])
def test_any_memory_order_travels_as_little_endian_c_order(order):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    variant = {
        "F": np.asfortranarray(array),
        "strided": np.repeat(array, 2, axis=1)[:, ::2],
        "big-endian": array.astype(">f4"),
    }
    raw = frames.encode({}, {"a": variant[order]})
    assert raw[2] == np.arange(12, dtype="<f4").tobytes()
    np.testing.assert_array_equal(frames.decode(raw)[1]["a"], array)


def test_the_sender_may_reuse_its_buffer_and_the_receiver_may_not_write():
    array = np.zeros(4, np.uint8)
    raw = frames.encode({}, {"a": array})
    array[:] = 7
    got = frames.decode(raw)[1]["a"]
    assert got.tolist() == [0, 0, 0, 0] and not got.flags.writeable


def test_a_long_list_of_files_travels_in_a_frame_of_its_own():
    header = {"type": "result", "id": 1, "value": {"files": ["x" * 90] * 2000}, "small": 1}
    raw = frames.encode(header, {"a": np.ones(2, np.uint8)})
    assert len(raw) == 4 and len(raw[1]) <= limits.MAX_HEADER_BYTES
    assert frames.decode(raw)[0] == header


@pytest.mark.parametrize(
    ("header", "arrays", "kind"),
    [
        ({"a": b"bytes"}, {}, LocalProtocolError),
        ({"a": {1: 2}}, {}, LocalProtocolError),
        ({"a": object()}, {}, LocalProtocolError),
        ({"a": 2**64}, {}, LocalProtocolError),
        ({"a": "\ud800"}, {}, LocalProtocolError),
        ({"arrays": []}, {}, LocalProtocolError),
        ({}, {"a": np.zeros(2)}, LocalProtocolError),
        ({}, {"a": np.array([object()])}, LocalProtocolError),
        ({}, {"a": [1, 2]}, LocalProtocolError),
        ({}, {"": np.zeros(2, np.uint8)}, LocalProtocolError),
        ({}, {"a": np.zeros((1,) * 7, np.uint8)}, LocalProtocolError),
        ({}, {str(n): np.zeros(1, np.uint8) for n in range(33)}, TooLargeToSend),
        ({"a": "x" * (limits.MAX_SPILLED_BYTES + 1)}, {}, TooLargeToSend),
        ({"type": "x" * limits.MAX_HEADER_BYTES}, {}, TooLargeToSend),
        ({}, {"a": np.zeros(limits.MAX_FRAME_BYTES + 1, np.uint8)}, TooLargeToSend),
    ],
)
def test_what_cannot_travel_is_our_own_error(header, arrays, kind):
    with pytest.raises(kind):
        frames.encode(header, arrays)


def test_nesting_deeper_than_the_limit_is_refused_on_both_sides():
    value = "leaf"
    for _ in range(limits.MAX_NESTING + 1):
        value = [value]
    with pytest.raises(LocalProtocolError, match="nested"):
        frames.encode({"a": value})
    with pytest.raises(RemoteProtocolError, match="nested"):
        frames.decode([limits.MAGIC, msgpack.packb({"a": value})])


MANY = {
    "a list": [0] * (limits.MAX_ITEMS + 1),
    "lists of nothing": [[[]] * 1000] * (limits.MAX_ITEMS // 1000),
    "maps of nothing": [[{}] * 1000] * (limits.MAX_ITEMS // 1000),
}


@pytest.mark.parametrize("name", MANY)
def test_more_values_than_the_limit_are_refused_on_both_sides(name):
    with pytest.raises(TooLargeToSend, match="split the request"):
        frames.encode({"value": MANY[name]})
    raw = msgpack.packb(MANY[name])
    header = msgpack.packb({"type": "x", "spilled": [{"name": "value", "bytes": len(raw)}]})
    with pytest.raises(RemoteProtocolError, match="not valid msgpack"):
        frames.decode([limits.MAGIC, header, raw])


def test_numpy_scalars_and_tuples_become_plain_values():
    header = {"a": np.float32(0.5), "b": np.int64(3), "c": (1, np.bool_(True)), "d": np.float64(2)}
    assert frames.decode(frames.encode(header))[0] == {"a": 0.5, "b": 3, "c": [1, True], "d": 2.0}


def test_members_of_enums_travel_as_their_values():
    header = {"a": enum.StrEnum("Kind", {"MOSS": "moss"}).MOSS, "b": [enum.IntEnum("Size", {"BIG": 3}).BIG]}
    assert frames.decode(frames.encode(header))[0] == {"a": "moss", "b": [3]}


def packed(**header):
    return msgpack.packb(header, use_bin_type=True)


def array(**changes):
    return {"name": "a", "dtype": "uint8", "shape": [2, 2], **changes}


HOSTILE = {
    "no frames": [],
    "only the magic": [limits.MAGIC],
    "another magic": [b"LOOM/2", packed()],
    "an empty header": [limits.MAGIC, b""],
    "bytes after the header": [limits.MAGIC, packed() + b"\x00"],
    "a header that ends early": [limits.MAGIC, b"\x81\xa1a"],
    "a list as header": [limits.MAGIC, msgpack.packb([1])],
    "a never used byte": [limits.MAGIC, b"\xc1"],
    "a number as key": [limits.MAGIC, b"\x81\x01\x01"],
    "bytes as key": [limits.MAGIC, msgpack.packb({b"a": 1}, use_bin_type=True)],
    "a list as key": [limits.MAGIC, b"\x81\x91\x01\x01"],
    "bytes as value": [limits.MAGIC, packed(a=b"x")],
    "an extension type": [limits.MAGIC, packed(a=msgpack.ExtType(5, b"x"))],
    "a timestamp": [limits.MAGIC, packed(a=msgpack.Timestamp(1, 1))],
    "text that is no UTF-8": [limits.MAGIC, b"\x81\xa1a\xa1\xff"],
    "a list that claims 4 billion items": [limits.MAGIC, b"\x81\xa1a\xdd\xff\xff\xff\xff"],
    "a text that claims 4 GB": [limits.MAGIC, b"\x81\xa1a\xdb\xff\xff\xff\xff"],
    "ten thousand nested lists": [limits.MAGIC, b"\x81\xa1a" + b"\x91" * 10_000 + b"\x00"],
    "a header over the limit": [limits.MAGIC, packed(a="x" * limits.MAX_HEADER_BYTES)],
    "arrays that are no list": [limits.MAGIC, packed(arrays={})],
    "an array that is no map": [limits.MAGIC, packed(arrays=[1]), b""],
    "a frame that nobody announced": [limits.MAGIC, packed(), b"x"],
    "a missing frame": [limits.MAGIC, packed(arrays=[array()])],
    "too few bytes": [limits.MAGIC, packed(arrays=[array()]), b"123"],
    "too many bytes": [limits.MAGIC, packed(arrays=[array()]), b"12345"],
    "a dtype of objects": [limits.MAGIC, packed(arrays=[array(dtype="O")]), b"1234"],
    "numpy's spelling of a dtype": [limits.MAGIC, packed(arrays=[array(dtype="|u1")]), b"1234"],
    "a list as dtype": [limits.MAGIC, packed(arrays=[array(dtype=["uint8"])]), b"1234"],
    "no dtype": [limits.MAGIC, packed(arrays=[{"name": "a", "shape": [4]}]), b"1234"],
    "a negative size": [limits.MAGIC, packed(arrays=[array(shape=[-2, -2])]), b"1234"],
    "a size that is true": [limits.MAGIC, packed(arrays=[array(shape=[True, 4])]), b"1234"],
    "a size that is a fraction": [limits.MAGIC, packed(arrays=[array(shape=[2.0, 2])]), b"1234"],
    "a size beyond any memory": [limits.MAGIC, packed(arrays=[array(shape=[2**60, 16])]), b""],
    "sizes that overflow to nothing": [limits.MAGIC, packed(arrays=[array(shape=[2**28] * 5 + [0])]), b""],
    "a shape that is a number": [limits.MAGIC, packed(arrays=[array(shape=4)]), b"1234"],
    "seven dimensions": [limits.MAGIC, packed(arrays=[array(shape=[1] * 7)]), b"1"],
    "one name twice": [limits.MAGIC, packed(arrays=[array(), array()]), b"1234", b"1234"],
    "a name that is a number": [limits.MAGIC, packed(arrays=[array(name=1)]), b"1234"],
    "thirty-three arrays": [limits.MAGIC, packed(arrays=[array(name=str(n)) for n in range(33)]), *[b"1234"] * 33],
    "a field that spills over another": [limits.MAGIC, packed(v=1, spilled=[{"name": "v", "bytes": 1}]), b"\x01"],
    "a spilled type": [limits.MAGIC, packed(spilled=[{"name": "type", "bytes": 1}]), b"\x01"],
    "a spilled field of another size": [limits.MAGIC, packed(spilled=[{"name": "v", "bytes": 2}]), b"\x01"],
    "a spilled field that is no msgpack": [limits.MAGIC, packed(spilled=[{"name": "v", "bytes": 1}]), b"\xc1"],
    "spilled fields over the limit": [
        limits.MAGIC,
        packed(spilled=[{"name": "v", "bytes": limits.MAX_SPILLED_BYTES + 1}]),
        bytes(limits.MAX_SPILLED_BYTES + 1),
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_frames_raise_the_remote_error(name):
    with pytest.raises(RemoteProtocolError):
        frames.decode(HOSTILE[name])


@given(st.lists(st.binary(max_size=64), max_size=5))
def test_random_bytes_raise_the_remote_error_or_are_a_message(raw):
    for candidate in (raw, [limits.MAGIC, *raw]):
        try:
            header, arrays = frames.decode(candidate)
        except RemoteProtocolError:
            continue
        assert isinstance(header, dict) and isinstance(arrays, dict)


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.dictionaries(NAMES, ARRAYS, max_size=2), st.data())
def test_a_message_with_one_flipped_byte_raises_the_remote_error_or_is_a_message(header, arrays, data):
    raw = frames.encode(header, arrays)
    which = data.draw(st.integers(0, len(raw) - 1).filter(lambda n: raw[n]))
    at = data.draw(st.integers(0, len(raw[which]) - 1))
    flipped = bytearray(raw[which])
    flipped[at] ^= data.draw(st.integers(1, 255))
    raw[which] = bytes(flipped)
    with contextlib.suppress(RemoteProtocolError):
        frames.decode(raw)
