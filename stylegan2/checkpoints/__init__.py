"""Model files: the library's own format, importers for what others publish, and the way back.

Nothing in a file is ever executed: own files are safetensors, and pickles are read by `pickle_machine`, an interpreter
that has no way to call anything.
"""

from .hashing import generator_hash
from .importer import import_checkpoint
from .native import Header, load_generator, read_header, save_generator
from .rosinality import export_rosinality

__all__ = [
    "Header",
    "export_rosinality",
    "generator_hash",
    "import_checkpoint",
    "load_generator",
    "read_header",
    "save_generator",
]
