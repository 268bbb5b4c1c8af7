"""Commands, files and waiting; the one error type of the lab."""
import json
import os
import signal
import socket
import subprocess
import time


class LabError(Exception):
    """Something that was asked for did not happen. The text is one sentence for a person."""


def run(*command, check=True, **options):
    """Runs a command; returns its standard output. Raises LabError with its own words if it fails."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **options)
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise LabError(f"{' '.join(str(word) for word in command[:4])}: {words}")
    return done.stdout


def wait_for(what, condition, timeout_s, step_s=0.05):
    """Polls until condition() is true and returns its value. Raises LabError after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout_s:g} s")
        time.sleep(step_s)


def read(path, default=None):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        if default is None:
            raise
        return default


def write(path, text):
    with open(path, "w") as file:
        file.write(str(text))


def write_json(path, value):
    """Replaces a file whole: a reader, or a successor after a crash, sees the old or the new one."""
    part = f"{path}.part"
    write(part, json.dumps(value, indent=1))
    os.rename(part, path)


def read_json(path, default):
    try:
        return json.loads(read(path))
    except (OSError, ValueError):
        return default


def alive(pid, token=None):
    """Whether the process lives and, if token is given, has it in its environment: process ids are used again."""
    try:
        for _ in range(20):
            with open(f"/proc/{pid}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
            if state == "Z":
                if int(parent) == os.getpid():
                    os.waitpid(pid, os.WNOHANG)
                return False
            if token is None:
                return True
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
            if environment:
                return token.encode() in environment.split(b"\0")
            time.sleep(0.005)  # empty for a moment while a process becomes another program; empty for ever in the kernel's own
    except (OSError, ValueError):
        pass
    return False


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Lock:
    """Mutual exclusion by name between processes, freed by the kernel with its holder: an abstract socket address."""

    def __init__(self, name, timeout_s=120):
        self.name = name
        self.timeout_s = timeout_s
        self.socket_ = None

    def __enter__(self):
        deadline = time.monotonic() + self.timeout_s
        while True:
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                holder.bind(f"\0{self.name}")
                self.socket_ = holder
                return self
            except OSError:
                holder.close()
            if time.monotonic() > deadline:
                raise LabError(f"another command has held {self.name} for {self.timeout_s} s")
            time.sleep(0.05)

    def __exit__(self, *unused):
        self.socket_.close()
