"""A machine with another kernel than this one's: QEMU, emulated (TCG), with an initramfs that holds a program, the libraries
that it needs, and KVM's modules."""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lab.image import modules_in_order, pack  # noqa: E402
from lab.shell import LabError, run  # noqa: E402

MODULES = ["virtio_pci", "virtio_blk", "kvm_amd", "kvm_intel", "vhost_net"]
FOLDERS = ["dev", "proc", "sys", "tmp", "run", "etc", "modules", "bin", "root", "var/tmp"]
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmpfs /tmp
# Control groups of version 1 beside a bare tree of version 2: tests make groups in both.
mount -t tmpfs cgroup /sys/fs/cgroup
for controller in unified cpu memory blkio; do mkdir /sys/fs/cgroup/$controller; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
for controller in cpu memory blkio; do
  mount -t cgroup -o $controller cgroup /sys/fs/cgroup/$controller || rmdir /sys/fs/cgroup/$controller
done
ip link set lo up
for module in /modules/*; do insmod $module 2>/dev/null; done
mount -t ext4 /dev/vda /var/tmp || echo 'machine: no disk'
{commands}
echo 'machine: done'
poweroff -f
"""


def kernel_of_package(package, folder):
    """Unpacks a distribution's kernel (a DEB) into folder. Returns its image and the folder of its modules."""
    shutil.rmtree(folder, ignore_errors=True)
    run("dpkg-deb", "-x", package, folder)
    images = glob.glob(f"{folder}/boot/vmlinuz-*")
    modules = glob.glob(f"{folder}/lib/modules/*") + glob.glob(f"{folder}/usr/lib/modules/*")
    if len(images) != 1 or not modules:
        raise LabError(f"{package} holds no kernel")
    packed = glob.glob(f"{modules[0]}/kernel/**/*.ko.xz", recursive=True)
    if packed:
        run("xz", "-d", *packed)
    return images[0], modules[0]


def libraries_of(program):
    return re.findall(r"(?:=> )?(/\S+) \(0x", run("ldd", program))


def build_initramfs(initramfs, modules, programs, commands):
    """programs: stand at the same paths in the machine as here."""
    root = f"{initramfs}.root"
    shutil.rmtree(root, ignore_errors=True)
    for name in FOLDERS:
        os.makedirs(f"{root}/{name}")
    shutil.copy("/bin/busybox", f"{root}/bin/busybox")
    for program in programs:
        for file in [program, *libraries_of(program)]:
            os.makedirs(root + os.path.dirname(file), exist_ok=True)
            shutil.copy(file, root + file)
        run("strip", "--strip-debug", root + program)
    for number, module in enumerate(modules_in_order(modules, MODULES)):
        shutil.copy(module, f"{root}/modules/{number:02}-{os.path.basename(module)}")
    with open(f"{root}/init", "w") as file:
        file.write(INIT.replace("{commands}", commands))
    os.chmod(f"{root}/init", 0o755)
    pack(root, initramfs)
    shutil.rmtree(root)


def boot(kernel, initramfs, seconds, say):
    """Runs the machine until it is done. Returns what it printed; raises LabError if it was not done in time."""
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "1536",
               "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initramfs,
               "-append", "console=ttyS0 loglevel=0 panic=-1 no_timer_check mitigations=off cryptomgr.notests nowatchdog random.trust_cpu=on"]
    disk = f"{initramfs}.disk"
    with open(disk, "wb") as file:
        file.truncate(256 << 20)
    run("/sbin/mke2fs", "-q", "-t", "ext4", "-F", disk)
    command += ["-drive", f"file={disk},format=raw,if=virtio,cache=none"]
    lines = []
    with subprocess.Popen(["timeout", str(seconds), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace") as qemu:
        for line in qemu.stdout:
            lines.append(line.rstrip())
            say(lines[-1])
    if "machine: done" not in lines:
        raise LabError("the machine did not come to its end:\n" + "\n".join(lines[-30:]))
    return lines
