"""What a server lacks, or a key may not do, is found before the first clip and named."""

from __future__ import annotations

import itertools

import pytest

from mav_pipeline.schema.errors import OutputError
from mav_pipeline.storage import S3Storage
from tests import proxy, seaweed

from .console import mav

pytest.importorskip("boto3")
NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def credentials(server: seaweed.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)
    client = server.client()
    seaweed.make_bucket(client, "bucket")
    client.close()


def to_head(method: str, path: str) -> bool:
    return method == "HEAD"


def of_uploads(method: str, path: str) -> bool:
    return method == "GET" and "uploads" in path


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (
            proxy.Faults(1, ("garble",), header="x-amz-checksum-crc32"),
            r"does not take the checksums .*AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
        ),
        (proxy.Faults(1, ("lack",), header="If-None-Match"), r"conditional write \(IfNoneMatch\)"),
        (proxy.Faults(1, ("lack",), header="If-Match"), r"conditional write \(IfMatch\)"),
        (proxy.Faults(1, ("deny",), only=to_head), r"HEAD of an object, which s3:GetObject grants"),
        (proxy.Faults(1, ("deny",)), "must be a bucket that can be written.*the credentials"),
    ],
    ids=["checksums", "IfNoneMatch", "IfMatch", "HEAD", "all"],
)
def test_what_a_server_lacks_is_named(
    server: seaweed.Server, faults: proxy.Faults, message: str
) -> None:
    with proxy.running(server.endpoint_url, faults) as hurt:
        storage = S3Storage(f"s3://bucket/{next(NUMBERS)}", hurt.endpoint_url)
        with pytest.raises(OutputError, match=message):
            storage.probe()
    client = server.client()
    assert faults.header is None or not client.list_objects_v2(Bucket="bucket").get("Contents")
    client.close()


def test_what_the_message_says_helps(
    server: seaweed.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    faults = proxy.Faults(1, ("garble",), header="x-amz-checksum-crc32")
    with proxy.running(server.endpoint_url, faults) as hurt:
        S3Storage(f"s3://bucket/{next(NUMBERS)}", hurt.endpoint_url).probe()


@pytest.mark.parametrize("kind", ["deny", "lack"])
def test_a_build_does_without_a_list_of_unfinished_uploads(
    server: seaweed.Server, binary_args: tuple[str, ...], expected: dict[str, str], kind: str
) -> None:
    root = f"s3://bucket/{next(NUMBERS)}"
    faults = proxy.Faults(1, (kind,), only=of_uploads)
    with proxy.running(server.endpoint_url, faults) as hurt:
        words = (f"output.root={root}", f"storage.endpoint_url={hurt.endpoint_url}")
        done = mav("build", *binary_args, *words, "source.limit=1")
        assert done.code == 0, done.stderr
        first, *_ = done.stderr.splitlines()
        assert "unfinished uploads cannot be listed" in first, "said before anything is matted"
        assert mav("verify", *words).code == 0
