"""Ray and our own configuration accept what ``jobs/*.yaml`` and ``docs/cluster.md`` say.

Nothing here reaches a cloud: the launcher's file is held to the schema that Ray ships.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mav_pipeline.cli import VERBS, load_config
from mav_pipeline.config.parse import flatten

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCHER = REPOSITORY / "jobs" / "cluster.yaml"
KUBERAY = REPOSITORY / "jobs" / "kuberay.yaml"
GUIDE = REPOSITORY / "docs" / "cluster.md"
FILES = [LAUNCHER, KUBERAY, GUIDE]
EXTRAS = "[ray,s3,videomama]"

_PIN = re.search(r"^ray==(.+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
assert _PIN
RAY = _PIN[1]


def launcher() -> dict[str, Any]:
    return yaml.safe_load(LAUNCHER.read_text())


def ray_job() -> dict[str, Any]:
    documents = list(yaml.safe_load_all(KUBERAY.read_text()))
    (job,) = (document for document in documents if document["kind"] == "RayJob")
    return job


def entries(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, however deep; a ``{name: X, value: Y}`` counts as X with Y."""
    if isinstance(node, dict):
        if set(node) == {"name", "value"}:
            yield node["name"], node["value"]
        for key, value in node.items():
            yield key, value
            yield from entries(value)
    elif isinstance(node, list):
        for item in node:
            yield from entries(item)


def commands(path: Path) -> list[str]:
    """What a reader would type: ``$`` lines of console blocks, commented commands, entry points."""
    text = path.read_text()
    if path.suffix == ".md":
        blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        return [line for block in blocks for line in re.split(r"^\$ ", block, flags=re.M) if line]
    comments = re.sub(r"\\\n#\s*", "", "\n".join(re.findall(r"^#   (?:.*)$", text, re.MULTILINE)))
    entry = [ray_job()["spec"]["entrypoint"]] if path == KUBERAY else []
    return [line.removeprefix("#").strip() for line in comments.splitlines()] + entry


def overrides(command: str) -> list[str]:
    """The ``key=value`` words that one of our own commands in ``command`` is given; or none."""
    words = shlex.split(command, comments=True)
    for at, word in enumerate(words):
        ours = word.startswith("jobs/") and word.endswith(".py")
        if ours or (word == "mav" and words[at + 1] in VERBS):
            given = [word for word in words[at + 1 :] if "=" in word]
            return ["runtime=ray", *given] if word == "jobs/build_mav.py" else given
    return []


OVERRIDDEN = [
    pytest.param(given, id=f"{path.name}-{number}")
    for path in FILES
    for number, given in enumerate(map(overrides, commands(path)))
    if given
]


# what all of them say


def test_each_file_has_a_build_command() -> None:
    for path in FILES:
        builds = [command for command in commands(path) if "jobs/build_mav.py" in command]
        assert builds, path.name
        for command in builds:
            given = dict(word.split("=", 1) for word in overrides(command))
            assert given["source.root"].startswith("s3://"), command
            assert given["output.root"].startswith("s3://"), command


@pytest.mark.parametrize("given", OVERRIDDEN)
def test_every_command_composes(given: list[str]) -> None:
    load_config(given)


def test_every_key_that_the_guide_names_exists() -> None:
    defaults = load_config([]).to_mapping()
    known, sections = set(flatten(defaults)), "|".join(defaults)
    named = re.findall(rf"`((?:{sections})\.\w+)(=[^`\s]+)?`", GUIDE.read_text())
    assert named
    for key, value in dict.fromkeys(named):
        assert key in known, key
        if value:
            load_config(["runtime=ray", key + value])


def test_scripts_that_commands_run_are_there() -> None:
    named = {name for path in FILES for name in re.findall(r"jobs/\w+\.\w+", path.read_text())}
    assert "jobs/build_mav.py" in named
    for name in named:
        assert (REPOSITORY / name).is_file(), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ray_has_one_version_everywhere(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"rayproject/ray:([\d.]+)", text) + re.findall(r":ray([\d.]+\d)", text)
    named += re.findall(r'rayVersion: "?([\d.]+)', text)
    assert named
    assert set(named) == {RAY}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_written_down(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"(AKIA|ASIA)[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY", text)
    assert not re.search(r"(?i)(secret\w*|password|access_key\w*|_token)\s*[=:]\s*\w", text)
    if path.suffix == ".yaml":
        for key, _ in (
            entry for document in yaml.safe_load_all(text) for entry in entries(document)
        ):
            is_path = key.startswith("/")  # where a token file is mounted
            assert is_path or not re.search(r"(?i)secret|passw|access_?key|token$", key), key


# the launcher's file


def test_ray_accepts_the_launchers_file() -> None:
    pytest.importorskip("ray", exc_type=ImportError)
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(launcher())
    validate_config(prepared)
    for node in ("head", "worker"):
        key = f"{node}_setup_commands"
        assert prepared[key] == launcher()[key], "with nothing of Ray's own"


def test_ray_refuses_a_misspelt_key() -> None:
    """The test above would see one."""
    pytest.importorskip("ray", exc_type=ImportError)
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    with pytest.raises(ValidationError, match="idle_timeout_minuts"):
        validate_config(prepare_config({**launcher(), "idle_timeout_minuts": 5}))


def test_the_head_does_no_matting_and_gpu_nodes_come_from_zero_on_spot() -> None:
    config = launcher()
    nodes = dict(config["available_node_types"])
    head = nodes.pop(config["head_node_type"])
    assert (head["resources"], head["max_workers"]) == ({"CPU": 0}, 0)
    assert "InstanceMarketOptions" not in head["node_config"]
    assert sum(node["max_workers"] for node in nodes.values()) == config["max_workers"]
    for node in nodes.values():
        assert node["min_workers"] == 0
        assert node["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    for node in (head, *nodes.values()):
        assert "IamInstanceProfile" in node["node_config"]


def test_nodes_install_the_package_in_tested_versions() -> None:
    assert launcher()["setup_commands"] == []
    for node, extras in (("head", "[ray,s3]"), ("worker", EXTRAS)):
        (install,) = launcher()[f"{node}_setup_commands"]
        assert "-c /home/ray/mav/constraints.txt" in install
        assert extras in install
    assert "/home/ray/mav" in launcher()["file_mounts"]


DRIVER = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "diffusers", "transformers", "huggingface_hub"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from mav_pipeline.cli import load_config
from mav_pipeline.planning.preflight import prepare
from mav_pipeline.runtime.driver import open_pool

config = load_config(sys.argv[1:])
assert prepare(config, writes=True).weights
open_pool(config)
"""


def test_a_driver_does_without_what_its_workers_matte_with(
    small_source: Path, tmp_path: Path
) -> None:
    """As the launcher's head has it: the plan, the weights' hashes and the pool, without torch."""
    pytest.importorskip("ray", exc_type=ImportError)
    weights = REPOSITORY / "tests/data/videomama_micro"
    words = ["runtime=ray", "matting=videomama", f"source.root={small_source}"]
    words += [f"output.root={tmp_path / 'out'}", f"matting.base_model={weights / 'svd'}"]
    command = [sys.executable, "-c", DRIVER, *words, f"matting.unet={weights / 'videomama'}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_guide_has_the_size_that_ray_takes() -> None:
    pytest.importorskip("ray", exc_type=ImportError)
    from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE

    assert f"above {DASHBOARD_CLIENT_MAX_SIZE >> 20} MiB the upload fails" in GUIDE.read_text()


def test_the_launchers_dashboard_stays_on_loopback() -> None:
    (start,) = (line for line in launcher()["head_start_ray_commands"] if "--head" in line)
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in LAUNCHER.read_text()


# the RayJob


def test_the_ray_job_has_what_kuberay_needs() -> None:
    job = ray_job()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec["entrypoint"].startswith("python jobs/build_mav.py ")
    assert "\n" not in spec["entrypoint"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["authOptions"] == {"mode": "token"}
    assert spec["submitterPodTemplate"]["spec"]["restartPolicy"] in ("Never", "OnFailure")


def test_groups_start_ray_with_strings_and_grow_from_zero() -> None:
    cluster = ray_job()["spec"]["rayClusterSpec"]
    head, groups = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    for group in (head, *groups):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert group["template"]["spec"]["serviceAccountName"] == "mav"
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    for group in groups:
        assert 0 == group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["template"]["spec"]["tolerations"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_service_account_of_the_pods_is_in_the_file() -> None:
    documents = list(yaml.safe_load_all(KUBERAY.read_text()))
    (account,) = (document for document in documents if document["kind"] == "ServiceAccount")
    assert account["metadata"]["name"] == "mav"
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


def test_the_dockerfile_copies_files_that_exist_and_all_that_the_wheel_needs() -> None:
    (dockerfile,) = re.findall(r"^```dockerfile\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    copied = {
        name
        for words in (line.split() for line in dockerfile.splitlines() if line.startswith("COPY"))
        for name in words[2:-1]
    }
    assert copied >= {"pyproject.toml", "constraints.txt", "README.md", "conf", "mav_pipeline"}
    assert all((REPOSITORY / name).exists() for name in copied)
    assert EXTRAS in dockerfile
