"""The demonstration's cast and play: hosts, guests, their load over time, the policy. Nothing here knows of Proteus' inside."""

HOST_CPUS = [0.9, 0.6]
HOST_MEMORY_MIB = [1536, 1536]

# web begins with a CPU quota of 40 % and will want more; batch and api share its host.
GUESTS = [
    {"name": "web", "host": "h1", "vcpus": 1, "max_vcpus": 2, "memory_mib": 128, "quota_percent": 40},
    {"name": "api", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "batch", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "db", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "cache", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
]

LEAD_S = 40     # flat load, in which forecasts learn
RAMP_S = 45     # web's load rises
LENGTH_S = 125  # of one pass

STORY = (f"web's load stays at 15 % of a CPU for {LEAD_S} s, then rises to 60 % within {RAMP_S} s and stays there; "
         "api and batch on the same host want 20 % and 30 % all along, db and cache on the other 8 % and 5 %. "
         "At the end h1 is asked for 1.10 of its 0.90 CPUs.")


def schedules():
    """Guest name to rows (t_seconds, cpu_percent), linear between them."""
    def flat(percent, memory=16):
        return [(0, percent, memory, 0, 0, 0, 0), (LENGTH_S + 60, percent, memory, 0, 0, 0, 0)]
    return {
        "web": [(0, 15, 16, 0, 0, 0, 0), (LEAD_S, 15, 16, 0, 0, 0, 0), (LEAD_S + RAMP_S, 60, 16, 0, 0, 0, 0),
                (LENGTH_S + 60, 60, 16, 0, 0, 0, 0)],
        "api": flat(20),
        "batch": flat(30),
        "db": flat(8),
        "cache": flat(5),
    }


# Forecasts of a minute in steps of two seconds, for a play that lasts two minutes; the defaults look half an hour ahead.
OPTIONS = """
[forecast]
step = "2s"
horizon_steps = 15
history_steps = 600
season = "1h"
min_history_steps = 5
refit_every_steps = 5
[view]
staleness = "5s"
"""


def policy(automation):
    return f"""
name = "demo"
automation = "{automation}"
[limits]
cooldown = "20s"
payback = "2m"
cpu_headroom = 0.1
"""
