"""Episodes that the zoo's agents play, on the screen or as an animation."""

from __future__ import annotations

import os
import pathlib

from .. import arguments, quiet
from ..publishing import cards
from ..training.reinforcement import agents_of, environment_of
from . import catalogue

_FORMATS = (".gif", ".mp4")


def check(name, out=None):
    """Checks the arguments of `play` without importing TensorFlow.

    Args:
        name: As for `play`.
        out: As for `play`.

    Returns:
        The card.

    Raises:
        ValueError: If there is no such agent, or the animation has another format.
    """
    card = cards.read(cards.folder_of(name))
    if card["measure"] != "returns":
        agents = ", ".join(catalogue.measured_by(("returns",)))
        hint = "; use zoo.match or zoo.duel for games" if card["measure"] == "games" else ""
        raise ValueError(
            f"name must be that of an agent, got {str(name)!r}{hint}. Agents: {agents or 'none'}"
        )
    if out is not None:
        path = arguments.output_file("out", out)
        arguments.one_of("format of the animation", path.suffix.lower(), _FORMATS)
        if not path.parent.is_dir():
            raise ValueError(f"the folder of {out} must exist")
    return card


def play(
    name: str | os.PathLike,
    *,
    out: str | os.PathLike | None = None,
    episodes: int = 1,
    seed: int = 0,
    agent: int = 0,
    deterministic: bool = True,
) -> list[float]:
    """Plays episodes with a published agent, on the screen or into an animation.

    Args:
        name: A published name, or a folder with a card, such as a run's folder.
        out: The animation to write, a `.gif` or `.mp4`; `None` for a window on the screen.
        episodes: Number of episodes.
        seed: Seed of the first episode; episode i has seed + i.
        agent: Which of the agents that were trained, counted from 0.
        deterministic: Whether the best action is taken rather than a random one.

    Returns:
        The return of each episode.

    Raises:
        ValueError: If there is no such agent, or a rendering package is missing.
    """
    card = check(name, out)
    arguments.integer("episodes", episodes, 1)
    arguments.integer("agent", agent, 0, agents_of(card) - 1)
    arguments.seed("seed", seed)
    quiet.load_tensorflow()
    from ..agents.environments import maker
    from ..training.kinds import kind_of

    policy = kind_of(card).load_published(cards.folder_of(name))[agent]
    mode = "human" if out is None else "rgb_array"
    if out is not None:
        # Without a screen, pygame would look for one and complain.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    environment = maker(environment_of(card).name, learning=False, render_mode=mode)()
    rate = environment.metadata.get("render_fps", 30)
    returns, frames = [], []
    for number in range(episodes):
        observation, _ = environment.reset(seed=seed + number)
        total, ended, step = 0.0, False, 0
        while not ended:
            if out is not None:
                frames.append(environment.render())
            action = policy.act(observation, (seed + step) % 2**31, deterministic)
            observation, reward, terminated, truncated, _ = environment.step(action)
            total, ended, step = total + float(reward), terminated or truncated, step + 1
        returns.append(total)
    environment.close()
    if out is not None:
        write_animation(pathlib.Path(out).expanduser(), frames, rate)
    return returns


def has_screen():
    """Returns whether a window can be opened."""
    import sys

    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def write_animation(path, frames, rate):
    """Writes frames as an animation.

    Args:
        path: The file, `.gif` or `.mp4`; the latter needs the program ffmpeg.
        frames: Images, uint8 [H, W, 3].
        rate: Frames a second.

    Raises:
        ValueError: If ffmpeg is missing.
    """
    from ..files import replacing

    with replacing(path) as temporary:
        if path.suffix.lower() == ".gif":
            _write_gif(temporary, frames, rate)
        else:
            _write_mp4(temporary, frames, rate)


def _write_gif(path, frames, rate):
    from PIL import Image

    # Viewers show a GIF at no more than 50 frames a second; half the size is enough.
    every = max(1, round(rate / 25))
    images = [Image.fromarray(frame) for frame in frames[::every]]
    images = [image.resize((image.width // 2, image.height // 2)) for image in images]
    images = [image.convert("P", palette=Image.Palette.ADAPTIVE, colors=32) for image in images]
    duration = round(1000 * every / rate)
    images[0].save(
        path, format="GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=True
    )


def _write_mp4(path, frames, rate):
    import shutil
    import subprocess

    if shutil.which("ffmpeg") is None:
        raise ValueError("an .mp4 needs the program ffmpeg, which is not installed; a .gif does not")
    height, width = frames[0].shape[:2]
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(rate), "-i", "-", "-pix_fmt", "yuv420p", "-f", "mp4"]
    subprocess.run([*command, str(path)], input=b"".join(f.tobytes() for f in frames), check=True)
