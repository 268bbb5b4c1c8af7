#!/usr/bin/env python3
"""What the agent measures on other kernels than this one's: its tests of everything that touches the kernel, and its `check`, in
an emulated machine. Without arguments on the kernel of the lab's guests, Debian's own; else on those in the given DEBs."""
import argparse
import json
import os
import sys
import tempfile
import time

import machine
from lab.image import Image
from lab.shell import LabError

BUILD = os.environ.get("PROTEUS_BUILD", "build/dev")
SKIPPED = 77
# Tests that load kernel programs, run them, or read what the kernel says.
TESTS = ("*ThreadReader*:KvmReader*:PressureReader*:RunQueueTrace*:Reclaim*:Block*:KvmExit*:NetSoftirq*:"
         "PacketDrop*:HardwareCounters*:OnDemand*:Collector*:Check.EveryKpi*")
# Since which kernel a program has to load (the agent's header of each says what it needs).
SINCE = {"capability.btf": (5, 4), "capability.tp_btf": (5, 10), "capability.task_iterator": (5, 10), "capability.block_rq_complete": (5, 10),
         "capability.reclaim_hooks": (5, 10), "capability.kvm_counters": (5, 10), "capability.kvm_exit": (5, 11),
         "capability.pressure_totals": (6, 2), "capability.bpf_syscall_program": (6, 2), "capability.held_tasks": (6, 4)}
CONFIG = """
host = "machine"
state_directory = "/tmp/state"
[libvirt]
uri = "test:///default"
"""


def commands(tests, agent):
    return f"""
cat >/tmp/agent.toml <<'X'
{CONFIG}
X
echo "machine: kernel $(uname -r)"
{tests} --gtest_filter='{TESTS}' --gtest_color=no
echo "machine: tests $?"
echo 'machine: check begins'
{agent} check --json --config /tmp/agent.toml
echo 'machine: check ends'
"""


def judge(lines):
    """What is wrong, as sentences."""
    version = next((line.split()[-1] for line in lines if line.startswith("machine: kernel")), "0.0")
    number = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:2])
    wrong = []
    if "machine: tests 0" not in lines:
        wrong += [f"{version}: {line}" for line in lines if line.startswith("[  FAILED  ]")] or [f"{version}: the tests did not end well"]
    try:
        rows = json.loads("\n".join(lines[lines.index("machine: check begins") + 1:lines.index("machine: check ends")]))
    except ValueError as error:
        return version, {}, [*wrong, f"{version}: the check was not understood: {error}"]
    check = {row["subject"]: row for row in rows}
    for subject, since in SINCE.items():
        if number >= since and not check[subject]["available"]:
            wrong.append(f"{version}: no {subject}: {check[subject]['reason']}")
    for row in rows:
        if "program load failed" in row["reason"]:
            wrong.append(f"{version}: {row['subject']}: the reason is the verifier's: {row['reason']}")
    return version, check, wrong


def try_kernel(kernel, modules, folder, say):
    build = os.path.abspath(BUILD)
    tests = f"{build}/tests/agent/collect/collect_test"
    agent = f"{build}/agent/proteus-agent"
    initramfs = f"{folder}/initramfs"
    machine.build_initramfs(initramfs, modules, [tests, f"{build}/tests/agent/collect/kvm_guest", agent],
                            commands(tests, agent))
    begun = time.monotonic()
    lines = machine.boot(kernel, initramfs, 500, say)
    version, check, wrong = judge(lines)
    skipped = sum(line.startswith("[  SKIPPED ]") and "listed" not in line for line in lines) // 2
    passed = sum(line.startswith("[       OK ]") for line in lines)
    print(f"{version}: {passed} tests passed, {skipped} skipped, in {time.monotonic() - begun:.0f} s; "
          f"{sum(row['available'] for row in check.values())} of {len(check)} rows of `check` are available")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deb", nargs="*", help="packages with a kernel (linux-image-…)")
    parser.add_argument("-v", "--verbose", action="store_true", help="what the machine prints")
    options = parser.parse_args()
    say = print if options.verbose else lambda line: None
    for tool in ("qemu-system-x86_64", "/bin/busybox", "/sbin/mke2fs", "cpio"):
        if not any(os.access(os.path.join(folder, tool), os.X_OK) for folder in ["", *os.environ["PATH"].split(":")]):
            print(f"skipped: {tool} is not installed")
            return SKIPPED
    wrong = []
    with tempfile.TemporaryDirectory(prefix="proteus-kernels.") as folder:
        if options.deb:
            kernels = [machine.kernel_of_package(deb, f"{folder}/kernel{i}") for i, deb in enumerate(options.deb)]
        else:
            image = Image()
            try:
                image.prepare(lambda text: None)
            except LabError as error:
                print(f"skipped: {error}")
                return SKIPPED
            kernels = [(image.kernel, f"{image.folder}/modules")]
        for kernel, modules in kernels:
            wrong += try_kernel(kernel, modules, folder, say)
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
