"""The arithmetic of synthesis in pure PyTorch: padding, resampling, modulated convolution, activation."""
