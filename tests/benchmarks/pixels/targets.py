"""The comparison of targets on Ped2: trained, scored and judged by the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from anomaly.checkpoints import load
from anomaly.storage import open_root
from anomaly.verbs.look import look
from anomaly.verbs.score import Scorer
from anomaly.video import ArchiveSpec
from tests.benchmarks.harness import Figure, anomaly, globs, shared
from tests.benchmarks.pixels.pseudo import make_archive
from tests.benchmarks.pixels.settings import (
    BESIDE,
    COMPARED,
    FIRST,
    FRAMES,
    SCORES,
    Setting,
)

Found = dict[str, Any]
_EVERY = 4
"""every fourth training clip is kept out of training, to choose by"""
_PLACES = {
    "pixel_auc": "per-pixel AUC", "region_overlap": "PRO", "rbdc": "RBDC", "tbdc": "TBDC",
    "pixel_level_auc": "UCSD pixel level",
}  # fmt: skip
COMMAND = "anomaly train --detector {}; score; evaluate"


def figures(folder: Path) -> Iterator[Figure]:
    """Yield one row for each setting, the chosen one once more with its places.

    What the folder holds already of an earlier call is taken from there.
    """
    ped2 = shared("ped2")
    trial = _Trial(folder, ped2)
    score, told = trial.choose_score()
    yield Figure("score, chosen on pseudo-anomalies with the first setting", told)
    found = {setting: trial.measure(setting, score) for setting in (*COMPARED, *BESIDE)}
    for setting, one in found.items():
        yield Figure(setting.title, _in_words(one), "", COMMAND.format(setting.detector))
    best = max(COMPARED, key=lambda setting: found[setting]["pseudo"])
    where = trial.places(best, score)
    yield Figure(
        f"chosen on training clips alone: {best.title}",
        f"{_percent(found[best]['frame_auc_micro'])}; {where}",
        "micro 80",
        "evaluate --masks",
    )


class _Trial:
    def __init__(self, folder: Path, ped2: Path) -> None:
        self.root, self.ped2, self.folder = folder / "root", ped2, folder
        clips = sorted((ped2 / "train").glob("*.mp4"))
        self.kept = clips[_EVERY - 1 :: _EVERY]
        self.learnt = [f"train/{clip.name}" for clip in clips if clip not in self.kept]
        self.pseudo = folder / "pseudo"
        self.labels = make_archive(self.pseudo, self.kept)

    def measure(self, setting: Setting, score: str) -> Found:
        """Return what training and both evaluations came to; remembered in the folder."""
        checkpoint = f"{setting.name}-{score}"
        known = self.folder / f"{checkpoint}.json"
        if known.exists():
            found: Found = json.loads(known.read_text())
            return found
        seconds = self._train(setting, score)
        pseudo = self._judge(self.pseudo, checkpoint, self.labels)
        truth = self.ped2 / "labels.csv"
        tested = self._judge(self.ped2, checkpoint, truth, "--videos", "test/*")
        found = {**tested, "pseudo": pseudo["frame_auc_micro"], "seconds": seconds}
        known.write_text(json.dumps(found))
        return found

    def choose_score(self) -> tuple[str, str]:
        """Return the score that best tells pseudo-anomalies in the first setting, and all in words."""
        known = self.folder / "scores.json"
        if not known.exists():
            self._train(FIRST, "psnr")
            known.write_text(json.dumps({score: self._told_apart(score) for score in SCORES}))
        aucs: dict[str, float] = json.loads(known.read_text())
        best = max(aucs, key=lambda score: aucs[score])
        words = ", ".join(f"{score} {100 * auc:.1f}" for score, auc in aucs.items())
        return best, f"`{best}` (of single frames: {words})"

    def places(self, setting: Setting, score: str) -> str:
        """Return in words how well it says where."""
        asked = ["--labels", self.ped2 / "labels.csv", "--masks", self.ped2 / "masks"]
        where = ["--root", self.root, "--checkpoint", f"{setting.name}-{score}"]
        where += ["--videos", "test/*"]
        anomaly(
            "score", self.ped2, *where, "--workers", 1
        )  # kept results may be all that is left
        spatial = anomaly("evaluate", self.ped2, *where, *asked).answer["spatial"]
        return ", ".join(
            f"{words} {100 * spatial[name]:.1f}" for name, words in _PLACES.items()
        )

    def _train(self, setting: Setting, score: str) -> float:
        """Train once and return the seconds of one core that it took, without decoding."""
        checkpoint = f"{setting.name}-{score}"
        known = self.folder / f"{checkpoint}-trained.json"
        if not known.exists():
            anomaly("extract", self.ped2, "--root", self.root, *FRAMES)
            asked = ["--root", self.root, "--detector", setting.detector, "--into", checkpoint]
            how = [*FRAMES, *setting.options(score), "--workers", 1]
            done = anomaly("train", self.ped2, *asked, *how, *globs(self.learnt))
            known.write_text(json.dumps(done.cpu_seconds))
        return float(json.loads(known.read_text()))

    def _judge(self, archive: Path, checkpoint: str, labels: Path, *videos: str) -> Found:
        where = ["--root", self.root, "--checkpoint", checkpoint, *videos]
        anomaly("score", archive, *where, "--workers", 1)
        answer = anomaly("evaluate", archive, *where, "--labels", labels).answer
        return {name: value for name, value in answer.items() if name.startswith("frame_auc")}

    def _told_apart(self, score: str) -> float:
        """Return the AUC of single frames of the pseudo-anomalies by one score of the first setting."""
        root = open_root(str(self.root))
        bundle = load(root, f"{FIRST.name}-psnr")
        bundle = replace(bundle, parameters={**bundle.parameters, "score": score})
        archive = ArchiveSpec(root=str(self.pseudo))
        anomaly("extract", self.pseudo, "--root", self.root, *FRAMES)
        seen = look(str(self.root), archive)
        rows = seen.catalog.rows()
        scores, labels = [], []
        for file in seen.files:
            scorer = Scorer(root, bundle, file.camera)
            raw_T = scorer.score(file, rows[file.uri].content or "", ())[0].raw_T
            scores.append(raw_T)
            labels.append(self._truth(file.uri, len(raw_T)))
        return float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))

    def _truth(self, video: str, n_frames: int) -> np.ndarray:
        truth_T = np.zeros(n_frames, dtype=bool)
        with self.labels.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["video"] == video:
                    truth_T[int(row["start_frame"]) : int(row["stop_frame"])] = True
        return truth_T


def _in_words(found: Found) -> str:
    micro, macro = found["frame_auc_micro"], found["frame_auc_macro"]
    return (
        f"{_percent(micro)} {_range(found, 'frame_auc_micro')}, per clip "
        f"{_percent(found['frame_auc_micro_normalised'])}, macro {_percent(macro)} "
        f"{_range(found, 'frame_auc_macro')}; pseudo {_percent(found['pseudo'])}; "
        f"trained in {found['seconds']:.0f} s of one core"
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _range(found: Found, name: str) -> str:
    ends = found.get(f"{name}_interval")
    return f"({' to '.join(map(_percent, ends))})" if ends else ""
