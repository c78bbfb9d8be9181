"""Dense flow against the codec's own motion vectors: `python -m tests.benchmarks.detector.motion_vectors`.

The vectors come nearly free with decoding, as they lie in the file. Here they take the place of the flow in
`motion`, all else equal, and both are judged on Ped2 and the coffee room, and timed with their decoding.
A vector is divided by the frames between its picture and the one it points to; pictures coded by
themselves have none, and neither have blocks: there nothing moves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType
from typing_extensions import override

from anomaly.features import Backbone, FeatureBlock, concatenate
from anomaly.features.backbones.motion import CellMeter, Motion, MotionParameters
from anomaly.video import FrameBatch
from anomaly.video.decoders import decoders
from tests.benchmarks.detector.measure import BATCH, Bench, Candidate, load_block, save_block
from tests.benchmarks.detector.protocol import Clip, coffee_room, ped2

_BLOCK = 8
"""pixels: the smallest block that has a vector of its own"""
_REFERENCES = {int(PictureType.I), int(PictureType.P)}


class VectorMeter(CellMeter):
    """Measures cells with a flow that somebody laid out for it."""

    laid_out_HW2: np.ndarray

    @override
    def _optical_flow(self, before: Any, now: Any) -> np.ndarray:
        return cv2.resize(self.laid_out_HW2, self._half_wh, interpolation=cv2.INTER_NEAREST)


class VectorMotion(Motion):
    """`motion` with the vectors of a file instead of optical flow."""

    version = 1_000_000

    @override
    def _meter(self, size_hw: tuple[int, ...]) -> VectorMeter:
        self._made = VectorMeter(size_hw, self.parameters.moving_pixels)
        return self._made

    def of_file(self, path: Path) -> Iterator[FeatureBlock]:
        """Yield the features of a whole file."""
        return self.extract(self._batches(path))

    def _batches(self, path: Path) -> Iterator[FrameBatch]:
        """Yield the frames of a file one by one, each after its vectors have been laid out."""
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.options = {"flags2": "+export_mvs"}
            stream.thread_type = "NONE"
            since_reference = 1
            for number, frame in enumerate(container.decode(stream)):
                gray = frame.to_ndarray(format="gray")
                if number:
                    self._made.laid_out_HW2 = _flow(frame, gray.shape, since_reference)
                is_reference = int(frame.pict_type) in _REFERENCES
                since_reference = 1 if is_reference else since_reference + 1
                index_B, seconds_B = np.array([number]), np.array([float(frame.time)])
                yield FrameBatch(gray[None, :, :, None], index_B, seconds_B)


class VectorBench(Bench):
    """Reads the file itself where vectors are wanted."""

    @override
    def _features(
        self, backbone: Backbone, clip: Clip, corruption: str, recipe: Any
    ) -> FeatureBlock:
        if not isinstance(backbone, VectorMotion):
            return super()._features(backbone, clip, corruption, recipe)
        stored = self.cache / f"vectors-{clip.path.parent.name}-{clip.path.stem}.npz"
        if not stored.exists():
            save_block(stored, concatenate(list(backbone.of_file(clip.path))))
        return load_block(stored)


def _flow(frame: Any, size_hw: tuple[int, ...], frames_back: int) -> np.ndarray:
    """Return how far each block of 8 pixels has come since the frame before, (rows, columns, 2)."""
    rows, columns = (-(-side // _BLOCK) for side in size_hw)
    flow_HW2 = np.zeros((rows, columns, 2), dtype=np.float32)
    found = frame.side_data.get("MOTION_VECTORS")
    if found is None:
        return flow_HW2
    vectors = found.to_ndarray()
    vectors = vectors[vectors["source"] < 0]
    come_M2 = np.stack(
        [-vectors[f"motion_{axis}"] / vectors["motion_scale"] for axis in ("x", "y")], axis=1
    )
    # dst is the middle of a block, which is 8 or 16 pixels long and high.
    for across in (0, 1):
        for down in (0, 1):
            left = vectors["dst_x"] - vectors["w"] // 2 + _BLOCK * across
            top = vectors["dst_y"] - vectors["h"] // 2 + _BLOCK * down
            row, column = top // _BLOCK, left // _BLOCK
            within = (vectors["w"] > _BLOCK * across) & (vectors["h"] > _BLOCK * down)
            within &= (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            flow_HW2[row[within], column[within]] = come_M2[within] / frames_back
    return flow_HW2


def _cost(clips: tuple[Clip, ...], *, vectors: bool) -> float:
    """Return frames a second of processor time, decoding and extracting."""
    frames, begun = 0, time.process_time()
    for clip in clips:
        if vectors:
            blocks = VectorMotion(MotionParameters()).of_file(clip.path)
        else:
            motion = Motion(MotionParameters())
            blocks = motion.extract(
                decoders().get("pyav")().frames(clip.path, motion.pixels, BATCH)
            )
        frames += sum(len(block) for block in blocks)
    return frames / (time.process_time() - begun)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--cache", type=Path, required=True)
    chosen = options.parse_args()
    bench = VectorBench(chosen.cache)
    flow = Candidate("dense flow", "knn", {"motion": Motion(MotionParameters())})
    vectors = Candidate("motion vectors", "knn", {"motion": VectorMotion(MotionParameters())})
    print("| | dense flow | motion vectors |\n|---|---|---|")
    for trial in (ped2(chosen.data), coffee_room(chosen.data)[1]):
        print(
            f"| {trial.name} | {bench.figure(flow, trial)} | {bench.figure(vectors, trial)} |"
        )
    clips = ped2(chosen.data).folds[0].test
    costs = (_cost(clips, vectors=False), _cost(clips, vectors=True))
    print("| frames/s, decoded and extracted |", " | ".join(f"{c:.0f}" for c in costs), "|")


if __name__ == "__main__":
    main()
