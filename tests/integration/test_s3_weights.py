"""Weights under an s3:// prefix, on a real server: fetched once, whole, and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mav_pipeline.matting.videomama.weights import find_part
from mav_pipeline.schema.errors import ConfigError
from tests import seaweed

from .console import mav, shard_bytes
from .test_model import SMALL

pytest.importorskip("boto3")
BODY = bytes(range(256)) * 20_000  # 5 MB
FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module", autouse=True)
def bucket(server: seaweed.Server) -> None:
    client = server.client()
    seaweed.make_bucket(client, "weights")
    client.put_object(Bucket="weights", Key="mama/unet/config.json", Body=b"{}")
    client.put_object(Bucket="weights", Key=f"mama/unet/{FILE}", Body=BODY)
    client.put_object(Bucket="weights", Key="mama/unet/model.bin", Body=b"a pickle")
    client.close()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)


def find(server: seaweed.Server, uri: str = "s3://weights/mama") -> Path:
    return find_part(uri, "unet", "matting.unet", server.endpoint_url).file


def test_what_is_needed_is_fetched_once(server: seaweed.Server) -> None:
    file = find(server)
    assert file.read_bytes() == BODY
    assert sorted(path.name for path in file.parent.iterdir()) == ["config.json", FILE, "lock"]
    before = file.stat().st_mtime_ns
    assert find(server).stat().st_mtime_ns == before


def test_a_download_that_broke_off_goes_on(server: seaweed.Server) -> None:
    file = find(server)
    file.unlink()
    marked = b"\xff" * 1000 + BODY[1000:3_000_000]  # tells bytes kept from bytes fetched again
    file.with_name(f"{FILE}.part").write_bytes(marked)
    assert find(server).read_bytes() == marked + BODY[3_000_000:]


@pytest.mark.parametrize(
    ("uri", "hint"),
    [
        ("s3://weights/nothing-here", "must hold config.json"),
        ("s3://no-such-bucket/mama", "cannot be read: .*NoSuchBucket"),
    ],
)
def test_a_prefix_without_weights_is_named(server: seaweed.Server, uri: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        find(server, uri)


def test_wrong_credentials_are_a_wrong_set_up_and_never_shown(
    server: seaweed.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(ConfigError, match=r"matting\.unet=.* cannot be read") as caught:
        find(server)
    assert "not-the-secret" not in str(caught.value)


def test_a_build_takes_its_weights_from_s3(
    server: seaweed.Server, corpus: Path, tmp_path: Path
) -> None:
    from tests.checkpoint import write_checkpoint

    base, unet = write_checkpoint(tmp_path)
    client = server.client()
    for path in (*base.rglob("*"), *unet.rglob("*")):
        if path.is_file():
            key = path.relative_to(tmp_path).as_posix()
            client.upload_file(str(path), "weights", key)
    client.close()
    source = (f"source.root={corpus / 'sav_train'}", "source.limit=1")
    common = ("matting=videomama", "quality.enabled=false", "report.enabled=false", *source, *SMALL)
    local = ("matting.base_model=" + str(base), "matting.unet=" + str(unet))
    remote = ("matting.base_model=s3://weights/svd", "matting.unet=s3://weights/videomama")
    endpoint = f"storage.endpoint_url={server.endpoint_url}"
    roots = [tmp_path / "local", tmp_path / "remote"]
    assert mav("build", *common, *local, f"output.root={roots[0]}").code == 0
    done = mav("build", *common, *remote, endpoint, f"output.root={roots[1]}")
    assert done.code == 0, done.stderr
    assert shard_bytes(roots[0]) == shard_bytes(roots[1])
    texts = [path.read_bytes() for path in roots[1].rglob("*") if path.is_file()]
    assert not any(seaweed.KEYS["AWS_SECRET_ACCESS_KEY"].encode() in text for text in texts)
