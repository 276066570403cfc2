"""The parser names choices without importing what defines them, since that imports torch; so does the add-on, which
cannot import it. Here both are compared.
"""

from __future__ import annotations

import ast
from pathlib import Path

from latent_loom.backend.adaptation.settings import METHOD_NAMES
from latent_loom.backend.cli import adapt, main, values
from latent_loom.backend.textures.files import FORMATS, MAPS
from latent_loom.backend.textures.look import LARGEST_PX, SMALLEST_PX, TILES
from latent_loom.backend.textures.pbr import MATERIALS, PbrSettings
from latent_loom.stylegan2.seeds import SEED_LIMIT


def choices(command: str, option: str) -> set[str]:
    parser = main.build_parser()._subparsers._group_actions[0].choices[command]
    return set(parser._option_string_actions[option].choices)


def test_methods_are_those_of_the_adaptation():
    assert set(adapt.METHODS) == {"auto", *METHOD_NAMES}


def test_maps_tiles_formats_and_seeds_are_those_of_the_textures():
    assert set(values.MAPS) == set(MAPS)
    assert choices("generate", "--tile") == set(TILES)
    assert choices("walk", "--format") == set(FORMATS)
    assert values.LARGEST_SEED == SEED_LIMIT - 1
    assert set(values.MATERIALS) == set(MATERIALS)
    for normal in choices("generate", "--normal"):
        PbrSettings(normal=normal)


def test_the_add_on_offers_the_methods_and_sizes_that_there_are():
    settings = Path(__file__).parents[3] / "addon" / "settings"
    adapting, texture = (
        ast.parse((settings / f"{name}.py").read_text(encoding="utf-8")) for name in ("adapt", "texture")
    )
    assigned = (n for n in adapting.body if isinstance(n, ast.Assign))
    (methods,) = (n.value for n in assigned if isinstance(n.targets[0], ast.Name) and n.targets[0].id == "METHODS")
    assert {name for name, _, _ in ast.literal_eval(methods)} == {"auto", *METHOD_NAMES}
    (edge,) = (n for n in texture.body if isinstance(n, ast.FunctionDef) and n.name == "_edge")
    (made,) = (n for n in ast.walk(edge) if isinstance(n, ast.Call))
    assert {k.arg: k.value.value for k in made.keywords if k.arg in ("min", "max")} == {
        "min": SMALLEST_PX,
        "max": LARGEST_PX,
    }
