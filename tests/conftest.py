"""One kind of operators for all tests and the processes that they start, which compare bits with one another: whether
native kernels are there differs from machine to machine. `stylegan2/test_kernels.py` compares the two kinds.
"""

import os

os.environ.setdefault("LATENT_LOOM_KERNELS", "torch")
