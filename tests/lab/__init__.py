"""A real libvirt cluster on one machine. See README.md."""
from .cluster import Lab
from .shell import LabError

__all__ = ["Lab", "LabError"]
