"""Whole inputs of every target, from which the fuzzer and the mutations of `test_corpus.py` begin."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import msgpack
import numpy as np
import torch
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.textures.kept import KeptInfo, KeptTexture, halved
from latent_loom.protocol import PROTOCOL, connection_file, messages
from latent_loom.stylegan2.checkpoints import save_generator
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.inputs import draw_inputs
from latent_loom.stylegan2.networks import Generator
from PIL import Image

from . import targets

SMALL = GeneratorConfig(z_dim=4, w_dim=4, resolution=8, channels=(4, 4), mapping_layers=1)


def seeds(target: str, folder: Path) -> list[bytes]:
    """At least one whole input of `target`; `folder` is for files on the way."""
    folder.mkdir(parents=True, exist_ok=True)
    return MADE[target](folder)


def reached(target: str) -> list[bytes]:
    """Inputs that the fuzzer found its way into the target's code with (`scripts/fuzz.py --keep`)."""
    path = Path(__file__).with_name("reached") / f"{target}.zip"
    if not path.is_file():
        return []
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


def _wire(folder: Path) -> list[bytes]:
    preview = np.zeros((2, 2, 3), np.uint8)
    said: list[messages.Message] = [
        messages.Hello(client="c", version="0", protocol=PROTOCOL, pending=[3]),
        messages.Ping(id=7),
        messages.Cancel(id=1),
        messages.Request(type="generate", id=2, slot="s", params={"seeds": [1], "styles": [["a", 0.5]]}),
        messages.Request(type="project", id=4, params={"name": "x"}, arrays={"picture": preview}),
        messages.Welcome(server="s", version="0", protocol=PROTOCOL, session="s", generators=["builtin"]),
        messages.Progress(id=1, done=1, total=2, numbers={"loss": 0.5}, arrays={"preview": preview}),
        messages.Result(id=1, value={"files": []}, arrays={"color": preview[None]}),
        messages.Error(id=1, code="busy", message="Later.", retryable=True),
    ]
    return [targets.join(messages.encode(one)) for one in said]


def _headers(folder: Path) -> list[bytes]:
    return [raw[2 + 6 + 2 :] for raw in _wire(folder)]


def _talks(folder: Path) -> list[bytes]:
    one = _wire(folder)
    return [b"LOOM/1".join(raw[8:] for raw in part) for part in (one, one[:5], one[5:])]


def _params(folder: Path) -> list[bytes]:
    given: list[dict] = [
        {"seeds": [1, "wall"], "size": [64, 64], "styles": [["a", 0.5]], "mix": [[1, 2]], "tile": "xy", "psi": 0.5},
        {"seeds": [1, 2], "frames": 8, "key_styles": [[["a", 1]], []], "loop": True, "out": "/x"},
        {"styles": [["a", 1]], "seeds": [1], "out": "/x"},
        {"count": 3, "amounts": [-1, 1], "layers": "fine"},
        {"name": "m", "source": "stone", "target": "moss", "targets": [["wet", 0.5]], "iterations": 5},
        {"out": "/x", "jobs": {"items": [{"seeds": [1]}]}},
        {"name": "n", "file": "/x.pkl", "sha256": "0" * 64},
        {"file": "/x", "styles": [["a", 1]], "format": "rosinality"},
    ]
    return [bytes([n]) + msgpack.packb(one) for n, one in enumerate(given)]


def _generator() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL).eval()


def _torch(folder: Path) -> list[bytes]:
    state = {"style.1.weight": torch.zeros(4, 4), "input.input": torch.zeros(1, 4, 4, 4)}
    torch.save({"g_ema": state, "latent_avg": torch.zeros(4)}, folder / "g.pt")
    legacy = io.BytesIO()
    torch.save({"g_ema": {"a": torch.ones(2)}}, legacy, _use_new_zipfile_serialization=False)
    return [(folder / "g.pt").read_bytes(), legacy.getvalue()]


def _safetensors(folder: Path) -> list[bytes]:
    save_generator(_generator(), folder / "g.safetensors")
    return [(folder / "g.safetensors").read_bytes()]


def _pickles(folder: Path) -> list[bytes]:
    value = {"G_ema": {"a": [1, 2.5, None, ("x", b"y", True)], "b": {1, 2}}, "args": {"z_dim": 4}}
    return [pickle.dumps(value, protocol=p) for p in range(5)]


def _tensorflow(folder: Path) -> list[bytes]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "stylegan2"))
    try:
        import tensorflow_files
    finally:
        sys.path.pop(0)
    path = tensorflow_files.write(folder / "g.pkl", tensorflow_files.networks(_generator()))
    return [path.read_bytes()]


def _styles(folder: Path) -> list[bytes]:
    info = StyleInfo(
        name="s", generator="builtin", generator_hash="0" * 64, source="a", target="b", method="full",
        iterations=1, seed=0, clips=("builtin",),
    )  # fmt: skip
    Style(info=info, tensors={"synthesis.b4.conv1.weight": torch.zeros(2, 2)}).save(folder / "style.safetensors")
    return [(folder / "style.safetensors").read_bytes()]


def _kept(folder: Path) -> list[bytes]:
    generator = _generator()
    info = KeptInfo(name="wall", generator="builtin", generator_hash="0" * 64, seed=5, origin="projection", grid=(4, 4))
    drawn = halved(draw_inputs(generator.config, [7]))
    texture = KeptTexture(info=info, ws=torch.zeros(generator.num_ws, 4)[None], arrangement=drawn)
    texture.save(folder / "texture.safetensors")
    return [(folder / "texture.safetensors").read_bytes()]


def _batches(folder: Path) -> list[bytes]:
    toml = b'[defaults]\nsize = "64x64"\nmaps = ["color"]\n[[adapt]]\nname = "m"\nsource = "a"\ntarget = "b"\n'
    toml += b'[[items]]\nstyle = "m:0.8"\nseeds = "0-3"\nname = "moss"\nnaming = "{name}/{seed:04}_{map}"\n'
    lines = [{"defaults": {"psi": 0.5}}, {"adapt": {"name": "m"}}, {"seeds": [1], "name": "a", "sizes": ["8x8"]}]
    return [
        b"\0" + toml,
        b'\1seeds,name,style,maps\n1-3,a,m:0.5,color;normal\n"4",b,,\n',
        b"\2" + "\n".join(map(json.dumps, lines)).encode(),
    ]


def _manifests(folder: Path) -> list[bytes]:
    record = {"file": "a-1_color.png", "item": "a", "bytes": 3, "sha256": "0" * 64, "version": 1, "seed": 1}
    return ["\n".join(json.dumps(record | {"file": name}) for name in ("a.png", "b/c.png", "../d.png")).encode()]


def _pictures(folder: Path) -> list[bytes]:
    made = []
    pixels = Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
    for form in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "TGA", "GIF", "PPM"):
        out = io.BytesIO()
        pixels.save(out, form)
        made.append(out.getvalue())
    return made


def _connection(folder: Path) -> list[bytes]:
    info = connection_file.ConnectionInfo(
        address="tcp://127.0.0.1:4000", token="t", pid=7, session="s", server_key="k" * 40, client_keys=("a" * 40,) * 2
    )
    return [connection_file.write(info, folder / "c.json").read_bytes()]


def _keys(folder: Path) -> list[bytes]:
    return [json.dumps({"laptop": "a" * 40, "desk": "b" * 40}).encode()]


MADE = {
    "messages": _wire,
    "headers": _headers,
    "servers": _talks,
    "clients": _talks,
    "params": _params,
    "pickles": _pickles,
    "torch": _torch,
    "safetensors": _safetensors,
    "tensorflow": _tensorflow,
    "styles": _styles,
    "kept": _kept,
    "batches": _batches,
    "manifests": _manifests,
    "pictures": _pictures,
    "connection": _connection,
    "keys": _keys,
}
