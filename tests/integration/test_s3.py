"""Source and output on a real S3 server, and official tars read in place: the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stamina

from mav_pipeline.config import VerifyConfig
from mav_pipeline.dataset.verify import verify
from mav_pipeline.media.decode import decode_alpha
from mav_pipeline.media.images import decode_png
from mav_pipeline.schema.errors import ChangedError
from mav_pipeline.storage import S3Storage
from mav_pipeline.storage.s3_errors import ATTEMPTS
from tests import proxy, seaweed

from .conftest import CHEAP
from .console import Done, Running, mav, shard_bytes
from .strike import Strike

pytest.importorskip("boto3")
NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Bucket:
    """The server and what lies in its one bucket."""

    server: seaweed.Server
    client: Any

    def shard_bytes(self, prefix: str) -> dict[str, str]:
        """sha256 of every tar and parquet in ``shards/`` by name."""
        return {
            key.rpartition("/")[2]: hashlib.sha256(self.read(key)).hexdigest()
            for key in self.keys(f"{prefix}/shards/")
            if key.endswith((".tar", ".parquet"))
        }

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="mav", Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket="mav", Key=key)["Body"].read()

    def is_whole(self, prefix: str) -> bool:
        """Whether all is there and can be read, and nothing else is."""
        storage = S3Storage(f"s3://mav/{prefix}", self.server.endpoint_url)
        return verify(storage, VerifyConfig(deep=True, clean=False)).ok

    def mav(self, *words: str, endpoint: str | None = None, **env: str) -> Done:
        """The console with the server's endpoint and credentials."""
        url = f"storage.endpoint_url={endpoint or self.server.endpoint_url}"
        return mav(*words, url, env={**seaweed.ENV, **env})


@pytest.fixture(scope="module")
def tars(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus as two tars in the form of the official ones, one GNU and one PAX."""
    root = tmp_path_factory.mktemp("tars")
    files = sorted((corpus / "sav_train").rglob("*.*"))
    halves = (files[: len(files) // 2 // 3 * 3], files[len(files) // 2 // 3 * 3 :])
    kinds = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    for number, (half, kind) in enumerate(zip(halves, kinds, strict=True)):
        with tarfile.open(root / f"sav_{number:03d}.tar", "w", format=kind) as tar:
            for path in half:
                tar.add(path, f"sav_train/{path.relative_to(corpus / 'sav_train')}")
    return root


@pytest.fixture(scope="module")
def bucket(server: seaweed.Server, corpus: Path, tars: Path) -> Iterator[Bucket]:
    """A bucket with the corpus as objects under ``folder`` and as tars under ``tars``."""
    client = server.client()
    seaweed.make_bucket(client, "mav")
    for root, prefix in ((corpus / "sav_train", "folder"), (tars, "tars")):
        for path in root.rglob("*.*"):
            client.upload_file(str(path), "mav", f"{prefix}/{path.relative_to(root)}")
    yield Bucket(server, client)
    client.close()


ARGS = ("output.clips_per_shard=2", *CHEAP)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)


@pytest.fixture
def out() -> str:
    """A prefix that no other test writes to."""
    return f"out-{next(NUMBERS)}"


# tars, in place


def test_a_tar_twin_builds_to_the_same_bytes(
    tars: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    words = ("build", *ARGS, f"source.root={tars}", f"output.root={tmp_path / 'out'}")
    assert mav(*words).code == 0
    assert shard_bytes(tmp_path / "out") == expected
    files = sorted(path.name for path in tars.iterdir())
    assert files == ["sav_000.tar", "sav_001.tar"]  # nothing was extracted
    assert mav(*words).code == 0


@pytest.mark.parametrize("source", ["folder", "tars"])
def test_objects_build_to_the_same_bytes(
    bucket: Bucket, expected: dict[str, str], out: str, source: str
) -> None:
    words = (*ARGS, f"source.root=s3://mav/{source}", f"output.root=s3://mav/{out}")
    done = bucket.mav("build", *words, "--json")
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert bucket.shard_bytes(out) == expected
    again = bucket.mav("build", *words, "--json")
    assert (again.code, again.json["state"]) == (0, "complete"), again.stderr
    verified = bucket.mav("verify", f"output.root=s3://mav/{out}", "verify.deep=true", "--json")
    assert verified.json["ok"], verified.stderr
    assert verified.json["samples"] == 6
    status = bucket.mav("status", f"output.root=s3://mav/{out}", "--json")
    assert status.json["shards"]["published"] == 3
    assert bucket.mav("report", f"output.root=s3://mav/{out}").code == 0
    page = bucket.client.head_object(Bucket="mav", Key=f"{out}/report/index.html")
    assert page["ContentType"] == "text/html", "a browser opens it"


def test_a_set_is_described_and_exported_on_s3(bucket: Bucket, out: str) -> None:
    words = (*ARGS, "source.root=s3://mav/folder", "source.limit=2", f"output.root=s3://mav/{out}")
    assert bucket.mav("build", *words).code == 0
    assert b"s3://" not in bucket.read(f"{out}/croissant.json") + bucket.read(f"{out}/README.md")
    export = ("export", f"output.root=s3://mav/{out}", "export.trim=false")
    images = (*export, f"export.root=s3://mav/{out}-export")
    done = bucket.mav(*images, "--json")
    assert done.code == 0, done.stderr
    kinds = ("image/", "mask/", "alpha/", "about/")
    files = [k for k in bucket.keys(f"{out}-export/") if k.split("/", 1)[1].startswith(kinds)]
    assert len(files) == done.json["files"] == done.json["masklets"] * (10 * 3 + 1)
    assert bucket.mav(*images, "--json").json["there"] == 2
    done = bucket.mav(*export, f"export.root=s3://mav/{out}-video", "export.format=alpha")
    assert done.code == 0, done.stderr
    name = "alpha/sav_000001/manual_000"
    frames = decode_alpha(bucket.read(f"{out}-video/{name}.mkv"))  # which went there as a stream
    for number, frame in enumerate(frames):
        png = bucket.read(f"{out}-export/{name.replace('1/', '1_')}/{number:04d}.png")
        assert (frame == decode_png(png)).all()
    assert number == 9


def test_a_resume_reads_no_header_of_a_tar_again(bucket: Bucket, out: str) -> None:
    words = (*ARGS, "source.root=s3://mav/tars", f"output.root=s3://mav/{out}", "source.limit=2")
    with proxy.running(bucket.server.endpoint_url, proxy.NONE) as first:
        assert bucket.mav("build", *words, endpoint=first.endpoint_url).code == 0
    with proxy.running(bucket.server.endpoint_url, proxy.NONE) as second:
        assert bucket.mav("build", *words, endpoint=second.endpoint_url).code == 0
    reads = [
        sum(method == "GET" and "/tars/sav_" in path for method, path in seen.requests)
        for seen in (first, second)
    ]
    assert reads[0] > 10
    assert reads[1] == 0


@pytest.mark.parametrize("cut", ["in a member", "at a member's border"])
def test_a_torn_tar_gives_its_whole_clips_and_a_failed_row(
    tars: Path, expected: dict[str, str], tmp_path: Path, cut: str
) -> None:
    source, root = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    whole = (tars / "sav_001.tar").read_bytes()
    with tarfile.open(tars / "sav_001.tar") as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + 7 if cut == "in a member" else last.offset
    (source / "sav_000.tar").write_bytes((tars / "sav_000.tar").read_bytes())
    (source / "sav_001.tar").write_bytes(whole[:end])
    words = ("build", *ARGS, f"source.root={source}", f"output.root={root}")
    done = mav(*words, "quality.max_failed_fraction=0.5", "--json")
    assert (done.code, done.json["clips"]["failed"]) == (0, 1), done.stderr
    assert done.json["reasons"]["torn_tar"] == 1
    status = mav("status", f"output.root={root}", "--json").json
    assert status["clips"] == {**status["clips"], "planned": 6, "published": 5}
    (source / "sav_001.tar").write_bytes(whole)  # the download is repeated
    refused = mav(*words)
    assert refused.code == 2
    assert "sav_001.tar has changed" in refused.stderr
    assert mav(*words, "resume.rebuild=failed_clips").code == 0
    assert shard_bytes(root) == expected


# faults of S3


def test_a_server_that_drops_and_fails_changes_no_byte(
    bucket: Bucket, expected: dict[str, str], out: str
) -> None:
    faults = proxy.Faults(rate=0.3, seed=7)
    with proxy.running(bucket.server.endpoint_url, faults) as hurt:
        words = (*ARGS, "source.root=s3://mav/tars", f"output.root=s3://mav/{out}")
        done = bucket.mav("build", *words, "--json", endpoint=hurt.endpoint_url)
        assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert sum(hurt.faulted.values()) > 20
    assert set(hurt.faulted) == set(proxy.KINDS)
    assert bucket.shard_bytes(out) == expected
    assert done.json["clips"]["failed"] == 0


def test_a_lost_answer_to_a_receipt_is_no_race_lost(
    bucket: Bucket, expected: dict[str, str], out: str
) -> None:
    """The receipt is there, its answer is not: the retry is refused, and finds its own."""

    def receipts(method: str, path: str) -> bool:
        return method == "PUT" and "/shards/mav-" in path and ".json" in path

    faults = proxy.Faults(rate=1.0, kinds=("lose_answer",), only=receipts)
    with proxy.running(bucket.server.endpoint_url, faults) as hurt:
        words = (*ARGS, "source.root=s3://mav/folder", f"output.root=s3://mav/{out}")
        done = bucket.mav("build", *words, endpoint=hurt.endpoint_url)
    assert done.code == 0, done.stderr
    assert hurt.faulted["lose_answer"] >= 3
    assert "another builder" not in done.stderr
    assert bucket.shard_bytes(out) == expected


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "write",
    [
        r"run\.json$",
        r"plan\.parquet$",
        r"shards/mav-000001-\w{16}\.tar$",
        r"shards/mav-000001-\w{16}\.parquet$",
        r"shards/mav-000001\.json$",
        r"out-\d+/index\.json$",
    ],
    ids=["run", "plan", "tar", "rows", "receipt", "index"],
)
def test_sigkill_at_a_write_to_s3(
    bucket: Bucket, expected: dict[str, str], out: str, write: str, when: str, corpus: Path
) -> None:
    words = (
        *("build", *ARGS, f"source.root={corpus / 'sav_train'}", f"output.root=s3://mav/{out}"),
        f"storage.endpoint_url={bucket.server.endpoint_url}",
    )
    killed = Running(*words, env=seaweed.ENV, strike=Strike(signal.SIGKILL, when, write)).end()
    assert killed.code == -signal.SIGKILL, killed.stderr
    assert bucket.shard_bytes(out).items() <= expected.items()
    done = bucket.mav(*words, "--json")
    assert (done.code, done.json["state"]) == (0, "complete"), done.stderr
    assert bucket.shard_bytes(out) == expected
    assert bucket.is_whole(out)


def test_two_builders_at_once_on_s3_do_no_harm(
    bucket: Bucket, expected: dict[str, str], out: str, corpus: Path
) -> None:
    words = (
        *("build", *ARGS, f"source.root={corpus / 'sav_train'}", f"output.root=s3://mav/{out}"),
        f"storage.endpoint_url={bucket.server.endpoint_url}",
    )
    both = [Running(*words, env=seaweed.ENV) for _ in range(2)]
    for builder in both:
        done = builder.end()
        assert done.code == 0, done.stderr
    assert bucket.shard_bytes(out) == expected


def test_verify_names_dangling_uploads_and_strays_and_removes_them(
    bucket: Bucket, corpus: Path, out: str
) -> None:
    root = f"output.root=s3://mav/{out}"
    assert bucket.mav("build", *ARGS, f"source.root={corpus / 'sav_train'}", root).code == 0
    stray = f"{out}/shards/mav-000001-{'0' * 16}.tar"
    upload = bucket.client.create_multipart_upload(Bucket="mav", Key=stray)["UploadId"]
    where = {"Bucket": "mav", "Key": stray, "UploadId": upload}
    bucket.client.upload_part(**where, PartNumber=1, Body=b"x" * 100)
    bucket.client.put_object(Bucket="mav", Key=stray, Body=b"a late writer's")
    found = bucket.mav("verify", root, "--json")
    assert found.code == 1
    assert len(found.json["strays"]) == 2
    assert any(upload in path for path in found.json["strays"])
    assert bucket.mav("verify", root, "verify.clean=true").code == 0
    assert bucket.mav("verify", root).code == 0
    listed = bucket.client.list_multipart_uploads(Bucket="mav", Prefix=f"{out}/")
    assert not listed.get("Uploads")


def test_a_build_sweeps_what_a_killed_upload_left(bucket: Bucket, corpus: Path, out: str) -> None:
    stray = f"{out}/shards/mav-000001-{'0' * 16}.tar"
    bucket.client.create_multipart_upload(Bucket="mav", Key=stray)
    root = f"output.root=s3://mav/{out}"
    assert bucket.mav("build", *ARGS, f"source.root={corpus / 'sav_train'}", root).code == 0
    listed = bucket.client.list_multipart_uploads(Bucket="mav", Prefix=f"{out}/")
    assert not listed.get("Uploads")


def test_failed_clips_are_rebuilt_on_s3(bucket: Bucket, expected: dict[str, str], out: str) -> None:
    for key in bucket.keys("folder/"):
        copy = {"Bucket": "mav", "Key": key}
        bucket.client.copy_object(
            Bucket="mav", Key=key.replace("folder/", f"{out}-in/"), CopySource=copy
        )
    video = next(key for key in bucket.keys(f"{out}-in/") if key.endswith("sav_000003.mp4"))
    good = bucket.read(video)
    bucket.client.put_object(Bucket="mav", Key=video, Body=b"torn")
    words = (*ARGS, f"source.root=s3://mav/{out}-in", f"output.root=s3://mav/{out}")
    assert bucket.mav("build", *words).code == 3
    bucket.client.put_object(Bucket="mav", Key=video, Body=good)
    assert bucket.mav("build", *words).code == 2
    done = bucket.mav("build", *words, "resume.rebuild=failed_clips")
    assert done.code == 0, done.stderr
    assert bucket.shard_bytes(out) == expected


# large files, in parts


@pytest.fixture
def storage(bucket: Bucket, out: str) -> Iterator[S3Storage]:
    """A prefix behind a server that drops and fails a quarter of all requests."""
    with (
        proxy.running(bucket.server.endpoint_url, proxy.Faults(rate=0.25, seed=3)) as hurt,
        stamina.set_testing(True, attempts=ATTEMPTS),  # without waits between attempts
    ):
        yield S3Storage(f"s3://mav/{out}", hurt.endpoint_url)


def test_a_large_file_arrives_whole_and_is_read_whole(storage: S3Storage, tmp_path: Path) -> None:
    path, data = tmp_path / "large", os.urandom(40 << 20)
    path.write_bytes(data)
    with path.open("rb") as file:
        storage.publish(file, "shards/large")
    assert storage.size("shards/large") == len(data)
    with storage.open("shards/large") as stream:
        assert stream.read() == data
        stream.seek(20 << 20)
        assert stream.read(100) == data[20 << 20 :][:100]
    (entry,) = storage.entries("shards")
    assert storage.read_range(entry.name, 5, 9 << 20, entry.version) == data[5 : 5 + (9 << 20)]
    assert storage.read_range(entry.name, len(data) - 3, 10, entry.version) == data[-3:]
    with pytest.raises(ChangedError):
        storage.read_range(entry.name, 0, 10, "0" * 32)


@pytest.mark.parametrize("whole", [True, False])
def test_reading_goes_on_where_it_broke_off(
    bucket: Bucket, out: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in seaweed.ENV.items():
        monkeypatch.setenv(key, value)
    data = os.urandom(3 << 20)
    bucket.client.put_object(Bucket="mav", Key=f"{out}/a", Body=data)
    cut = proxy.Faults(1.0, ("cut",), only=lambda method, _: method == "GET")
    with (
        proxy.running(bucket.server.endpoint_url, cut) as hurt,
        stamina.set_testing(True, attempts=ATTEMPTS),
    ):
        storage = S3Storage(f"s3://mav/{out}", hurt.endpoint_url)
        version = bucket.client.head_object(Bucket="mav", Key=f"{out}/a")["ETag"].strip('"')
        got = storage.read("a") if whole else storage.read_range("a", 0, len(data), version)
    assert got == data
    assert hurt.faulted == {"cut": 2}


def test_creating_and_swapping_have_one_winner_each(storage: S3Storage) -> None:
    assert storage.create("a", b"1")
    assert not storage.create("a", b"2")
    assert not storage.swap("a", b"2", b"3")
    assert storage.swap("a", b"1", b"3")
    assert storage.read("a") == b"3"
    assert not storage.swap("b", b"1", b"3")
    storage.probe()
    storage.delete("a")
    assert [entry.name for entry in storage.entries()] == []


UPLOAD = """
import sys
from pathlib import Path
from mav_pipeline.storage import S3Storage
with Path(sys.argv[3]).open("rb") as file:
    S3Storage(sys.argv[1], sys.argv[2]).publish(file, "shards/" + sys.argv[4])
"""


def test_sigkill_in_an_upload_leaves_nothing_visible(
    bucket: Bucket, out: str, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(64 << 20))
    name = f"mav-000000-{'a' * 16}.tar"
    with proxy.running(bucket.server.endpoint_url, proxy.Faults(1.0, ("delay",))) as slow:
        words = [f"s3://mav/{out}", slow.endpoint_url, str(path), name]
        process = subprocess.Popen(
            [sys.executable, "-c", UPLOAD, *words], env={**os.environ, **seaweed.ENV}
        )
        while not any("partNumber=2" in where for _, where in slow.requests):
            assert process.poll() is None
        process.kill()
        process.wait()
    assert bucket.keys(f"{out}/") == []
    listed = bucket.client.list_multipart_uploads(Bucket="mav", Prefix=f"{out}/")
    assert [entry["Key"] for entry in listed["Uploads"]] == [f"{out}/shards/{name}"]


# set-up and secrets


@pytest.mark.parametrize(
    ("words", "env", "hint"),
    [
        (("output.root=s3://no-such-bucket/x",), {}, "NoSuchBucket"),
        (("output.root=s3://",), {}, "names no bucket"),
        (("output.root=gs://mav/x",), {}, "no storage for gs://"),
        (("output.root=s3://mav/denied",), {"AWS_SECRET_ACCESS_KEY": "not-it"}, "output.root"),
        (("source.root=s3://mav/nothing-here", "output.root=s3://mav/n"), {}, "no clips"),
    ],
    ids=["bucket", "no bucket", "scheme", "secret", "no clips"],
)
def test_a_wrong_place_ends_with_2_and_a_way_out(
    bucket: Bucket, corpus: Path, words: tuple[str, ...], env: dict[str, str], hint: str
) -> None:
    done = bucket.mav("build", *ARGS, f"source.root={corpus / 'sav_train'}", *words, **env)
    assert done.code == 2, done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_is_written_or_logged(bucket: Bucket, out: str) -> None:
    words = (*ARGS, "source.root=s3://mav/folder", f"output.root=s3://mav/{out}")
    done = bucket.mav("build", *words)
    assert done.code == 0
    secret = seaweed.KEYS["AWS_SECRET_ACCESS_KEY"]
    assert secret not in done.stderr + done.stdout
    assert not any(secret.encode() in bucket.read(key) for key in bucket.keys(f"{out}/"))
