"""Photographs the report of the demo for the docs: `python -m tests.docs.screenshots [ROOT]`.

ROOT is one that `anomaly demo --root ROOT` has made; without it, one is made and thrown away.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from anomaly.checkpoints import current
from anomaly.report.render import render
from anomaly.storage import open_root
from anomaly.video.synthetic import TIME_ZONE

FOLDER = Path(__file__).parents[2] / "docs" / "images"
DESKTOP, PHONE = (1240, 900), (390, 844)
COLOURS = 256
MOST_BYTES = 150_000


def take_all(report: Path) -> None:
    """Write one picture of each view, in light and dark, wide and narrow."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for size, width in ((DESKTOP, ""), (PHONE, "-phone")):
            for scheme, theme in (("light", ""), ("dark", "-dark")):
                page = browser.new_page(
                    viewport={"width": size[0], "height": size[1]},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                )
                page.goto(report.as_uri())
                keep(page, f"report{width}{theme}")
                page.locator(".look").first.click()
                page.wait_for_timeout(1500)
                page.evaluate("clip.pause(); clip.controls = false")
                page.wait_for_timeout(300)
                keep(page, f"event{width}{theme}")
                page.close()
        browser.close()


def keep(page: Any, name: str) -> None:
    """Write what the page shows as a small PNG with a palette."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    few = picture.quantize(COLOURS, kmeans=4, dither=Image.Dither.NONE)
    path = FOLDER / f"{name}.png"
    few.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, expected at most {MOST_BYTES}.")


def main() -> None:
    """Make the demo unless there is one, and photograph its report."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder)
        if len(sys.argv) == 1:
            anomaly = Path(sys.executable).with_name("anomaly")
            subprocess.run([anomaly, "demo", "--no-open", "--root", folder], check=True)
        store = open_root(str(root))
        key = render(store, "demo", current(store) or "", time_zone=TIME_ZONE)
        take_all(Path(store.address(key)))


if __name__ == "__main__":
    main()
