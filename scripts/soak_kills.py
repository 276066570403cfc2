"""Kills a real backend with -9 at random moments of every kind of job, and looks at what is left.

    python scripts/soak_kills.py [--kills 200] [--seed 0] [--fresh] [--json FILE] [--folder DIR]

After every kill: the client has learnt of it; what it waited for ends exactly once (with BackendLost, unless asking
twice does no harm: then it may be answered by the next backend); every style, snapshot, generator and kept texture
loads whole; every file under a real name in the output folders is whole; the client is welcomed by the next backend. A
killed adaptation that had reported a snapshot is gone on with, now and then up to its end. Prints a table; exit code 1
where anything did not hold. `--fresh` starts each backend as a process of its own (seconds each), not from a nursery.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak_backend import Home, Nursery, Plain, kill, table, wait_for_connection_file

LEARN_LIMIT_S = 5.0
END_LIMIT_S = 120.0
LOOK = {"generator": "small", "size": [32, 32], "maps": ["color", "normal", "height"]}
PROMPTS = {
    "generator": "small",
    "source": "stone",
    "target": "mossy stone",
    "batch": 2,
    "clips": ["tiny"],
    "preview_every": 5,
}
RESUMED = "adapt, resumed"


def kinds(home: Home) -> dict[str, tuple[str, dict[str, Any]]]:
    """A name of the job -> (request, its parameters). All may be asked again over what is there."""
    out, files = home.out, home.folder / "files"
    files.mkdir(exist_ok=True)
    styled = LOOK | {"styles": [["base", 0.8]]}
    jobs = {"defaults": {"generator": "small", "size": "32x32", "maps": ["color", "normal"]}}
    jobs["adapt"] = [{"name": "batched", "overwrite": True, "iterations": 25} | PROMPTS]
    jobs["items"] = [{"name": "set", "seeds": "0-7", "style": "base:0.5"}]
    return {
        "adapt": ("adapt", {"name": "killed", "iterations": 30, "overwrite": True} | PROMPTS),
        RESUMED: ("adapt", {"name": "resumed", "iterations": 55, "overwrite": True, "resume": True} | PROMPTS),
        "adapt, all weights": (
            "adapt",
            {"name": "full", "method": "full", "iterations": 30, "overwrite": True} | PROMPTS,
        ),
        "generate": ("generate", styled | {"seeds": list(range(6)), "out": str(out / "generate")}),
        "walk": (
            "walk",
            styled | {"seeds": [0, 1], "frames": 12, "overwrite": True, "preview": "webp", "out": str(out / "walk")},
        ),
        "grid": (
            "grid",
            {
                "generator": "small",
                "styles": [["base", 1.0]],
                "seeds": [0, 1],
                "frames": 6,
                "size_px": 32,
                "out": str(out / "grid"),
            },
        ),
        "batch": ("batch", {"jobs": jobs, "out": str(out / "batch")}),
        "batch, resumed": ("batch", {"jobs": jobs, "out": str(out / "batch"), "resume": True}),
        "project": (
            "project",
            {
                "name": "projected",
                "file": str(files / "picture.png"),
                "generator": "small",
                "steps": 20,
                "overwrite": True,
                "out": str(out / "project"),
            },
        ),
        "import": ("import", {"name": "imported", "file": str(files / "foreign.pt"), "overwrite": True}),
        "export": (
            "export",
            {"file": str(out / "exported.safetensors"), "generator": "small", "styles": [["base", 1.0]]},
        ),
        "mine_style": ("mine_style", {"name": "base", "iterations": 20, "batch": 2}),
        "directions": ("directions", {"generator": "small", "count": 4, "out": str(out / "directions")}),
        "derive_style": (
            "derive_style",
            {"generator": "child", "parent": "small", "name": "derived", "overwrite": True},
        ),
        "choose_snapshot": ("choose_snapshot", {"name": "base", "iterations": 10}),
        "import_style": ("import_style", {"file": str(files / "base.safetensors"), "name": "taken", "overwrite": True}),
        "export_style": ("export_style", {"name": "base", "file": str(out / "base.safetensors")}),
        "keep": ("keep", {"seed": 3, "name": "kept", "generator": "small", "overwrite": True}),
        "report_style": ("report_style", {"name": "base", "file": str(out / "report.html")}),
    }


def prepare(home: Home, client: Any) -> None:
    """The models and files that the jobs need."""
    import numpy as np
    import torch
    from latent_loom.backend.models.store import Store
    from latent_loom.stylegan2.checkpoints import export_rosinality
    from latent_loom.stylegan2.config import GeneratorConfig
    from latent_loom.stylegan2.networks import Generator
    from PIL import Image

    store, files = Store(home.data), home.folder / "files"
    files.mkdir(exist_ok=True)
    torch.manual_seed(1)
    child = Generator(store.generator("small").config).eval()
    store.add_generator(child, "child", overwrite=True)
    tiny_clip(home.data / "clips" / "tiny")
    classic = GeneratorConfig(z_dim=512, w_dim=512, resolution=16, channels=(512, 512, 512), mapping_layers=2)
    export_rosinality(Generator(classic).eval(), files / "foreign.pt")
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(files / "picture.png")
    client.request("adapt", {"name": "base", "iterations": 25, "overwrite": True} | PROMPTS)
    for beside in ("", ".snapshots"):
        shutil.copy(home.data / "styles" / f"base{beside}.safetensors", files / f"begun{beside}.safetensors")
    client.request("export_style", {"name": "base", "file": str(files / "base.safetensors")})


def tiny_clip(folder: Path) -> None:
    """A CLIP of random weights, which makes a step of training cheap: the kills are to fall everywhere."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"size": [32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "open_clip_model.safetensors")


@dataclass
class Tally:
    """What the kills of one kind of job came to."""

    duration_s: float = 0.0
    kills: int = 0
    landed: int = 0  # while the job ran
    continued: int = 0
    learn_s: list[float] = field(default_factory=list)
    reconnect_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def whole(home: Home) -> list[str]:
    """What is not whole on the disk, in sentences: every model is loaded, every output file read."""
    from latent_loom.backend.errors import LoomError
    from latent_loom.backend.models.store import Store

    store, wrong = Store(home.data), []

    def loads(what: str, load: Callable[[], object]) -> None:
        try:
            load()
        except LoomError as error:
            wrong.append(f"{what}: {error}")

    for generator in store.generators():
        loads(f"generator {generator.name}", lambda name=generator.name: store.generator(name))
    for style in store.styles():
        if not style.builtin:
            loads(f"style {style.name}", lambda name=style.name: store.style(name))
            if style.snapshots:
                loads(f"snapshots of {style.name}", lambda name=style.name: store.library.training(name))
    for kept in store.kept():
        loads(f"texture {kept.name}", lambda name=kept.name: store.textures.texture(name))
    for path in home.out.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            try:
                _read(path)
            except Exception as error:  # whatever a half file makes of its reader
                wrong.append(f"{path.relative_to(home.out)}: {type(error).__name__}: {error}")
    return wrong


def _read(path: Path) -> None:
    from PIL import Image
    from safetensors.numpy import load_file

    if path.suffix in (".png", ".webp"):
        with Image.open(path) as picture:
            picture.load()
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.name == "manifest.jsonl":
        # Appended to: a kill may cut its last line, which the next batch takes away.
        for line in path.read_text(encoding="utf-8").splitlines()[:-1]:
            json.loads(line)
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix == ".html" and not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("the page has no end")


class Soak:
    """One client, and one backend after another."""

    def __init__(self, home: Home, starter: Nursery | Plain, seed: int) -> None:
        from latent_loom.protocol.client import Client

        self.home, self.starter, self.random = home, starter, random.Random(seed)
        self.pid = starter.start(home)
        self.session = wait_for_connection_file(home)
        self.client = Client.from_connection_file(home.connection_file, client="soak")
        self.client.connect(timeout_s=60)
        prepare(home, self.client)
        self.kinds = kinds(home)
        self.tallies = {name: Tally() for name in self.kinds}

    def calibrate(self) -> None:
        """Each job once, to its end: how long it takes, so that the kills fall all over it."""
        self._begin_resumed()
        for name, (type, params) in self.kinds.items():
            began_s = time.monotonic()
            self.client.request(type, params, timeout_s=600)
            self.tallies[name].duration_s = time.monotonic() - began_s

    def _begin_resumed(self) -> None:
        """Lay down the run of 25 iterations that is to go on, as an interruption would have left it."""
        styles = self.home.data / "styles"
        (styles / "resumed.safetensors").unlink(missing_ok=True)
        for beside in ("", ".snapshots"):
            shutil.copy(
                self.home.folder / "files" / f"begun{beside}.safetensors",
                styles / f"resumed-partial{beside}.safetensors",
            )

    def strike(self, name: str) -> None:
        """Begin the job, kill the backend in the middle, look, and start the next one."""
        type, params = self.kinds[name]
        tally = self.tallies[name]
        tally.kills += 1
        if name == RESUMED:
            self._begin_resumed()
        id = self.client.send(type, params)
        moment_s = time.monotonic() + self.random.uniform(0.0, tally.duration_s)
        ends: list[Any] = []
        snapshot = 0
        while time.monotonic() < moment_s:
            for event in self.client.poll(min(0.02, max(0.0, moment_s - time.monotonic()))):
                if getattr(event, "id", None) == id:
                    snapshot = max(snapshot, getattr(event, "done", 0))
                    ends += [event] if hasattr(event, "value") or hasattr(event, "error") else []
        tally.landed += not ends
        killed_s = time.monotonic()
        kill(self.pid)
        tally.learn_s.append(self._learn(killed_s, id, ends))
        self.pid = self.starter.start(self.home)
        self.session = wait_for_connection_file(self.home, than=self.session)
        began_s = time.monotonic()
        while not self.client.connected:
            self._take(self.client.poll(0.01), id, ends)
            if time.monotonic() - began_s > END_LIMIT_S:
                tally.wrong.append("the client was not welcomed again")
                return
        tally.reconnect_s.append(time.monotonic() - began_s)
        self._end(name, id, ends)
        tally.wrong += whole(self.home)
        if type == "adapt" and snapshot >= 26 and self.random.random() < 0.5:
            self._continue(name, tally)

    def _learn(self, killed_s: float, id: int, ends: list[Any]) -> float:
        while self.client.connected and time.monotonic() - killed_s < LEARN_LIMIT_S * 2:
            self._take(self.client.poll(0.005), id, ends)
        return time.monotonic() - killed_s

    def _end(self, name: str, id: int, ends: list[Any]) -> None:
        """What the client waited for ends once; what is asked again is cancelled, for time."""
        from latent_loom.protocol.errors import BackendLost
        from latent_loom.protocol.requests import REQUESTS

        deadline, tally = time.monotonic() + END_LIMIT_S, self.tallies[name]
        while not ends and time.monotonic() < deadline:
            self._take(self.client.poll(0.02), id, ends)
        self._take(self.client.poll(0.05), id, ends)
        if len(ends) != 1:
            tally.wrong.append(f"the request ended {len(ends)} times")
        elif hasattr(ends[0], "error") and not isinstance(ends[0].error, BackendLost):
            tally.wrong.append(f"it ended with {ends[0].error.code}: {ends[0].error}")
        elif hasattr(ends[0], "error") and REQUESTS[self.kinds[name][0]].idempotent:
            tally.wrong.append(f"it was not asked again: {ends[0].error}")

    @staticmethod
    def _take(events: list[Any], id: int, ends: list[Any]) -> None:
        ends += [e for e in events if getattr(e, "id", None) == id and (hasattr(e, "value") or hasattr(e, "error"))]

    def _continue(self, name: str, tally: Tally) -> None:
        """Go on with the killed adaptation from its last snapshot, to the end."""
        from latent_loom.protocol.errors import RequestError

        params = self.kinds[name][1] | {"resume": True}
        begun: list[int] = []
        try:
            self.client.request("adapt", params, timeout_s=600, on_progress=lambda event: begun.append(event.done))
        except RequestError as error:
            if "already; ask for more of them" not in str(error):  # it had reached its end
                tally.wrong.append(f"it cannot be gone on with: {error}")
            return
        if begun and max(begun) > 25 and min(begun) < 25:
            tally.wrong.append("it began anew")
        tally.continued += 1

    def close(self) -> None:
        self.client.close()
        kill(self.pid)


def soak(
    folder: Path,
    *,
    kills: int,
    seed: int,
    fresh: bool = False,
    only: Sequence[str] = (),
    minutes: float = math.inf,
) -> dict[str, Tally]:
    """`kills` kills, the kinds in turn in a shuffled order; what came of them, by kind."""
    starter = Plain() if fresh else Nursery()
    run = Soak(Home(folder), starter, seed)
    try:
        if only:
            run.kinds = {name: run.kinds[name] for name in only}
        run.calibrate()
        names: list[str] = []
        until_s = time.monotonic() + 60 * minutes
        for _ in range(kills):
            if time.monotonic() > until_s:
                break
            if not names:
                names = list(run.kinds)
                run.random.shuffle(names)
            run.strike(names.pop())
    finally:
        run.close()
        starter.close()
    return {name: tally for name, tally in run.tallies.items() if tally.kills}


def report(tallies: Mapping[str, Tally]) -> str:
    rows: list[list[Any]] = []
    for name, t in tallies.items():
        times = [f"{statistics.median(s):.3f} / {max(s):.3f}" if s else "-" for s in (t.learn_s, t.reconnect_s)]
        rows.append([name, f"{t.duration_s:.2f}", t.kills, t.landed, t.continued, *times, len(t.wrong)])
    all_learn = [s for t in tallies.values() for s in t.learn_s]
    all_again = [s for t in tallies.values() for s in t.reconnect_s]
    sums = [sum(getattr(t, n) for t in tallies.values()) for n in ("kills", "landed", "continued")]
    times = [f"{statistics.median(s):.3f} / {max(s):.3f}" for s in (all_learn, all_again) if s]
    rows.append(["**all**", "", *sums, *times, sum(len(t.wrong) for t in tallies.values())])
    head = ["job", "takes s", "kills", "while it ran", "gone on with", "noticed after s (median / worst)",
            "welcomed again after s", "wrong"]  # fmt: skip
    return table(rows, head)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, and report what was done")
    parser.add_argument("--fresh", action="store_true", help="a process of its own for every backend")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="kept afterwards (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loom-kills-") as temporary:
        folder = args.folder or Path(temporary)
        tallies = soak(folder, kills=args.kills, seed=args.seed, fresh=args.fresh, minutes=args.minutes)
    print(report(tallies))
    for name, tally in tallies.items():
        for sentence in tally.wrong:
            print(f"WRONG, {name}: {sentence}")
    if args.json:
        args.json.write_text(json.dumps({name: vars(tally) for name, tally in tallies.items()}, indent=1))
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
