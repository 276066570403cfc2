from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest
from latent_loom.backend.cli import main, train
from latent_loom.backend.job import Progress


@dataclass(frozen=True, kw_only=True)
class Inner:
    """The inner settings."""

    images: int = 100
    betas: tuple[float, float] = (0.0, 0.99)


@dataclass(frozen=True, kw_only=True)
class Outer:
    """The outer settings."""

    role: str = "x"
    inner: Inner = Inner()
    rate: float = 0.5
    fancy: bool = False

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError("rate is above 0.")


def teach(settings, out, work, job, device):
    assert device
    job.report(Progress(done=1, total=1))
    return {"settings": repr(settings), "out": str(out), "work": str(work)}


@pytest.fixture
def recipe(monkeypatch):
    monkeypatch.setitem(
        train.RECIPES,
        "clip",
        train.Recipe(module=__name__, settings="Outer", train="teach", preset={"role": "clip"}, work=True),
    )
    monkeypatch.setattr(train.importlib, "import_module", lambda name, package: __import__("sys").modules[__name__])


def test_settings_and_those_inside_them_become_options_and_come_back():
    parser = argparse.ArgumentParser()
    train.add_settings(parser, Outer, {"role": "judge"})
    line = ["--images", "7", "--rate", "0.25", "--fancy"]
    settings = train.read_settings(Outer, vars(parser.parse_args(line)), {"role": "judge"})
    assert settings == Outer(role="judge", inner=Inner(images=7), rate=0.25, fancy=True)
    with pytest.raises(SystemExit):
        parser.parse_args(["--role", "clip"])


def test_train_hands_the_settings_on_and_shows_the_card(recipe, capsys, tmp_path):
    assert main.main(["train", "clip", "--out", str(tmp_path / "m.st"), "--images", "3"]) == 0
    out = capsys.readouterr().out
    assert "inner=Inner(images=3" in out
    assert str(tmp_path / "m-work") in out


def test_settings_that_refuse_a_value_are_a_sentence(recipe, capsys, tmp_path):
    assert main.main(["train", "clip", "--out", str(tmp_path / "m"), "--rate", "-1"]) == 1
    assert capsys.readouterr().err == "rate is above 0.\n"


def test_an_unknown_option_of_a_recipe_is_wrong_usage(recipe, capsys):
    assert main.main(["train", "clip", "--out", "m", "--images", "many"]) == 2
    assert "latent-loom train clip" in capsys.readouterr().err


def test_train_takes_json(recipe, capsys, tmp_path):
    assert main.main(["train", "clip", "--out", str(tmp_path / "m"), "--json"]) == 0
    assert capsys.readouterr().out.startswith('{"settings"')


@pytest.mark.parametrize(
    ("rest", "own"),
    [
        (["--work", "FOLDER", "--out", "g", "--images", "7"], False),
        (["--images", "FOLDER"], True),
        (["--images=FOLDER"], True),
        (["--name", "mine"], True),
    ],
)
def test_pictures_of_ones_own_are_meant_by_a_name_or_a_folder_of_images_alone(rest, own, tmp_path):
    """A folder of checkpoints is no folder of pictures."""
    rest = [argument.replace("FOLDER", str(tmp_path)) for argument in rest]
    assert train.is_own("generator", rest) == own
    assert not train.is_own("judge", rest)
