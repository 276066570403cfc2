"""What can go wrong in the model library. Every message is one sentence that says what is wrong and what to do.

StyleGAN2Error
+ ConfigError                  hyper-parameters that make no generator
+ ShapeError                   a tensor has the wrong shape for this generator
+ CheckpointError              a model file cannot be used
  + TruncatedCheckpoint        it ends too early, or its bytes are damaged
  + ForeignCheckpoint          it is something else, or of an unknown layout
  + UnsafeCheckpoint           it asks for code to be run; nothing was
  + UnsupportedArchitecture    a generator, but not a StyleGAN2 that this library can rebuild
  + CorruptTensors             tensors are missing, extra, of the wrong shape, or hold NaN or infinity
  + CannotExport               the other format has no place for this generator
"""

from __future__ import annotations


class StyleGAN2Error(Exception):
    pass


class ConfigError(StyleGAN2Error):
    pass


class ShapeError(StyleGAN2Error):
    pass


class CheckpointError(StyleGAN2Error):
    pass


class TruncatedCheckpoint(CheckpointError):
    pass


class ForeignCheckpoint(CheckpointError):
    pass


class UnsafeCheckpoint(CheckpointError):
    pass


class UnsupportedArchitecture(CheckpointError):
    pass


class CorruptTensors(CheckpointError):
    pass


class CannotExport(CheckpointError):
    pass
