"""From one video file to stored features: spool, hash, decode, describe, store.

Everything is done once: a group that is complete is skipped, one that another process writes is waited
for, and one whose writer was killed is gone on with. Recipes that want the same pixels share one decode.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from anomaly.errors import SpecError, TransientError, VideoError
from anomaly.features import Backbone, FeatureBlock, FeatureSpec, recipe_of, weights
from anomaly.features.backbones import backbones
from anomaly.features.cross_check import Agreement, is_drawn, second_opinion
from anomaly.features.gate import Gated
from anomaly.features.picture import Picture, PictureMeter
from anomaly.features.resume import GoingOn
from anomaly.features.store import FeatureGroup, FeatureStore, FeatureWriter, group_key
from anomaly.outcome import Outcome
from anomaly.spec import canonical_json, first_difference, from_dict, to_dict
from anomaly.storage import Root
from anomaly.video import FrameBatch, VideoFile
from anomaly.video.archive import unchanged
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.video.remote import Source
from anomaly.video.spool import local_copy

WAIT_SECONDS = 600.0
"""how long to wait for another process that extracts the same video"""
_POLL_SECONDS = 0.5
_here = threading.local()
_building = threading.Lock()


class _LeasedElsewhereError(TransientError):
    code = "leased"


class _ChangingError(TransientError):
    code = "changing"


def extract_video(
    root: Root,
    file: VideoFile,
    recipes: Sequence[FeatureSpec],
    *,
    decoding: DecodeProcess | None = None,
    wait_seconds: float = WAIT_SECONDS,
    cross_check: float = 0.0,
) -> Outcome:
    """Store the features of one video for each recipe, where they are missing.

    Safe to run in any number of processes and threads, twice on the same video too.

    Args:
        root: where features go.
        file: the video.
        recipes: what to extract.
        decoding: the decode process to use; one is kept for each thread by default, and backbones are
            kept for the whole process, so that weights load once.
        wait_seconds: how long to wait while another process extracts the same video.
        cross_check: share of the videos that a second decoder reads too, to compare.

    Returns:
        `ok`; `skipped`, all was there; `partial`, some frames could not be decoded; `quarantined`, the
        file is bad; or `failed`, with the code `changing` (the file changed meanwhile), `leased` (another
        process is still at it) or `transient`.

    Raises:
        SpecError: a recipe cannot be carried out here.
        StoreError: the root cannot be written.
    """
    begun = time.monotonic()
    job = _Job(FeatureStore(root), file, decoding or _decode_process(), wait_seconds)
    try:
        with local_copy(file) as (path, content):
            groups, written = job.extract(recipes, path, content)
            outcome = _outcome(file, content, groups[0], written)
            if written and is_drawn(content, cross_check):
                opinion = second_opinion(groups[0], recipes[0], path, file.kind, job.decoding)
                outcome = _with_opinion(outcome, opinion)
    except TransientError as error:
        code = getattr(error, "code", "transient")
        outcome = Outcome(uri=file.uri, status="failed", code=code, message=str(error))
    except VideoError as error:
        outcome = _bad(file, error)
    return replace(outcome, seconds=time.monotonic() - begun)


@dataclass(frozen=True)
class _Job:
    store: FeatureStore
    file: VideoFile
    decoding: DecodeProcess
    wait_seconds: float

    def extract(
        self, recipes: Sequence[FeatureSpec], path: Source, content: str
    ) -> tuple[list[FeatureGroup], int]:
        """Return the stored features of each recipe, and how many bytes were written for them now."""
        give_up = time.monotonic() + self.wait_seconds
        written = 0
        while True:
            found = [(recipe, self.store.open(recipe, content)) for recipe in recipes]
            missing = [recipe for recipe, group in found if group is None]
            if not missing:
                return [group for _, group in found if group is not None], written
            if n_bytes := self._extract_ours(missing, path, content):
                written += n_bytes
                continue
            if time.monotonic() > give_up:
                raise _LeasedElsewhereError(
                    f"{self.file.uri}: another process is extracting the same video; it was waited for "
                    f"{self.wait_seconds:g} s. The next run looks again."
                )
            time.sleep(_POLL_SECONDS)

    def _extract_ours(self, recipes: Sequence[FeatureSpec], path: Source, content: str) -> int:
        """Extract those that no other process is at; return the bytes written."""
        with contextlib.ExitStack() as leases:
            ours = [
                recipe
                for recipe in recipes
                if leases.enter_context(self.store.root.lease(group_key(recipe, content)))
                and self.store.open(recipe, content) is None
            ]
            groups = [
                group
                for alike in _by_pixels(ours)
                for group in self._decode(alike, path, content)
            ]
            return sum(self.store.root.size(group.key) for group in groups)

    def _decode(
        self, recipes: Sequence[FeatureSpec], path: Source, content: str
    ) -> list[FeatureGroup]:
        """Extract recipes that want the same pixels: the video is decoded once for all of them."""
        for recipe in recipes:
            weights.share(self.store.root, str(recipe.parameters.get("weights", "")))
        built = [_shared_backbone(recipe) for recipe in recipes]

        def read(stream: FrameStream) -> list[FeatureGroup]:
            return self._write(stream, built, recipes, content)

        return self.decoding.decode(
            path, self.file.kind, recipes[0].pixels, read, decoder=recipes[0].decoder
        )

    def _write(
        self,
        stream: FrameStream,
        built: Sequence[Backbone],
        recipes: Sequence[FeatureSpec],
        content: str,
    ) -> list[FeatureGroup]:
        writers = [
            # what a gate reuses depends on all frames before: such a video begins anew
            self.store.writer(recipe, content, decoder="" if recipe.gate else stream.decoder)
            for recipe in recipes
        ]
        going_on = [
            GoingOn(Gated(backbone, recipe.gate) if recipe.gate else backbone, writer)
            for backbone, recipe, writer in zip(built, recipes, writers, strict=True)
        ]
        try:
            for number, block in in_turn(going_on, _pictured(stream, writers)):
                writers[number].append(block)
            self._check(writers[0].n_rows)
            return [writer.close(stream.report) for writer in writers]
        except (VideoError, _ChangingError):  # after all others the next run goes on from here
            for writer in writers:
                writer.discard()
            raise

    def _check(self, n_rows: int) -> None:
        if n_rows == 0:
            raise VideoError("no_frame", f"{self.file.uri}: no picture could be decoded.")
        if not unchanged(self.file):
            raise _changing(self.file)


def in_turn(
    built: Sequence[Backbone | GoingOn], batches: Iterable[FrameBatch]
) -> Iterator[tuple[int, FeatureBlock]]:
    """Run several backbones over one stream of frames; yield (number of the backbone, its next block).

    The one that is furthest behind goes next, so no more frames are held than the backbone with the
    longest blocks takes for one of them.
    """
    source = iter(batches)
    waiting: list[deque[FrameBatch]] = [deque() for _ in built]

    def taken(own: deque[FrameBatch]) -> Iterator[FrameBatch]:
        while True:
            if not own:
                batch = next(source, None)
                if batch is None:
                    return
                for queue in waiting:
                    queue.append(batch)
            yield own.popleft()

    running = {
        number: backbone.extract(taken(waiting[number]))
        for number, backbone in enumerate(built)
    }
    while running:
        number = max(running, key=lambda one: len(waiting[one]))
        block = next(running[number], None)
        if block is None:
            del running[number]
        else:
            yield number, block


def _by_pixels(recipes: Iterable[FeatureSpec]) -> list[list[FeatureSpec]]:
    """Group recipes that one pass of one decoder can feed."""
    alike: dict[str, list[FeatureSpec]] = {}
    for recipe in recipes:
        key = canonical_json([recipe.decoder, to_dict(recipe.pixels)])
        alike.setdefault(key, []).append(recipe)
    return list(alike.values())


def _pictured(
    batches: Iterable[FrameBatch], writers: Sequence[FeatureWriter]
) -> Iterator[FrameBatch]:
    """Hand frames on, telling writers what their pictures are like."""
    meter = PictureMeter()

    def tell(picture: Picture) -> None:
        for writer in writers:
            writer.append_picture(picture)

    for batch in batches:
        tell(meter.measure(batch))
        yield batch
    tell(meter.finish())


def _outcome(file: VideoFile, content: str, group: FeatureGroup, written: int) -> Outcome:
    lost = int(group.attributes["n_damaged"])
    outcome = Outcome(
        uri=file.uri,
        status="ok" if written else "skipped",
        content=content,
        frames=group.n_frames,
        frames_lost=lost,
        duration_seconds=group.duration_seconds,
        bytes_written=written,
    )
    if written and lost:
        message = f"{lost} of {group.n_frames} frames could not be decoded."
        return replace(outcome, status="partial", code="frames_lost", message=message)
    return outcome


def _with_opinion(outcome: Outcome, opinion: Agreement | None) -> Outcome:
    if opinion is None:
        return outcome
    outcome = replace(
        outcome, frames_compared=opinion.compared, frames_disagreeing=opinion.disagreeing
    )
    if opinion.is_good or outcome.status != "ok":
        return outcome
    message = (
        f"{opinion.decoder} sees {opinion.disagreeing} of {opinion.compared} frames otherwise; the "
        "features are those of the first decoder. Play the video to see which is right."
    )
    return replace(outcome, status="partial", code="decoders_disagree", message=message)


def _bad(file: VideoFile, error: VideoError) -> Outcome:
    """Return the outcome of a file that could not be read; one that changes is tried again."""
    if error.code == "vanished" or not unchanged(file):
        return Outcome(
            uri=file.uri, status="failed", code="changing", message=str(_changing(file))
        )
    return Outcome(uri=file.uri, status="quarantined", code=error.code, message=str(error))


def _changing(file: VideoFile) -> _ChangingError:
    return _ChangingError(
        f"{file.location} changed while it was read: found another size or time of change than the "
        f"{file.bytes:,} bytes that were listed. The next run looks again."
    )


def _shared_backbone(recipe: FeatureSpec) -> Backbone:
    """Return the one backbone of a recipe that all threads of this process use."""
    with _building:
        return _backbone(canonical_json(recipe))


def _decode_process() -> DecodeProcess:
    """Return the decode process of this thread."""
    if not hasattr(_here, "decoding"):
        _here.decoding = DecodeProcess()
    kept: DecodeProcess = _here.decoding
    return kept


@functools.lru_cache(maxsize=4)
def _backbone(recipe_json: str) -> Backbone:
    """Return the backbone of a recipe, checked to be the very one that the recipe was made with."""
    recipe = from_dict(FeatureSpec, json.loads(recipe_json))
    built = backbones().get(recipe.backbone).build(recipe.parameters)
    here = recipe_of(recipe.backbone, built, decoder=recipe.decoder, dtype=recipe.dtype)
    asked = recipe.pixels  # the backbone has no say in these
    pixels = replace(here.pixels, frames=asked.frames, bad_frames=asked.bad_frames)
    here = replace(here, pixels=pixels, gate=recipe.gate)
    difference = first_difference(to_dict(here), to_dict(recipe))
    if difference is not None:
        raise SpecError(
            f"Backbone {recipe.backbone!r} is not the one that the recipe was made with: {difference}. "
            "Make the recipe again, or bring back the old weights."
        )
    return built
