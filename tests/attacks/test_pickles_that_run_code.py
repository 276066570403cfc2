"""Pickles that ask for code to be run, in every way that pickle has. Each is refused, and nothing is executed.

The plain attacks were first seen to work on Python's own unpickler: `test_the_attack_is_real`.
"""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile

import pytest
import torch
from latent_loom.stylegan2.checkpoints import import_checkpoint
from latent_loom.stylegan2.errors import ForeignCheckpoint, UnsafeCheckpoint, UnsupportedArchitecture

# ---- an assembler for pickles (protocol 4) --------------------------------------------------------------------------


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def global_(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"  # STACK_GLOBAL


def call(callee: bytes, *args: bytes) -> bytes:
    return callee + b"(" + b"".join(args) + b"tR"


def pickled(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


class Calls:
    """Pickles as a call of `function(*args)`."""

    def __init__(self, function, *args) -> None:
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def touch(marker) -> Calls:
    return Calls(exec, f"open({str(marker)!r}, 'w').close()")


def test_the_attack_is_real(marker):
    pickle.loads(pickle.dumps(touch(marker)))
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_call_is_refused_in_every_protocol(refused, marker, protocol):
    assert "builtins" in refused(pickle.dumps({"G_ema": touch(marker)}, protocol=protocol), UnsafeCheckpoint).replace(
        "__builtin__", "builtins"
    )


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "posix.system", "nt.system", "os.popen", "subprocess.Popen", "subprocess.getoutput", "pty.spawn",
        "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__",
        "builtins.getattr", "builtins.setattr", "builtins.globals", "builtins.breakpoint", "builtins.type",
        "builtins.bytearray", "__builtin__.eval", "importlib.import_module", "runpy.run_path", "code.interact",
        "operator.attrgetter", "operator.methodcaller", "functools.partial", "functools.reduce", "types.FunctionType",
        "types.CodeType", "copyreg.add_extension", "copyreg.__newobj__", "pickle.loads", "marshal.loads",
        "shelve.open", "ctypes.CDLL", "ctypes.util.find_library", "webbrowser.open", "socket.create_connection",
        "urllib.request.urlopen", "shutil.rmtree", "pip.main", "timeit.timeit", "cProfile.run", "doctest.debug_script",
        "torch.load", "torch.hub.load", "torch.jit.load", "torch.save", "torch.compile",
        "torch.storage._load_from_bytes2",
        "torch.serialization.load", "torch._dynamo.guards.GuardBuilder.get", "torch.ops.load_library",
        "torch.utils.cpp_extension.load", "torch.utils.data.DataLoader", "torch.nn.modules.module.Module",
        "numpy.load", "numpy.testing._private.utils.runstring", "numpy.f2py.crackfortran.getlincoef", "numpy.memmap",
        "collections.namedtuple", "collections.OrderedDict.__init__", "argparse.FileType", "pathlib.Path.unlink",
        "latent_loom.stylegan2.checkpoints.atomic.replacing", "", ".", "torch..FloatStorage",
    ],
)  # fmt: skip
@pytest.mark.parametrize("opcode", ["STACK_GLOBAL", "GLOBAL", "INST"])
def test_a_name_outside_the_list_is_refused_at_sight(refused, name, opcode):
    module, _, attribute = name.rpartition(".")
    if opcode == "STACK_GLOBAL":
        body = global_(module, attribute)
    elif opcode == "GLOBAL":
        body = f"c{module}\n{attribute}\n".encode()
    else:
        body = b"(" + text("x") + f"i{module}\n{attribute}\n".encode()
    assert "nothing of it was run" in refused(pickled(body), UnsafeCheckpoint)


@pytest.mark.parametrize(
    "names",
    [
        ("os", "path.os.system"), ("collections", "OrderedDict.fromkeys"), ("argparse", "Namespace.__class__"),
        ("argparse", "_sys.modules"), ("torch", "Size.__base__"), ("pathlib", "os.system"), ("numpy", "dtype.type"),
    ],
)  # fmt: skip
def test_dotted_attributes_of_allowed_modules_are_refused(refused, names):
    refused(pickled(call(global_(*names), text("x"))), UnsafeCheckpoint)


def test_what_a_call_made_cannot_be_called(refused):
    ordered = global_("collections", "OrderedDict")
    for inner in (call(ordered), call(global_("torch", "device"), text("cpu")), text("os.system"), b"}", b"N"):
        refused(pickled(call(inner, text("id"))), UnsafeCheckpoint)
    refused(pickled(call(call(call(ordered)), text("id"))), UnsafeCheckpoint)


@pytest.mark.parametrize("opcode", [b"\x81", b"R"], ids=["NEWOBJ", "REDUCE"])
def test_a_made_object_is_no_class(refused, opcode):
    refused(pickled(call(global_("argparse", "Namespace")) + b"(" + text("x") + b"t" + opcode), UnsafeCheckpoint)


def test_attributes_cannot_be_set_on_names_or_tensors(refused):
    state = b"}" + text("__call__") + text("x") + b"s"
    for target in (global_("collections", "OrderedDict"), b"]", b"}", text("x"), b"("):
        refused(pickled(target + state + b"b"), UnsafeCheckpoint, ForeignCheckpoint)


def test_state_with_a_setstate_stays_data(refused):
    state = b"}" + text("__setstate__") + global_("argparse", "Namespace") + b"s"
    refused(pickled(call(global_("argparse", "Namespace")) + state + b"b"), ForeignCheckpoint)


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_the_extension_registry_is_not_reached(refused, opcode):
    refused(pickled(opcode), UnsafeCheckpoint)


@pytest.mark.parametrize("opcode", [b"\x97", b"\x98"], ids=["NEXT_BUFFER", "READONLY_BUFFER"])
def test_out_of_band_buffers_are_refused(refused, opcode):
    refused(pickled(opcode), UnsafeCheckpoint)


def test_persistent_ids_have_no_meaning_in_a_plain_pickle(refused):
    refused(pickled(text("x") + b"Q"), ForeignCheckpoint)
    refused(b"\x80\x02Px\n.", ForeignCheckpoint)


def test_the_source_of_a_persistent_class_is_not_executed(refused, marker):
    """A file of exactly NVlabs' layout whose class source is hostile: the source is ignored."""
    meta = b"}" + text("type") + text("class") + b"s" + text("class_name") + text("Generator") + b"s"
    source = f"open({str(marker)!r}, 'w').close()"
    meta += text("module_src") + text(source) + b"s" + text("state") + b"}s"
    root = call(global_("torch_utils.persistence", "_reconstruct_persistent_obj"), meta)
    refused(pickled(b"}" + text("G_ema") + root + b"s"), UnsupportedArchitecture)


def test_a_pickle_inside_the_bytes_of_a_storage_is_read_as_carefully(refused, marker):
    load = global_("torch.storage", "_load_from_bytes")
    for inner in (pickle.dumps(touch(marker)), legacy(touch(marker)), zipped(touch(marker))):
        data = b"B" + struct.pack("<I", len(inner)) + inner
        refused(pickled(call(load, data)))
    nested = legacy(Calls(torch.storage._load_from_bytes, legacy(touch(marker))))
    refused(pickled(call(load, b"B" + struct.pack("<I", len(nested)) + nested)), UnsafeCheckpoint)


# ---- the same inside PyTorch's containers ---------------------------------------------------------------------------


def zipped(value) -> bytes:
    out = io.BytesIO()
    torch.save(value, out)
    return out.getvalue()


def legacy(value) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


@pytest.mark.parametrize("write", [zipped, legacy])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"g_ema": x}, lambda x: {"g_ema": {}, "args": x}])
def test_a_call_inside_a_pytorch_file_is_refused(refused, marker, write, wrap):
    refused(write(wrap(touch(marker))), UnsafeCheckpoint)


def test_a_pytorch_file_of_a_whole_module_is_refused(refused):
    refused(zipped(torch.nn.Linear(2, 2)), UnsafeCheckpoint)


@pytest.mark.parametrize("place", range(4))
def test_a_call_in_any_pickle_of_the_older_format_is_refused(refused, marker, place):
    """Magic number, version, properties, object, keys: each is a pickle of its own."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
    parts[place + 1] = touch(marker)
    refused(b"".join(pickle.dumps(part, protocol=2) for part in parts), UnsafeCheckpoint)


def test_the_oldest_format_a_tar_is_not_opened(refused, tmp_path, marker):
    evil = pickle.dumps(touch(marker))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = len(evil)
            archive.addfile(info, io.BytesIO(evil))
    assert "tar archive" in refused(out.getvalue(), ForeignCheckpoint)


def test_a_zip_with_two_pickles_or_strange_names_is_foreign(refused):
    for names in (["a/data.pkl", "b/data.pkl"], ["../../data.pkl"], ["data.pkl"], ["/etc/data.pkl"], ["a/b.pkl"], []):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("first", b"")
            for name in names:
                archive.writestr(name, pickle.dumps({}))
        refused(out.getvalue(), ForeignCheckpoint)


def test_the_source_in_a_tensorflow_network_is_not_executed(refused, marker):
    """A file of exactly the layout of (G, D, Gs): its graph's source is what their reader executes."""
    state = b"}" + text("build_module_src") + text(f"open({str(marker)!r}, 'w').close()") + b"s"
    network = global_("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"
    assert "TensorFlow" in refused(pickled(network * 3 + b"\x87"), UnsupportedArchitecture)


@pytest.mark.parametrize("place", ["static_kwargs", "components", "variables", "build_module_src"])
def test_a_call_anywhere_in_a_tensorflow_network_is_refused(refused, place):
    state = b"}" + text(place) + call(global_("os", "system"), text("touch executed")) + b"s"
    network = global_("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b"
    refused(pickled(network * 3 + b"\x87"), UnsafeCheckpoint)


def test_nothing_new_is_imported(refused, marker):
    import sys

    before = set(sys.modules)
    for name in ("antigravity", "this", "turtle"):
        refused(pickled(global_(name, "x")), UnsafeCheckpoint)
    assert not {"antigravity", "this", "turtle"} & (set(sys.modules) - before)


def test_import_never_calls_pythons_own_unpickler(monkeypatch, tmp_path):
    """The importers work with `pickle` and `torch.load` taken away: they cannot fall back on them."""

    def forbidden(*args, **kwargs):
        raise AssertionError("an unpickler that calls things was used")

    state = {"input.input": torch.zeros(1, 8, 4, 4), "conv1.conv.weight": torch.zeros(1, 8, 8, 3, 3)}
    (tmp_path / "x.pt").write_bytes(zipped({"g_ema": state}))
    for owner, name in [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")]:
        monkeypatch.setattr(owner, name, forbidden)
    with pytest.raises(UnsupportedArchitecture):
        import_checkpoint(tmp_path / "x.pt")
