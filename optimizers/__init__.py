"""Update rules and learning-rate schedules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["schedules"], submod_attrs={"schedules": ["learning_rate_schedule"]}
)
