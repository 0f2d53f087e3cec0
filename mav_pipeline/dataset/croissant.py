"""``croissant.json``: what the set is, in MLCommons' Croissant 1.0, so that tools find and read it.

It names the table of rows and the index by their hashes, and the index names each shard by its
own: a checked chain, while this file stays as small for 1,580 shards as for one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pyarrow as pa

from mav_pipeline.dataset import layout
from mav_pipeline.dataset.columns import MEANINGS
from mav_pipeline.dataset.manifest import SCHEMA

#: Croissant 1.0's own, word for word; validators complain of any other.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key"),
            *("md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
            *("replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
}
_TYPES = {pa.float64(): "sc:Float", pa.int32(): "sc:Integer", pa.int64(): "sc:Integer"}


def croissant(about: dict[str, Any], manifest: bytes, index: bytes) -> bytes:
    """The file, the same for the same set.

    Args:
        about: what schema.org wants to know of the set: name, description, license and so on.
        manifest, index: contents of the files of these names.
    """
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **about,
        "distribution": [
            _file(layout.MANIFEST, "application/x-parquet", manifest, "One row a masklet."),
            _file(layout.INDEX, "application/json", index, "Shards: sizes, samples, sha256."),
            {
                "@type": "cr:FileSet",
                "@id": "shards",
                "name": "shards",
                "description": "WebDataset tars, one sample a clip.",
                "encodingFormat": "application/x-tar",
                "includes": f"{layout.SHARDS}/*.tar",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "masklets",
                "name": "masklets",
                "description": "What became of each masklet of each planned clip.",
                "field": [_field(column) for column in SCHEMA],
            }
        ],
    }
    return json.dumps(document, sort_keys=True, indent=1).encode()


def _file(name: str, kind: str, data: bytes, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": description,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": kind,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _field(column: pa.Field) -> dict[str, Any]:
    source = {"fileObject": {"@id": layout.MANIFEST}, "extract": {"column": column.name}}
    field = {
        "@type": "cr:Field",
        "@id": f"masklets/{column.name}",
        "name": column.name,
        "description": MEANINGS[column.name],
        "dataType": _TYPES.get(column.type, "sc:Text"),
        "source": source,
    }
    return {**field, "repeated": True} if pa.types.is_list(column.type) else field
