"""Makes the fixtures of the image layers, in `images/`: convolution, batch normalization, pooling, shortcut, L2. PyTorch float64.

To make them again:   python3 Tests/NeuralNetworkTests/Fixtures/generate_images.py            (needs torch, numpy, safetensors)
To compare only:      python3 Tests/NeuralNetworkTests/Fixtures/generate_images.py --check

Images are stored as [B, H, W, C] and kernels as [row, column, in, out]; PyTorch's own functions take [B, C, H, W] and
[out, in, row, column]. Keys: see oracle.py in Tests/TestSupport.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "TestSupport"))
import torch
import torch.nn.functional as F
from oracle import Case, main


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1).contiguous()


def conv(x, kernel, bias, stride, padding):
    return channels_last(F.conv2d(channels_first(x), kernel.permute(3, 2, 0, 1), bias, stride, padding))


def norm(x, gamma, beta, running, momentum, epsilon, training):
    """PyTorch's batch_norm; `running` = (mean, variance) is replaced by copies that it has moved."""
    running[:] = [tensor.detach().clone() for tensor in running]
    y = F.batch_norm(channels_first(x), running[0], running[1], gamma, beta, training, momentum, epsilon)
    return channels_last(y)


def convolution(name, batch, height, width, inputs, outputs, size=3, stride=1, padding=1, bias=True):
    case = Case(name, stride=stride, padding=padding)
    x = case.normal("in.x", batch, height, width, inputs)
    kernel = case.normal("param.kernel", size, size, inputs, outputs, deviation=0.3)
    b = case.normal("param.bias", outputs) if bias else None
    return case, case.finish({"y": conv(x, kernel, b, stride, padding)})


def running_statistics(case, channels):
    """State, not differentiated: without a gradient of its own."""
    mean = case.normal("in.runningMean", channels)
    variance = case.values("in.runningVariance", case.random.uniform(0.5, 2, channels))
    mean.requires_grad_(False), variance.requires_grad_(False)
    return [mean, variance]


def batch_norm(name, training, relu=False, shift=0.0, momentum=0.1, epsilon=1e-5):
    batch, height, width, channels = 3, 5, 4, 19
    case = Case(name, training=training, relu=relu, momentum=momentum, epsilon=epsilon)
    x = case.normal("in.x", batch, height, width, channels, mean=shift)
    gamma = case.normal("param.gamma", channels, mean=1.0, deviation=0.5)
    beta = case.normal("param.beta", channels)
    running = running_statistics(case, channels)
    y = norm(x, gamma, beta, running, momentum, epsilon, training)
    arrays = case.finish({"y": F.relu(y) if relu else y})
    arrays["out.runningMean"], arrays["out.runningVariance"] = (tensor.detach().numpy() for tensor in running)
    return case, arrays


def block_unit(name, inputs, outputs, height, width, stride, training, momentum=0.1, epsilon=1e-5):
    """conv(relu(norm(x))) + bias + residual, and the norm of the result by its own statistics."""
    batch = 3
    case = Case(name, stride=stride, training=training, momentum=momentum, epsilon=epsilon)
    x = case.normal("in.x", batch, height, width, inputs, mean=0.5)
    gamma = case.normal("param.gamma", inputs, mean=1.0, deviation=0.5)
    beta = case.normal("param.beta", inputs)
    kernel = case.normal("param.kernel", 3, 3, inputs, outputs, deviation=0.2)
    bias = case.normal("param.bias", outputs)
    residual = case.normal("in.residual", batch, -(-height // stride), -(-width // stride), outputs)
    running = running_statistics(case, inputs)
    z = norm(x, gamma, beta, running, momentum, epsilon, training)
    y = conv(F.relu(z), kernel, bias, stride, 1) + residual
    arrays = case.finish({"y": y})
    arrays["out.runningMean"], arrays["out.runningVariance"] = (tensor.detach().numpy() for tensor in running)
    return case, arrays


def pooling(name, height, width):
    case = Case(name)
    x = case.normal("in.x", 3, height, width, 5)
    return case, case.finish({
        "max": channels_last(F.max_pool2d(channels_first(x), 2)),
        "average": channels_first(x).mean((2, 3)),
    })


def max_pool_ties():
    """Equal values in a square: the gradient goes to the first."""
    case = Case("maxPool_ties")
    x = case.values("in.x", case.random.randint(0, 3, (2, 6, 6, 4)))
    return case, case.finish({"max": channels_last(F.max_pool2d(channels_first(x), 2))})


def shortcut(name, stride, channels):
    """As option A of He et al. 2016: pixels left out, channels of zeros behind."""
    case = Case(name, stride=stride, channels=channels)
    x = case.normal("in.x", 2, 7, 6, 5)
    return case, case.finish({"y": F.pad(x[:, ::stride, ::stride], (0, channels - 5))})


def l2():
    """½ λ Σ ‖K‖², added to another loss: what `weight_decay` adds to the gradients."""
    coefficient = 5e-4
    case = Case("l2", coefficient=coefficient)
    kernels = [case.normal("param.first", 3, 3, 5, 7), case.normal("param.second", 19)]
    return case, case.finish({"penalty": coefficient / 2 * sum((kernel * kernel).sum() for kernel in kernels)})


def cases():
    yield convolution("conv3_16to16", 2, 6, 7, 16, 16)
    yield convolution("conv3_3to16", 2, 9, 8, 3, 16, bias=False)
    yield convolution("conv3_5to3", 2, 7, 5, 5, 3)
    yield convolution("conv3_stride2_16to32", 2, 6, 8, 16, 32, stride=2)
    yield convolution("conv3_stride2_odd_32to16", 1, 7, 5, 32, 16, stride=2)
    yield convolution("conv3_stride2_3to5", 2, 7, 6, 3, 5, stride=2)
    yield convolution("conv3_noPadding_16to16", 2, 5, 6, 16, 16, padding=0)
    yield convolution("conv7_1to16", 2, 10, 9, 1, 16, size=7, padding=3)
    yield convolution("conv5_16to16", 1, 6, 5, 16, 16, size=5, padding=2)
    yield convolution("conv1_stride2_16to16", 2, 6, 5, 16, 16, size=1, stride=2, padding=0)
    yield convolution("conv5_stride3_5to16", 2, 10, 11, 5, 16, size=5, stride=3, padding=2)
    yield convolution("conv4_stride2_16to16", 2, 7, 8, 16, 16, size=4, stride=2, padding=1)

    yield batch_norm("batchNorm_training", True)
    yield batch_norm("batchNorm_training_relu", True, relu=True)
    yield batch_norm("batchNorm_training_farFromZero", True, shift=100.0)
    yield batch_norm("batchNorm_training_momentum", True, momentum=0.25, epsilon=1e-3)
    yield batch_norm("batchNorm_evaluation", False)
    yield batch_norm("batchNorm_evaluation_relu", False, relu=True)

    yield block_unit("block_16to16", 16, 16, 6, 5, 1, True)
    yield block_unit("block_16to32_stride2", 16, 32, 7, 6, 2, True)
    yield block_unit("block_3to5", 3, 5, 6, 5, 1, True)
    yield block_unit("block_32to16_evaluation", 32, 16, 5, 4, 1, False)

    yield pooling("pooling", 6, 4)
    yield pooling("pooling_odd", 7, 5)
    yield max_pool_ties()
    yield shortcut("shortcut_stride2", 2, 12)
    yield shortcut("shortcut_channels", 1, 9)
    yield l2()


if __name__ == "__main__":
    main(HERE / "images", cases())
