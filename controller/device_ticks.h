#pragma once

#include "controller/frame_columns.h"

namespace proteus::controller {

// What the counters of one VM's devices grew by since the last frame.

struct NetworkTick {
  bool measured = false;  ///< any of its interfaces' bytes
  double bytes = 0;
  double packets = 0;
  double drops = 0;
};
NetworkTick read_network(VmColumns& vm, const Frame& frame);

/// Disk counters come from the slow lane: they step when it ran, and the step covers the time since the last one.
struct DiskTick {
  double bytes = 0;
  double requests = 0;  ///< reads, writes and flushes of disks whose time is known
  double time_s = 0;    ///< what those took, each for itself
};
DiskTick read_disks(VmColumns& vm, const Frame& frame);

/// Exits to user space.
struct ExitTick {
  double count = 0;        ///< of all
  double timed_count = 0;  ///< of those whose time was measured, while somebody asks for it
  double time_s = 0;
};
ExitTick read_exits(VmColumns& vm, const Frame& frame);

}  // namespace proteus::controller
