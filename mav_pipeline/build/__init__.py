"""One shard, start to end, on one machine: load, matte, score, encode, commit; without Ray."""
