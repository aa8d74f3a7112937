"""Reads the test split with a file of weights and prints what `evaluate` prints: an independent check of both.

    python3 python/evaluate.py experiments/static-hypernet/runs/.../0/model.safetensors --data data

Needs torch, numpy and safetensors.
"""
import argparse
import gzip
import json
import math
import os
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch.nn import functional as F

import hypernetworks

CHECKOUT = Path(__file__).parent.parent
DATA = Path(os.environ.get("HYPERNETWORKS_DATA") or CHECKOUT / "data")


# ---------------------------------------------------------------- data

def sample(folder):
    """The folder of the generated samples: that of the data folder, else the checkout's."""
    own = folder / "sample"
    # A data folder that is not there is an error, not one without samples.
    return own if own.is_dir() or not folder.is_dir() else CHECKOUT / "data/sample"


def cifar10(archive):
    """Images [n, 32, 32, 3] of 0 … 255, and their classes."""
    with tarfile.open(archive) as files:
        member = next((name for name in files.getnames() if name.endswith("test_batch.bin")), None)
        if member is None:
            raise ValueError(f"{archive}: expected CIFAR-10's binary version, found no test_batch.bin in it")
        records = np.frombuffer(files.extractfile(member).read(), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def mnist(folder):
    """Images [n, 28, 28, 1] of 0 … 255, and their classes."""
    def read(name, header):
        return np.frombuffer(gzip.open(folder / f"t10k-{name}-ubyte.gz").read(), np.uint8)[header:]

    return read("images-idx3", 16).reshape(-1, 28, 28, 1), read("labels-idx1", 8)


def text(corpus, folder):
    """The bytes of a test split."""
    if corpus in ("text8", "enwik8"):
        with zipfile.ZipFile(folder / corpus / f"{corpus}.zip") as archive:
            return archive.read(archive.namelist()[0])[-5_000_000:]
    if corpus == "sample":
        return gzip.open(sample(folder) / "sample.test.txt.gz").read()
    if corpus != "ptb":
        raise SystemExit(f"no reader of the corpus '{corpus}'; expected ptb, text8, enwik8 or sample")
    return penn_treebank(folder, "test")


def penn_treebank(folder, split):
    """The bytes of train, valid or test, as the paper has them."""
    return characters_of_word_lines(gzip.open(folder / "ptb" / f"ptb.{split}.txt.gz").read())


def characters_of_word_lines(words):
    """Each line without the blank at either end, its line feed kept; blanks between words stay."""
    return b"\n".join(line.removeprefix(b" ").removesuffix(b" ") for line in words.split(b"\n"))


# ---------------------------------------------------------------- figures

def entry(metadata, key):
    if key not in metadata:
        raise ValueError(f"the metadata '{key}' is missing; expected a file of weights that `train` or `keep` wrote")
    return metadata[key]


@torch.no_grad()
def evaluate_images(model, folder):
    """Error in percent and mean cross entropy in nats."""
    metadata = model.metadata
    name = entry(metadata, "dataset")
    place = sample(folder) if name.startswith("sample") else folder
    images, classes = cifar10(place / "cifar-10-binary.tar.gz") if "cifar" in name else mnist(place / "mnist")
    if images.shape[3] == 3:
        means, deviations = (np.float32(json.loads(entry(metadata, key))) for key in ("channelMeans", "channelDeviations"))
    else:
        means, deviations = np.float32(0), np.float32(255)
    nats, wrong = 0.0, 0
    for first in range(0, len(images), 500):
        x = torch.from_numpy((images[first:first + 500].astype(np.float32) - means) / deviations)
        y = torch.from_numpy(classes[first:first + 500].astype(np.int64))
        logits = model(x)
        nats += F.cross_entropy(logits, y, reduction="sum").double().item()
        wrong += (logits.argmax(1) != y).sum().item()
    return 100 * wrong / len(images), nats / len(images)


@torch.no_grad()
def evaluate_text(model, content, streams):
    """Mean cross entropy in nats; each stream from a zero state, the last character of one the first of the next."""
    symbols = model.encode(content)
    length = (len(symbols) - 1) // streams
    if length < 1:
        raise ValueError(f"{len(symbols)} characters are too few for {streams} streams")
    inputs = symbols[:length * streams].reshape(streams, length).T
    targets = symbols[1:length * streams + 1].reshape(streams, length).T
    state, nats = model.zero_state(streams), 0.0
    for first in range(0, length, 100):
        logits, state = model(inputs[first:first + 100], state)
        nats += F.cross_entropy(
            logits.flatten(0, 1), targets[first:first + 100].flatten(), reduction="sum").double().item()
    return nats / (length * streams)


def run(main):
    """Calls a program; a file that cannot be read, or is none of this project, is answered in words, with status 1."""
    try:
        main()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, SafetensorError, ValueError) as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error}") from error


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights")
    parser.add_argument("--data", type=Path, default=DATA, help="the data folder; default: $HYPERNETWORKS_DATA, else data/")
    parser.add_argument("--streams", type=int, default=1, help="parallel streams that a text is read as")
    parser.add_argument("--characters", type=int, help="read this many characters of a text at most")
    arguments = parser.parse_args()
    if arguments.streams < 1 or (arguments.characters is not None and arguments.characters < 2):
        parser.error("expected at least 1 for --streams and at least 2 for --characters")
    model = hypernetworks.load(arguments.weights)
    if isinstance(model, hypernetworks.CharacterModel):
        content = text(entry(model.metadata, "corpus"), arguments.data)[:arguments.characters]
        nats = evaluate_text(model, content, arguments.streams)
        print(f"{nats / math.log(2):.6f} bits per character, {nats:.6f} nats")
    else:
        error, nats = evaluate_images(model, arguments.data)
        print(f"error {error:.4f} %, loss {nats:.6f} nats")


if __name__ == "__main__":
    run(main)
