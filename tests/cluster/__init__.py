"""Proteus on a lab: a controller beside the lab, an agent on each of its hosts, with real keys and configuration."""
from .cluster import Cluster, ClusterError  # noqa: F401
