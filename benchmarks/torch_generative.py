"""The VAE, PixelCNN and DCGAN of the zoo in PyTorch, layer by layer: training steps and naive sampling.

Legend: B batch, H height, W width, C channels, D pixels (of an image, or of a symbol of PixelCNN), Z latents,
F filters; M rows and N columns of symbols with K values.
"""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize

# Passes after which power iterations have converged.
CONVERGED = 200
_LAYERS = nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d


class VAE(nn.Module):
    """Maps binary images [B, C, H, W] to the ELBO at one draw, [B]."""

    def __init__(self, shape, latents, units, activation, likelihood, importance_samples):
        super().__init__()
        _require("activation", activation, "tanh")
        _require("likelihood", likelihood, "bernoulli")
        _require("importance_samples", importance_samples, 1)
        pixels = int(np.prod(shape))
        self.encoder = nn.Sequential(nn.Flatten(), *_dense(pixels, *units))
        self.mean, self.log_variance = (nn.Linear(units[-1], latents) for _ in range(2))
        self.decoder = nn.Sequential(*_dense(latents, *reversed(units)), nn.Linear(units[0], pixels))

    def forward(self, images):
        """Returns log p(x|z) minus the divergence."""
        mean, log_variance = self.encoded(images)
        logits = self.decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean))
        cross_entropy = functional.binary_cross_entropy_with_logits(
            logits, images.flatten(1), reduction="none"
        ).sum(1)
        return -cross_entropy - 0.5 * (mean**2 + torch.expm1(log_variance) - log_variance).sum(1)

    def encoded(self, images):
        """Returns mean and log variance, [B, Z]."""
        features = self.encoder(images)
        return self.mean(features), self.log_variance(features)

    def outputs(self, images, latents):
        """Returns what is compared."""
        return [*self.encoded(images), self.decoder(latents)]


class CausalConv(nn.Module):
    """The entries of a masked k x k convolution that the mask keeps: [B, C, M, N] to [B, F, M, N]."""

    def __init__(self, inputs, outputs, kernel_size, vertical, strict=False):
        super().__init__()
        side, seen = kernel_size // 2, kernel_size // 2 + (not strict)
        self.convolution = nn.Conv2d(inputs, outputs, (seen, kernel_size) if vertical else (1, seen))
        # Left, right, top, bottom; a strict convolution does not see the last row or column.
        self.padding = (side, side, side, -int(strict)) if vertical else (side, -int(strict), 0, 0)

    def forward(self, x):
        """Applies the convolution."""
        return self.convolution(functional.pad(x, self.padding))


class GatedBlock(nn.Module):
    """A block of the vertical and the horizontal stack, each [B, F, M, N]."""

    def __init__(self, filters, kernel_size):
        super().__init__()
        self.vertical = CausalConv(filters, 2 * filters, kernel_size, vertical=True)
        self.horizontal = CausalConv(filters, 2 * filters, kernel_size, vertical=False)
        self.link = nn.Conv2d(2 * filters, 2 * filters, 1, bias=False)
        self.projection = nn.Conv2d(filters, filters, 1)

    def forward(self, v, h):
        """Returns the two stacks."""
        a = self.vertical(v)
        return _gate(a), h + self.projection(_gate(self.horizontal(h) + self.link(a)))


class PixelCNN(nn.Module):
    """Maps binary images [B, 1, H, W] to log p, [B]."""

    def __init__(
        self,
        shape,
        levels,
        patch,
        filters,
        blocks,
        first_kernel_size,
        kernel_size,
        hidden,
        conditional,
        dropout,
    ):
        super().__init__()
        _require("levels", levels, 2)
        _require("channels", shape[2], 1)
        _require("conditional", conditional, False)
        _require("dropout", dropout, 0.0)
        self.patch, size = patch, patch**2
        self.grid = shape[0] // patch, shape[1] // patch
        self.first_vertical = CausalConv(size, filters, first_kernel_size, vertical=True, strict=True)
        self.first_horizontal = CausalConv(size, filters, first_kernel_size, vertical=False, strict=True)
        self.first_link = nn.Conv2d(filters, filters, 1, bias=False)
        self.blocks = nn.ModuleList(GatedBlock(filters, kernel_size) for _ in range(blocks))
        head = [nn.Conv2d(filters, hidden, 1), nn.ReLU()] if hidden else []
        self.head = nn.Sequential(nn.ReLU(), *head, nn.Conv2d(hidden or filters, 2**size, 1))
        self.register_buffer("place_values", 2 ** torch.arange(size), persistent=False)

    def forward(self, images):
        """Returns log p of each image."""
        pixels = functional.pixel_unshuffle(images, self.patch)
        numbers = (pixels.long() * self.place_values[:, None, None]).sum(1)
        return -functional.cross_entropy(self.logits(2 * pixels - 1), numbers, reduction="none").sum((1, 2))

    def logits(self, x):
        """Returns logits [B, K, M, N] of symbols with pixels of -1 and 1, [B, D, M, N]."""
        v = self.first_vertical(x)
        h = self.first_horizontal(x) + self.first_link(v)
        for block in self.blocks:
            v, h = block(v, h)
        return self.head(h)

    def outputs(self, images):
        """Returns what is compared."""
        return [self(images)[:, None]]


class Generator(nn.Module):
    """Maps latents [B, Z] to images [B, C, H, W]."""

    def __init__(self, shape, latent_size, filters, units, kernel_size):
        super().__init__()
        height, width, channels = shape
        scale = 2 ** len(filters)
        self.shape = filters[0], height // scale, width // scale
        hidden = [nn.Linear(latent_size, units, bias=False), _batch_norm(units, 1), nn.ReLU()]
        last = nn.Linear(units or latent_size, int(np.prod(self.shape)), bias=False)
        self.dense = nn.Sequential(*(hidden if units else []), last)
        layers = [_batch_norm(filters[0]), nn.ReLU()]
        for inputs, outputs in itertools.pairwise(filters):
            layers += [_doubling(inputs, outputs, kernel_size, bias=False), _batch_norm(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, _doubling(filters[-1], channels, kernel_size), nn.Sigmoid())

    def forward(self, latents):
        """Returns images in [0, 1]."""
        return self.layers(self.dense(latents).view(-1, *self.shape))


class Critic(nn.Module):
    """Maps images [B, C, H, W] to logits [B, 1].

    Keras stores spectrally normalized weights and takes the gradient there; PyTorch stores those before, and
    takes the gradient through the norm. Both iterate once in each pass.
    """

    def __init__(self, shape, filters, units, kernel_size, normalization):
        super().__init__()
        height, width, channels = shape
        normalized = parametrizations.spectral_norm if normalization == "spectral" else nn.Identity()
        layers = []
        for index, (inputs, outputs) in enumerate(itertools.pairwise((channels, *filters))):
            batch_norm = normalization == "batch" and index > 0
            padding = kernel_size // 2 - 1
            layer = nn.Conv2d(inputs, outputs, kernel_size, 2, padding, bias=not batch_norm)
            layers += [normalized(layer), *([_batch_norm(outputs)] if batch_norm else []), nn.LeakyReLU(0.2)]
        scale = 2 ** len(filters)
        self.shape = filters[-1], height // scale, width // scale
        size = int(np.prod(self.shape))
        hidden = []
        if units:
            batch_norm = [_batch_norm(units, 1)] if normalization == "batch" else []
            hidden = [normalized(nn.Linear(size, units)), *batch_norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), *hidden, normalized(nn.Linear(units or size, 1)))

    def forward(self, images):
        """Returns logits of real against generated."""
        return self.layers(2 * images - 1)


class DCGAN(nn.Module):
    """A generator and its critic."""

    def __init__(
        self,
        shape,
        latent_size,
        generator_filters,
        generator_units,
        discriminator_filters,
        discriminator_units,
        kernel_size,
        normalization,
    ):
        super().__init__()
        if kernel_size % 2:
            raise ValueError(f"kernel_size must be even for symmetric padding, got {kernel_size}")
        self.latent_size = latent_size
        self.generator = Generator(shape, latent_size, generator_filters, generator_units, kernel_size)
        self.critic = Critic(shape, discriminator_filters, discriminator_units, kernel_size, normalization)

    def outputs(self, images, latents):
        """Returns what is compared, after the power iterations of spectral normalization have converged."""
        drawn = self.generator(latents)
        for _ in range(CONVERGED):
            self.critic(images)
        return [drawn, self.critic(images), self.critic(drawn)]


def likelihood_step(model, case, batches, compiled):
    """Returns a function that takes a step of maximum likelihood, or of its bound."""
    optimizer = _optimizer(case["optimizer"], model)
    function = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = -function(next(batches)).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def adversarial_step(model, case, batches, compiled):
    """Returns a function that takes a step of the critic, then one of the generator on the same images."""
    objective = case["objective"]
    _require("loss", objective["loss"], "non_saturating")
    _require("penalty_weight", objective["penalty_weight"], 0.0)
    _require("discriminator_steps", objective["discriminator_steps"], 1)
    smoothing = objective["label_smoothing"]
    optimizers = [
        _optimizer(case[f"{name}_optimizer"], network)
        for name, network in (("generator", model.generator), ("discriminator", model.critic))
    ]
    generator, critic = (
        torch.compile(network) if compiled else network for network in (model.generator, model.critic)
    )
    weights = list(model.generator.parameters())

    def step():
        images = next(batches)
        fake = generator(torch.randn(len(images), model.latent_size))
        optimizers[1].zero_grad(set_to_none=True)
        fake_logits, real_logits = critic(fake.detach()), critic(images)
        real_loss = (functional.softplus(-real_logits) + smoothing * real_logits).mean()
        (real_loss + functional.softplus(fake_logits).mean()).backward()
        optimizers[1].step()
        loss = functional.softplus(-critic(fake)).mean()
        # The gradient of the critic's weights is not needed.
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimizers[0].step()
        return loss.item()

    return step


def drawn(model, count, compiled):
    """Returns a function that draws images with the whole network for each symbol."""
    logits_of = torch.compile(model.logits) if compiled else model.logits
    rows, columns = model.grid

    @torch.no_grad()
    def run():
        x = torch.full((count, model.patch**2, rows, columns), -1.0)
        for i, j in itertools.product(range(rows), range(columns)):
            probabilities = functional.softmax(logits_of(x)[:, :, i, j], dim=1)
            numbers = torch.multinomial(probabilities, num_samples=1)
            x[:, :, i, j] = 2.0 * (numbers // model.place_values % 2) - 1
        return functional.pixel_shuffle((x + 1) / 2, model.patch)

    return run


def difference(model, path):
    """Returns the largest difference of a model's outputs from those of a file with weights."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    _assign(model, [arrays[f"weight_{i}"] for i in range(sum("weight" in name for name in arrays))])
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2)
    latents = [torch.from_numpy(arrays["latents"])] if "latents" in arrays else []
    with torch.no_grad():
        results = model.outputs(images, *latents)
    differences = []
    for index, result in enumerate(results):
        expected = arrays[f"output_{index}"]
        found = (result.permute(0, 2, 3, 1) if result.ndim == 4 else result).numpy()
        differences.append(float(np.abs(found - expected).max() / np.abs(expected).max()))
    return max(differences)


def measured(kind, case, variant):
    """Returns the function that a variant measures, and its facts.

    Args:
        kind: `training`, `sampling` or `outputs`.
        case: The settings of the recipe, its `name`, and the `shape` (H, W, C) of its images.
        variant: May have `compiled` and `channels_last`.
    """
    torch.manual_seed(0)
    _require("precision", case["execution"]["precision"], "float32")
    network = {"vae": VAE, "pixelcnn": PixelCNN, "dcgan": DCGAN}[case["name"].split("_")[0]]
    model, compiled = network(case["shape"], **case["model"]), variant.get("compiled", False)
    facts = {"parameters": sum(p.numel() for p in model.parameters())}
    if kind == "outputs":
        return lambda: difference(model, case["path"]), facts
    if kind == "sampling":
        return drawn(model.eval(), case["count"], compiled), facts
    form = torch.channels_last if variant.get("channels_last") else torch.contiguous_format
    model.to(memory_format=form)
    height, width, channels = case["shape"]
    images = (torch.rand(8, case["data"]["batch_size"], channels, height, width) < 0.5).float()
    batches = itertools.cycle([batch.contiguous(memory_format=form) for batch in images])
    step = adversarial_step if network is DCGAN else likelihood_step
    return step(model, case, batches, compiled), facts


def _assign(model, arrays):
    """Assigns Keras's weights, which have the last axis of outputs, in their order."""
    if isinstance(model, DCGAN):
        # The images between dense and convolutional layers have channels last.
        weights = list(_weights(model))
        channels, *sides = model.generator.shape
        index = _index(weights, model.generator.dense[-1].weight)
        inputs = arrays[index].reshape(-1, *sides, channels)
        arrays[index] = inputs.transpose(0, 3, 1, 2).reshape(len(inputs), -1)
        channels, *sides = model.critic.shape
        first = next(module for module in model.critic.layers if isinstance(module, nn.Linear))
        index = _index(weights, _kernel(first))
        outputs = arrays[index].reshape(*sides, channels, -1)
        arrays[index] = outputs.transpose(2, 0, 1, 3).reshape(-1, outputs.shape[-1])
    for parameter, array in zip(_weights(model), arrays, strict=True):
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        parameter.data.copy_(torch.from_numpy(array.copy()).view(parameter.shape))


def _weights(model):
    """Yields the weights of each layer in Keras's order."""
    for module in model.modules():
        if isinstance(module, _LAYERS):
            yield _kernel(module)
            if module.bias is not None:
                yield module.bias


def _kernel(module):
    """Returns a layer's stored weights, those before a normalization."""
    spectral = parametrize.is_parametrized(module)
    return module.parametrizations.weight.original if spectral else module.weight


def _index(weights, wanted):
    return next(index for index, weight in enumerate(weights) if weight is wanted)


def _dense(*sizes):
    return [m for pair in itertools.pairwise(sizes) for m in (nn.Linear(*pair), nn.Tanh())]


def _batch_norm(channels, axes=2):
    kind = nn.BatchNorm2d if axes == 2 else nn.BatchNorm1d
    return kind(channels, eps=1e-5, momentum=0.1)


def _doubling(inputs, outputs, kernel_size, bias=True):
    return nn.ConvTranspose2d(inputs, outputs, kernel_size, 2, kernel_size // 2 - 1, bias=bias)


def _gate(x):
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


def _optimizer(settings, network):
    _require("optimizer", settings["name"], "adam")
    betas = settings.get("beta_1", 0.9), settings.get("beta_2", 0.999)
    return torch.optim.Adam(network.parameters(), settings["learning_rate"], betas)


def _require(name, value, expected):
    if value != expected:
        raise ValueError(f"{name} must be {expected!r} here, got {value!r}")
