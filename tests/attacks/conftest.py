"""What every attack is measured by: refused in one sentence, and nothing done."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from latent_loom.stylegan2.checkpoints import import_checkpoint
from latent_loom.stylegan2.errors import CheckpointError

LONGEST_SENTENCE = 400


@pytest.fixture
def marker(tmp_path) -> Path:
    """The file that a successful attack would leave."""
    return tmp_path / "executed"


@pytest.fixture
def little_memory():
    """A context in which the process gets 2 GiB more at most: a claim that is believed fails, and not the machine."""
    return _little_memory


@contextmanager
def _little_memory():
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux: the attack is still refused, but its memory is not watched
        yield
        return
    import resource

    used = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def refused(tmp_path, marker, monkeypatch):
    """refused(content, *kinds) -> the sentence. Writes the file, imports it, and checks that nothing else happened."""

    def trap(*args, **kwargs):
        marker.touch()
        raise AssertionError("a checkpoint ran a command")

    for module, name in [(os, "system"), (os, "popen"), (subprocess, "Popen")]:
        monkeypatch.setattr(module, name, trap)

    def check(content: bytes | Path, *kinds: type[CheckpointError]) -> str:
        path = content if isinstance(content, Path) else tmp_path / "attack.pkl"
        if isinstance(content, bytes):
            path.write_bytes(content)
        with pytest.raises(kinds or CheckpointError) as caught, _little_memory():
            import_checkpoint(path)
        sentence = str(caught.value)
        assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < LONGEST_SENTENCE, sentence
        assert not marker.exists(), "code from the file ran"
        return sentence

    return check
