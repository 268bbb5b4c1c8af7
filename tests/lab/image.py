"""What guests boot: a distribution kernel, an initramfs with the load agent, and the calibrated speed of its work loop.

All of it is kept in a cache folder (build/lab of the tree, or $PROTEUS_LAB_CACHE) and made once. Nothing is installed.
"""
import glob
import hashlib
import os
import re
import shutil
import statistics
import subprocess

from .shell import LabError, Lock, read, read_json, run, write, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "linux-image-cloud-amd64"
MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_balloon"]
# quiet: the serial console is slow; the TSC is told (see host/tsc_khz.c) and trusted; what a lab guest has no use for is off.
COMMAND_LINE = ("console=ttyS0 quiet panic=-1 tsc=reliable tsc_early_khz={tsc_khz} no_timer_check mitigations=off "
                "cryptomgr.notests nowatchdog random.trust_cpu=on ipv6.disable=1")


def folder():
    tree = os.path.dirname(os.path.dirname(HERE))
    return os.environ.get("PROTEUS_LAB_CACHE") or f"{tree}/build/lab"


def modules_in_order(folder, names):
    """Paths of these modules and of what they need, needed ones first, as the modules themselves declare it."""
    paths = {os.path.basename(path).split(".")[0].replace("-", "_"): path
             for path in glob.glob(f"{folder}/kernel/**/*.ko", recursive=True)}
    ordered = []

    def add(name):
        if name not in paths:
            return  # built into the kernel
        with open(paths[name], "rb") as module:
            needs = re.search(rb"\0depends=([^\0]*)", module.read())
        for need in needs.group(1).decode().replace("-", "_").split(",") if needs else []:
            add(need)
        if paths[name] not in ordered:
            ordered.append(paths[name])

    for name in names:
        add(name)
    return ordered


def pack(root, initramfs):
    """Makes an initramfs of a folder."""
    names = run("find", ".", cwd=root)
    archive = subprocess.run(["cpio", "--create", "--format=newc", "--quiet"], cwd=root, input=names.encode(),
                             stdout=subprocess.PIPE, check=True).stdout
    with open(f"{initramfs}.part", "wb") as file:
        file.write(archive)
    os.rename(f"{initramfs}.part", initramfs)


class Image:
    def __init__(self, cache=None):
        self.folder = os.path.abspath(cache or folder())
        self.kernel = f"{self.folder}/vmlinuz"
        self.initramfs = f"{self.folder}/initramfs"
        self.capabilities = f"{self.folder}/capabilities"
        self.calibration = f"{self.folder}/calibration.json"

    def prepare(self, say):
        """Makes what is absent or was made from other sources."""
        os.makedirs(self.folder, exist_ok=True)
        with Lock(f"proteus-lab-image-{hashlib.sha1(self.folder.encode()).hexdigest()[:12]}", 300):
            if not os.path.exists(self.kernel):
                say("fetching the guests' kernel")
                self._fetch_kernel()
            if read(f"{self.initramfs}.sources", "none") != self._sources():
                say("building the guests' initramfs")
                self._build_initramfs()
                write(f"{self.initramfs}.sources", self._sources())
            if not self._calibrated():
                say("calibrating the guests' work loop")
                self.calibrate()

    def _sources(self):
        """A digest of what the initramfs is made of; times of files change with every checkout."""
        digest = hashlib.sha256(" ".join(MODULES).encode())
        for path in sorted(glob.glob(f"{HERE}/guest/*")):
            with open(path, "rb") as file:
                digest.update(file.read())
        return digest.hexdigest()

    def _fetch_kernel(self):
        def names_known():
            return re.findall(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", PACKAGE, check=False))
        names = names_known()
        if not names:
            run("apt-get", "update")
            names = names_known()
        if not names:
            raise LabError(f"apt knows no package {PACKAGE}")
        download = f"{self.folder}/download"
        shutil.rmtree(download, ignore_errors=True)
        os.makedirs(download)
        run("apt-get", "-o", "APT::Sandbox::User=root", "download", names[0], cwd=download)
        run("dpkg-deb", "-x", glob.glob(f"{download}/*.deb")[0], f"{download}/tree")
        shutil.rmtree(f"{self.folder}/modules", ignore_errors=True)
        for module in glob.glob(f"{download}/tree/lib/modules/*"):
            shutil.move(module, f"{self.folder}/modules")
        os.rename(glob.glob(f"{download}/tree/boot/vmlinuz-*")[0], self.kernel)  # last: it marks the rest as complete
        shutil.rmtree(download)

    def _build_initramfs(self):
        root = f"{self.folder}/initramfs.root"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("modules", "dev", "proc", "sys"):
            os.makedirs(f"{root}/{name}")
        run("gcc", "-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-s", "-o", f"{root}/init",
            *sorted(glob.glob(f"{HERE}/guest/*.c")), "-lm")
        for number, module in enumerate(modules_in_order(f"{self.folder}/modules", MODULES)):
            shutil.copy(module, f"{root}/modules/{number:02}-{os.path.basename(module)}")
        pack(root, self.initramfs)
        shutil.rmtree(root)

    # -- calibration

    def _machine(self):
        """What the calibrated speed depends on: the load agent, and the machine to which a cache may have moved."""
        model = re.search(r"model name\s*: (.*)", read("/proc/cpuinfo")).group(1)
        return f"{model}; {run('qemu-system-x86_64', '--version').splitlines()[0]}; agent {self._sources()[:12]}"

    def _calibrated(self):
        return read_json(self.calibration, {}).get("machine") == self._machine()

    def calibrate(self):
        """Measures iterations of the guests' work loop per second of the guest's CPU time on the host."""
        tool = f"{self.folder}/tsc_khz"
        run("gcc", "-O2", "-Wall", "-Werror", "-o", tool, f"{HERE}/host/tsc_khz.c")
        tsc_khz = statistics.median(int(run(tool)) for _ in range(3))
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-m", "128",
                   "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
                   "-kernel", self.kernel, "-initrd", self.initramfs,
                   "-append", COMMAND_LINE.format(tsc_khz=tsc_khz) + " lab.calibrate"]
        rates = []
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as qemu:
            for line in qemu.stdout:
                if "calibrate begin" in line:
                    begun_ns = _cpu_ns(qemu.pid)
                end = re.search(r"calibrate end (\d+)", line)
                if end:
                    rates.append(int(end.group(1)) / (_cpu_ns(qemu.pid) - begun_ns) * 1e9)
        if len(rates) < 3:
            raise LabError("the calibration guest did not boot")
        write_json(self.calibration, {"machine": self._machine(), "iterations_per_s": round(statistics.median(rates)),
                                      "rounds": [round(rate) for rate in rates], "tsc_khz": int(tsc_khz)})

    def figures(self):
        return read_json(self.calibration, {})


def _cpu_ns(pid):
    return sum(int(read(f"/proc/{pid}/task/{task}/schedstat").split()[0]) for task in os.listdir(f"/proc/{pid}/task"))
