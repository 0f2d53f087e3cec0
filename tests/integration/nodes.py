"""A Ray cluster of several nodes on this machine, in a process of its own.

    python nodes.py <nodes>      one CPU each, beside a head without any

Prints its address. On stdin, ``kill`` ends the processes of a node that has a worker, by SIGKILL;
``add`` brings one more node; end of file ends it all.
"""

from __future__ import annotations

import os
import signal
import sys

import psutil
import ray
from ray.cluster_utils import Cluster


def kill_a_busy_node(nodes: list[object]) -> str:
    """SIGKILL for every process of a node that a build's actor runs on; the node's id, or none."""
    for node in nodes:
        processes = [info.process.pid for kind in node.all_processes.values() for info in kind]  # type: ignore[attr-defined]
        family = {
            child
            for pid in processes
            if psutil.pid_exists(pid)
            for child in psutil.Process(pid).children(recursive=True)
        }
        if any(child.name().startswith("ray::Actor") for child in family):
            for pid in (*processes, *(child.pid for child in family)):
                if psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
            return str(node.node_id)  # type: ignore[attr-defined]
    return "none"


if __name__ == "__main__":
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head, connect=False)
    nodes = [cluster.add_node(num_cpus=1) for _ in range(int(sys.argv[1]))]
    cluster.wait_for_nodes()
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        if line.strip() == "add":
            nodes.append(cluster.add_node(num_cpus=1))
            answer = "added"
        else:
            answer = kill_a_busy_node(nodes)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    cluster.shutdown()
    ray.shutdown()
