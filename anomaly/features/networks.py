"""Image networks of timm: found by name, loaded strictly, from pictures to vectors.

Wightman, "PyTorch Image Models" (https://github.com/huggingface/pytorch-image-models). Branches are fused
and memory is channels-last, which changes features by less than 1e-5.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import sys
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from anomaly.errors import SpecError, TransientError
from anomaly.features import weights as files

RANDOM = "random:"
Filter = Literal["area", "bilinear", "bicubic", "lanczos"]
Layer = Literal["pooled", "logits"]


@dataclass(frozen=True)
class Feed:
    """What a network wants to be fed, from its own configuration."""

    side: int
    """of the square that it looks at"""
    scaled: int
    """what the shorter side (both, to squash) of a frame is scaled to; the square is cut out of it"""
    squash: bool
    filter: Filter
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Network:
    """A timm network in evaluation mode, its weights named by digest or seed."""

    module: nn.Module
    weights: str
    feed: Feed


class Describer(nn.Module):
    """The way from pictures to vectors through one network, as one module: what runtimes run.

    `forward(pixels) = pool(maps(prepare(pixels)))`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Network, layer: Layer, grid: int) -> None:
        super().__init__()
        self.network: Any = network.module
        self.layer, self.grid = layer, grid
        self.register_buffer("mean", torch.tensor(network.feed.mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(network.feed.std) * 255, persistent=False)
        if layer == "pooled":
            _skip_hidden_layers(self.network)

    @override
    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """Return vectors (B, D), or (B, g * g, D) for a grid, row after row."""
        return self.pool(self.maps(self.prepare(pixels_BHWC)))

    def prepare(self, pixels_BHWC: Tensor) -> Tensor:
        """Return uint8 pictures of the network's side as it wants them, shape (B, 3, H, W)."""
        # (B, H, W, C) in memory seen as (B, C, H, W) is channels-last already.
        return ((pixels_BHWC - self.mean) / self.std).permute(0, 3, 1, 2)

    def maps(self, pictures_BCHW: Tensor) -> Tensor:
        """Return the last features that have places, in the network's own order of axes."""
        # Subtracting float32 means made float32 of them; the network may be narrower.
        narrow = pictures_BCHW.to(next(self.network.parameters()).dtype)
        features: Tensor = self.network.forward_features(narrow)
        return features

    def pool(self, features: Tensor) -> Tensor:
        """Return the vectors that `maps` come to."""
        if self.grid:
            maps_BDHW = self.placed(features)
            cells = nn.functional.adaptive_avg_pool2d(maps_BDHW, self.grid)
            return cells.flatten(2).transpose(1, 2)
        vectors_BD: Tensor = self.network.forward_head(
            features, pre_logits=self.layer == "pooled"
        )
        return vectors_BD

    def placed(self, features: Tensor) -> Tensor:
        """Return what `maps` gave as maps (B, D, rows, columns), whatever the network's order of axes."""
        if features.ndim == 3:  # tokens of a transformer, some of which are not places
            tokens = features[:, getattr(self.network, "num_prefix_tokens", 0) :]
            rows, columns = self.network.patch_embed.grid_size
            return tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)
        if str(getattr(self.network, "output_fmt", "NCHW")) == "NHWC":
            return features.permute(0, 3, 1, 2)
        return features


def load_network(model: str, weights: str, model_args: dict[str, Any]) -> Network:
    """Return a network of timm.

    Args:
        model: timm's name.
        weights: `hub`, `random:<seed>`, or `sha256:<digest>` of a file in the cache.
        model_args: more arguments of `timm.create_model`.

    Raises:
        SpecError: there is no such network, or the weights do not fit it.
        TransientError: the hub cannot be reached.
    """
    timm = import_timm()
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SpecError(
            f"timm has no network named {model!r}.{hint} `timm.list_models()` names all."
        )
    if weights == "hub":
        module = _from_hub(timm, model, model_args)
        weights = _digest_of(module)
    elif weights.startswith(RANDOM):
        module = _random(timm, model, weights, model_args)
    else:
        module = _from_file(_create(timm, model, model_args), weights)
    feed = _feed_of(model, timm.data.resolve_model_data_config(module))
    fused: Any = timm.utils.model.reparameterize_model(module.eval())
    fused.requires_grad_(requires_grad=False)
    return Network(fused, weights, feed)


def import_timm() -> Any:
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


def _skip_hidden_layers(network: Any) -> None:
    """Take out what some heads have between the mean and the classifier.

    MaxViT squashes the mean by a linear layer and tanh there, trained for the classifier's sake alone.
    """
    layers = import_timm().layers
    kinds = (layers.NormMlpClassifierHead, layers.ClNormMlpClassifierHead)
    if isinstance(getattr(network, "head", None), kinds):
        network.head.pre_logits = nn.Identity()


def _create(timm: Any, model: str, model_args: dict[str, Any], **more: Any) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(
            model, **{"pretrained": False, **model_args, **more}
        )
    except TypeError as error:
        raise SpecError(
            f"timm_frames: {model!r} cannot be made with model_args {model_args}: {error}"
        ) from error
    return network


def _from_hub(timm: Any, model: str, model_args: dict[str, Any]) -> nn.Module:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return _create(timm, model, model_args, pretrained=True)
    except (OSError, httpx.HTTPError, HfHubHTTPError) as error:
        raise TransientError(
            f"The weights of {model!r} could not be fetched from timm's hub: {error}. Where no "
            "hub can be reached, name a .safetensors file: weights=PATH."
        ) from error
    except RuntimeError as error:
        raise SpecError(f"timm's hub has no such weights: {error}") from error


def _from_file(network: nn.Module, digest: str) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = files.read(digest)
    try:
        network.load_state_dict(load(data), strict=True)
    except (RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:300]
        raise SpecError(
            f"timm_frames: the weights {digest} do not fit the network: {said}... Name the network that "
            "they were made for, with its model_args."
        ) from error
    return network


def _random(timm: Any, model: str, weights: str, model_args: dict[str, Any]) -> nn.Module:
    seed = weights.removeprefix(RANDOM)
    if not seed.isdecimal():
        raise SpecError(
            f"timm_frames: weights {weights!r}; expected `random:<seed>` with a whole number."
        )
    # timm draws from torch's global generator: it is lent for the moment and put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed))
        return _create(timm, model, model_args)


def _digest_of(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def _feed_of(model: str, config: dict[str, Any]) -> Feed:
    channels, height, width = config["input_size"]
    if channels != 3 or height != width or config["crop_mode"] not in {"center", "squash"}:
        raise SpecError(
            f"timm_frames: {model!r} wants input of {config['input_size']}, crop mode "
            f"{config['crop_mode']!r}; expected a square of 3 channels and `center` or `squash`. Change it "
            "with model_args={'pretrained_cfg_overlay': {...}}, or choose another network."
        )
    filters: dict[str, Filter] = {"bicubic": "bicubic", "lanczos": "lanczos", "box": "area"}
    return Feed(
        side=height,
        scaled=int(height / config["crop_pct"]),
        squash=config["crop_mode"] == "squash",
        filter=filters.get(config["interpolation"], "bilinear"),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


@functools.cache
def _define_vision_operators() -> Any:
    """Declare the operators that torchvision describes when imported; none of them is ever called.

    The library is kept by the cache: the declarations live as long as it does.
    """
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
