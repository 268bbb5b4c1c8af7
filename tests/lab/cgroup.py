"""The lab's cgroups, in every mounted hierarchy: version 1, version 2, or both side by side.

    proteus-lab-NAME/h1         what host h1 sees as its root; carries the host's CPU quota and memory limit
    proteus-lab-NAME/h1-system  h1's libvirtd, and what runs on h1 uncapped (the agent)
    proteus-lab-NAME/lab        storage servers and the traffic sink
"""
import os
import time

from .shell import kill, read, write

PERIOD_US = 50_000
CONTROLLERS_V2 = "+cpu +cpuset +memory +io +pids"


class Hierarchy:
    """One mounted cgroup file system."""

    def __init__(self, root, version, options):
        self.root = root
        self.version = version
        self.options = options  # version 1: the controllers, or name=…

    def has(self, controller):
        if self.version == 1:
            return controller in self.options
        return controller in read(f"{self.root}/cgroup.controllers").split()


def hierarchies():
    found = {}
    for line in read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        path, (kind, _, options) = left.split()[4], right.split(maxsplit=2)
        if kind == "cgroup":
            names = [word for word in options.split(",") if word not in ("rw", "ro") and "release_agent" not in word
                     and word not in ("xattr", "clone_children", "noprefix")]
            found[path] = Hierarchy(path, 1, names)
        elif kind == "cgroup2":
            found[path] = Hierarchy(path, 2, [])
    return list(found.values())


def create(path):
    """Makes a cgroup, by its path below the root, in every hierarchy."""
    for hierarchy in hierarchies():
        at = hierarchy.root
        for part in path.split("/"):
            parent, at = at, f"{at}/{part}"
            if hierarchy.version == 2 and hierarchy.has("cpu"):
                _delegate(parent)
            os.makedirs(at, exist_ok=True)
            if hierarchy.version == 1 and hierarchy.has("cpuset"):
                for setting in ("cpuset.cpus", "cpuset.mems"):
                    if not read(f"{at}/{setting}"):
                        write(f"{at}/{setting}", read(f"{parent}/{setting}"))


def _delegate(folder):
    """Hands every controller that the folder has to its children; one that cannot be handed on is left out."""
    have = read(f"{folder}/cgroup.controllers").split()
    for word in CONTROLLERS_V2.split():
        if word[1:] in have:
            try:
                write(f"{folder}/cgroup.subtree_control", word)
            except OSError:
                pass


def delegate(path):
    """Version 2: a host's root must hand controllers to its children, which it can once no process sits in it."""
    for hierarchy in hierarchies():
        if hierarchy.version == 2 and hierarchy.has("cpu"):
            _delegate(f"{hierarchy.root}/{path}")


def entrances(path, bare_path=None):
    """The files to which a process id is written to move it into the cgroup, one per hierarchy.

    bare_path: where to go instead in a version 2 hierarchy that holds no CPU controller, being there beside version 1.
    libvirt leaves guests in libvirtd's own cgroup there, and that is the one whose pressure figures are the guests'.
    """
    found = []
    for hierarchy in hierarchies():
        bare = hierarchy.version == 2 and not hierarchy.has("cpu")
        found.append(f"{hierarchy.root}/{bare_path if bare and bare_path else path}/cgroup.procs")
    return found


def enter_leaf(path):
    """Moves the caller into the cgroup, or into a child of it where version 2 allows processes in leaves only."""
    if any(hierarchy.version == 2 and hierarchy.has("cpu") for hierarchy in hierarchies()):
        path = f"{path}/exec"
        create(path)
    enter(path)


def enter(path, pid=0):
    """Moves a process (0: the caller) into the cgroup in every hierarchy."""
    for entrance in entrances(path):
        write(entrance, pid)


def _controller(name):
    for hierarchy in hierarchies():
        if hierarchy.has(name):
            return hierarchy
    return None


def limit_cpu(path, cpus):
    """cpus: how many CPUs' time the cgroup may use per unit of time; None: no limit."""
    quota_us = None if cpus is None else max(1000, round(cpus * PERIOD_US))
    hierarchy = _controller("cpu")
    folder = f"{hierarchy.root}/{path}"
    if hierarchy.version == 1:
        write(f"{folder}/cpu.cfs_period_us", PERIOD_US)
        write(f"{folder}/cpu.cfs_quota_us", -1 if quota_us is None else quota_us)
    else:
        write(f"{folder}/cpu.max", f"{'max' if quota_us is None else quota_us} {PERIOD_US}")


def limit_memory(path, mib):
    hierarchy = _controller("memory")
    name = "memory.limit_in_bytes" if hierarchy.version == 1 else "memory.max"
    write(f"{hierarchy.root}/{path}/{name}", mib << 20)


def weigh_cpu(path, times):
    """Gives the cgroup `times` the normal share of a contended CPU."""
    hierarchy = _controller("cpu")
    name, normal = ("cpu.shares", 1024) if hierarchy.version == 1 else ("cpu.weight", 100)
    write(f"{hierarchy.root}/{path}/{name}", round(normal * times))


def cpu_used_ns(path):
    hierarchy = _controller("cpuacct")
    if hierarchy:
        return int(read(f"{hierarchy.root}/{path}/cpuacct.usage"))
    folder = f"{_controller('cpu').root}/{path}"
    return 1000 * int(read(f"{folder}/cpu.stat").split()[1])


def cpu_throttled(path):
    """(throttled periods, throttled ns) since the cgroup was made."""
    stat = dict(line.split() for line in read(f"{_controller('cpu').root}/{path}/cpu.stat").splitlines())
    ns = int(stat["throttled_time"]) if "throttled_time" in stat else 1000 * int(stat.get("throttled_usec", 0))
    return int(stat.get("nr_throttled", 0)), ns


def memory_used(path):
    hierarchy = _controller("memory")
    name = "memory.usage_in_bytes" if hierarchy.version == 1 else "memory.current"
    return int(read(f"{hierarchy.root}/{path}/{name}"))


def folders(top):
    """Every folder of the cgroup `top` in every hierarchy, children first."""
    found = []
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(f"{hierarchy.root}/{top}", topdown=False):
            found.append(folder)
    return found


def processes(top):
    """Ids of the processes anywhere below the cgroup `top` of any hierarchy."""
    pids = set()
    for folder in folders(top):
        pids.update(int(pid) for pid in read(f"{folder}/cgroup.procs", "").split())
    return pids - {0}


def remove(top, timeout_s=10):
    """Kills what is in the cgroup and removes it. What is left after timeout_s, the caller finds with folders()."""
    deadline = time.monotonic() + timeout_s
    while folders(top) and time.monotonic() < deadline:
        for pid in processes(top) - {os.getpid()}:
            kill(pid)
        for folder in folders(top):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.02)
