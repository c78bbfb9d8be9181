"""One bundle for two cameras.

Ped2 and the coffee room as two cameras of one archive, with different picture sizes and frame
rates. The bundle must serve each as well as a bundle of its own does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.benchmarks.accuracy import RECIPE, learn_and_judge
from tests.benchmarks.harness import (
    Figure,
    anomaly,
    auc,
    globs,
    read_labels,
    shared,
    workplace,
    write_labels,
)

CAMERAS = ("ped2", "coffeeroom")


def measure() -> list[Figure]:
    """Train one bundle on both cameras and one on each, and compare."""
    with workplace() as folder:
        archive, root, labels = folder / "archive", folder / "root", folder / "labels.csv"
        learn, judge = lay_out(archive, labels)
        together = anomaly(
            "train", archive, "--root", root, "--labels", labels, *RECIPE,
            *globs([video for videos in learn.values() for video in videos]),
        ).answer["checkpoint"]  # fmt: skip
        chosen = ["--root", root, "--checkpoint", together]
        anomaly(
            "score", archive, *chosen, *globs([v for videos in judge.values() for v in videos])
        )
        figures = []
        for camera in CAMERAS:
            shared_answer = anomaly(
                "evaluate", archive, *chosen, *globs(judge[camera]), "--labels", labels
            ).answer
            _, _, own = learn_and_judge(archive, root, learn[camera], judge[camera], labels)
            apart = 100 * abs(shared_answer["frame_auc_micro"] - own["frame_auc_micro"])
            figures += [
                Figure(
                    f"{camera}: AUC with the shared bundle",
                    auc(shared_answer),
                    "",
                    "anomaly train BOTH; score; evaluate",
                ),
                Figure(
                    f"{camera}: AUC with its own bundle", auc(own), "", "the same on one camera"
                ),
                Figure(f"{camera}: difference", f"{apart:.2f} points", "within 1 point"),
            ]
    return figures


def lay_out(archive: Path, labels: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Copy both data sets into one archive; return the videos to learn from and to judge, by camera."""
    ped2, coffeeroom = shared("ped2"), shared("coffeeroom")
    rows = []
    for camera, source in (("ped2", ped2), ("coffeeroom", coffeeroom)):
        (archive / camera).mkdir(parents=True)
        for video in source.rglob("*.mp4"):
            flat = flattened(str(video.relative_to(source)))
            shutil.copyfile(video, archive / camera / flat)
        rows += [
            {**row, "video": f"{camera}/{flattened(row['video'])}"}
            for row in read_labels(source / "labels.csv")
        ]
    clips = sorted(path.name for path in coffeeroom.glob("*.mp4"))
    kept = {f"ped2/{flattened(str(p.relative_to(ped2)))}" for p in ped2.rglob("*.mp4")}
    kept |= {f"coffeeroom/{name}" for name in clips}
    write_labels(labels, [row for row in rows if row["video"] in kept])
    middle = len(clips) // 2
    return (
        {
            "ped2": ["ped2/train-*"],
            "coffeeroom": [f"coffeeroom/{name}" for name in clips[:middle]],
        },
        {
            "ped2": ["ped2/test-*"],
            "coffeeroom": [f"coffeeroom/{name}" for name in clips[middle:]],
        },
    )


def flattened(path: str) -> str:
    """Return a path as one file name, so that the folder is the camera."""
    return path.replace("/", "-")
