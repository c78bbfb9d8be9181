"""`extract-features`: store the features of every video of an archive that has none yet."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State

from anomaly.detectors import DEFAULT, detectors
from anomaly.features import BadFrames, recipe
from anomaly.verbs.extract import extract
from anomaly.video import ArchiveSpec
from flows.artifacts import publish_bad_files, publish_summary
from flows.runs import archive_flow, end, engine, workplace


@archive_flow("extract-features")
def extract_features(
    archive: ArchiveSpec | None = None,
    root: str = "",
    videos: tuple[str, ...] = (),
    backbones: tuple[str, ...] = (),
    backbone_parameters: dict[str, Any] | None = None,
    decoder: str = "pyav",
    keyframes: bool = False,
    bad_frames: BadFrames = "skip",
) -> State[dict[str, Any]]:
    """Store the features of every video that has none yet.

    Args:
        archive: where the videos are; empty: the archive of the settings
        root: folder or s3:// prefix of everything stored; empty: the root of the settings
        videos: globs of the videos to do; empty: all
        backbones: where features come from; empty: what the detector `default` reads
        backbone_parameters: parameters of the backbones; see `anomaly show backbone NAME`
        decoder: see `anomaly list decoders`
        keyframes: look at key frames alone
        bad_frames: what becomes of frames that cannot be decoded
    """
    spec, place = workplace(archive, root)
    recipes = [
        recipe(
            name,
            backbone_parameters,
            decoder=decoder,
            keyframes=keyframes,
            bad_frames=bad_frames,
        )
        for name in backbones or detectors().get(DEFAULT).backbones
    ]
    summary = extract(place, spec, recipes, videos=videos, fan_out=engine())
    publish_summary(summary.to_json())
    publish_bad_files(summary.troubled)
    return end(summary.to_json(), summary.troubled)
