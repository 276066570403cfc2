"""SPEC.md against the code: version, messages, requests, error codes, limits and the example."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
import tomllib
from pathlib import Path

import latent_loom.protocol as protocol
import pytest
from latent_loom.protocol import errors, frames, limits, messages, requests

PACKAGE = Path(protocol.__file__).parent
REPOSITORY = Path(__file__).parents[2]
SPEC = (PACKAGE / "SPEC.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    """The text of one section of SPEC.md."""
    return re.split(r"^## \d+\. .*$", SPEC, flags=re.M)[number]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, headings and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    bodies = [line for n, line in enumerate(lines) if not set(line) <= set("|- ") and not rule_follows(lines, n)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in bodies]


def rule_follows(lines: list[str], n: int) -> bool:
    return n + 1 < len(lines) and set(lines[n + 1]) <= set("|- ")


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_the_title_names_the_version_of_the_protocol():
    assert SPEC.splitlines()[0].endswith("version {}.{}".format(*protocol.PROTOCOL))


def test_the_version_is_the_one_of_the_distribution():
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["version"] == protocol.VERSION


def test_the_messages_and_their_fields_are_those_of_the_code():
    written = {(names(row[0]) or ["request"])[0]: row for row in rows(section(2))}
    kinds = {**messages.CLIENT_TYPES, **messages.SERVER_TYPES}
    kinds = {("request" if kind is messages.Request else name): kind for name, kind in kinds.items()}
    assert written.keys() == kinds.keys()
    for name, kind in kinds.items():
        fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in ("type", "arrays")}
        optional = [n for n in fields if n not in messages._LAYOUTS[kind].required]
        assert names(written[name][2]) == list(fields), name
        assert re.findall(r"`(\w+)`\?", written[name][2]) == optional, name
        assert written[name][1] == ("server" if name in messages.SERVER_TYPES else "client")


def test_the_requests_are_those_of_the_code():
    written = [row for row in rows(section(4)) if len(row) == 5]
    assert [names(row[0])[0] for row in written] == list(requests.REQUESTS)
    for row, request in zip(written, requests.REQUESTS.values(), strict=True):
        assert tuple(names(row[1])) == request.required
        assert tuple(names(row[2])) == request.optional
        assert tuple(names(row[3])) == request.value
        assert row[4] == ("yes" if request.idempotent else "no")


def test_the_error_codes_are_those_of_the_code():
    written = rows(section(5))
    assert [names(row[0])[0] for row in written] == list(errors.ERROR_CODES)
    assert [names(row[0])[0] for row in written if row[1] == "client"] == ["backend_lost"]


def test_the_error_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = re.findall(r"^[\s|+]*(\w+) {2,}(?:(\w+) {2,})?\S", errors.__doc__, flags=re.M)
    kinds = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert {name for name, _ in drawn} == set(kinds)
    for name, code in drawn:
        assert getattr(kinds[name], "code", "") == code or name == "RequestError"


def test_the_limits_are_those_of_the_code():
    written = {names(row[2])[0]: float(row[1].split()[0]) for row in rows(section(6))}
    held = {name: value for name, value in vars(limits).items() if name.isupper() and isinstance(value, int | float)}
    assert written == held


def test_the_dtypes_are_those_of_the_code():
    (sentence,) = re.findall(r"`dtype` is one of (.*?);", SPEC)
    assert names(sentence) == list(frames.DTYPES)


def test_the_example_is_what_the_code_sends():
    magic, header = re.findall(r"^([0-9a-f][0-9a-f ]{11,}?)  ", SPEC, flags=re.M)
    assert [bytes.fromhex(magic), bytes.fromhex(header)] == messages.encode(messages.Ping(id=7))


ALLOWED = {"numpy", "msgpack"}


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_package_imports_only_what_the_add_on_has(path):
    """stdlib, numpy, msgpack, its own modules; zmq in two alone, nothing at all in __init__.py."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level in (0, 1), "it reaches out of the package"
            found |= {(node.module or "").split(".")[0]} if node.level == 0 else set()
    foreign = {name for name in found if name not in sys.stdlib_module_names} - ALLOWED
    assert foreign == ({"zmq"} if path.name in ("client.py", "transport.py") else set())
    assert not (path.name == "__init__.py" and found)
