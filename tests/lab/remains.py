"""What a lab has on this machine, found by looking at the machine and not at the lab's own notes."""
import os
import shutil

from . import cgroup, network
from .names import STATE_ROOT
from .shell import LabError, alive, kill, read, run, wait_for


def _own_ancestry():
    pid, line = os.getpid(), set()
    while pid > 1:
        line.add(pid)
        pid = int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1])
    return line


def processes(names):
    """Processes in the lab's cgroups, and those that carry its token. Never this one or those that started it."""
    found = cgroup.processes(names.cgroup)
    found.update(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and alive(int(pid), names.token))
    return sorted(pid for pid in found - _own_ancestry() if alive(pid))


def mounts(names):
    paths = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()]
    return [path for path in paths if path == names.state or path.startswith(names.state + "/")]


def find(names):
    """Everything that belongs to the lab, by kind; all empty when there is no lab."""
    return {"processes": processes(names), "links": network.links(names), "mounts": mounts(names),
            "cgroups": cgroup.folders(names.cgroup), "files": [names.state] if os.path.exists(names.state) else []}


def remove(names):
    """Removes it all. Raises LabError naming what would not go."""
    def none_alive():
        for pid in processes(names):
            kill(pid)
        return not processes(names)
    wait_for(f"end of the processes of lab {names.lab}", none_alive, 15)
    network.remove(names)
    for path in reversed(mounts(names)):
        run("umount", "--lazy", path, check=False)
    cgroup.remove(names.cgroup)
    if not mounts(names):
        shutil.rmtree(names.state, ignore_errors=True)
    try:
        os.rmdir(STATE_ROOT)
    except OSError:
        pass  # other labs, or never made
    left = {kind: things for kind, things in find(names).items() if things}
    if left:
        raise LabError(f"lab {names.lab}: could not remove {left}")
