"""Times a PyTorch CPU training step of a Wide ResNet 40-k, batch 128: what a user would pick instead.

    wrn.py 1|2|4 [eager-cl|eager|compile-cl|compile] [threads] [steps]

`-cl` keeps images and kernels channels last. A step: forward, mean cross entropy, backward, Nesterov momentum 0.9 with
weight decay 5e-4. Prints one JSON line: median and minimum seconds per step, parameters, peak resident MiB.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from measure import arguments, compiled, report_steps, training_step

BATCH = 128


class Block(nn.Module):
    """Pre-activation block; the shortcut takes every second pixel and fills new channels with zeros, without parameters."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(outputs), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        if self.stride > 1:
            x = x[:, :, ::self.stride, ::self.stride]
        if self.new_channels:
            x = F.pad(x, (0, 0, 0, 0, 0, self.new_channels))
        return y + x


class WideResNet(nn.Module):
    """Stem of 16 channels, three groups of six blocks with 16k, 32k and 64k channels, average over the pixels, 10 classes."""

    def __init__(self, k):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks, inputs = [], 16
        for group, outputs in enumerate((16 * k, 32 * k, 64 * k)):
            for block in range(6):
                blocks.append(Block(inputs, outputs, stride=2 if group > 0 and block == 0 else 1))
                inputs = outputs
        self.blocks, self.norm, self.out = nn.Sequential(*blocks), nn.BatchNorm2d(inputs), nn.Linear(inputs, 10)

    def forward(self, x):
        x = self.blocks(self.stem_norm(self.stem(x)))
        return self.out(F.relu(self.norm(x)).mean((2, 3)))


def main():
    modes = ["eager-cl", "eager", "compile-cl", "compile"]
    options = arguments(__doc__.splitlines()[0], "k", [1, 2, 4], modes, steps=7).parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    layout = torch.channels_last if options.mode.endswith("-cl") else torch.contiguous_format
    model = WideResNet(options.k).to(memory_format=layout)
    forward = compiled(model) if options.mode.startswith("compile") else model
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=layout)
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    step = training_step(optimizer, lambda: F.cross_entropy(forward(images), labels))
    report_steps(f"wrn-40-{options.k}", options.mode, model, step, options.steps)


if __name__ == "__main__":
    main()
