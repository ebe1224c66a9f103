"""The gradient noise scale of a model's training, and the batch size that it advises."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["batch_size_sweep", "measurement", "problem", "study"],
    submod_attrs={"zoo_model": ["study_noise_scale"]},
)
