"""Makes python.safetensors: a small file from the Python package itself, for the Swift reader.

To make it again:   python3 Tests/SafetensorsTests/Fixtures/generate.py            (needs numpy, safetensors)

One metadata text only: with several, the package orders them differently in each process.
"""
import pathlib

import numpy as np
from safetensors.numpy import save_file

tensors = {
    "single": np.array([[0.5, -1.25, 3.0], [1e-30, 3.4028235e38, -0.0]], dtype=np.float32),
    "double": np.array([np.pi, -1e300]),
    "scalar": np.array(2.5),
    "integers": np.array([0, -1, 2**63 - 1, -(2**63)], dtype=np.int64),
    "bytes": np.array([[0], [127], [255]], dtype=np.uint8),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
save_file(tensors, pathlib.Path(__file__).with_name("python.safetensors"), metadata={"note": 'ĥ says "x · W"\n'})
