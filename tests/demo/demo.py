#!/usr/bin/python3
"""The main job, live: one load schedule on a lab cluster, run twice, without and with Proteus."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cluster import Cluster, ClusterError  # noqa: E402
from demo import scene  # noqa: E402
from demo.screen import Screen  # noqa: E402
from demo.tally import Tally, final_table  # noqa: E402
from lab import Lab, LabError  # noqa: E402

EXIT_FAILED = 1


def run_once(screen, lab, build, title, automation, keep_recording=None):
    """One pass of the schedule on fresh guests. Returns its Tally."""
    screen.title(title)
    lab.start_all(scene.GUESTS)
    for name, percent in scene.FLAT.items():
        lab.load(name, cpu=percent, memory=16)
    cluster = Cluster(lab, build, say=screen.note)
    try:
        cluster.start_controller(scene.policy(automation), options=scene.OPTIONS)
        cluster.start_agents()
        cluster.wait_ready([guest["name"] for guest in scene.GUESTS])
        screen.note("paused for half a minute, while the forecasts learn what is usual")
        cluster.learn([guest["name"] for guest in scene.GUESTS], steps=12)
        screen.note(f"controller, {len(lab.hosts())} agents and {len(scene.GUESTS)} guests are up; the schedule begins")
        for name, rows in scene.schedules().items():
            lab.agent(name).schedule(rows, linear=True, delay_s=0)
        tally = Tally(cluster, lab, scene)
        begun = time.monotonic()
        tally.begin()
        while (elapsed := time.monotonic() - begun) < scene.LENGTH_S:
            tally.observe(elapsed)
            screen.frame(elapsed, tally)
            time.sleep(max(0.0, 1.0 - (time.monotonic() - begun) % 1.0))
        tally.end()
        if keep_recording:
            tally.replays = replay_twice(screen, cluster, keep_recording)
        return tally
    except ClusterError:
        screen.note(cluster.words())
        raise
    finally:
        cluster.close()
        for guest in scene.GUESTS:
            lab.stop(guest["name"])


def replay_twice(screen, cluster, path):
    """Cuts the run into a file and decides again from it, twice. Returns the number of decisions, and what was wrong."""
    cluster.ctl("record", path)
    first = cluster.ctl("replay", path, check=False)
    second = cluster.ctl("replay", path, check=False)
    diff = cluster.ctl("replay", path, "--diff", check=False)
    size = os.path.getsize(path)
    problems = []
    if first.returncode or second.returncode:
        problems.append((first.stderr or second.stderr).strip())
    if first.stdout != second.stdout:
        problems.append("two replays of the same file differ")
    if diff.returncode:
        problems.append("replay differs from the journal: " + (diff.stderr or diff.stdout).strip().splitlines()[-1])
    lines = len(first.stdout.splitlines())
    screen.note(f"recorded {size} bytes; replayed twice, {lines} lines, "
                f"{'byte for byte the same, and the same as the journal' if not problems else 'PROBLEM: ' + '; '.join(problems)}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/release", help="folder with the built programs (%(default)s)")
    parser.add_argument("--name", default="demo", help="name of the lab (%(default)s)")
    parser.add_argument("--plain", action="store_true", help="no colours, as when the output is not a terminal")
    options = parser.parse_args()
    screen = Screen(plain=options.plain or not sys.stdout.isatty())

    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(128 + signal.SIGTERM))
    lab = Lab(options.name, say=screen.note)
    folder = tempfile.mkdtemp(prefix="proteus-demo-")
    recording = os.path.join(folder, "demo.rec")
    try:
        screen.title("A cluster on this machine: two libvirt hosts, unequal, and five guests")
        lab.down()  # what an interrupted demonstration may have left
        lab.up(hosts=len(scene.HOST_CPUS), cpus=scene.HOST_CPUS, memory_mib=scene.HOST_MEMORY_MIB)
        screen.note(scene.STORY)
        without = run_once(screen, lab, options.build, "1 of 2: without Proteus (it watches and forecasts, and does nothing)", "observe")
        with_proteus = run_once(screen, lab, options.build, "2 of 2: with Proteus, automatic", "automatic", recording)
        print(final_table(without, with_proteus, scene))
        return EXIT_FAILED if with_proteus.replays or not with_proteus.acted else 0
    except (ClusterError, LabError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("\ndemo: interrupted; cleaning up", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
