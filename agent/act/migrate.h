#pragma once

#include "agent/act/job.h"

namespace proteus::act {

/// Carries out a Migrate from this host, the source.
///
///   admit ──▶ refused                    (precondition, protected, or the hypervisor declines before moving anything)
///     │
///   start ──▶ accepted ──▶ running … ──▶ succeeded   the domain is not active here any more, and the hypervisor or the
///                │                                   target's own word says that it is there
///                └── deadline or abort ▶ failed      the message and the observation say where the domain is
///
/// An adopted job is one whose agent went away. libvirt (9.0, tried by killing the client) carries a peer-to-peer
/// migration on without it, so this looks: while an outgoing
/// migration goes on, it is watched (and aborted at the deadline) as its own; when there is none, the domain is looked
/// for here, then at the target. Only what was seen is reported. Thread: a worker.
void run_migrate(JobContext& context, const Job& job);

}  // namespace proteus::act
