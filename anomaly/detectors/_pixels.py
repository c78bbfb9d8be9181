"""What detectors of pictures have in common: clips, targets, corruptions, losses, scores, cells."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from anomaly.detectors import Arrays, Detector, FitContext, WindowFormula, WindowScores
from anomaly.errors import SpecError, StoreError
from anomaly.spec import spec
from anomaly.training.loop import TrainingSpec, tensor_beside
from anomaly.training.networks import fit_network, in_batches, restored, trainable, weights
from anomaly.training.perturbation import perturbed
from anomaly.training.pixels import ClipShape, PixelNetwork
from anomaly.training.pixels.clips import Clips
from anomaly.training.pixels.errors import (
    Corrupt,
    Loss,
    Score,
    Target,
    answer,
    asked_frames,
    cells,
    corrupted,
    error_maps,
    extra_frames,
    grid_of,
    loss_of,
    scores,
    shown,
)
from anomaly.training.pixels.layers import Memory
from anomaly.training.rows import row_vectors
from anomaly.training.sampling import Reservoir
from anomaly.windows import WindowSpec, window_rows
from anomaly.windows.bags import Bag
from anomaly.windows.reader import read_windows

_BRIGHTEST = 254.0  # of a pixel of the backbone `frames`
_CALIBRATED = 20_000  # rows that the usual error of each cell is taken from
_TOGETHER_PIXELS = 400_000
"""of clips that are scored at once: small ones are quicker together, large ones need the memory"""
_RARE = 0.999
"""share of normal frames without any strange cell"""
NESTEROV = TrainingSpec(
    epochs=50,
    batch=4,
    optimiser="nesterov",
    learning_rate=0.01,
    weight_decay=0,
    gradient_norm=None,
)
"""SGD with Nesterov's momentum, batches of 4: as the UCSD notebooks train"""


@spec
class PixelParameters:
    """What a detector of pictures looks at, how it is taught and how it scores."""

    length: Annotated[int, Field(ge=1)] = 4
    """frames that the network reads"""
    target: Target = "reconstruct"
    """what it shall give: the frames that it reads, the next one, or the one in their middle, which it
    does not see"""
    corrupt: Corrupt = "none"
    """how frames are spoilt that it reads in training; the target is never spoilt"""
    loss: Loss = "mse"
    """what is minimised"""
    memory: Memory = "none"
    """between encoder and decoder, where the network has a place for it"""
    channels: Annotated[float, Field(gt=0, le=1)] = 1.0
    """share of the published channels of every layer"""
    step: Annotated[int, Field(ge=1)] = 1
    """frames from one training clip to the next"""
    clips: Annotated[int, Field(ge=0)] = 0
    """training clips shown in an epoch, drawn anew for each; 0: all"""
    scoring_step: Annotated[int, Field(ge=0)] = 0
    """frames from one scored clip to the next; 0: half a clip, or 1 where one frame is foreseen"""
    score: Score = "mean"
    """of a frame: mean squared error, largest mean of a block, mean of the worst pixels, -PSNR, or the
    cell that is furthest above its usual error"""
    block: Annotated[int, Field(ge=4, multiple_of=4)] = 16
    """side in pixels of the blocks that errors are averaged over; cells lie half a side apart"""
    percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    """share of the pixels in `top_percent`"""
    perturbation: Annotated[float, Field(ge=0)] = 0.0
    """frames are moved so far in [0, 1] against the sign of the gradient before they are scored (STATE)"""
    training: TrainingSpec = TrainingSpec(batch=8)
    """epochs, batch, optimiser, early stopping on held-out videos"""


class PixelDetector(Detector):
    """Scores frames by the error with which a network rebuilds or foresees them.

    Reads the backbone `frames`. Its cells tell where: the error of a block above what is usual at
    that place in held-out normal video, 1 being what one normal frame in a thousand reaches.
    State: the network's weights, and mean and scale of the cells.
    """

    Parameters = PixelParameters
    parameters: PixelParameters
    calibration = "held_out"
    reads = "pixels"
    backbones = ("frames",)
    strange_cell = 1.0
    signal = "pixels: clips of small frames (backbone `frames`)"
    targets: ClassVar[tuple[Target, ...]] = ("reconstruct", "next", "middle")
    """what its network can be asked for"""
    memories: ClassVar[tuple[Memory, ...]] = ("none",)
    """what its network has a place for"""

    network: PixelNetwork
    usual_2G: NDArray[np.float32]
    """mean and scale of the error of each cell"""

    @abstractmethod
    def make_network(self, shape: ClipShape) -> PixelNetwork:
        """Return the network, untrained."""

    @property
    @override
    def support_rows(self) -> int:
        return self._window.length

    @override
    def trainable(self, dimension: int) -> int:
        """Return the same; three dimensions are colours, any other number is taken for grey."""
        shape = self._clip_shape(3 if dimension == 3 else 1, 32, 32)
        return trainable(self.make_network(shape))

    @override
    def cell_grid(self, bag: Bag, name: str) -> tuple[int, int]:
        _, height, width = self._picture
        return grid_of(height, width, self.parameters.block)

    @override
    def fit(
        self, bags: Sequence[Bag], *, validation: Sequence[Bag], context: FitContext
    ) -> Self:
        own = self.parameters
        self._network()  # says what does not go together before anything is read
        clips = self._clips(bags)
        if not len(clips.starts_N):
            raise StoreError(
                f"Nothing to learn from: none of {len(bags)} training videos has "
                f"{self._window.length} usable frames in a stretch. Give longer videos."
            )
        held_out = self._clips(validation)
        n_clips = len(clips.starts_N)
        n_shown = min(own.clips or n_clips, n_clips)

        def draw(generator: np.random.Generator) -> list[NDArray[np.int64]]:
            chosen = generator.permutation(n_clips)[:n_shown]
            return np.array_split(chosen, -(-n_shown // own.training.batch))

        self.network = fit_network(
            self._network,
            partial(self._loss, clips),
            (clips.starts_N,),
            partial(self._judge, held_out) if len(held_out.starts_N) else (held_out.starts_N,),
            own.training,
            context,
            order=draw,
        )
        self.usual_2G = self._usual(validation or bags, context.generator)
        return self

    @override
    def score(self, bag: Bag) -> Iterator[WindowScores]:
        rows, columns = self.cell_grid(bag, self.input)
        place_G2 = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
        mean_G, scale_G = self.usual_2G
        for rows_NF, scores_NF, cells_NFG in self._measured(bag):
            strange_NFG = (cells_NFG - mean_G) / scale_G
            if self.parameters.score == "cell_max":
                scores_NF = strange_NFG.max(axis=2)  # noqa: PLW2901 - replaces what was measured
            yield WindowScores(
                scores_NF,
                rows_NF,
                (
                    rows_NF.ravel().repeat(len(place_G2)),
                    np.tile(place_G2.astype(np.int16), (rows_NF.size, 1)),
                    strange_NFG.ravel(),
                ),
            )

    @override
    def state(self) -> Arrays:
        return {"usual": self.usual_2G, **weights(self.network)}

    @override
    def load_state(self, state: Arrays) -> None:
        self.usual_2G = state["usual"]
        self.network = restored(self._network, state)

    @override
    def formula(self, bag: Bag) -> WindowFormula | None:
        """Return the score; None where frames are moved against its own slope before (`perturbation`)."""
        own = self.parameters
        if own.perturbation:
            return None

        def of_windows(windows_NLD: Tensor) -> Tensor:
            found_NFE = self._measure(windows_NLD)
            if own.score != "cell_max":
                return found_NFE[..., 0]
            mean_G, scale_G = torch.from_numpy(self.usual_2G)
            return ((found_NFE[..., 1:] - mean_G) / scale_G).amax(dim=2)

        return WindowFormula(of_windows, self._window, asked_frames(own.target, own.length))

    @property
    def _picture(self) -> tuple[int, int, int]:
        """Return channels, height and width of the frames that are read.

        Raises:
            SpecError: what is read are no frames.
        """
        recipe = self.inputs[self.input]
        if recipe.backbone != "frames":
            raise SpecError(
                f"{type(self).__name__} reads pictures, not {recipe.backbone!r} features: "
                "use --backbone frames."
            )
        pixels = recipe.pixels
        return 3 if pixels.color == "rgb" else 1, pixels.height, pixels.width

    def _clip_shape(self, channels: int, height: int, width: int) -> ClipShape:
        own = self.parameters
        for name, found, known in (
            ("target", own.target, self.targets),
            ("memory", own.memory, self.memories),
        ):
            if found not in known:
                raise SpecError(
                    f"{type(self).__name__} has no {name} {found!r}: choose {' or '.join(known)}."
                )
        pictures = own.length if own.target == "reconstruct" else 1
        return ClipShape(channels, own.length, height, width, pictures, own.channels)

    def _network(self) -> PixelNetwork:
        return self.make_network(self._clip_shape(*self._picture))

    @property
    def _window(self) -> WindowSpec:
        own = self.parameters
        length = own.length + extra_frames(own.target)
        natural = max(1, own.length // 2) if own.target == "reconstruct" else 1
        return WindowSpec(length=length, step=min(own.scoring_step or natural, length))

    def _clips(self, bags: Sequence[Bag]) -> Clips:
        window = replace(self._window, step=min(self.parameters.step, self._window.length))
        return Clips.of(bags, self.input, window)

    def _pictures(self, windows_BLD: Tensor) -> Tensor:
        """Return windows of rows as pictures in [0, 1], (B, C, L, H, W)."""
        channels, height, width = self._picture
        pixels = windows_BLD.float() / _BRIGHTEST
        shape = (*windows_BLD.shape[:2], height, width, channels)
        return pixels.reshape(shape).permute(0, 4, 1, 2, 3).contiguous()

    def _loss(self, clips: Clips, network: PixelNetwork, starts_B: Tensor) -> Tensor:
        own = self.parameters
        windows = clips.read(starts_B.cpu().numpy()).to(starts_B.device)
        pictures = self._pictures(windows)
        seen = shown(own.target, pictures, own.length)
        if network.training:
            seen = corrupted(own.corrupt, seen)
        made, penalty = network(seen)
        made = answer(own.target, made)
        real = pictures[:, :, asked_frames(own.target, own.length)]
        loss = loss_of(own.loss, made, real) + penalty
        return loss + network.opposed(seen, made, real) if network.training else loss

    def _judge(self, held_out: Clips, network: nn.Module) -> float:
        total, batch = 0.0, self.parameters.training.batch
        judged = cast("PixelNetwork", network)  # what `_network` made
        for start in range(0, len(held_out.starts_N), batch):
            some_B = held_out.starts_N[start : start + batch]
            loss = self._loss(held_out, judged, tensor_beside(network, some_B))
            total += float(loss) * len(some_B)
        return total / len(held_out.starts_N)

    def _usual(
        self, bags: Sequence[Bag], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return mean and scale of each cell's error over normal frames, shape (2, G).

        The scale is such that one normal frame in a thousand has a cell that is higher above its mean.
        """
        sample = Reservoir(_CALIBRATED, generator)
        for bag in bags:
            usable_T = bag.usable_rows()
            for rows_NF, _, cells_NFG in self._measured(bag):
                sample.add(cells_NFG[usable_T[rows_NF]].astype(np.float32))
        cells_TG = sample.sample()
        mean_G, spread_G = cells_TG.mean(axis=0), cells_TG.std(axis=0)
        spread_G = spread_G + spread_G.mean() + np.float32(1e-12)
        highest = np.quantile(((cells_TG - mean_G) / spread_G).max(axis=1), _RARE)
        return np.stack([mean_G, spread_G * max(highest, 1.0)]).astype(np.float32)

    def _measured(
        self, bag: Bag
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]:
        """Yield frames (N, F), their scores (N, F) and the errors of their cells (N, F, G)."""
        asked = asked_frames(self.parameters.target, self.parameters.length)
        channels, height, width = self._picture
        describe = partial(row_vectors, bag, dimension=channels * height * width)
        clip_pixels = self.parameters.length * height * width
        together = max(1, min(self.network.together, _TOGETHER_PIXELS // clip_pixels))
        for windows_NLD, rows_NL in read_windows(bag, self.input, self._window, describe):
            found_NFE = in_batches(self._measure, windows_NLD, together)
            yield rows_NL[:, asked], found_NFE[..., 0], found_NFE[..., 1:]

    def _measure(self, windows_BLD: Tensor) -> Tensor:
        """Return the score and the cells of each frame that was asked for, (B, F, 1 + G)."""
        own, maps_BFHW = self.parameters, self._window_maps(windows_BLD)
        scores_BF1 = scores(own.score, maps_BFHW, own.block, own.percent)[..., None]
        return torch.cat([scores_BF1, cells(maps_BFHW, own.block).flatten(2)], dim=2)

    def _window_maps(self, windows_BLD: Tensor) -> Tensor:
        """Return the error of each pixel of each frame that was asked for, (B, F, H, W)."""
        pictures = self._pictures(windows_BLD)
        if self.parameters.perturbation:
            moved = perturbed(self._error, pictures, self.parameters.perturbation)
            pictures = moved.clamp(0, 1)
        return self._maps(pictures)

    def _maps(self, pictures: Tensor) -> Tensor:
        own = self.parameters
        made, _ = self.network(shown(own.target, pictures, own.length))
        real = pictures[:, :, asked_frames(own.target, own.length)]
        return error_maps(answer(own.target, made), real)

    @override
    def error_map(self, bag: Bag, row: int) -> NDArray[np.float64]:
        own = self.parameters
        channels, height, width = self._picture
        rows_NL = window_rows(bag.n_rows, self._window, row, row + 1)
        first = int(rows_NL.min())
        block = bag.read(self.input, first, int(rows_NL.max()) + 1)
        vectors_TD = row_vectors(bag, block, channels * height * width)
        asked_NF = rows_NL[:, asked_frames(own.target, own.length)]
        with torch.inference_mode():
            windows_NLD = torch.from_numpy(vectors_TD[rows_NL - first])
            maps_NFHW = self._window_maps(windows_NLD).numpy().astype(np.float64)
        told_MHW = maps_NFHW[asked_NF == row]
        mean_HW, scale_HW = self.usual_2HW()
        if not len(told_MHW):
            return np.zeros((height, width))
        return (told_MHW.mean(axis=0) - mean_HW) / scale_HW

    def usual_2HW(self) -> NDArray[np.float64]:
        """Return mean and scale of the error of each pixel: those of the cells around it."""
        _, height, width = self._picture
        grid = grid_of(height, width, self.parameters.block)
        cells_12GG = torch.from_numpy(self.usual_2G.reshape(1, 2, *grid))
        wide = nn.functional.interpolate(cells_12GG, (height, width), mode="bilinear")
        return wide[0].numpy().astype(np.float64)

    def _error(self, pictures: Tensor) -> Tensor:
        return self._maps(pictures).mean()
