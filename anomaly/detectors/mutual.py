"""How unlike a vector is to those of the other videos of the same batch: no normal video needed.

Li et al., "MuSc: zero-shot industrial anomaly classification and segmentation with mutual
scoring of the unlabeled images" (ICLR 2024): the distance to the nearest vector of each other
image, averaged over the 30 per cent of images where it is least. Where we depart: videos take the
place of images, each with a uniform sample of its vectors, so memory is bounded; features have
one level and no neighbourhoods; scores are not reweighted by the likeness of whole images. It
takes for granted that what is abnormal is rare in the batch, and it peeks: the very videos that
it scores are those that it was fitted on.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, Published, Supervision, WindowScores
from anomaly.errors import StoreError
from anomaly.shapes import FloatArray
from anomaly.spec import spec
from anomaly.training.moments import Spread
from anomaly.training.sampling import (
    checked,
    nothing_to_learn,
    sample_cells,
    scored_blocks,
)
from anomaly.windows.bags import Bag

_BANK = 200_000  # vectors of all videos together
_CHUNK = 1024  # vectors whose distances are in memory together


@spec
class MutualParameters:
    """How a `mutual` detector compares videos."""

    sample: Annotated[int, Field(ge=1)] = 1_000
    """vectors drawn uniformly from each video; fewer where all videos together would give 200,000"""
    share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """share of the other videos, the most alike, that count"""


class Mutual(Detector):
    """Scores a row by its cell that is least like those of other videos.

    State: `mean_D` and `scale_D` that standardise vectors, `bank_MD` with the vectors of all
    videos, `offset_S` (V + 1 numbers: where each video's begin) and `video_V`, digests of names.
    """

    Parameters = MutualParameters
    parameters: MutualParameters
    paper = "Li et al.: MuSc, ICLR 2024"
    published = (
        Published(
            "MVTec AD", "image AUROC 97.8 %", "patches of CLIP ViT-L/14, images of the test set"
        ),
    )
    supervision: ClassVar[Supervision] = "none"
    scope: ClassVar[Literal["camera", "archive", "batch"]] = "batch"
    peeks = True

    mean_D: NDArray[np.float64]
    scale_D: NDArray[np.float64]
    bank_MD: NDArray[np.float64]
    offset_S: NDArray[np.int64]
    video_V: NDArray[np.int64]

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        shown = [bag for bag in bags if _has_cells(bag, self.input)]
        if not shown:
            raise nothing_to_learn(bags)
        each = max(1, min(self.parameters.sample, _BANK // len(shown)))
        samples = [sample_cells([bag], self.input, each, context.generator)[0] for bag in shown]
        everything_MD = np.concatenate(samples)
        spread = Spread.of(everything_MD)
        self.mean_D, self.scale_D = spread.mean_D, spread.scale_D
        self.bank_MD = spread.standardised(everything_MD)
        self.offset_S = np.cumsum([0, *map(len, samples)])
        self.video_V = np.array([_digest(bag.video) for bag in shown])
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        others = [
            self.bank_MD[start:stop]
            for video, start, stop in zip(
                self.video_V, self.offset_S[:-1], self.offset_S[1:], strict=True
            )
            if video != _digest(bag.video)
        ]
        if not others:
            raise StoreError(
                f"{bag.video!r} has no other video to be compared with. Mutual scoring needs several: "
                "train on more videos of the camera."
            )
        for first_row, block in scored_blocks(bag, self.input, len(self.mean_D)):
            standard_ND = (block.values_ND - self.mean_D) / self.scale_D
            unlike_N = unlikeness(standard_ND, others, self.parameters.share)
            yield WindowScores.of_cells(first_row, block, unlike_N)

    @override
    def state(self) -> Arrays:
        return {
            "mean": self.mean_D,
            "scale": self.scale_D,
            "bank": self.bank_MD,
            "offset": self.offset_S,
            "video": self.video_V,
        }

    @override
    def load_state(self, state: Arrays) -> None:
        self.mean_D, self.scale_D = state["mean"], state["scale"]
        self.bank_MD, self.offset_S = state["bank"], state["offset"]
        self.video_V = state["video"]


def unlikeness(
    vectors_ND: FloatArray, others: Sequence[FloatArray], share: float
) -> NDArray[np.float64]:
    """Return for each vector the mean distance to the nearest of the `share` most alike others, (N,)."""
    counted = math.ceil(share * len(others))
    found_N = np.zeros(len(vectors_ND))
    for start in range(0, len(vectors_ND), _CHUNK):
        some_ND = vectors_ND[start : start + _CHUNK]
        nearest_VN = np.sort([_nearest(some_ND, other_KD) for other_KD in others], axis=0)
        found_N[start : start + _CHUNK] = nearest_VN[:counted].mean(axis=0)
    return found_N


def _nearest(vectors_ND: FloatArray, bank_KD: FloatArray) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    distance_NK: NDArray[np.float64] = cdist(vectors_ND, bank_KD)
    return distance_NK.min(axis=1)


def _has_cells(bag: Bag, input_name: str) -> bool:
    return any(len(checked(block, bag).values_ND) for block in bag.usable_blocks(input_name))


def _digest(video: str) -> int:
    """Return 63 bits of a hash of the video's name."""
    return int.from_bytes(hashlib.sha256(video.encode()).digest()[:8]) >> 1
