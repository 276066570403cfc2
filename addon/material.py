# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture on a material: one node group, coordinates -> Mapping -> Image Textures, linked into the Principled shader.

Only sockets that are free, or that this group feeds already, are linked: what the artist has connected stays.
The group's outputs are always all there and always valid, so a texture with fewer maps can take another's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bpy

KEY = "latent_loom"
LABEL = "Loom Texture"
# Group output -> input of the Principled shader.
LINKS = {"Color": "Base Color", "Roughness": "Roughness", "Normal": "Normal"}
PLAIN_ROUGHNESS = 0.6
# A walk has colour alone; a little relief from its brightness keeps it from looking printed on.
BRIGHTNESS_BUMP = 0.15


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """frames  how many pictures the sequence has
    start   the scene's frame at which the first is shown
    """

    frames: int
    start: int = 1


@dataclass(frozen=True, kw_only=True)
class Applied:
    """node    the group node in the material
    linked  inputs of the shader that the group feeds now
    kept    inputs that hold the artist's own links and were left alone
    """

    node: bpy.types.ShaderNodeGroup
    linked: tuple[str, ...]
    kept: tuple[str, ...]


def apply(
    material: bpy.types.Material,
    maps: Mapping[str, bpy.types.Image],
    *,
    mapping: str = "UV",
    scale: float = 1.0,
    sequence: Sequence | None = None,
) -> Applied:
    """Put the pictures in `maps` (color, normal, height, roughness, ao) on `material`.

    A group of ours that is there already is filled anew; nothing else in the material is changed.
    """
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    node = find_node(material)
    if node is None:
        node = tree.nodes.new("ShaderNodeGroup")
        node.node_tree = _new_group(f"{LABEL} {material.name}")
        node.label = LABEL
        node.width = 180
    elif node.node_tree.users > 1:
        node.node_tree = node.node_tree.copy()
    _fill(node.node_tree, maps, mapping, sequence)
    node.inputs["Repeat"].default_value = scale
    return _link(tree, node)


def find_node(material: bpy.types.Material) -> bpy.types.ShaderNodeGroup | None:
    """The node of ours in `material`, if it has one."""
    if material.node_tree is None:
        return None
    for node in material.node_tree.nodes:
        if node.type == "GROUP" and node.node_tree is not None and node.node_tree.get(KEY):
            return node
    return None


def _new_group(name: str) -> bpy.types.ShaderNodeTree:
    group = bpy.data.node_groups.new(name, "ShaderNodeTree")
    group[KEY] = 1
    sockets = group.interface
    repeat = sockets.new_socket("Repeat", in_out="INPUT", socket_type="NodeSocketFloat")
    repeat.default_value, repeat.min_value = 1.0, 0.001
    relief = sockets.new_socket("Relief", in_out="INPUT", socket_type="NodeSocketFloat")
    relief.default_value, relief.min_value, relief.max_value = 1.0, 0.0, 10.0
    shade = sockets.new_socket("Crevice Shade", in_out="INPUT", socket_type="NodeSocketFloat")
    shade.default_value, shade.min_value, shade.max_value = 0.5, 0.0, 1.0
    for output, kind in (("Color", "Color"), ("Roughness", "Float"), ("Normal", "Vector"), ("Height", "Float")):
        sockets.new_socket(output, in_out="OUTPUT", socket_type=f"NodeSocket{kind}")
    return group


class _Builder:
    """Places nodes in a group, column by column, and links them."""

    def __init__(self, group: bpy.types.ShaderNodeTree) -> None:
        self.nodes, self._links = group.nodes, group.links
        self.nodes.clear()

    def node(self, kind: str, x: float, y: float, label: str = "") -> bpy.types.Node:
        node = self.nodes.new(kind)
        node.location = (x, y)
        node.label = label
        return node

    def link(self, source: bpy.types.NodeSocket, target: bpy.types.NodeSocket) -> None:
        self._links.new(source, target)


def _fill(
    group: bpy.types.ShaderNodeTree, maps: Mapping[str, bpy.types.Image], mapping: str, sequence: Sequence | None
) -> None:
    """Build the inside of the group."""
    build = _Builder(group)
    given = build.node("NodeGroupInput", -1000, 0)
    result = build.node("NodeGroupOutput", 700, 0)
    coordinates = build.node("ShaderNodeTexCoord", -1000, 300)
    place = build.node("ShaderNodeMapping", -760, 200)
    build.link(coordinates.outputs["UV" if mapping == "UV" else "Object"], place.inputs["Vector"])
    build.link(given.outputs["Repeat"], place.inputs["Scale"])

    pictures = {}
    for row, (name, image) in enumerate(sorted(maps.items())):
        texture = build.node("ShaderNodeTexImage", -480, 300 - 290 * row, name.capitalize())
        texture.name = f"Loom {name}"
        texture.image = image
        if mapping == "BOX":
            texture.projection, texture.projection_blend = "BOX", 0.25
        if sequence is not None:
            _play(texture.image_user, sequence)
        build.link(place.outputs["Vector"], texture.inputs["Vector"])
        pictures[name] = texture.outputs["Color"]
    if "color" in pictures:  # what Solid shading with Texture shows, and what is painted on; else the first map
        group.nodes.active = pictures["color"].node

    build.link(_color(build, given, pictures), result.inputs["Color"])
    build.link(_roughness(build, pictures), result.inputs["Roughness"])
    build.link(_normal(build, given, pictures, box=mapping == "BOX"), result.inputs["Normal"])
    if "height" in pictures:
        build.link(pictures["height"], result.inputs["Height"])


def _play(user: bpy.types.ImageUser, sequence: Sequence) -> None:
    user.frame_duration = sequence.frames
    user.frame_start = sequence.start
    user.frame_offset = 0
    user.use_cyclic = True
    user.use_auto_refresh = True


def _color(
    build: _Builder, given: bpy.types.Node, pictures: Mapping[str, bpy.types.NodeSocket]
) -> bpy.types.NodeSocket:
    """The colour, darkened in crevices where there is an ambient occlusion map."""
    if "ao" not in pictures:
        return pictures["color"]
    mix = build.node("ShaderNodeMix", 100, 300, "Crevice Shade")
    mix.data_type, mix.blend_type = "RGBA", "MULTIPLY"
    factor, first, second = (_socket(mix.inputs, name) for name in ("Factor_Float", "A_Color", "B_Color"))
    build.link(given.outputs["Crevice Shade"], factor)
    build.link(pictures["color"], first)
    build.link(pictures["ao"], second)
    return _socket(mix.outputs, "Result_Color")


def _roughness(build: _Builder, pictures: Mapping[str, bpy.types.NodeSocket]) -> bpy.types.NodeSocket:
    if "roughness" in pictures:
        return pictures["roughness"]
    value = build.node("ShaderNodeValue", 100, 0, "Roughness")
    value.outputs[0].default_value = PLAIN_ROUGHNESS
    return value.outputs[0]


def _normal(
    build: _Builder, given: bpy.types.Node, pictures: Mapping[str, bpy.types.NodeSocket], *, box: bool
) -> bpy.types.NodeSocket:
    """The normal map; a bump from the height where box mapping has no tangents; else a little from the brightness."""
    if "normal" in pictures and not box:
        normal = build.node("ShaderNodeNormalMap", 100, -250)
        build.link(given.outputs["Relief"], normal.inputs["Strength"])
        build.link(pictures["normal"], normal.inputs["Color"])
        return normal.outputs["Normal"]
    bump = build.node("ShaderNodeBump", 400, -250)
    bump.inputs["Distance"].default_value = 0.05 if "height" in pictures else 0.05 * BRIGHTNESS_BUMP
    build.link(pictures.get("height", pictures["color"]), bump.inputs["Height"])
    strength = build.node("ShaderNodeClamp", 100, -400, "Relief")
    build.link(given.outputs["Relief"], strength.inputs["Value"])
    build.link(strength.outputs["Result"], bump.inputs["Strength"])
    return bump.outputs["Normal"]


def _socket(sockets: bpy.types.bpy_prop_collection, identifier: str) -> bpy.types.NodeSocket:
    """Sockets of a Mix node share their names between data types; identifiers are unique."""
    return next(socket for socket in sockets if socket.identifier == identifier)


def _link(tree: bpy.types.ShaderNodeTree, node: bpy.types.ShaderNodeGroup) -> Applied:
    """Link the group's outputs into the Principled shader wherever that takes nothing from the artist."""
    shader = _principled(tree)
    if shader is None:
        return Applied(node=node, linked=(), kept=())
    if not any(socket.is_linked for socket in node.outputs):
        node.location = (shader.location.x - 260, shader.location.y)
    linked, kept = [], []
    for output, name in LINKS.items():
        target = shader.inputs[name]
        if target.is_linked and target.links[0].from_node != node:
            kept.append(name)
        else:
            tree.links.new(node.outputs[output], target)
            linked.append(name)
    return Applied(node=node, linked=tuple(linked), kept=tuple(kept))


def _principled(tree: bpy.types.ShaderNodeTree) -> bpy.types.Node | None:
    """The Principled shader that reaches the active output, else any."""
    output = tree.get_output_node("ALL")
    if output is not None and output.inputs["Surface"].is_linked:
        source = output.inputs["Surface"].links[0].from_node
        if source.type == "BSDF_PRINCIPLED":
            return source
    return next((node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
