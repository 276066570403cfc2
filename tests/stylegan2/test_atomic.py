from __future__ import annotations

import os

import pytest
from latent_loom.stylegan2.checkpoints.atomic import replacing


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["model"]
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    """Nor is a device: as root, a rename to /dev/null would take it away from everybody."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="no ordinary file"), replacing(pipe) as file:
        file.write(b"model")
    assert pipe.is_fifo() and [p.name for p in tmp_path.iterdir()] == ["pipe"]
