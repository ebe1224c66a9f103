"""Update rules and learning-rate schedules."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["acceleration", "rmsprop", "schedules"],
    submod_attrs={
        "acceleration": ["Acceleration"],
        "rmsprop": ["RMSProp"],
        "schedules": ["learning_rate_schedule"],
    },
)
