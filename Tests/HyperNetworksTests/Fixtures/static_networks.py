"""The static half of the fixtures: the generator of Eq. 1-3, small Wide ResNets, the MNIST network, the coordinate network.

Images are stored [B, height, width, channels], kernels [f, f, C_in, C_out]; PyTorch's own layout is used inside only.
Parameters are named as in the Swift models. Objectives are the mean cross entropy plus l2 · ½ Σ ‖K‖² over all kernels.

    in.<norm>.runningMean, .runningVariance    before the forward pass in training mode
    out.<norm>.runningMean, .runningVariance   after it;  out.evaluationLogits  with those, in evaluation mode
"""
import numpy as np
import torch
from oracle import Case, cross_entropy

F = torch.nn.functional
EPSILON, MOMENTUM = 1e-5, 0.1


# ---------------------------------------------------------------- Eq. 1-3, as printed

def basic_kernel(p, z, basic):
    """K = g(z), [f, f, N_in, N_out], slice by slice."""
    f, N_in, N_out = basic
    N_z, d = p["W"].shape[0], p["W_out"].shape[0]
    slices = []
    for i in range(N_in):
        W_i = p["W"].reshape(N_z, N_in, d)[:, i].T                     # d × N_z
        a_i = W_i @ z + p["B"].reshape(N_in, d)[i]                     # Eq. 2
        W_out = p["W_out"].reshape(d, f, f * N_out).permute(1, 2, 0)   # f × N_out·f × d
        K_i = W_out @ a_i + p["B_out"].reshape(f, f * N_out)           # Eq. 2
        slices.append(K_i.reshape(f, f, N_out))
    return torch.stack(slices, 2)


def kernels(p, basic, layers):
    """Every layer's kernel from its share of z (Eq. 3): rows are blocks of inputs, columns blocks of outputs."""
    f, N_in, N_out = basic
    made, first = [], 0
    for inputs, outputs in layers:
        rows = []
        for _ in range(inputs // N_in):
            columns = []
            for _ in range(outputs // N_out):
                columns.append(basic_kernel(p, p["z"][first], basic))
                first += 1
            rows.append(torch.cat(columns, 3))
        made.append(torch.cat(rows, 2))
    assert first == len(p["z"])
    return made


def draw_generator(case, prefix, basic, layers, N_z, d, deviation=1.0):
    f, N_in, N_out = basic
    count = sum(inputs // N_in * (outputs // N_out) for inputs, outputs in layers)
    case.normal(prefix + "W", N_z, N_in * d, deviation=N_z ** -0.5)
    case.normal(prefix + "B", N_in * d, deviation=0.1 * deviation)
    case.normal(prefix + "W_out", d, f * f * N_out, deviation=d ** -0.5)
    case.normal(prefix + "B_out", f * f * N_out, deviation=0.1 * deviation)
    case.normal(prefix + "z", count, N_z, deviation=deviation)
    return case.group(prefix)


def generator_case():
    basic, layers, f = (3, 2, 3), [(2, 3), (4, 6), (2, 9), (6, 3)], 3
    case = Case("static_generator", layers=" ".join(f"{i}x{o}" for i, o in layers))
    made = kernels(draw_generator(case, "param.", basic, layers, N_z=4, d=5), basic, layers)
    assert [tuple(kernel.shape) for kernel in made] == [(f, f, i, o) for i, o in layers]
    return case, case.finish({f"kernel{index}": kernel for index, kernel in enumerate(made)})


# ---------------------------------------------------------------- layers

def conv(x, kernel, bias=None, stride=1):
    padding = kernel.shape[0] // 2
    x, kernel = x.permute(0, 3, 1, 2).contiguous(), kernel.permute(3, 2, 0, 1).contiguous()
    return F.conv2d(x, kernel, bias, stride, padding).permute(0, 2, 3, 1)


class Normalization:
    """Batch normalization under `name`, with the running statistics that it moves in training mode."""

    def __init__(self, case, name, channels):
        self.gamma = case.normal(f"param.{name}.gamma", channels, mean=1, deviation=0.3)
        self.beta = case.normal(f"param.{name}.beta", channels, deviation=0.3)
        mean = case.normal(f"in.{name}.runningMean", channels, deviation=0.3).requires_grad_(False)
        variance = case.values(f"in.{name}.runningVariance", 0.5 + case.random.random_sample(channels))
        self.mean, self.variance = mean.clone(), variance.requires_grad_(False).clone()
        self.name = name

    def __call__(self, x, training):
        y = F.batch_norm(
            x.permute(0, 3, 1, 2), self.mean, self.variance, self.gamma, self.beta, training, MOMENTUM, EPSILON)
        return y.permute(0, 2, 3, 1)

    def outputs(self):
        return {f"{self.name}.runningMean": self.mean, f"{self.name}.runningVariance": self.variance}


def he(case, key, f, inputs, outputs):
    return case.normal(key, f, f, inputs, outputs, deviation=(2 / (f * f * inputs)) ** 0.5)


def l2_penalty(kernels, coefficient):
    return coefficient / 2 * sum((kernel * kernel).sum() for kernel in kernels)


# ---------------------------------------------------------------- networks

def wide_resnet_case(name, base, hyper, basic=None, N_z=None, k=1, N=1, side=8, B=3, classes=10, l2=0.01):
    case = Case(name, base=base, widening=k, blocks=N, hyper=hyper, l2=l2, basic=basic or 0, embeddingSize=N_z or 0)
    images = case.normal("in.images", B, side, side, 3)
    targets = case.symbols("in.targets", B, count=classes)
    stem = he(case, "param.stem.kernel", 3, 3, base)
    stem_norm = Normalization(case, "stem.norm", base)
    norms, blocks, inputs = [stem_norm], [], base
    for group, outputs in enumerate((base * k, 2 * base * k, 4 * base * k)):
        for block in range(N):
            prefix = f"block{len(blocks)}"
            norm1 = Normalization(case, f"{prefix}.norm1", inputs)
            bias1 = case.normal(f"param.{prefix}.bias1", outputs, deviation=0.3)
            norm2 = Normalization(case, f"{prefix}.norm2", outputs)
            bias2 = case.normal(f"param.{prefix}.bias2", outputs, deviation=0.3)
            norms += [norm1, norm2]
            blocks.append((norm1, bias1, norm2, bias2, inputs, outputs, 2 if group and not block else 1))
            inputs = outputs
    last = Normalization(case, "norm", inputs)
    norms.append(last)
    W = case.normal("param.output.W", inputs, classes, deviation=inputs ** -0.5)
    b = case.normal("param.output.b", classes, deviation=0.3)
    shapes = [shape for block in blocks for shape in ((block[4], block[5]), (block[5], block[5]))]
    if hyper:
        basic = (3, basic, basic)
        own = kernels(draw_generator(case, "param.hyper.", basic, shapes, N_z, N_z, deviation=0.1), basic, shapes)
    else:
        own = [he(case, f"param.block{n // 2}.kernel{n % 2 + 1}", 3, *shape) for n, shape in enumerate(shapes)]

    def forward(training):
        x = stem_norm(conv(images, stem), training)
        for n, (norm1, bias1, norm2, bias2, before, after, stride) in enumerate(blocks):
            y = conv(torch.relu(norm1(x, training)), own[2 * n], bias1, stride)
            y = conv(torch.relu(norm2(y, training)), own[2 * n + 1], bias2)
            x = y + F.pad(x[:, ::stride, ::stride], (0, after - before))
        return torch.relu(last(x, training)).mean((1, 2)) @ W + b

    logits = forward(training=True)
    loss = cross_entropy(logits, targets) + l2_penalty([stem] + own, l2)
    outputs = {"logits": logits, "loss": loss}
    for norm in norms:
        outputs.update(norm.outputs())
    return case, case.finish({**outputs, "evaluationLogits": forward(training=False)}, objective=loss)


def mnist_case(B=2, N_z=4, l2=0.01):
    """Without the gradient of the output layer's matrix, which would be half of the file."""
    case = Case("static_mnist_hyper", l2=l2)
    images = case.values("in.images", case.random.random_sample((B, 28, 28, 1))).requires_grad_(False)
    targets = case.symbols("in.targets", B, count=10)
    kernel1, bias1 = he(case, "param.conv1.kernel", 7, 1, 16), case.normal("param.conv1.bias", 16, deviation=0.1)
    basic = (7, 16, 16)
    p = draw_generator(case, "param.hyper.", basic, [(16, 16)], N_z, N_z, deviation=0.1)
    kernel2, bias2 = kernels(p, basic, [(16, 16)])[0], case.normal("param.conv2.bias", 16, deviation=0.1)
    W = case.normal("param.output.W", 784, 10, deviation=784 ** -0.5).requires_grad_(False)
    b = case.normal("param.output.b", 10, deviation=0.3)

    def pool(x):
        return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)

    x = pool(torch.relu(conv(images, kernel1, bias1)))
    x = pool(torch.relu(conv(x, kernel2, bias2)))
    logits = x.flatten(1) @ W + b
    loss = cross_entropy(logits, targets) + l2_penalty([kernel1, kernel2], l2)
    return case, case.finish({"logits": logits, "loss": loss}, objective=loss)


def coordinate_case(B=4):
    """784-256-10 with the matrix from a 4-25-25-1 network of the coordinates (appendix A.1)."""
    case = Case("static_coordinates")
    images = case.values("in.images", case.random.random_sample((B, 28, 28, 1)))
    targets = case.symbols("in.targets", B, count=10)
    layers = []
    for index, (inputs, outputs) in enumerate(((4, 25), (25, 25), (25, 1))):
        prefix = f"param.coordinates.layer{index + 1}"
        deviation = (2 / inputs) ** 0.5 * (0.5 if outputs == 1 else 1)
        layers.append((case.normal(f"{prefix}.W", inputs, outputs, deviation=deviation),
                       case.normal(f"{prefix}.b", outputs, deviation=0.1 if outputs == 1 else 1)))
    b = case.normal("param.b", 256, deviation=0.1)
    W_output, b_output = case.normal("param.output.W", 256, 10, deviation=1 / 16), case.normal("param.output.b", 10)

    def grid(side):
        """(x, y) of each place of a square grid, row by row, from -1 to 1."""
        line = np.linspace(-1, 1, side)
        y, x = np.meshgrid(line, line, indexing="ij")
        return torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1))

    pixels, units = grid(28), grid(16)
    table = torch.cat([pixels[:, None].expand(-1, 256, -1), units[None].expand(784, -1, -1)], 2)
    (W1, b1), (W2, b2), (W3, b3) = layers
    matrix = 0.01 * (torch.relu(torch.relu(table @ W1 + b1) @ W2 + b2) @ W3 + b3)[:, :, 0]
    logits = torch.relu(images.flatten(1) @ matrix + b) @ W_output + b_output
    loss = cross_entropy(logits, targets)
    return case, case.finish({"logits": logits, "loss": loss}, objective=loss)


def cases():
    yield generator_case()
    yield wide_resnet_case("static_wrn", base=4, hyper=False)
    yield wide_resnet_case("static_wrn_wide", base=1, hyper=False, k=3, N=2, side=12, B=2)
    yield wide_resnet_case("static_wrn_hyper", base=16, hyper=True, basic=16, N_z=4)
    yield wide_resnet_case("static_wrn_hyper_wide", base=2, hyper=True, basic=2, N_z=3, k=2, N=2)
    yield mnist_case()
    yield coordinate_case()
