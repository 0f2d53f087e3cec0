"""A Hydra sweep of builds: ``python -m benchmarks.ablations ablation=masks ablate.root=...``.

Each combination becomes one json line in ``<ablate.root>/<ablation>.jsonl``;
``python -m benchmarks.ablations.page <ablate.root>`` makes docs/ablations.md of them.
"""

import sys
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from benchmarks.ablations.point import Ablation, run
from mav_pipeline.cli import conf_folder
from mav_pipeline.config import SampleConfig


@hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="ablate")
def main(config: DictConfig) -> None:
    """One combination."""
    sweep = HydraConfig.get()
    given = dict(word.split("=", 1) for word in sweep.overrides.task)
    settings = {key: given[key] for key in sweep.sweeper.params if key in given}
    ablation = Ablation(name=sweep.runtime.choices.ablation, **config.ablate)
    sample = cast(dict[str, Any], OmegaConf.to_container(config.sample))
    point = run(ablation, settings, given, SampleConfig(**sample))
    sys.stderr.write(f"{settings}: error {point.error:.4f}\n")


if __name__ == "__main__":
    main()
