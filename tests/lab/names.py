"""What belongs to a lab is recognised by its name: every name and address that a lab gives is made here.

A lab NAME owns the cgroups `proteus-lab-NAME`, the links `pl-NAME` and `pl-NAME-hN`, the folder /run/proteus-lab/NAME, and
the processes that carry PROTEUS_LAB=NAME. Its network is 10.99.K.0/24: host N is .N, guest number G is .(100+G), the lab
itself (storage, sink for the guests' traffic, tests) is .254.
"""
import os
import re
import zlib

from .shell import LabError, read_json

STATE_ROOT = "/run/proteus-lab"
PREFIX = "proteus-lab-"
HOSTS_MAX = 20
GUESTS_MAX = 150
LOAD_PORT = 7777
SINK_PORT = 9
DISK_PORT = 10800
STORAGE_NAME = "storage"  # of the shared storage, as each host knows it


class Names:
    def __init__(self, lab):
        if not re.fullmatch(r"[a-z][a-z0-9]{0,7}", lab):
            raise LabError(f"lab name {lab!r}: one to eight lower-case letters and digits, a letter first")
        self.lab = lab
        self.state = f"{STATE_ROOT}/{lab}"
        self.cgroup = PREFIX + lab
        self.bridge = f"pl-{lab}"
        self.token = f"PROTEUS_LAB={lab}"

    def link(self, host):
        return f"pl-{self.lab}-{host}"

    def owns_link(self, link):
        return link == self.bridge or re.fullmatch(rf"pl-{self.lab}-h\d+", link) is not None

    def subnet_number(self, in_use):
        """A free K: the same for the same name as far as possible, so that addresses are familiar."""
        first = 0 if self.lab == "lab" else 1 + zlib.crc32(self.lab.encode()) % 249
        for step in range(250):
            number = (first + step) % 250
            if number not in in_use:
                return number
        raise LabError("no free 10.99.K.0/24 is left for another lab")


def check_guest_name(name):
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name):
        raise LabError(f"guest name {name!r}: letters, digits, '_', '.' and '-', a letter first, at most 40")


def labs():
    """Names of the labs that have state."""
    try:
        return sorted(os.listdir(STATE_ROOT))
    except OSError:
        return []


def subnets_in_use():
    return {read_json(f"{STATE_ROOT}/{lab}/lab.json", {}).get("subnet") for lab in labs()}
