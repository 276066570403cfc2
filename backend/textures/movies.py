"""Frames on disk as a small animated preview, or as a movie where an encoder is present.

The encoder is ffmpeg: the one on the PATH, or that of the package imageio-ffmpeg (extra `formats`). A movie's bytes
are the encoder's business and are not promised to be the same on another machine; the frames' are.
"""

from __future__ import annotations

import importlib
import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadRequest, CannotWrite
from ..job import Job, Progress
from .deep import eight_bit, read_exr
from .files import open_folder, part_beside, write_atomic

PREVIEWS = ("webp", "gif")
MOVIES = {
    "mp4": ("-c:v", "libx264", "-crf", "16", "-preset", "medium", "-movflags", "+faststart", "-f", "mp4"),
    "webm": ("-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-f", "webm"),
}
"""Kind -> ffmpeg's options: nearly lossless for textures, playable in browsers."""

PREVIEW_PX, MOST_PREVIEWED = 256, 150
"""A preview's longer side, and its frames at most: of longer walks every second, third, ... is shown."""


def read_frame(path: Path) -> np.ndarray:
    """A picture that this program wrote, uint8 [H, W, 3]."""
    if path.suffix == ".exr":
        return eight_bit(read_exr(path))
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def write_preview(
    frames: Sequence[Path], path: Path, fps: int, job: Job | None = None, *, longest_px: int = PREVIEW_PX
) -> Path:
    """A small endless animation, WebP or GIF by `path`'s suffix, that takes as long as the whole walk."""
    job = job or Job()
    open_folder(path.parent)
    stride = -(-len(frames) // MOST_PREVIEWED)
    shown = []
    for number, frame in enumerate(frames[::stride]):
        job.check()
        picture = Image.fromarray(read_frame(frame))
        scale = min(1.0, longest_px / max(picture.size))
        shown.append(picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))))
        job.report(Progress(done=number * stride + 1, total=len(frames), stage="preview"))
    buffer = io.BytesIO()
    options = {"quality": 80, "method": 4} if path.suffix == ".webp" else {"disposal": 2}
    shown[0].save(
        buffer, path.suffix[1:], save_all=True, append_images=shown[1:], loop=0,
        duration=max(20, round(1000 * stride / fps)), **options,
    )  # fmt: skip
    write_atomic(path, buffer.getvalue())
    return path


def encoder() -> str:
    """The path of an ffmpeg. Raises BadRequest where there is none."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise BadRequest(
            "No movie encoder was found; install ffmpeg, or run pip install 'latent-loom[formats]'; the frames alone "
            "need none."
        ) from error


def write_movie(frames: Sequence[Path], path: Path, fps: int, job: Job | None = None) -> Path:
    """All the frames as a movie of the kind of `path`'s suffix, whole or not at all; an odd last row is repeated."""
    job = job or Job()
    height, width = read_frame(frames[0]).shape[:2]
    part = part_beside(path)
    command = [
        encoder(), "-hide_banner", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width + width % 2}x{height + height % 2}", "-r", str(fps),
        "-i", "-", "-an", "-pix_fmt", "yuv420p", "-fflags", "+bitexact", "-flags:v", "+bitexact",
        *MOVIES[path.suffix[1:]], str(part),
    ]  # fmt: skip
    try:
        _feed(command, frames, (height % 2, width % 2), path, job)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _feed(command: list[str], frames: Sequence[Path], odd: tuple[int, int], path: Path, job: Job) -> None:
    """Run the encoder over the frames. Raises CannotWrite with its own words, Cancelled."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stderr
        try:
            for number, frame in enumerate(frames, start=1):
                job.check()
                picture = np.pad(read_frame(frame), ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
                process.stdin.write(picture.tobytes())
                job.report(Progress(done=number, total=len(frames), stage="movie"))
            process.stdin.close()
        except BrokenPipeError:
            pass  # the encoder gave up: its own words follow
        except BaseException:
            process.kill()
            raise
        said = process.stderr.read().decode(errors="replace").strip().splitlines()
        if process.wait():
            reason = said[-1] if said else f"exit status {process.returncode}"
            raise CannotWrite(f"The movie {path.name!r} could not be encoded ({reason}); try the other kind.")
