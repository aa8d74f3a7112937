"""The models of *HyperNetworks* (Ha, Dai, Le 2016) in PyTorch, as the paper's equations print them.

    model = load("model.safetensors")        # a checkpoint's, a committed row's, or a baked file
    save(model, "copy.safetensors")          # char-hyperlstm and static-hypernet read it again

Parameters have the names and shapes that they have in the files: matrices are applied from the right, so the paper's W x
is x W here; gates are packed in the order i, g, f, o; images are [B, height, width, channels] and kernels
[f, f, C_in, C_out]. Nothing is fused: this is for reading, checking and going on elsewhere, not for speed.
Needs torch and safetensors.
"""
import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


# ---------------------------------------------------------------- files

def load(path):
    """The model that a file of weights says it is, in evaluation mode and float32."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    if "model" not in metadata:
        raise ValueError(f"{path}: the metadata 'model' is missing; expected a file of weights of this project")
    configuration = json.loads(metadata["model"])
    networks = {"wide-resnet": WideResNet, "mnist-conv": MNISTConvNet, "coordinate": CoordinateNetwork}
    if "vocabulary" not in metadata and configuration.get("network") not in networks:
        raise ValueError(f"{path}: the metadata 'model': expected one of the networks {', '.join(networks)}, "
                         f"found {configuration.get('network')}")
    try:
        if "vocabulary" in metadata:
            vocabulary = bytes(int(byte) for byte in metadata["vocabulary"].split())
            model = CharacterModel(configuration, vocabulary=vocabulary)
        else:
            model = networks[configuration["network"]](configuration)
    except KeyError as error:
        raise ValueError(f"{path}: the metadata 'model' lacks the key {error}") from error
    model.metadata = metadata
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ValueError(f"{path}: other tensors than those of the model that its metadata describe: {error}") from error
    return model.eval()


def save(model, path):
    """Writes a model that `load` gave, under the names and with the texts that it was read with."""
    partial = f"{path}.tmp"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial, model.metadata)
    os.replace(partial, path)


def parameter(*shape):
    return nn.Parameter(torch.zeros(*shape))


class Linear(nn.Module):
    """x W + b."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.W, self.b = parameter(inputs, outputs), parameter(outputs)

    def forward(self, x):
        return x @ self.W + self.b


# ---------------------------------------------------------------- characters (A.2.2, Equations 9 to 13)

def layer_norm(x, gamma, beta, epsilon):
    """LN over the last dimension; with the biased variance."""
    return F.layer_norm(x, x.shape[-1:], None, None, epsilon) * gamma + beta


class LSTMCell(nn.Module):
    """Equation 9; Equation 10 with layer normalization."""

    def __init__(self, inputs, units, epsilon=None, forget_bias=1.0, bias_name="b"):
        super().__init__()
        self.units, self.epsilon, self.forget_bias = units, epsilon, forget_bias
        self.W_x, self.W_h = parameter(inputs, 4 * units), parameter(units, 4 * units)
        self.register_parameter(bias_name, parameter(4 * units))
        if epsilon is not None:
            self.gamma, self.beta = parameter(4 * units), parameter(4 * units)
            self.gamma_c, self.beta_c = parameter(units), parameter(units)

    def update(self, y, c):
        """From the gates' pre-activations to h_t and c_t (Equation 13 without dropout)."""
        if self.epsilon is not None:  # each gate by itself
            gates = zip(y.chunk(4, -1), self.gamma.chunk(4), self.beta.chunk(4))
            y = torch.cat([layer_norm(gate, gamma, beta, self.epsilon) for gate, gamma, beta in gates], -1)
        i, g, f, o = y.chunk(4, -1)
        c = torch.sigmoid(f + self.forget_bias) * c + torch.sigmoid(i) * torch.tanh(g)
        inner = c if self.epsilon is None else layer_norm(c, self.gamma_c, self.beta_c, self.epsilon)
        return torch.sigmoid(o) * torch.tanh(inner), c

    def forward(self, x, state):
        """x is [B, inputs]; a state is h and c, [B, units] each."""
        h, c = state
        h, c = self.update(x @ self.W_x + h @ self.W_h + self.b, c)
        return h, (h, c)

    def zero_state(self, batch):
        return torch.zeros(batch, self.units), torch.zeros(batch, self.units)


class HyperLSTMCell(LSTMCell):
    """Equations 10 to 13: the hyper cell rescales the rows of the main cell's weights at every step."""

    def __init__(self, inputs, units, hyper_units, embedding_size, epsilon, hyper_epsilon, forget_bias, previous):
        super().__init__(inputs, units, epsilon, forget_bias, bias_name="b_0")
        self.hyper = LSTMCell(units + inputs, hyper_units, hyper_epsilon, forget_bias)
        self.previous = previous  # whether embeddings are made of ĥ_(t-1)
        for name in "h", "x":
            self.register_parameter(f"W_hhat_{name}", parameter(hyper_units, 4 * embedding_size))
            self.register_parameter(f"b_hhat_{name}", parameter(4 * embedding_size))
        self.W_hhat_b = parameter(hyper_units, 4 * embedding_size)
        self.W_hz, self.W_xz, self.W_bz = (parameter(4, embedding_size, units) for _ in range(3))

    @staticmethod
    def scale(z, W):
        """W^y z^y of each gate y, side by side (Equation 12)."""
        return torch.cat([z_y @ W_y for z_y, W_y in zip(z.chunk(4, -1), W)], -1)

    def forward(self, x, state):
        h, c, hyper = state
        h_hat_before = hyper[0]
        h_hat, hyper = self.hyper(torch.cat([h, x], -1), hyper)                             # Equation 10
        source = h_hat_before if self.previous else h_hat
        d_h = self.scale(source @ self.W_hhat_h + self.b_hhat_h, self.W_hz)                 # Equations 11, 12
        d_x = self.scale(source @ self.W_hhat_x + self.b_hhat_x, self.W_xz)
        b = self.scale(source @ self.W_hhat_b, self.W_bz) + self.b_0
        h, c = self.update(d_h * (h @ self.W_h) + d_x * (x @ self.W_x) + b, c)              # Equations 12, 13
        return h, (h, c, hyper)

    def zero_state(self, batch):
        return (*super().zero_state(batch), self.hyper.zero_state(batch))


class CharacterModel(nn.Module):
    """One-hot characters, recurrent layers, softmax (sections 4.3 and 4.4)."""

    def __init__(self, configuration, vocabulary):
        super().__init__()
        c, self.vocabulary = configuration, vocabulary
        epsilon = c["layerNormEpsilon"] if c["layerNorm"] else None
        self.layers = []
        for index in range(c["layers"]):
            inputs = len(vocabulary) if index == 0 else c["units"]
            if c["cell"] == "lstm":
                cell = LSTMCell(inputs, c["units"], epsilon, c["forgetBias"])
            elif c["cell"] != "hyper-lstm":
                raise ValueError(f"no module for cells of the kind '{c['cell']}'; there are lstm and hyper-lstm")
            else:
                normalized = c["layerNorm"] or c["hyperLayerNorm"] == "always"
                cell = HyperLSTMCell(
                    inputs, c["units"], c["hyperUnits"], c["embeddingSize"], epsilon,
                    c["layerNormEpsilon"] if normalized else None, c["forgetBias"],
                    previous=c["hyperStateForEmbeddings"] == "previous")
            self.add_module(f"layer{index}", cell)
            self.layers.append(cell)
        self.output = Linear(c["units"], len(vocabulary))

    def zero_state(self, batch):
        return [cell.zero_state(batch) for cell in self.layers]

    def forward(self, symbols, state):
        """Logits of the next symbol at every step, [T, B, V], for symbols [T, B]; and the state after them."""
        logits, state = [], list(state)
        for x in F.one_hot(symbols, len(self.vocabulary)).to(self.output.W):
            for index, cell in enumerate(self.layers):
                x, state[index] = cell(x, state[index])
            logits.append(self.output(x))
        return torch.stack(logits), state

    def encode(self, text):
        """Bytes to symbols."""
        symbol = {byte: index for index, byte in enumerate(self.vocabulary)}
        unknown = set(text) - symbol.keys()
        if unknown:
            raise ValueError(f"the text has symbols that the model does not know: {bytes(sorted(unknown))}")
        return torch.tensor([symbol[byte] for byte in text])


# ---------------------------------------------------------------- images (section 3.1, Equations 1 to 3)

class StaticHypernetwork(nn.Module):
    """One generator of basic kernels, and an embedding z for each basic kernel of each layer."""

    def __init__(self, size, channels, embedding_size, layers):
        super().__init__()
        self.size, self.channels, self.layers = size, channels, layers
        count = sum(inputs // channels * (outputs // channels) for inputs, outputs in layers)
        self.W, self.B = parameter(embedding_size, channels * embedding_size), parameter(channels * embedding_size)
        self.W_out = parameter(embedding_size, size * size * channels)
        self.B_out = parameter(size * size * channels)
        self.z = parameter(count, embedding_size)

    def forward(self):
        """The kernel of every layer, [f, f, C_in, C_out] each."""
        count, f, n = len(self.z), self.size, self.channels
        a = (self.z @ self.W + self.B).reshape(count, n, -1)                   # Equation 2: a_i of every z
        K = (a @ self.W_out + self.B_out).reshape(count, n, f, f, n)           # Equation 2: K_i
        made, first = [], 0
        for inputs, outputs in self.layers:                                    # Equation 3: rows of input blocks
            rows, columns = inputs // n, outputs // n
            tiles = K[first:first + rows * columns].reshape(rows, columns, n, f, f, n)
            made.append(tiles.permute(3, 4, 0, 2, 1, 5).reshape(f, f, inputs, outputs))
            first += rows * columns
        return made


def convolve(x, kernel, bias=None, stride=1):
    """Of [B, H, W, C] with zeros around that keep the size."""
    y = F.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, stride, kernel.shape[0] // 2)
    return y.permute(0, 2, 3, 1)


class BatchNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gamma, self.beta = parameter(channels), parameter(channels)
        self.register_buffer("runningMean", torch.zeros(channels))
        self.register_buffer("runningVariance", torch.ones(channels))

    def forward(self, x):
        y = F.batch_norm(
            x.permute(0, 3, 1, 2), self.runningMean, self.runningVariance, self.gamma, self.beta, self.training, 0.1,
            1e-5)
        return y.permute(0, 2, 3, 1)


class Group(nn.Module):
    """Names inside a name."""


class WideResNet(nn.Module):
    """Section 4.2: pre-activation blocks, shortcuts without parameters, block kernels owned or generated."""

    def __init__(self, configuration):
        super().__init__()
        self.stem = Group()
        self.stem.kernel, self.stem.norm = parameter(3, 3, 3, 16), BatchNorm(16)
        self.blocks, shapes, inputs = [], [], 16
        for group in range(3):
            for index in range(configuration["blocks"]):
                outputs = 16 * configuration["widening"] << group
                block = Group()
                block.norm1, block.bias1 = BatchNorm(inputs), parameter(outputs)
                block.norm2, block.bias2 = BatchNorm(outputs), parameter(outputs)
                stride = 2 if group > 0 and index == 0 else 1
                if configuration["kernels"] == "owned":
                    block.kernel1, block.kernel2 = parameter(3, 3, inputs, outputs), parameter(3, 3, outputs, outputs)
                self.add_module(f"block{len(self.blocks)}", block)
                self.blocks.append((block, stride))
                shapes += [(inputs, outputs), (outputs, outputs)]
                inputs = outputs
        self.norm, self.output = BatchNorm(inputs), Linear(inputs, 10)
        if configuration["kernels"] == "generated":
            self.hyper = StaticHypernetwork(3, 16, configuration["embeddingSize"], shapes)

    def block_kernels(self):
        """Two a block, in order."""
        if hasattr(self, "hyper"):
            return self.hyper()
        return [kernel for block, _ in self.blocks for kernel in (block.kernel1, block.kernel2)]

    def forward(self, images):
        """Class scores [B, 10] of [B, 32, 32, 3]."""
        kernels = iter(self.block_kernels())
        x = self.stem.norm(convolve(images, self.stem.kernel))
        for block, stride in self.blocks:
            outputs = len(block.bias1)
            shortcut = F.pad(x[:, ::stride, ::stride], (0, outputs - x.shape[3]))
            y = convolve(torch.relu(block.norm1(x)), next(kernels), block.bias1, stride)
            x = shortcut + convolve(torch.relu(block.norm2(y)), next(kernels), block.bias2)
        return self.output(torch.relu(self.norm(x)).mean((1, 2)))


class MNISTConvNet(nn.Module):
    """Section 4.1: two 7 × 7 convolutions, the second's kernel owned or generated."""

    def __init__(self, configuration):
        super().__init__()
        self.conv1, self.conv2 = Group(), Group()
        self.conv1.kernel, self.conv1.bias = parameter(7, 7, 1, 16), parameter(16)
        if configuration["kernels"] == "owned":
            self.conv2.kernel = parameter(7, 7, 16, 16)
        else:
            self.hyper = StaticHypernetwork(7, 16, configuration["embeddingSize"], [(16, 16)])
        self.conv2.bias, self.output = parameter(16), Linear(784, 10)

    def forward(self, images):
        """Class scores [B, 10] of [B, 28, 28, 1]."""
        def pooled(x, kernel, bias):
            y = torch.relu(convolve(x, kernel, bias))
            return F.max_pool2d(y.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

        second = self.hyper()[0] if hasattr(self, "hyper") else self.conv2.kernel
        x = pooled(pooled(images, self.conv1.kernel, self.conv1.bias), second, self.conv2.bias)
        return self.output(x.reshape(len(x), 784))


class CoordinateNetwork(nn.Module):
    """Appendix A.1: the 784 × 256 matrix owned, or made by a small network of the coordinates of its two ends."""

    def __init__(self, configuration):
        super().__init__()
        if configuration["kernels"] == "owned":
            self.W = parameter(784, 256)
        else:
            self.coordinates = Group()
            for index, (inputs, outputs) in enumerate([(4, 25), (25, 25), (25, 1)], 1):
                self.coordinates.add_module(f"layer{index}", Linear(inputs, outputs))
        self.b, self.output = parameter(256), Linear(256, 10)

    def matrix(self):
        if not hasattr(self, "coordinates"):
            return self.W

        def grid(side):
            """(x, y) of every place of a grid, in -1 … 1, row by row."""
            line = torch.linspace(-1, 1, side)
            return torch.stack([line.repeat(side), line.repeat_interleave(side)], 1)

        pixels, units = grid(28), grid(16)
        x = torch.cat([pixels[:, None].expand(784, 256, 2), units[None].expand(784, 256, 2)], 2)
        x = torch.relu(self.coordinates.layer1(x))
        x = torch.relu(self.coordinates.layer2(x))
        return 0.01 * self.coordinates.layer3(x)[..., 0]

    def forward(self, images):
        """Class scores [B, 10] of [B, 28, 28, 1]."""
        return self.output(torch.relu(images.reshape(len(images), 784) @ self.matrix() + self.b))
