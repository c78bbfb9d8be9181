from pathlib import Path
from anomaly.report.render import render
def test_one(scanned):
    key = render(scanned.root, "site & co", "knn-1", time_zone="Europe/Amsterdam")
    print(scanned.root.address(key), len(scanned.root.read(key)))
    Path("/tmp/r7/page.html").write_bytes(scanned.root.read(key))
    import os
    for k in scanned.root.keys("media"): print(k, len(scanned.root.read(k)))
