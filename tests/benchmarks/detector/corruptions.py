"""What may befall a camera between training and test: each takes frames and returns frames."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""grey pictures of one clip, (T, H, W)"""
Corruption = Callable[[Frames, NDArray[np.float64], np.random.Generator], Frames]


def dimmed(
    frames: Frames, _seconds_T: NDArray[np.float64], _rng: np.random.Generator
) -> Frames:
    """Brightness times 0.6."""
    return _gained(frames, np.full(len(frames), 0.6))


def slow_light(
    frames: Frames, seconds_T: NDArray[np.float64], rng: np.random.Generator
) -> Frames:
    """Brightness swings by 30 per cent with a period of ten seconds."""
    return _gained(frames, 1 + 0.3 * np.sin(2 * np.pi * (seconds_T / 10 + rng.random())))


def flicker(
    frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator
) -> Frames:
    """Each frame has a brightness of its own, within 6 per cent."""
    return _gained(frames, 1 + rng.uniform(-0.06, 0.06, len(frames)))


def noise(frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator) -> Frames:
    """Independent noise of standard deviation 8."""
    return _noisy(frames, 8.0, rng)


def night(frames: Frames, seconds_T: NDArray[np.float64], rng: np.random.Generator) -> Frames:
    """Brightness times 0.3 and noise of standard deviation 4."""
    del seconds_T
    return _noisy(_gained(frames, np.full(len(frames), 0.3)), 4.0, rng)


def shake(frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator) -> Frames:
    """Every frame is displaced by up to a pixel either way, independently."""
    return _shifted(frames, rng.uniform(-1, 1, (len(frames), 2)))


def strong_shake(
    frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator
) -> Frames:
    """Every frame is displaced by up to four pixels either way, independently."""
    return _shifted(frames, rng.uniform(-4, 4, (len(frames), 2)))


def defocus(
    frames: Frames, _seconds_T: NDArray[np.float64], _rng: np.random.Generator
) -> Frames:
    """Out of focus: blurred by a Gaussian of four pixels."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 4.0) for frame in frames])


def rain(frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator) -> Frames:
    """Bright slanting streaks, a twentieth of the picture, elsewhere in every frame."""
    height, width = frames.shape[1:]
    fallen = frames.copy()
    for picture in fallen:
        for x, y in rng.integers(0, (width, height), (height * width // 600, 2)).tolist():
            cv2.line(picture, (x, y), (x + 3, y + 14), 200, 2)
        cv2.addWeighted(picture, 0.6, cv2.blur(picture, (3, 3)), 0.4, 0, dst=picture)
    return fallen


def covered(
    frames: Frames, _seconds_T: NDArray[np.float64], rng: np.random.Generator
) -> Frames:
    """Something hangs before the lens: grey, without form, with a little noise."""
    return _noisy(np.full_like(frames, 90), 1.5, rng)


def moved(frames: Frames, _seconds_T: NDArray[np.float64], _rng: np.random.Generator) -> Frames:
    """Knocked: the camera looks a tenth of the picture aside and a twentieth down."""
    height, width = frames.shape[1:]
    aside = np.array([[width / 10, height / 20]]).repeat(len(frames), axis=0)
    return _shifted(frames, aside, cv2.BORDER_REFLECT)


def half_rate(
    frames: Frames, _seconds_T: NDArray[np.float64], _rng: np.random.Generator
) -> Frames:
    """Every second frame only; whoever calls drops the others' times and labels too."""
    return frames[::2]


def crf_35(
    frames: Frames, _seconds_T: NDArray[np.float64], _rng: np.random.Generator
) -> Frames:
    """Encoded once more, H.264 at CRF 35."""
    import av

    memory = io.BytesIO()
    height, width = (side - side % 2 for side in frames.shape[1:])
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": "35", "preset": "veryfast", "threads": "1"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame[:height, :width]), format="gray"
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    memory.seek(0)
    decoded = frames.copy()
    with av.open(memory) as container:
        for out, picture in zip(decoded, container.decode(video=0), strict=True):
            out[:height, :width] = picture.to_ndarray(format="gray")
    return decoded


def _shifted(
    frames: Frames, by_T2: NDArray[np.float64], border: int = cv2.BORDER_REPLICATE
) -> Frames:
    shifted = np.empty_like(frames)
    for out, frame, (dx, dy) in zip(shifted, frames, by_T2, strict=True):
        matrix = np.array([[1, 0, dx], [0, 1, dy]])
        cv2.warpAffine(frame, matrix, frame.shape[::-1], dst=out, borderMode=border)
    return shifted


def _gained(frames: Frames, gain_T: NDArray[np.float64]) -> Frames:
    return np.clip(frames * gain_T[:, None, None], 0, 255).round().astype(np.uint8)


def _noisy(frames: Frames, sd: float, rng: np.random.Generator) -> Frames:
    noisy = frames + sd * rng.standard_normal(frames.shape, dtype=np.float32)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)


CORRUPTIONS: dict[str, Corruption] = {
    "brightness x0.6": dimmed,
    "slow light 30%": slow_light,
    "flicker 6%": flicker,
    "noise sd 8": noise,
    "night": night,
    "1 px shake": shake,
    "half frame rate": half_rate,
    "CRF 35": crf_35,
    "4 px shake": strong_shake,
    "defocus": defocus,
    "rain": rain,
    "covered lens": covered,
    "moved camera": moved,
}
IN_DOMAIN = ("brightness x0.6", "slow light 30%", "flicker 6%", "half frame rate", "CRF 35")
"""what a detector must bear; under the others it may say that the camera is out of its domain"""
