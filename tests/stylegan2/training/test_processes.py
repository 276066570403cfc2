from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from latent_loom.stylegan2.training.processes import ALONE, join

PROGRAM = """
import os, sys, torch
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator
from latent_loom.stylegan2.training.augment import Augmentation
from latent_loom.stylegan2.training.discriminator import Discriminator
from latent_loom.stylegan2.training.processes import join
from latent_loom.stylegan2.training.trainer import GanTrainer, GanTraining

torch.set_num_threads(1)
processes = join(os.environ, "cpu")
assert processes.mean(torch.tensor(float(processes.rank))) == 0.5
assert processes.any(processes.rank == 1) and not processes.any(False)
config = GeneratorConfig(z_dim=4, w_dim=4, resolution=16, channels=(6, 6, 6), mapping_layers=1, tile="xy")
torch.manual_seed(0)
discriminator = Discriminator(lambda images: ([images], None), [3], head_width=8, patch_width=4)
trainer = GanTrainer(
    Generator(config), discriminator, GanTraining(images=12, batch=4),
    augmentation=Augmentation(wraps=True, p=0.5), processes=processes,
)
for step in range(3):
    real = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(10 * step + processes.rank))
    trainer.step(real)
flat = torch.cat([p.detach().flatten() for p in [*trainer.average.parameters(), *discriminator.parameters()]])
seen = {"flat": flat, "certainty": trainer.augmentation.certainty, "rng": trainer.rng.initial_seed()}
torch.save(seen, f"{sys.argv[1]}/{processes.rank}.pt")
processes.leave()
"""


def test_without_torchrun_there_is_one_process_and_nothing_to_wait_for():
    assert join({}, "cpu") is ALONE
    gradient = torch.nn.Parameter(torch.zeros(2))
    gradient.grad = torch.ones(2)
    ALONE.average_gradients([gradient])
    assert gradient.grad.tolist() == [1, 1] and ALONE.mean(torch.tensor(3.0)) == 3 and ALONE.any(True)


def test_two_processes_see_different_data_and_keep_equal_weights(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    # One restart: in one of three runs of the whole suite a process failed, alone in none of twenty.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    ended = subprocess.run([sys.executable, *launch, program, tmp_path], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    one, two = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(one["flat"], two["flat"]) and one["certainty"] == two["certainty"] != 0
    assert one["rng"] != two["rng"]


def test_a_batch_that_cannot_be_shared_is_refused():
    from latent_loom.stylegan2.errors import ConfigError
    from latent_loom.stylegan2.training.processes import Processes
    from latent_loom.stylegan2.training.trainer import GanTrainer, GanTraining

    with pytest.raises(ConfigError, match="2 processes"):
        GanTrainer(None, None, GanTraining(batch=3), processes=Processes(0, 2))
