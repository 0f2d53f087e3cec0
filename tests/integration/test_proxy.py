"""The proxy of tests: clean, it is not there; with faults, a client sees what it should."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import proxy, seaweed
from tests.proxy import Faults

boto3 = pytest.importorskip("boto3")
errors = pytest.importorskip("botocore.exceptions")
Config = pytest.importorskip("botocore.config").Config

BODY = bytes(range(256)) * 4000  # 1 MB


@pytest.fixture(scope="module", autouse=True)
def bucket(server: seaweed.Server) -> None:
    with closing(server.endpoint_url) as client:
        client.create_bucket(Bucket="bucket")


@contextlib.contextmanager
def closing(url: str, attempts: int = 1) -> Iterator[Any]:
    """A client that tries ``attempts`` times in all."""
    config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=seaweed.KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=seaweed.KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=config,
    )
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def faulty(server: seaweed.Server, *kinds: str, **policy: Any) -> Iterator[tuple[proxy.Proxy, Any]]:
    faults = Faults(**{"rate": 1, "kinds": kinds, **policy})
    with (
        proxy.running(server.endpoint_url, faults) as between,
        closing(between.endpoint_url) as client,
    ):
        yield between, client


def stored(server: seaweed.Server, key: str) -> bytes | None:
    """What the server itself holds."""
    with closing(server.endpoint_url) as client:
        try:
            found: bytes = client.get_object(Bucket="bucket", Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return found


def session(client: Any, prefix: str) -> list[Any]:
    """A bit of everything, and what the answers say that does not differ from run to run."""
    where = {"Bucket": "bucket", "Key": f"{prefix}/a b+ä.bin"}
    seen: list[Any] = [client.put_object(**where, Body=BODY)["ETag"]]
    seen.append(client.put_object(Bucket="bucket", Key=f"{prefix}/empty", Body=b"")["ETag"])
    head = client.head_object(**where)
    seen += [head["ContentLength"], head["ETag"]]
    seen.append(client.get_object(**where)["Body"].read() == BODY)
    part = client.get_object(**where, Range="bytes=1000-2999")
    seen += [part["ResponseMetadata"]["HTTPStatusCode"], part["ContentRange"]]
    seen.append(part["Body"].read() == BODY[1000:3000])
    with pytest.raises(errors.ClientError) as caught:
        client.get_object(**where, IfNoneMatch=head["ETag"])
    seen.append(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])
    with pytest.raises(errors.ClientError) as caught:
        client.put_object(**where, Body=b"other", IfNoneMatch="*")
    seen.append(caught.value.response["Error"]["Code"])
    seen.append(client.put_object(**where, Body=b"new", IfMatch=head["ETag"])["ETag"])
    with pytest.raises(errors.ClientError) as caught:
        client.head_object(Bucket="bucket", Key=f"{prefix}/none")
    seen.append(caught.value.response["Error"]["Code"])
    large = BODY * 12
    client.upload_fileobj(io.BytesIO(large), "bucket", f"{prefix}/large")
    out = io.BytesIO()
    client.download_fileobj("bucket", f"{prefix}/large", out)
    seen.append(out.getvalue() == large)
    listed = client.list_objects_v2(Bucket="bucket", Prefix=f"{prefix}/")["Contents"]
    seen.append([(entry["Key"].partition("/")[2], entry["Size"]) for entry in listed])
    gone = client.delete_object(**where)
    seen.append(gone["ResponseMetadata"]["HTTPStatusCode"])
    return seen


def test_a_clean_proxy_is_not_there(server: seaweed.Server) -> None:
    with closing(server.endpoint_url) as client:
        direct = session(client, "direct")
    with (
        proxy.running(server.endpoint_url) as between,
        closing(between.endpoint_url) as client,
    ):
        assert session(client, "through") == direct
    assert not between.faulted
    methods = Counter(method for method, _ in between.requests)
    assert methods["PUT"] > 4
    assert methods["POST"] == 2, "a multipart upload is begun and completed"
    assert ("HEAD", "/bucket/through/none") in between.requests
    assert any("list-type=2" in path for _, path in between.requests)


def test_a_chunked_body_goes_through(server: seaweed.Server) -> None:
    with (
        proxy.running(server.endpoint_url) as between,
        closing(between.endpoint_url) as client,
    ):
        where = {"Bucket": "bucket", "Key": "chunked"}
        url = urlsplit(client.generate_presigned_url("put_object", where))
        with contextlib.closing(HTTPConnection(url.netloc)) as connection:
            for body in (b"first", BODY):  # on one connection: nothing of the first is left over
                blocks = iter([body[:3], body[3:]])
                connection.request("PUT", f"{url.path}?{url.query}", blocks, encode_chunked=True)
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (200, b"")
                assert stored(server, "chunked") == body


def test_refused_the_server_never_hears_of_it(server: seaweed.Server) -> None:
    with faulty(server, "refuse") as (between, client):
        with pytest.raises(errors.ConnectionClosedError):
            client.put_object(Bucket="bucket", Key="refused", Body=BODY)
        assert between.faulted == {"refuse": 1}
    assert stored(server, "refused") is None


def test_the_answer_is_lost_and_the_write_has_happened(server: seaweed.Server) -> None:
    with (
        faulty(server, "lose_answer") as (between, client),
        pytest.raises(errors.ConnectionClosedError),
    ):
        client.put_object(Bucket="bucket", Key="lost", Body=BODY)
    assert between.faulted == {"lose_answer": 1}
    assert stored(server, "lost") == BODY


@pytest.mark.parametrize(
    ("kind", "code", "status"), [("slow_down", "SlowDown", 503), ("error", "InternalError", 500)]
)
def test_the_server_seems_to_fail(
    server: seaweed.Server, kind: str, code: str, status: int
) -> None:
    with faulty(server, kind) as (between, client):
        for call in (client.put_object, client.delete_object):
            body = {"Body": BODY} if call == client.put_object else {}
            with pytest.raises(errors.ClientError) as caught:
                call(Bucket="bucket", Key=kind, **body)
            assert caught.value.response["Error"]["Code"] == code
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert between.faulted == {kind: 2}
    assert stored(server, kind) is None


def test_the_answer_is_cut_half_way(server: seaweed.Server) -> None:
    with closing(server.endpoint_url) as direct:
        direct.put_object(Bucket="bucket", Key="cut", Body=BODY)
    with faulty(server, "cut") as (_, client):
        answer = client.get_object(Bucket="bucket", Key="cut")
        assert answer["ContentLength"] == len(BODY)
        got = io.BytesIO()
        with pytest.raises((errors.IncompleteReadError, errors.ResponseStreamingError)):
            got.writelines(answer["Body"].iter_chunks(10_000))
        assert BODY.startswith(got.getvalue())
        assert 0 < len(got.getvalue()) <= len(BODY) // 2


def test_what_is_late_arrives(server: seaweed.Server) -> None:
    with faulty(server, "delay") as (between, client):
        client.put_object(Bucket="bucket", Key="late", Body=BODY)
        assert client.get_object(Bucket="bucket", Key="late")["Body"].read() == BODY
    assert between.faulted == {"delay": 2}


def test_only_what_is_picked_is_hurt(server: seaweed.Server) -> None:
    picked = Faults(1, ("error",), only=lambda method, path: method == "PUT" and "hurt" in path)
    with (
        proxy.running(server.endpoint_url, picked) as between,
        closing(between.endpoint_url) as client,
    ):
        client.put_object(Bucket="bucket", Key="spared", Body=b"x")
        with pytest.raises(errors.ClientError, match="InternalError"):
            client.put_object(Bucket="bucket", Key="hurt", Body=b"x")
        client.list_objects_v2(Bucket="bucket", Prefix="hurt")
    assert between.faulted == {"error": 1}
    assert [method for method, _ in between.requests] == ["PUT", "PUT", "GET"]


def test_three_attempts_get_through_whatever_happens(server: seaweed.Server) -> None:
    kinds = ("refuse", "lose_answer", "slow_down", "error")
    with (
        proxy.running(server.endpoint_url, Faults(1, kinds)) as between,
        closing(between.endpoint_url, attempts=3) as client,
    ):
        client.put_object(Bucket="bucket", Key="stubborn", Body=BODY)
    assert between.requests == [("PUT", "/bucket/stubborn")] * 3
    assert between.faulted.total() == 2
    assert stored(server, "stubborn") == BODY


def test_the_same_seed_is_the_same_run() -> None:
    def run(seed: int) -> list[str | None]:
        faults = Faults(rate=0.3, seed=seed)
        return [faults.choose(number, "GET", "/") for number in range(1000)]

    assert run(1) == run(1) != run(2)
    assert 250 < sum(kind is not None for kind in run(1)) < 350
    assert {*run(1)} == {None, *proxy.KINDS}
