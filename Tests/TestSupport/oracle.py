"""What the fixture programs share: drawing values, taking gradients, writing a file. PyTorch, float64, one thread.

A case has inputs (`in.*`), parameters (`param.*`) and outputs (`out.*`). Its scalar objective is a loss, or

    objective = Σ over outputs Σ over elements  cotangent · output

with fixed random cotangents (`cotangent.out.*`), so that every element of every output has its share in the gradients.
`grad.<key>` is the gradient of the objective with respect to the float tensor stored under `<key>`.

Every drawn value is representable in float32, so a test in float32 starts from the very numbers that were used here and measures
only the arithmetic. The seed is a checksum of the case's name; numpy keeps the stream of `RandomState` fixed for good.
Made again on the same machine with the same PyTorch, the files are the same bytes; on another processor the last bits may differ.
"""
import json
import os
import pathlib
import sys
import tempfile
import zlib

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


# ---------------------------------------------------------------- equations that several programs use

def layer_norm(x, gamma, beta, epsilon, groups=1):
    """LN over the last axis, cut into `groups` blocks that are normalized each by itself (4 for packed gates).

    y = γ (x − mean) / √(variance + ε) + β, with the biased variance; γ and β are as long as the whole last axis.
    """
    blocks = x.unflatten(-1, (groups, -1))
    centered = blocks - blocks.mean(-1, keepdim=True)
    variance = (centered * centered).mean(-1, keepdim=True)
    return gamma * (centered / torch.sqrt(variance + epsilon)).flatten(-2) + beta


def cross_entropy(logits, targets):
    """Mean over rows of −log softmax(logits)[target], in nats; logits [N, V], targets [N]."""
    log_probabilities = logits - torch.logsumexp(logits, -1, keepdim=True)
    return -log_probabilities[torch.arange(len(targets)), targets].mean()


# ---------------------------------------------------------------- one case

class Case:
    def __init__(self, name, **metadata):
        self.name = name
        # true and false in lower case, as Swift's Bool(_:) reads them
        text = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in metadata.items()}
        self.metadata = {"case": name, **text}
        self.random = np.random.RandomState(zlib.crc32(name.encode()))
        self.tensors = {}

    def values(self, key, array):
        """Stores given values, rounded to float32, as a float64 leaf of the gradient."""
        assert key not in self.tensors, key
        rounded = np.asarray(array, dtype=np.float32).astype(np.float64)
        self.tensors[key] = torch.from_numpy(rounded).requires_grad_(True)
        return self.tensors[key]

    def normal(self, key, *shape, mean=0.0, deviation=1.0):
        return self.values(key, mean + deviation * self.random.standard_normal(shape))

    def mask(self, key, *shape, keep=0.8):
        """Dropout factors: 1/keep with probability keep, else 0. 1/0.8 = 1.25 is exact in binary."""
        return self.values(key, (self.random.random_sample(shape) < keep) / keep)

    def symbols(self, key, *shape, count):
        self.tensors[key] = torch.from_numpy(self.random.randint(0, count, shape).astype(np.int64))
        return self.tensors[key]

    def group(self, prefix):
        """The tensors whose key starts with `prefix`, named by the rest."""
        return {key[len(prefix):]: value for key, value in self.tensors.items() if key.startswith(prefix)}

    def finish(self, outputs, objective=None, differentiate=True):
        """Adds outputs, cotangents and gradients, and returns the arrays of the file by key.

        objective: the loss; None stands for the sum of cotangent · output.
        """
        leaves = {key: tensor for key, tensor in self.tensors.items() if tensor.requires_grad}
        arrays = dict(self.tensors)
        arrays.update({f"out.{key}": value for key, value in outputs.items()})
        if differentiate:
            if objective is None:
                objective = torch.zeros(())
                for key, value in outputs.items():
                    cotangent = np.asarray(self.random.standard_normal(tuple(value.shape)))
                    cotangent = torch.from_numpy(cotangent.astype(np.float32).astype(np.float64))
                    arrays[f"cotangent.out.{key}"] = cotangent
                    objective = objective + (cotangent * value).sum()
            gradients = torch.autograd.grad(objective, list(leaves.values()))
            arrays.update({f"grad.{key}": gradient for key, gradient in zip(leaves, gradients)})
        arrays = {key: value.detach().numpy() for key, value in arrays.items()}
        for key, array in arrays.items():
            assert np.isfinite(array).all(), (self.name, key)
        return arrays


# ---------------------------------------------------------------- the file

def encode(arrays, metadata):
    """A safetensors file as bytes: keys and metadata sorted (the Python package orders metadata differently in each process)."""
    names = {"float64": "F64", "int64": "I64"}
    header, data = {"__metadata__": dict(sorted(metadata.items()))}, b""
    for key in sorted(arrays):
        array = arrays[key]
        start, data = len(data), data + array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[key] = {"dtype": names[str(array.dtype)], "shape": list(array.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def main(folder, cases):
    """Writes `folder`/<case>.safetensors for each (case, arrays), or with --check compares with what stands there.

    Cases named on the command line are the only ones that are written or compared. Without names, files of cases that are no
    more are removed. Each file is read back by the safetensors package.
    """
    from safetensors.numpy import load

    folder, check = pathlib.Path(folder), "--check" in sys.argv[1:]
    wanted = {argument for argument in sys.argv[1:] if argument != "--check"}
    total, different, written = 0, [], set()
    for case, arrays in cases:
        if wanted and case.name not in wanted:
            continue
        content = encode(arrays, case.metadata)
        read = load(content)
        assert read.keys() == arrays.keys() and all(np.array_equal(read[key], arrays[key]) for key in arrays), case.name
        path = folder / f"{case.name}.safetensors"
        assert path.name not in written, f"two cases are called {case.name}"
        written.add(path.name)
        total += len(content)
        assert len(content) <= 200_000, f"{path.name}: {len(content)} bytes"
        if check:
            if not path.exists() or path.read_bytes() != content:
                different.append(path.name)
        else:
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                file.write(content)
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
    missing = sorted(wanted - {name.removesuffix(".safetensors") for name in written})
    if missing:
        sys.exit(f"no case is called {', '.join(missing)}")
    stray = [] if wanted else sorted(path.name for path in folder.glob("*.safetensors") if path.name not in written)
    if check:
        different += stray
        if different:
            sys.exit(f"{folder}: not what this program makes: {', '.join(different)}")
        print(f"{folder}: {len(written)} files, {total} bytes, all the same")
    else:
        for name in stray:
            (folder / name).unlink()
        print(f"{folder}: {len(written)} files, {total} bytes")
