"""Any image network of timm, one frame at a time: its pooled vector, or a coarse grid of vectors.

Wightman, "PyTorch Image Models" (https://github.com/huggingface/pytorch-image-models). Frames are prepared
as the network's own configuration says, with one departure: the decoder's scaler resizes them, not Pillow.
Networks run with their branches fused and in channels-last order, which changes features by less than 1e-5.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from anomaly.errors import SpecError, TransientError
from anomaly.features import Backbone, FeatureBlock, vector_block
from anomaly.spec import spec
from anomaly.video import FrameBatch, PixelSpec

_RANDOM = "random:"
Filter = Literal["area", "bilinear", "bicubic", "lanczos"]


@spec
class TimmFramesParameters:
    """Parameters of the `timm_frames` backbone."""

    model: str = "mobilenetv2_100"
    """name of a timm network, with the tag of its weights if it has several"""
    weights: str = "hub"
    """`hub` (timm downloads them), path of a .safetensors file, or `random:<seed>`"""
    layer: Literal["pooled", "logits"] = "pooled"
    """the vector before the classifier, or the classifier's output"""
    grid: Annotated[int, Field(ge=0)] = 0
    """0: one vector a frame; g: the last feature map, averaged to g x g cells"""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """frames that run through the network together; always that many, so that bits never differ"""
    stride: Annotated[int, Field(ge=1)] = 1
    """look at every n-th frame"""
    model_args: dict[str, Any] = Field(default_factory=dict)
    """more arguments of timm.create_model, such as {"pad_type": "same"}; what the network wants to be fed
    is changed with {"pretrained_cfg_overlay": {"mean": [0.5, 0.5, 0.5], ...}}"""


class TimmFrames(Backbone):
    """Yields one vector for each frame, or g x g of them, from a timm network in evaluation mode."""

    Parameters = TimmFramesParameters
    rows_stand_alone = True
    parameters: TimmFramesParameters

    def __init__(self, parameters: TimmFramesParameters) -> None:
        super().__init__(parameters)
        if parameters.grid and parameters.layer != "pooled":
            raise SpecError("timm_frames: a grid has no logits; use layer='pooled', or grid=0.")

    @property
    @override
    def pixels(self) -> PixelSpec:
        wants = self._feed
        return PixelSpec(
            color="rgb",
            resize="exact" if wants.squash else "short_side",
            height=wants.scaled,
            width=wants.scaled if wants.squash else 0,
            filter=wants.filter,
            stride=self.parameters.stride,
        )

    @property
    @override
    def weights(self) -> str:
        return self._loaded.weights

    @cached_property
    @override
    def dimension(self) -> int:
        """Length D of each vector, found by running a black picture through the network."""
        black = np.zeros((1, self._feed.side, self._feed.side, 3), dtype=np.uint8)
        return int(self.forward(self.prepare(black)).shape[-1])

    @cached_property
    def device(self) -> torch.device:
        """Where the network runs: the GPU, if there is one."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def prepare(self, pixels_BHWC: NDArray[np.uint8]) -> torch.Tensor:
        """Return pictures of the decoder's size as the network wants them, shape (B, 3, H, W)."""
        top, left = (round((side - self._feed.side) / 2) for side in pixels_BHWC.shape[1:3])
        inside = (
            slice(None),
            slice(top, top + self._feed.side),
            slice(left, left + self._feed.side),
        )
        cropped_BHWC = torch.from_numpy(np.ascontiguousarray(pixels_BHWC[inside])).to(
            self.device
        )
        mean = torch.tensor(self._feed.mean, device=self.device) * 255
        std = torch.tensor(self._feed.std, device=self.device) * 255
        # (B, H, W, C) in memory seen as (B, C, H, W) is channels-last already.
        return ((cropped_BHWC - mean) / std).permute(0, 3, 1, 2)

    def forward(self, batch_BCHW: torch.Tensor) -> torch.Tensor:
        """Return vectors (B, D), or (B, g * g, D) for a grid, row after row."""
        # TF32 would make features of a GPU differ from those of a CPU in the third digit.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            network: Any = self._loaded.network
            features = network.forward_features(batch_BCHW)
            if self.parameters.grid:
                return self._cells(features)
            pooled = self.parameters.layer == "pooled"
            return cast("torch.Tensor", network.forward_head(features, pre_logits=pooled))

    @override
    def restart_row(self, row: int) -> int:
        return row // self.parameters.batch_size * self.parameters.batch_size

    @override
    def extract(self, batches: Iterable[FrameBatch]) -> Iterator[FeatureBlock]:
        size = self.parameters.batch_size
        for batch in _recut(batches, size):
            padding = ((0, size - len(batch)), (0, 0), (0, 0), (0, 0))
            vectors = self.forward(self.prepare(np.pad(batch.pixels_BHWC, padding, "edge")))
            yield self._block(batch, vectors[: len(batch)].float().cpu().numpy())

    def _block(self, batch: FrameBatch, vectors: NDArray[np.float32]) -> FeatureBlock:
        side = self.parameters.grid
        if not side:
            return vector_block(batch.index_B, batch.seconds_B, vectors)
        place_G2 = np.stack(np.divmod(np.arange(side * side), side), axis=1).astype(np.int16)
        return FeatureBlock(
            batch.index_B,
            batch.seconds_B,
            vectors.reshape(-1, vectors.shape[-1]),
            np.arange(len(batch) + 1, dtype=np.int64) * side * side,
            np.tile(place_G2, (len(batch), 1)),
            (side, side),
        )

    def _cells(self, features: torch.Tensor) -> torch.Tensor:
        network: Any = self._loaded.network
        if features.ndim == 3:  # tokens of a transformer, some of which are not places
            tokens = features[:, getattr(network, "num_prefix_tokens", 0) :]
            rows, columns = network.patch_embed.grid_size
            features = tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)
        elif str(getattr(network, "output_fmt", "NCHW")) == "NHWC":
            features = features.permute(0, 3, 1, 2)
        side = self.parameters.grid
        return (
            torch.nn.functional.adaptive_avg_pool2d(features, side).flatten(2).transpose(1, 2)
        )

    @cached_property
    def _loaded(self) -> _Loaded:
        return _load(self.parameters, self.device)

    @property
    def _feed(self) -> _Feed:
        return self._loaded.feed


@dataclass(frozen=True)
class _Feed:
    """What a network wants to be fed, from its own configuration."""

    side: int
    """of the square that it looks at"""
    scaled: int
    """what the shorter side (both, to squash) of a frame is scaled to; the square is its middle"""
    squash: bool
    filter: Filter
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class _Loaded:
    network: torch.nn.Module
    weights: str
    feed: _Feed


def _recut(batches: Iterable[FrameBatch], size: int) -> Iterator[FrameBatch]:
    """Cut a stream into batches of `size` frames, whatever its own are; the last may be shorter."""
    waiting: list[FrameBatch] = []
    for batch in batches:
        for start in range(len(batch)):
            waiting.append(_part(batch, start))
            if len(waiting) == size:
                yield _joined(waiting)
                waiting = []
    if waiting:
        yield _joined(waiting)


def _part(batch: FrameBatch, at: int) -> FrameBatch:
    one = slice(at, at + 1)
    return FrameBatch(batch.pixels_BHWC[one], batch.index_B[one], batch.seconds_B[one])


def _joined(parts: list[FrameBatch]) -> FrameBatch:
    return FrameBatch(
        np.concatenate([part.pixels_BHWC for part in parts]),
        np.concatenate([part.index_B for part in parts]),
        np.concatenate([part.seconds_B for part in parts]),
    )


def _load(parameters: TimmFramesParameters, device: torch.device) -> _Loaded:
    timm = _import_timm()
    if not timm.is_model(parameters.model):
        near = difflib.get_close_matches(parameters.model, timm.list_models(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SpecError(
            f"timm has no network named {parameters.model!r}.{hint} `timm.list_models()` names all."
        )
    network, weights = _with_weights(timm, parameters)
    feed = _feed_of(parameters.model, timm.data.resolve_model_data_config(network))
    fused: Any = timm.utils.model.reparameterize_model(network.eval())
    fused.requires_grad_(requires_grad=False)
    return _Loaded(fused.to(device, memory_format=torch.channels_last), weights, feed)


def _with_weights(timm: Any, parameters: TimmFramesParameters) -> tuple[torch.nn.Module, str]:
    if parameters.weights == "hub":
        network = _from_hub(timm, parameters)
        return network, _digest_of(network)
    if parameters.weights.startswith(_RANDOM):
        return _random(timm, parameters), parameters.weights
    path = Path(parameters.weights).expanduser()
    if not path.is_file():
        raise SpecError(
            f"timm_frames: weights {parameters.weights!r} is no file. Expected `hub`, "
            "`random:<seed>`, or the path of a .safetensors file."
        )
    return _from_file(_create(timm, parameters), path)


def _create(timm: Any, parameters: TimmFramesParameters, **more: Any) -> torch.nn.Module:
    try:
        network: torch.nn.Module = timm.create_model(
            parameters.model, **{"pretrained": False, **parameters.model_args, **more}
        )
    except TypeError as error:
        raise SpecError(
            f"timm_frames: {parameters.model!r} cannot be made with model_args "
            f"{parameters.model_args}: {error}"
        ) from error
    return network


def _from_hub(timm: Any, parameters: TimmFramesParameters) -> torch.nn.Module:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _create(timm, parameters, pretrained=True)
    except (OSError, httpx.HTTPError, HfHubHTTPError) as error:
        raise TransientError(
            f"The weights of {parameters.model!r} could not be fetched from timm's hub: {error}. Where no "
            "hub can be reached, name a .safetensors file: weights=PATH."
        ) from error
    except RuntimeError as error:
        raise SpecError(f"timm's hub has no such weights: {error}") from error


def _from_file(network: torch.nn.Module, path: Path) -> tuple[torch.nn.Module, str]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = path.read_bytes()
    try:
        network.load_state_dict(load(data), strict=True)
    except (RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:300]
        raise SpecError(
            f"timm_frames: the weights in {path} do not fit the network: {said}... Name the network that "
            "they were made for, with its model_args."
        ) from error
    return network, f"sha256:{hashlib.sha256(data).hexdigest()}"


def _random(timm: Any, parameters: TimmFramesParameters) -> torch.nn.Module:
    seed = parameters.weights.removeprefix(_RANDOM)
    if not seed.isdecimal():
        raise SpecError(
            f"timm_frames: weights {parameters.weights!r}; expected `random:<seed>` with a whole number."
        )
    # timm draws from torch's global generator: it is lent for the moment and put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))
        return _create(timm, parameters)


def _digest_of(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def _feed_of(model: str, config: dict[str, Any]) -> _Feed:
    channels, height, width = config["input_size"]
    if channels != 3 or height != width or config["crop_mode"] not in {"center", "squash"}:
        raise SpecError(
            f"timm_frames: {model!r} wants input of {config['input_size']}, crop mode "
            f"{config['crop_mode']!r}; expected a square of 3 channels and `center` or `squash`. Change it "
            "with model_args={'pretrained_cfg_overlay': {...}}, or choose another network."
        )
    filters: dict[str, Filter] = {"bicubic": "bicubic", "lanczos": "lanczos", "box": "area"}
    return _Feed(
        side=height,
        scaled=int(height / config["crop_pct"]),
        squash=config["crop_mode"] == "squash",
        filter=filters.get(config["interpolation"], "bilinear"),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _import_timm() -> Any:
    """Return timm, with a cure for a torchvision wheel that does not fit a torch without CUDA."""
    try:
        import timm
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _define_vision_operators()
        for name in [
            name for name in sys.modules if name.split(".")[0] in {"torchvision", "timm"}
        ]:
            del sys.modules[name]
        import timm
    return timm


@functools.cache
def _define_vision_operators() -> Any:
    """Declare the operators that torchvision describes when imported; none of them is ever called.

    The library is kept by the cache: the declarations live as long as it does.
    """
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
