"""The parser names choices without importing what defines them, since that imports torch. Here both are compared."""

from __future__ import annotations

from latent_loom.backend.adaptation.settings import METHOD_NAMES
from latent_loom.backend.cli import adapt, main, values
from latent_loom.backend.textures.files import FORMATS, MAPS
from latent_loom.backend.textures.look import SEED_LIMIT, TILES
from latent_loom.backend.textures.pbr import PbrSettings


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
    for normal in choices("generate", "--normal"):
        PbrSettings(normal=normal)
