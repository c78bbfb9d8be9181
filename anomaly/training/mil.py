"""Multiple-instance learning: videos as bags of segments, of which only the bag is labelled.

A batch holds as many normal as abnormal videos, the normal half first; losses rely on that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.training.loop import Judge, Order, tensor_beside
from anomaly.training.rows import row_vectors
from anomaly.windows.bags import Bag

_TIE = 1e-3  # weight of what breaks ties; the gap is at most 2 deviations
_JUDGED = 64  # videos scored together while a network is judged


class MilNetwork(nn.Module, ABC):
    """A network that scores the segments of videos."""

    @abstractmethod
    def score(self, segments_BTD: Tensor) -> Tensor:
        """Return scores (B, T); higher is more anomalous."""

    def logits(self, segments_BTD: Tensor) -> Tensor:
        """Return log-odds (B, T) that a segment is abnormal: the scores, unless these are another thing."""
        return self.score(segments_BTD)


def segments_of(bag: Bag, input_name: str, segments: int) -> NDArray[np.float32]:
    """Return the usable rows of a video averaged into equally long segments, shape (S, D).

    A video with fewer rows than segments repeats rows.
    """
    edges = np.linspace(0, bag.n_usable, segments + 1).astype(np.int64)
    first_S = np.minimum(edges[:-1], bag.n_usable - 1)
    last_S = np.maximum(edges[1:], first_S + 1)
    sums_SD: NDArray[np.float64] | None = None
    done = 0
    for block in bag.usable_blocks(input_name):
        vectors_TD = row_vectors(bag, block)
        before_TD = np.zeros((len(vectors_TD) + 1, vectors_TD.shape[1]))
        np.cumsum(vectors_TD, axis=0, dtype=np.float64, out=before_TD[1:])
        inside_2S = np.clip(np.stack([first_S, last_S]) - done, 0, len(vectors_TD))
        part_SD = before_TD[inside_2S[1]] - before_TD[inside_2S[0]]
        sums_SD = part_SD if sums_SD is None else sums_SD + part_SD
        done += len(vectors_TD)
    if sums_SD is None:
        return np.zeros((segments, 0), dtype=np.float32)
    return (sums_SD / (last_S - first_S)[:, None]).astype(np.float32)


def balanced(classes_N: NDArray[np.int64], batch: int) -> Order:
    """Return an order of batches: half of each normal videos, in front, half abnormal.

    An epoch shows each video of the larger class once (the last batch may show some again), and
    goes as often through the smaller one as it takes.
    """
    sides = [np.flatnonzero(classes_N == 0), np.flatnonzero(classes_N > 0)]
    half = max(1, batch // 2)
    batches = -(-max(len(side) for side in sides) // half)

    def draw(generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        normal, abnormal = (_cycled(side, batches * half, generator) for side in sides)
        for start in range(0, batches * half, half):
            stop = start + half
            yield np.concatenate([normal[start:stop], abnormal[start:stop]])

    return draw


def _cycled(
    items_N: NDArray[np.int64], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    rounds = -(-count // len(items_N))
    return np.concatenate([generator.permutation(items_N) for _ in range(rounds)])[:count]


def judge_videos(segments_NTD: NDArray[np.float32], classes_N: NDArray[np.int64]) -> Judge:
    """Return a judge that says 1 - AUC over whole videos, each scored by its highest segment.

    Among networks of equal AUC, which are many where few videos are held out, the one wins whose
    mean scores of both kinds lie farther apart, in deviations.
    """
    from sklearn.metrics import roc_auc_score

    def judge(network: nn.Module) -> float:
        if not isinstance(network, MilNetwork):
            raise TypeError(f"{type(network).__name__} cannot score segments.")
        highest = [
            network.score(tensor_beside(network, some_NTD)).amax(dim=1)
            for some_NTD in np.split(segments_NTD, range(_JUDGED, len(segments_NTD), _JUDGED))
        ]
        scores_N, abnormal_N = torch.cat(highest).double().cpu().numpy(), classes_N > 0
        gap = scores_N[abnormal_N].mean() - scores_N[~abnormal_N].mean()
        apart = gap / max(scores_N.std(), np.finfo(np.float64).tiny)
        return 1.0 - float(roc_auc_score(abnormal_N, scores_N)) - _TIE * float(apart)

    return judge


def pasted_loss(network: MilNetwork, segments_BTD: Tensor) -> Tensor:
    """Return the mean cross-entropy over the segments of made-up videos, whose labels are known.

    "Dynamic synthesis" as in LaGoVAD (2025), in the space of features: what is pasted, and where, is drawn
    anew for every batch.
    """
    normal_BTD, abnormal_BTD = segments_BTD.chunk(2)
    network.eval()
    with torch.no_grad():
        scores_BT = network.logits(abnormal_BTD)
    network.train()
    made_BTD, labels_BT = paste(normal_BTD, abnormal_BTD, scores_BT)
    logits_BT = network.logits(made_BTD)
    return nn.functional.binary_cross_entropy_with_logits(logits_BT, labels_BT.to(logits_BT))


def paste(normal_BTD: Tensor, abnormal_BTD: Tensor, scores_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Return normal videos with a stretch of an abnormal one each, and which segments are pasted (B, T).

    A stretch holds the segment of the abnormal video that scores highest; its length, up to half of the
    video, and the place where it lands are random.
    """
    count, length = scores_BT.shape
    drawn_2B = torch.rand(2, count).to(scores_BT.device)
    long_B = 1 + (drawn_2B[0] * max(1, length // 2)).long()
    place_B = (drawn_2B[1] * (length - long_B + 1)).long()
    peak_B = scores_BT.argmax(dim=1)
    first_B = torch.minimum((peak_B - long_B // 2).clamp_min(0), length - long_B)
    time_T = torch.arange(length, device=scores_BT.device)
    within_BT = time_T - place_B[:, None]
    pasted_BT = (within_BT >= 0) & (within_BT < long_B[:, None])
    source_BT = (first_B[:, None] + within_BT).clamp(0, length - 1)
    made_BTD = torch.where(pasted_BT[..., None], pick(abnormal_BTD, source_BT), normal_BTD)
    return made_BTD, pasted_BT


def top_mean(scores_BT: Tensor, count: int) -> Tensor:
    """Return the mean of the `count` highest scores of each video, (B,)."""
    return scores_BT.topk(count, dim=1).values.mean(dim=1)


def pick(values_BTD: Tensor, index_BK: Tensor) -> Tensor:
    """Return the vectors at the given segments of each video, (B, K, D)."""
    return values_BTD.gather(1, index_BK[..., None].expand(-1, -1, values_BTD.shape[-1]))


def sparsity(scores_BT: Tensor) -> Tensor:
    """Return the sum of scores."""
    return scores_BT.sum()


def roughness(scores_BT: Tensor) -> Tensor:
    """Return the sum of squared differences of neighbouring segments; no video meets the next."""
    return scores_BT.diff(dim=1).square().sum()


def bag_cross_entropy(scores_B: Tensor) -> Tensor:
    """Return the mean cross-entropy of scores in [0, 1] of normal videos, then as many abnormal ones."""
    normal_B, abnormal_B = scores_B.chunk(2)
    return (expect(normal_B, 0.0) + expect(abnormal_B, 1.0)) / 2


def expect(scores: Tensor, value: float) -> Tensor:
    """Return the mean cross-entropy of scores in [0, 1] that should all be `value`."""
    # Of halved precision, 1 - score would be rounded to 0.
    with torch.autocast(scores.device.type, torch.bfloat16, enabled=False):
        full = scores.float() if scores.dtype == torch.bfloat16 else scores
        return nn.functional.binary_cross_entropy(full, torch.full_like(full, value))
