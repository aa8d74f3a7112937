"""Times a training step of a Wide ResNet 40-k whose kernels `hypnettorch` makes, batch 128: the library's own networks.

    hypnettorch_wrn.py 1|2 [eager] [threads] [steps]

The library's chunked hypernetwork makes the kernels of all three groups in pieces of 16 x 16 x 3 x 3, each from an embedding
of 64 numbers by one hidden layer, whose 32 units give it about as many parameters as the paper's generator; biases,
normalizations, stem and output are the network's own. A step: forward, mean cross entropy, backward, Adam. Prints one JSON
line: median and minimum seconds per step, parameters, peak resident MiB, versions. Needs `pip install hypnettorch==0.0.4
matplotlib pandas scipy scikit-learn`.
"""
import math
from importlib.metadata import version

import torch
import torch.nn as nn
import torch.nn.functional as F
from hypnettorch.hnets import ChunkedHMLP
from hypnettorch.mnets import WRN
from measure import arguments, report_steps, training_step

BATCH, CHUNK, EMBEDDING, HIDDEN = 128, 16 * 16 * 9, 64, 32


class GeneratedWideResNet(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.network = WRN(in_shape=(32, 32, 3), n=6, k=k, no_weights=True, bn_track_stats=False,
                           chw_input_format=True, verbose=False)
        shapes = self.network.param_shapes
        # The stem is the only kernel with three input channels.
        self.is_generated = [len(shape) == 4 and shape[1] != 3 for shape in shapes]
        self.generator = ChunkedHMLP([shape for shape, made in zip(shapes, self.is_generated) if made], CHUNK,
                                     chunk_emb_size=EMBEDDING, cond_chunk_embs=True, cond_in_size=0,
                                     layers=(HIDDEN,), verbose=False)
        # Normalization weights start at 1, biases at 0, matrices by their inputs.
        meta = self.network.param_shapes_meta
        self.own = nn.ParameterList(
            torch.full(shape, 1.0 if about["name"] == "bn_scale" else 0.0) if len(shape) == 1
            else torch.randn(shape) / math.sqrt(math.prod(shape[1:]))
            for shape, made, about in zip(shapes, self.is_generated, meta) if not made)

    def forward(self, x):
        made, own = iter(self.generator(cond_id=0)), iter(self.own)
        return self.network(x, weights=[next(made) if is_made else next(own) for is_made in self.is_generated])


def main():
    options = arguments(__doc__.splitlines()[0], "k", [1, 2], ["eager"], steps=5).parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = GeneratedWideResNet(options.k)
    images, labels = torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.Adam(model.parameters(), 0.002)
    step = training_step(optimizer, lambda: F.cross_entropy(model(images), labels))
    report_steps(f"hyper-wrn-40-{options.k}", "hypnettorch", model, step, options.steps,
                 package=f"hypnettorch {version('hypnettorch')}")


if __name__ == "__main__":
    main()
