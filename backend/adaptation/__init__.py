"""Text-driven adaptation of a generator (StyleGAN-NADA) as a library.

from latent_loom.backend.adaptation import AdaptSettings, adapt, blend
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.generate import texture

generator = Store().generator("builtin")
style = adapt(generator, AdaptSettings(source="stone", target="mossy stone"), name="mossy")
print(style.info.measures, style.nbytes)
style.save("mossy.safetensors")
mossy = blend(generator, [(style, 0.8)])
picture = texture(mossy, seed=3, size=(512, 512), tile="xy", psi=1.0)   # uint8 [512, 512, 3]
"""

from .adapt import Adaptation, adapt
from .clip import Clip, load_clip
from .settings import AdaptSettings
from .style import Style, StyleInfo, blend

__all__ = ["AdaptSettings", "Adaptation", "Clip", "Style", "StyleInfo", "adapt", "blend", "load_clip"]
