"""Files that are damaged, or claim more than they hold: refused in a sentence, before memory is taken for the claim."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from unittest import mock

import numpy as np
import pytest
import torch
from latent_loom.stylegan2.checkpoints import export_rosinality, import_checkpoint, save_generator
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import (
    CheckpointError,
    CorruptTensors,
    ForeignCheckpoint,
    TruncatedCheckpoint,
    UnsafeCheckpoint,
    UnsupportedArchitecture,
)
from latent_loom.stylegan2.networks import Generator

HUGE = 2**40


# ---- tensors that are larger than their data ------------------------------------------------------------------------


def torch_zip(pickle_bytes: bytes, storages: dict[str, bytes], **options) -> bytes:
    """A zip as `torch.save` writes it, with whatever is asked for inside."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        archive.writestr("x/data.pkl", pickle_bytes)
        for key, data in storages.items():
            archive.writestr(f"x/data/{key}", data)
    return out.getvalue()


class Named:
    """Pickles as a global, whether or not it exists."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Pickler(pickle._Pickler):  # the one in Python: its dispatch can be extended
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Named):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Tensor):
            self.save(Named("torch._utils", "_rebuild_tensor_v2"))
            self.write(b"((")
            for part in ("storage", Named("torch", obj.kind), "0", "cpu", obj.count):
                self.save(part)
            self.write(b"tQ")
            for part in (obj.offset, obj.size, obj.stride, False, OrderedDict()):
                self.save(part)
            self.write(b"tR")
        else:
            super().save(obj, save_persistent_id)


class Tensor:
    """A tensor record with any numbers in it."""

    def __init__(self, *, count=9, offset=0, size=(3, 3), stride=(3, 1), kind="FloatStorage") -> None:
        self.count, self.offset, self.size, self.stride, self.kind = count, offset, size, stride, kind


def dumped(value) -> bytes:
    out = io.BytesIO()
    Pickler(out, protocol=2).dump(value)
    return out.getvalue()


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(size=(HUGE, HUGE), stride=(0, 0)),
        Tensor(size=(HUGE,), stride=(1,)),
        Tensor(size=(4, 4)),
        Tensor(offset=1),
        Tensor(offset=-1),
        Tensor(offset=HUGE),
        Tensor(size=(3, 3), stride=(HUGE, 1)),
        Tensor(size=(3, 3), stride=(-1, 1)),
        Tensor(size=(-3, -3)),
        Tensor(size=(3,), stride=(1, 1)),
        Tensor(size=(3.0, 3)),
        Tensor(size="ab", stride="ab"),
        Tensor(size=(True, 3)),
        Tensor(size=(1,) * 100, stride=(1,) * 100),
        Tensor(size=None),
    ],
    ids=lambda t: f"{t.size} {t.stride} {t.offset}"[:40],
)
def test_a_tensor_beyond_its_storage_is_refused(refused, tensor):
    content = torch_zip(dumped({"g_ema": {"input.input": tensor}}), {"0": bytes(36)})
    assert "A tensor of the file" in refused(content, CorruptTensors)


@pytest.mark.parametrize(
    ("tensor", "data"),
    [
        (Tensor(count=HUGE), bytes(36)),
        (Tensor(count=10), bytes(36)),
        (Tensor(count=-1), bytes(36)),
        (Tensor(count="9"), bytes(36)),
        (Tensor(kind="QInt8Storage"), bytes(36)),
        (Tensor(kind="DoubleStorage"), bytes(36)),
    ],
)
def test_a_storage_of_another_size_than_its_data_is_refused(refused, tensor, data):
    refused(torch_zip(dumped({"g_ema": {"a": tensor}}), {"0": data}))


def test_a_zip_bomb_is_not_unpacked(refused):
    deflated = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 9}
    tensor = Tensor(count=2**26, size=(2**26,), stride=(1,))
    bomb = torch_zip(dumped({"g_ema": {"a": tensor}}), {"0": bytes(2**28)}, **deflated)
    assert len(bomb) < 2**19
    assert "was not unpacked" in refused(bomb, UnsafeCheckpoint)


def test_zip_entries_that_overlap_or_lie_about_their_size_are_refused(refused):
    good = bytearray(torch_zip(dumped({"g_ema": {}}), {"0": bytes(36)}))
    at = good.index(b"PK\x01\x02")  # the directory's first entry: data.pkl
    for offset in (20, 24):  # compressed and real size
        bad = bytearray(good)
        struct.pack_into("<I", bad, at + offset, 0x7FFFFFFF)
        refused(bytes(bad))


@pytest.mark.parametrize("count", [HUGE, -1, 10])
def test_an_older_file_that_promises_more_than_it_has_is_refused(refused, count):
    head = b"".join(pickle.dumps(part, protocol=2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    tail = pickle.dumps(["0"], protocol=2) + struct.pack("<q", count) + bytes(36)
    refused(head + dumped({"g_ema": {"a": Tensor(count=count)}}) + tail)


# ---- numpy's arrays, as TensorFlow-era files hold them --------------------------------------------------------------


class Array:
    """Pickles as an array of float32 with any shape and any bytes."""

    def __init__(self, shape, data=b"", *, version=1, kind="f4", order="<") -> None:
        self.state = (version, shape, Kind(kind, order), False, data)

    def __reduce__(self):
        return np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


class Kind:
    def __init__(self, name, order) -> None:
        self.name, self.order = name, order

    def __reduce__(self):
        return np.dtype, (self.name, False, True), (3, self.order, None, None, None, -1, -1, 0)


def tensorflow_file(*variables) -> bytes:
    """(G, D, Gs) whose last network has `variables`."""
    network = type("Network", (), {"__module__": "dnnlib.tflib.network"})
    modules = {name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network")}
    modules["dnnlib.tflib.network"].Network = network
    found = network()
    found.variables = list(variables)
    with mock.patch.dict(sys.modules, modules):
        return pickle.dumps((found, found, found), protocol=4)


def test_the_small_array_itself_is_read(refused):
    good = tensorflow_file(("4x4/Const/const", Array((2, 3), bytes(24))))
    assert "no StyleGAN2 generator" in refused(good, UnsupportedArchitecture)


@pytest.mark.parametrize(
    "array",
    [
        Array((HUGE, HUGE)),
        Array((HUGE,), bytes(36)),
        Array((2, 3), bytes(25)),
        Array((-2, -3), bytes(24)),
        Array((2.0, 3), bytes(24)),
        Array((True, 6), bytes(24)),
        Array((1,) * 100 + (6,), bytes(24)),
        Array(None, bytes(24)),
        Array([6], bytes(24)),
        Array((0, HUGE), b"x"),
    ],
    ids=lambda a: str(a.state[1])[:30],
)
def test_an_array_of_another_size_than_its_bytes_is_refused(refused, array):
    assert "An array of the file" in refused(tensorflow_file(("x", array)), CorruptTensors)


@pytest.mark.parametrize(
    "variables",
    [
        [("x", Array((6,), bytes(24), kind="O"))],
        [("x", Array((6,), bytes(24), kind="V4"))],
        [("x", Array((6,), bytes(24), order=">"))],
        [("x", Array((6,), "not bytes"))],
        [("x", 7)],
        [("x", None)],
        [(3, Array((6,), bytes(24)))],
        ["x"],
        [()],
    ],
    ids=str,
)
def test_variables_that_are_no_arrays_are_refused(refused, variables):
    assert "no arrays" in refused(tensorflow_file(*variables), ForeignCheckpoint)


# ---- pickles that exhaust -------------------------------------------------------------------------------------------


def test_lengths_beyond_the_file_take_no_memory(refused):
    lengths = {b"B": struct.pack("<I", 2**32 - 1), b"\x8e": struct.pack("<Q", 2**62), b"X": struct.pack("<I", 2**31)}
    for opcode in (code + length for code, length in lengths.items()):
        refused(b"\x80\x04" + opcode + b"abc.", TruncatedCheckpoint)
    refused(b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.", TruncatedCheckpoint)
    refused(b"\x80\x04\x95" + struct.pack("<Q", 2**63 - 1) + b"N.", ForeignCheckpoint)


def test_deeply_nested_values_do_not_exhaust_the_stack(refused):
    deep = 200_000
    refused(b"\x80\x04" + b"]" * deep + b"a" * (deep - 1) + b".", ForeignCheckpoint)
    nested_key = b"}" + b")" + b"\x85" * deep + b"N" + b"s"
    refused(b"\x80\x04" + nested_key + b".", ForeignCheckpoint)


def test_a_billion_laughs_stay_references(refused):
    body = b"]\x94" + b"".join(b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 9 + b"e\x94" for i in range(100))
    refused(b"\x80\x04" + body + b".", ForeignCheckpoint)


def test_a_long_run_of_instructions_ends(refused, monkeypatch):
    monkeypatch.setattr("latent_loom.stylegan2.checkpoints.pickle_machine.OPCODE_LIMIT", 10_000)
    refused(b"\x80\x04" + b"N0" * 20_000 + b"N.", ForeignCheckpoint)


def test_a_number_of_a_million_digits_is_refused(refused):
    refused(b"\x80\x02L" + b"9" * 1_000_000 + b"L\n.", TruncatedCheckpoint, ForeignCheckpoint)


@pytest.mark.parametrize("width", [0, 50])
def test_modules_that_hold_themselves_are_refused(refused, width):
    """A tree that passes for a generator down to its layers, which hold themselves, some of them fifty times."""

    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def module(modules):
        """`modules`: instructions that leave a dictionary."""
        meta = b"}" + text("type") + text("class") + b"s" + text("class_name") + text("Generator") + b"s"
        state = b"}" + text("_modules") + modules + b"s"
        build = text("torch_utils.persistence") + text("_reconstruct_persistent_obj") + b"\x93"
        return build + b"(" + meta + text("state") + state + b"stR"

    names = ["conv1", "torgb", *(f"again{i}" for i in range(width))]
    layer = module(b"}\x94") + b"\x94h\x00" + b"".join(text(n) + b"h\x01s" for n in names) + b"00"
    synthesis, mapping = module(b"}" + text("b4") + b"h\x01s"), module(b"}" + text("fc0") + b"h\x01s")
    root = module(b"}" + text("synthesis") + synthesis + b"s" + text("mapping") + mapping + b"s")
    sentence = refused(b"\x80\x04" + layer + root + b".", ForeignCheckpoint)
    assert "nested without end" in sentence


def test_malformed_stacks_are_foreign(refused):
    short = [b".", b"R.", b"(", b"(.", b"s.", b"u.", b"e.", b"t.", b"0.", b"h\x05."]
    for body in (*short, b"Ns.", b"N)R.", b"]Nb.", b"}N(Nu."):
        refused(b"\x80\x04" + body, ForeignCheckpoint, TruncatedCheckpoint, UnsafeCheckpoint)


# ---- damage of any kind ---------------------------------------------------------------------------------------------


def nvlabs_like() -> bytes:
    """A small pickle with all that NVlabs' have, but not a whole generator."""
    state = OrderedDict(a=torch.nn.Parameter(torch.ones(2)), b=torch.zeros(3))
    return pickle.dumps({"G_ema": state, "args": {"x": [1, 2.5, "y"], "s": {1}}}, protocol=4)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    small = Generator(GeneratorConfig(z_dim=2, w_dim=2, resolution=8, channels=(2, 2), mapping_layers=1))
    save_generator(small, folder / "own")
    files = {"own": (folder / "own").read_bytes(), "nvlabs": nvlabs_like()}
    state = {"input.input": torch.zeros(1, 2, 4, 4), "conv1.conv.weight": torch.zeros(1, 2, 2, 3, 3)}
    for zipped in (True, False):
        out = io.BytesIO()
        torch.save({"g_ema": state}, out, _use_new_zipfile_serialization=zipped)
        files[f"zip {zipped}"] = out.getvalue()
    return files


@pytest.mark.parametrize("kind", ["own", "nvlabs", "zip True", "zip False"])
def test_a_file_cut_off_anywhere_is_refused_in_a_sentence(whole_files, refused, kind):
    whole = whole_files[kind]
    for size in sorted({*range(0, min(len(whole), 40)), *range(0, len(whole), max(len(whole) // 60, 1))}):
        refused(whole[:size])


@pytest.mark.parametrize("kind", ["own", "nvlabs", "zip True", "zip False"])
def test_damaged_bytes_raise_nothing_but_a_checkpoint_error(whole_files, tmp_path, little_memory, kind):
    whole, draw = whole_files[kind], random.Random(5)
    path = tmp_path / "damaged"
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2, 8])):
            damaged[draw.randrange(min(len(damaged), draw.choice([64, 600, len(damaged)])))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            with little_memory():
                import_checkpoint(path)
        except CheckpointError as error:
            assert "\n" not in str(error)


# ---- the library's own format ---------------------------------------------------------------------------------------


def own_format(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def own_header(config: dict, **tensors) -> dict:
    about = {"format": "latent-loom generator", "format_version": "1", "config": json.dumps(config)}
    return {"__metadata__": about, **tensors}


CONFIG = {"z_dim": 2, "w_dim": 2, "resolution": 8, "channels": [2, 2], "mapping_layers": 1, "fir": [1, 3, 3, 1]}


def test_settings_of_a_giant_take_no_memory(refused):
    giant = {**CONFIG, "resolution": 65536, "channels": [2**20] * 15}
    assert "lacks" in refused(own_format(own_header(giant)), CorruptTensors)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [HUGE, HUGE], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, HUGE]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "PY", "shape": [2], "data_offsets": [0, 8]},
    ],
)
def test_tensors_that_do_not_fit_their_file_are_refused(refused, tensor):
    refused(own_format(own_header(CONFIG, **{"mapping.w_avg": tensor}), bytes(8)))


@pytest.mark.parametrize("config", ["", "[]", "null", "{", '{"a":' * 50_000, '"x"', "NaN", '{"channels": 3, "fir": 4}'])
def test_settings_that_are_no_settings_are_refused(refused, config):
    about = {"format": "latent-loom generator", "format_version": "1", "config": config}
    refused(own_format({"__metadata__": about}), ForeignCheckpoint)


def test_a_header_longer_than_the_file_is_refused(refused):
    for size in (1000, 90_000_000, 2**63):
        refused(struct.pack("<Q", size) + b'{"__metadata__":{}}')


def test_export_refuses_before_it_writes(tmp_path):
    small = Generator(GeneratorConfig(z_dim=2, w_dim=2, resolution=8, channels=(2, 2), mapping_layers=1))
    with pytest.raises(CheckpointError):
        export_rosinality(small, tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())
