"""nvdec: the video engine of an NVIDIA GPU, through torchcodec (extra `gpu`).

It is for whole files, and PyAV reads the rest: files whose frames the two would number differently, turned
pictures, codecs that the engine does not know, whatever ends in an error, and kinds of video that PyAV
reads faster (`video.race`). An engine hides damage, so a file in which packets are missing is PyAV's too.
Pictures are resized on the GPU, and only the small ones come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from anomaly.errors import SpecError, VideoError
from anomaly.video import PixelSpec, Video
from anomaly.video.decoders import Decoder, Picture
from anomaly.video.decoders.pyav import Timeline, read_timeline
from anomaly.video.remote import Remote, Source

_AT_ONCE = 16
"""pictures of full size that lie on the GPU together"""
_SAME_TIME_SECONDS = 0.002
_LUMA = {"bt709": (0.2126, 0.7152, 0.0722), "bt2020nc": (0.2627, 0.678, 0.0593)}
_USUAL_LUMA = (0.299, 0.587, 0.114)
"""brightness as it was encoded: by matrix of the video"""
_MODES = {"area": "area", "bilinear": "bilinear", "bicubic": "bicubic", "lanczos": "bicubic"}
"""of `torch.nn.functional.interpolate`, which has no Lanczos filter"""


class NvdecDecoder(Decoder):
    """Decodes on the GPU; refuses a video that it might number or show in another way than PyAV."""

    name = "nvdec"
    rival = "pyav"
    device: ClassVar[str] = "cuda"

    @override
    def pictures(self, path: Source, pixels: PixelSpec) -> Iterator[Picture]:
        torchcodec = _torchcodec(self.device)
        if isinstance(path, Remote):
            raise _unfit(path, "it is not copied to this machine")
        timeline = read_timeline(path, self.beat)
        self.n_frames = len(timeline.rank_N)
        self.duration_seconds = timeline.duration_seconds
        try:
            reader = torchcodec.VideoDecoder(
                str(path), device=self.device, dimension_order="NHWC", seek_mode="exact"
            )
            self.video = _facts(path, reader.metadata, timeline)
            size = pixels.output_size(self.video.height, self.video.width)
            for start in range(0, self.n_frames, _AT_ONCE):
                yield from self._some(path, reader, start, pixels, size, timeline)
        except (RuntimeError, ValueError, IndexError) as error:
            said = " ".join(str(error).split())[:200]
            raise VideoError("unreadable", f"nvdec cannot read {path}: {said}") from error

    def _some(
        self,
        path: Source,
        reader: Any,
        start: int,
        pixels: PixelSpec,
        size: tuple[int, int],
        timeline: Timeline,
    ) -> Iterator[Picture]:
        stop = min(start + _AT_ONCE, self.n_frames)
        frames = reader.get_frames_in_range(start, stop)
        seconds = frames.pts_seconds.numpy() - reader.metadata.begin_stream_seconds
        if np.abs(seconds - timeline.seconds_T[start:stop]).max() > _SAME_TIME_SECONDS:
            raise _unfit(path, "torchcodec tells other times")
        for _ in range(start, stop):
            self.beat()
        self.n_decoded += stop - start
        first = -start % pixels.stride
        wanted = np.arange(start + first, stop, pixels.stride)
        if len(wanted):
            luma = _LUMA.get(reader.metadata.color_space, _USUAL_LUMA)
            pictures = _resized(frames.data[first :: pixels.stride], pixels, size, luma)
            for index, picture_HWC in zip(wanted.tolist(), pictures, strict=True):
                yield Picture(picture_HWC, index, float(timeline.seconds_T[index]))


def _resized(
    rgb_BHWC: Any, pixels: PixelSpec, size: tuple[int, int], luma: tuple[float, float, float]
) -> NDArray[np.uint8]:
    """Return pictures in the asked colour and size, brought back from the GPU."""
    import torch
    from torch.nn.functional import interpolate

    if pixels.color == "rgb" and tuple(rgb_BHWC.shape[1:3]) == size:
        unchanged: NDArray[np.uint8] = rgb_BHWC.cpu().numpy()
        return unchanged
    planes_BCHW = rgb_BHWC.permute(0, 3, 1, 2).float()
    if pixels.color == "gray":
        shares_C = torch.tensor(luma, device=rgb_BHWC.device).view(1, 3, 1, 1)
        planes_BCHW = (planes_BCHW * shares_C).sum(1, keepdim=True)
    if tuple(planes_BCHW.shape[2:]) != size:
        mode = _MODES[pixels.filter]
        smooth = {} if mode == "area" else {"antialias": True, "align_corners": False}
        planes_BCHW = interpolate(planes_BCHW, size, mode=mode, **smooth)
    bytes_BHWC = planes_BCHW.round().clamp(0, 255).byte().permute(0, 2, 3, 1)
    resized: NDArray[np.uint8] = bytes_BHWC.contiguous().cpu().numpy()
    return resized


def _facts(path: Source, metadata: Any, timeline: Timeline) -> Video:
    """Return the facts of a video that both libraries see alike."""
    if not len(timeline.rank_N):
        raise _unfit(path, "it has no frame")
    if timeline.reorder:
        raise _unfit(path, "it does not say when frames are shown")
    if metadata.num_frames_from_content != len(timeline.rank_N):
        found = f"{metadata.num_frames_from_content} frames for {len(timeline.rank_N)} packets"
        raise _unfit(path, f"torchcodec finds {found}")
    if metadata.rotation:
        raise _unfit(path, "its pictures are turned")
    rate = metadata.average_fps
    return Video(
        n_frames=metadata.num_frames_from_header,
        rate=Fraction(rate).limit_denominator(1001) if rate else None,
        height=metadata.height,
        width=metadata.width,
        codec=metadata.codec,
        rotation=0,
    )


def _torchcodec(device: str) -> Any:
    """Return torchcodec's decoders.

    Raises:
        SpecError: it is not installed, finds no FFmpeg, or there is no GPU.
    """
    try:
        import torchcodec.decoders  # brings PyTorch
    except (ImportError, OSError, RuntimeError) as error:  # the latter: FFmpeg is missing
        said = " ".join(str(error).split())[:120]
        raise SpecError(
            f"Decoder 'nvdec' needs torchcodec ({said}). Run: pip install 'archive-anomaly[gpu]', and "
            "install FFmpeg 4 to 8; or use --decoder pyav."
        ) from error
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SpecError(
            "Decoder 'nvdec' needs an NVIDIA GPU and a PyTorch with CUDA; found none. Use --decoder pyav."
        )
    return torchcodec.decoders


def _unfit(path: Source, why: str) -> VideoError:
    return VideoError("unreadable", f"{path} is not for nvdec: {why}.")
