"""What the docs say of readers that know nothing of this format."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mav_pipeline.dataset import layout

torch = pytest.importorskip("torch")
webdataset = pytest.importorskip("webdataset")


def urls(root: Path) -> list[str]:
    return [str(root / line) for line in (root / layout.SHARD_LIST).read_text().split()]


def keys(samples: Iterable[Any], workers: int) -> list[str]:
    loader = torch.utils.data.DataLoader(samples, batch_size=None, num_workers=workers)
    return sorted(sample["__key__"] for sample in loader)


@pytest.mark.filterwarnings("ignore")  # torch's, of more workers than cores
def test_webdataset_takes_more_workers_than_shards_where_it_is_told_so(small_set: Path) -> None:
    shards = urls(small_set)
    plain = webdataset.WebDataset(shards, shardshuffle=False)
    expected = keys(plain, 0)
    assert keys(plain, len(shards)) == expected
    told = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    assert keys(told, len(shards) + 1) == expected
    with pytest.raises(ValueError, match="No samples found"):
        keys(plain, len(shards) + 1)
