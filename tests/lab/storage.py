"""Disks of guests: shared ones, served over the network so that a guest may migrate, and host-local ones."""
import os
import shutil
import socket

from . import names as naming
from .host import start_process
from .shell import LabError, alive, kill, wait_for

DISK_MIB = 256


def _make_raw(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as disk:
        disk.truncate(DISK_MIB << 20)


def port_of(number):
    return naming.DISK_PORT + number


def serve_shared(names, address, guest, number):
    """Makes the guest's disk and serves it at `address`. Returns the process id of the server."""
    if not shutil.which("qemu-nbd"):
        raise LabError("qemu-nbd is not installed (package qemu-utils)")
    path = f"{names.state}/disks/{guest}.raw"
    _make_raw(path)
    # --shared: during a migration both hosts have the disk open.
    server = start_process(names, ["qemu-nbd", "--persistent", "--shared=8", "--format=raw", f"--bind={address}",
                                   f"--port={port_of(number)}", "--export-name=disk", path],
                           f"{names.cgroup}/lab", f"{names.state}/disks/{guest}.log")

    def listens():
        if not alive(server):
            raise LabError(f"storage of {guest}: qemu-nbd ended; see {names.state}/disks/{guest}.log")
        try:
            socket.create_connection((address, port_of(number)), timeout=1).close()
            return True
        except OSError:
            return False
    wait_for(f"storage of {guest}", listens, 10)
    return server


def make_local(host, guest):
    """Makes a disk in the host's own /var/lib/libvirt/images. Returns the path as the host sees it."""
    _make_raw(f"{host.folder}/libvirt/lib/images/{guest}.raw")
    return f"/var/lib/libvirt/images/{guest}.raw"


def remove(names, hosts, guest, server_pid):
    if server_pid and alive(server_pid, names.token):
        kill(server_pid)
    for path in [f"{names.state}/disks/{guest}.raw", f"{names.state}/disks/{guest}.log"] + [
            f"{host.folder}/libvirt/lib/images/{guest}.raw" for host in hosts]:
        if os.path.exists(path):
            os.remove(path)
