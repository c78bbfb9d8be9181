"""The script that a user would write without this project. Frozen: what extraction is measured against.

    python -m tests.benchmarks.plain_script NETWORK BATCH OUT_FOLDER VIDEO...

OpenCV reads full-size pictures, each is resized, timm runs in eager float32 with torch's own threads,
`numpy.save` writes one file a video. Prints the frames done, and the wall and processor seconds that they
took, start-up and loading left out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch


def main(name: str, batch_size: int, out: Path, videos: list[Path]) -> None:
    """Write the features of each video."""
    timm = import_timm()
    model = timm.create_model(name, pretrained=False, num_classes=0).eval()
    config = timm.data.resolve_model_data_config(model)
    side = config["input_size"][1]
    mean = torch.tensor(config["mean"]).view(3, 1, 1)
    std = torch.tensor(config["std"]).view(3, 1, 1)
    out.mkdir(parents=True, exist_ok=True)
    frames = 0
    begun, cpu = time.perf_counter(), time.process_time()
    for video in videos:
        capture = cv2.VideoCapture(str(video))
        batch, features = [], []
        while True:
            ok, bgr = capture.read()
            if ok:
                rgb = cv2.cvtColor(cv2.resize(bgr, (side, side)), cv2.COLOR_BGR2RGB)
                picture = torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
                batch.append((picture - mean) / std)
            if batch and (len(batch) == batch_size or not ok):
                with torch.no_grad():
                    features.append(model(torch.stack(batch)).numpy())
                batch = []
            if not ok:
                break
        stacked = np.concatenate(features)
        frames += len(stacked)
        np.save(out / f"{video.stem}.npy", stacked)
    print(frames, time.perf_counter() - begun, time.process_time() - cpu)


def import_timm():
    """Return timm; our own module knows the cure for a torchvision that does not fit the torch here."""
    from anomaly.features.networks import import_timm

    return import_timm()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), [Path(p) for p in sys.argv[4:]])
