"""Ctrl-C before the command line has even been imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED_WHILE_IMPORTING = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a process of a background shell would ignore it
sys.meta_path.insert(0, Interrupts())
from latent_loom.backend.cli.start import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT, which only POSIX can send to one process")
@pytest.mark.parametrize("module", ["latent_loom.backend.cli.main", "latent_loom.backend.cli.bench"])
def test_an_interruption_while_the_commands_are_imported_is_answered_in_a_sentence(module):
    command = [sys.executable, "-c", INTERRUPTED_WHILE_IMPORTING, module, "styles", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr.splitlines() == ["Interrupted; everything finished so far is kept."]
    assert json.loads(done.stdout)["error"] == {"code": "cancelled", "message": done.stderr.strip()}


def test_the_installed_command_begins_there():
    script = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'latent-loom = "latent_loom.backend.cli.start:main"' in script


def test_nothing_heavy_is_imported_before_it_can_be_interrupted():
    found = "import sys, latent_loom.backend.cli.start; print(*(m for m in sys.modules if 'latent_loom' in m))"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, timeout=60, check=True)
    packages = {"latent_loom", "latent_loom.backend", "latent_loom.backend.cli", "latent_loom.backend.cli.start"}
    assert {name for name in done.stdout.split() if not name.startswith("__editable__")} <= packages
