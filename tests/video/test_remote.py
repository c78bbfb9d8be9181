"""Videos of web servers, in tar files, and those too large to copy: real servers on loopback."""

from __future__ import annotations

import datetime as dt
import http.server
import io
import ssl
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from anomaly.errors import SpecError, TransientError, VideoError
from anomaly.video import ArchiveSpec, FrameBatch, PixelSpec, VideoFile
from anomaly.video.archive import find, unchanged
from anomaly.video.content import content_of
from anomaly.video.decode import DecodeProcess, FrameStream
from anomaly.video.remote import Remote, Source
from anomaly.video.spool import local_copy

GRAY = PixelSpec(color="gray")


class Handler(http.server.SimpleHTTPRequestHandler):
    """A file server that knows ranges and etags, and fails when told to."""

    broken_after = -1
    """answers with 500 from so many ranges on"""
    ranges_served = 0

    @override
    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            return super().do_GET()
        cls = type(self)
        cls.ranges_served += 1
        if 0 <= cls.broken_after < cls.ranges_served:
            self.send_error(500)
            return None
        data = path.read_bytes()
        first, _, last = asked.removeprefix("bytes=").partition("-")
        stretch = data[int(first) : int(last or len(data) - 1) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(stretch)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(stretch)
        return None

    @override
    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        super().end_headers()

    @override
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Url of a server, and the folder that it serves."""
    (tmp_path / "web").mkdir()
    Handler.broken_after, Handler.ranges_served = -1, 0
    handler = partial(Handler, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path / "web"
        server.shutdown()


@pytest.fixture(scope="module")
def decoding() -> Iterator[DecodeProcess]:
    with DecodeProcess() as process:
        yield process


def listed(folder: Path, *lines: str) -> list[VideoFile]:
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return find(ArchiveSpec(root=str(path)), name="t")


def pixels(stream: FrameStream) -> np.ndarray:
    batches: list[FrameBatch] = list(stream)
    return np.concatenate([batch.pixels_BHWC for batch in batches])


def decoded(decoding: DecodeProcess, source: Source) -> np.ndarray:
    return decoding.decode(source, "file", GRAY, pixels)


def test_a_list_may_name_urls_whose_secrets_stay_out_of_names(
    web: tuple[str, Path], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    url, folder = web
    path = make_video(folder / "gate" / "a.mp4")
    found, gone = listed(tmp_path, f"{url}/gate/a.mp4?token=secret", f"{url}/gone.mp4")
    assert found.uri == f"{url.removeprefix('http://')}/gate/a.mp4"
    assert (found.bytes, found.camera) == (path.stat().st_size, "gate")
    assert found.modified == str(path.stat().st_mtime_ns)
    assert (gone.bytes, gone.modified) == (0, "missing")
    assert unchanged(found)
    make_video(folder / "gate" / "a.mp4", frames=12)
    assert not unchanged(found)


def test_a_url_is_read_once_and_hashed_on_the_way(
    web: tuple[str, Path],
    make_video: Callable[..., Path],
    tmp_path: Path,
    decoding: DecodeProcess,
) -> None:
    url, folder = web
    path = make_video(folder / "a.mp4")
    (file,) = listed(tmp_path, f"{url}/a.mp4")
    with local_copy(file) as (copy, content):
        assert content == content_of(path)
        assert isinstance(copy, Path)
        np.testing.assert_array_equal(decoded(decoding, copy), decoded(decoding, path))
    assert Handler.ranges_served <= 1


def test_a_url_too_large_to_copy_is_read_by_ranges(
    web: tuple[str, Path],
    make_video: Callable[..., Path],
    tmp_path: Path,
    decoding: DecodeProcess,
) -> None:
    url, folder = web
    path = make_video(folder / "a.mp4", frames=60)
    (file,) = listed(tmp_path, f"{url}/a.mp4")
    with local_copy(file, spool_bytes=100) as (source, content):
        assert isinstance(source, Remote)
        assert content.startswith("etag-")
        np.testing.assert_array_equal(decoded(decoding, source), decoded(decoding, path))
    with local_copy(file, spool_bytes=100) as (_, again):
        assert again == content
    make_video(folder / "a.mp4", frames=61)
    (changed,) = listed(tmp_path, f"{url}/a.mp4")
    with local_copy(changed, spool_bytes=100) as (_, other):
        assert other != content


def test_a_server_that_fails_half_way_is_no_fault_of_the_video(
    web: tuple[str, Path],
    make_video: Callable[..., Path],
    tmp_path: Path,
    decoding: DecodeProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, folder = web
    path = make_video(folder / "a.mkv", frames=40, height=480, width=640)
    data = path.read_bytes()
    path.write_bytes(data + b"\0" * (20 * 2**20))  # several ranges long
    (file,) = listed(tmp_path, f"{url}/a.mkv")
    Handler.broken_after = 1
    with local_copy(file, spool_bytes=100) as (source, _), pytest.raises(TransientError):
        decoded(decoding, source)
    Handler.broken_after = 0
    with pytest.raises(TransientError, match=r"a\.mkv cannot be read"), local_copy(file):
        pass


def test_certificates_are_checked(
    web: tuple[str, Path], make_video: Callable[..., Path], tmp_path: Path
) -> None:
    _, folder = web
    make_video(folder / "a.mp4")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path))
    handler = partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(TransientError, match="certificate"):
            listed(tmp_path, f"https://127.0.0.1:{server.server_port}/a.mp4")
        server.shutdown()


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody knows me")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.mark.s3
def test_an_object_too_large_to_copy_is_read_by_ranges(
    s3_environment: str,
    make_video: Callable[..., Path],
    tmp_path: Path,
    decoding: DecodeProcess,
) -> None:
    import boto3

    path = make_video(tmp_path / "a.mp4", frames=60)
    boto3.client("s3").upload_file(str(path), s3_environment, "cam/a.mp4")
    (file,) = find(ArchiveSpec(root=f"s3://{s3_environment}/cam"), name="t")
    with DecodeProcess() as process, local_copy(file, spool_bytes=100) as (source, content):
        assert isinstance(source, Remote)
        assert content.startswith("etag-")
        np.testing.assert_array_equal(decoded(process, source), decoded(decoding, path))


@pytest.fixture
def shard(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """A tar of two videos with their captions."""
    path = tmp_path / "shards" / "000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for seed, name in enumerate(("gate/0001", "gate/0002")):
            clip = make_video(tmp_path / f"{seed}.mp4", frames=10, seed=seed)
            archive.add(clip, f"{name}.mp4")
            caption = tarfile.TarInfo(f"{name}.txt")
            caption.size = 5
            archive.addfile(caption, io.BytesIO(b"hello"))
    return path


def test_videos_in_a_tar_are_found_hashed_and_decoded(
    shard: Path, tmp_path: Path, decoding: DecodeProcess
) -> None:
    first, second = find(ArchiveSpec(root=str(shard)), name="t")
    assert (first.uri, second.uri) == ("gate/0001.mp4", "gate/0002.mp4")
    assert first.camera == "gate"
    with local_copy(second) as (path, content):
        assert content == content_of(tmp_path / "1.mp4")
        original = decoded(decoding, tmp_path / "1.mp4")
        np.testing.assert_array_equal(decoded(decoding, path), original)
    assert unchanged(first)
    shard.touch()
    assert not unchanged(first)


def test_tars_come_from_globs_lists_urls_and_buckets(
    shard: Path, web: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = web
    names = ["gate/0001.mp4", "gate/0002.mp4"]
    by_glob = find(ArchiveSpec(root=str(shard.parent / "*.tar")), name="t")
    assert [file.uri for file in by_glob] == [f"000.tar/{name}" for name in names]
    by_list = listed(tmp_path, "shards/000.tar")
    assert [file.uri for file in by_list] == [f"shards/000.tar/{name}" for name in names]
    (folder / "000.tar").write_bytes(shard.read_bytes())
    by_url = find(ArchiveSpec(root=f"{url}/000.tar"), name="t")
    assert [file.uri for file in by_url] == names
    with local_copy(by_url[0]) as (_, content):
        assert content == content_of(tmp_path / "0.mp4")


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(SpecError, match="not compressed"):
        find(ArchiveSpec(root=str(tmp_path / "a.tar")), name="t")


def test_a_member_that_does_not_fit_the_spool_is_refused(shard: Path) -> None:
    file = find(ArchiveSpec(root=str(shard)), name="t")[0]
    with pytest.raises(VideoError, match="more room"), local_copy(file, spool_bytes=10):
        pass
