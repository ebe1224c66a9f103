"""The three benchmark networks of the zoo in PyTorch, identical layer by layer, with a training step."""

import torch
from torch import nn
from torch.nn import functional


def convolution(inputs, outputs, stride=1, kernel=3):
    """Returns a convolution without bias, followed by batch norm."""
    affine = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [affine, nn.BatchNorm2d(outputs, momentum=0.1)]


def mlp():
    """Returns the network of the recipe `mlp_mnist`: 784-512-512-10 with ReLU."""
    hidden = [m for i in (784, 512) for m in (nn.Linear(i, 512), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(512, 10))


def cnn():
    """Returns the network of `cnn_mnist`: two stages of two convolutions and pooling, one hidden layer."""
    stages = []
    for inputs, outputs in ((1, 32), (32, 64)):
        stages += [
            *convolution(inputs, outputs),
            nn.ReLU(True),
            *convolution(outputs, outputs),
            nn.ReLU(True),
        ]
        stages += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    hidden = [nn.Linear(64 * 7 * 7, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(True), nn.Dropout(0.25)]
    return nn.Sequential(*stages, nn.Flatten(), *hidden, nn.Linear(128, 10))


class Block(nn.Module):
    """Basic residual block, version 1, with a projection if the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.residual = nn.Sequential(
            *convolution(inputs, outputs, stride), nn.ReLU(True), *convolution(outputs, outputs)
        )
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, stride, 1))

    def forward(self, x):
        """Returns phi(x + F(x))."""
        return functional.relu(self.shortcut(x) + self.residual(x), inplace=True)


def resnet20():
    """Returns the network of the recipe `resnet20_cifar10`: ResNet-20, version 1."""
    blocks, inputs = [], 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        blocks += [Block(inputs, outputs, stride), Block(outputs, outputs, 1), Block(outputs, outputs, 1)]
        inputs = outputs
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*convolution(3, 16), nn.ReLU(True), *blocks, *pool)


NETWORKS = {
    "mlp_mnist": (mlp, (1, 28, 28)),
    "cnn_mnist": (cnn, (1, 28, 28)),
    "resnet20_cifar10": (resnet20, (3, 32, 32)),
}


def training_step(name, batch_size, layout="contiguous", foreach=None):
    """Returns a function without arguments that takes a training step, and the number of parameters.

    Args:
        name: A key of `NETWORKS`.
        batch_size: Examples per step.
        layout: `contiguous` or `channels_last`.
        foreach: Argument of the optimizer; `None` for PyTorch's default.
    """
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = make().train().to(memory_format=form)
    batches = [
        (torch.rand(batch_size, *shape).contiguous(memory_format=form), torch.randint(0, 10, (batch_size,)))
        for _ in range(8)
    ]
    if name == "resnet20_cifar10":
        optimizer = torch.optim.SGD(
            model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, foreach=foreach
        )
    else:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, foreach=foreach)
    state = {"step": 0}

    def step():
        images, labels = batches[state["step"] % len(batches)]
        state["step"] += 1
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step, sum(p.numel() for p in model.parameters())
