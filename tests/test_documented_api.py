"""The examples of docs/api.md, run in their order as one program, with fewer steps of training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 3
    program, shortened = re.subn(r"iterations=150|range\(50\)", _shorter, "\n".join(blocks))
    assert shortened == 2
    variables: dict = {}
    exec(compile(program, str(PAGE), "exec"), variables)
    assert "retention" in capsys.readouterr().out
    assert variables["style"].info.iterations == 2 and (tmp_path / "mossy.safetensors").is_file()


def _shorter(match: re.Match) -> str:
    return {"iterations=150": "iterations=2"}.get(match[0], "range(2)")


@pytest.mark.parametrize("path", re.findall(r"`((?:backend|stylegan2)/[\w/.]+)`", PAGE.read_text(encoding="utf-8")))
def test_what_the_page_names_is_there(path):
    assert (PAGE.parents[1] / path).exists()
