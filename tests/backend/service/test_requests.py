"""The wire's table of requests and the handlers' settings are two descriptions of one thing."""

from __future__ import annotations

import dataclasses

import pytest
from latent_loom.backend.adaptation.mapper import MineSettings
from latent_loom.backend.adaptation.settings import AdaptSettings
from latent_loom.backend.models.kinds import SeedsWanted
from latent_loom.backend.service import handlers
from latent_loom.backend.service.handlers import (
    adaptation,
    batches,
    checkpoints,
    context,
    kept,
    mining,
    own_models,
    reporting,
    style_files,
)
from latent_loom.backend.textures.asset_library import LibrarySettings
from latent_loom.backend.textures.direction_sheet import DirectionSettings
from latent_loom.backend.textures.generate import GenerateSettings
from latent_loom.backend.textures.grid import GridSettings
from latent_loom.backend.textures.keep import KeepSettings
from latent_loom.backend.textures.project import ProjectSettings
from latent_loom.backend.textures.walk import WalkSettings
from latent_loom.protocol.requests import REQUESTS

SETTINGS = {
    "status": (context.Nothing,),
    "models": (context.Nothing,),
    "styles": (style_files.ListRequest,),
    "adapt": (adaptation.AdaptRequest, AdaptSettings),
    "adapt_status": (context.Named,),
    "adapt_cancel": (context.Named,),
    "generate": (GenerateSettings, context.OptionalFolder),
    "seeds": (SeedsWanted,),
    "directions": (DirectionSettings, context.OptionalFolder),
    "walk": (WalkSettings, context.Folder),
    "grid": (GridSettings, context.Folder),
    "batch": (batches.BatchRequest,),
    "batch_status": (context.Folder,),
    "asset_library": (LibrarySettings,),
    "batch_cancel": (context.Folder,),
    "import": (checkpoints.ImportRequest,),
    "export": (checkpoints.ExportRequest,),
    "mine_style": (mining.MineRequest, MineSettings),
    "show_style": (style_files.StyleName,),
    "rename_style": (style_files.RenameRequest,),
    "delete_style": (style_files.StyleName,),
    "choose_snapshot": (style_files.ChooseRequest,),
    "import_style": (style_files.ImportStyleRequest,),
    "export_style": (style_files.ExportStyleRequest,),
    "derive_style": (style_files.DeriveRequest,),
    "project": (kept.ProjectRequest, ProjectSettings),
    "keep": (KeepSettings,),
    "textures": (context.Nothing,),
    "delete_texture": (kept.TextureName,),
    "free": (context.Nothing,),
    "fetch_clip": (context.Named,),
    "delete_clip": (context.Named,),
    "delete_generator": (context.Named,),
    "train_generator": (own_models.TrainRequest,),
    "disk": (context.Nothing,),
    "report_style": (reporting.ReportRequest,),
}


def needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def test_every_request_of_the_wire_but_shutdown_has_a_handler():
    assert set(REQUESTS) - {"shutdown"} == set(handlers.HANDLERS) == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_parameters_on_the_wire_are_the_fields_of_the_settings(name):
    fields = [field for cls in SETTINGS[name] for field in dataclasses.fields(cls) if field.init]
    assert set(REQUESTS[name].required) == {field.name for field in fields if needed(field)}
    assert set(REQUESTS[name].optional) == {field.name for field in fields if not needed(field)}
