"""One L2 segment per lab: a bridge in the machine's own network namespace, and one in each host that its guests join."""
import json
import os
import subprocess

from .shell import LabError, run


def create_bridge(names, subnet):
    if not os.path.exists(f"/sys/class/net/{names.bridge}"):
        run("ip", "link", "add", names.bridge, "type", "bridge", "forward_delay", 0, "stp_state", 0, "mcast_snooping", 0)
    run("ip", "address", "replace", f"10.99.{subnet}.254/24", "dev", names.bridge)
    run("ip", "link", "set", names.bridge, "up")


def connect_host(names, host, address, pid):
    """Gives the network namespace of process pid a bridge br0 that is joined to the lab's bridge."""
    link = names.link(host)
    run("ip", "link", "delete", link, check=False)
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", pid)
    run("ip", "link", "set", link, "master", names.bridge, "up")
    subnet, number = (int(part) for part in address.split(".")[2:])
    # The same address at each creation: whoever talked to the host before it was made anew need not learn a new one.
    mac = f"02:70:6c:{subnet:02x}:00:{number:02x}"
    inside = f"""link set lo up
link add br0 address {mac} type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set uplink master br0 up
address add {address}/24 dev br0
link set br0 up
"""
    done = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"], input=inside, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise LabError(f"network of {host}: {done.stdout.strip()}")


def links(names):
    """The lab's links in the machine's own network namespace."""
    found = json.loads(run("ip", "-json", "link", "show") or "[]")
    return sorted(link["ifname"] for link in found if names.owns_link(link["ifname"]))


def remove(names):
    for link in links(names):
        run("ip", "link", "delete", link, check=False)
