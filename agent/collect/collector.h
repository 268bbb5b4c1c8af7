#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/units.h"

namespace proteus {

struct CollectorOptions {
  HostId host;
  std::string root = "/";                                ///< procfs, sysfs and /run are read below it
  std::string libvirt_uri = "qemu:///system";            ///< empty: host figures only
  Nanoseconds slow_interval = std::chrono::seconds(10);  ///< libvirt's bulk call; events and refresh() come on top
  bool kernel_programs = true;                           ///< false: every thread figure through procfs
  bool hook_statistics = false;                          ///< turn on the kernel's BPF run statistics (~30 ns per run)
  std::string questions_path;                            ///< see collect/questions.h; empty: nobody asks
  std::string calibration_path;                          ///< see collect/calibration_file.h; empty: none
  std::string migrate_uri;                               ///< label; empty: tcp://HOSTNAME
  std::string libvirt_migration_uri;                     ///< label libvirt_uri; empty: qemu+tcp://HOSTNAME/system
  /// Figure agent_dropped_frames_count; absent if not set. Called from tick().
  std::function<std::uint64_t()> dropped_frames_count;
};

/// Measures one host: kernel counters of every VM thread, control groups, taps, the host itself and libvirt's figures.
///
/// tick() reads kernel files and one kernel program; it never waits for libvirt, whose calls run on two threads of the
/// collector's own ("proteus-libvirt": inventory and slow lane; "proteus-virevt": libvirt's event loop).
/// A VM whose source fails is absent from the frame, never zero.
class Collector {
 public:
  /// Loads the kernel programs (falling back with one log line) and starts the libvirt threads; needs no libvirt to be
  /// there. boot_id: random and new at each start. Errors: kInvalidArgument for options that no host can serve.
  static Result<std::unique_ptr<Collector>> create(CollectorOptions options, std::uint64_t boot_id);
  virtual ~Collector() = default;

  /// One sample of everything. sequence and catalog version grow as telemetry.h says.
  /// Thread: the collect thread only.
  virtual Sample tick(Timestamp now) = 0;

  /// Between ticks: takes in what kernel programs hold only so much of. looks_due() after a tick: into how many parts
  /// the time to the next one is to be divided by such looks; 1, on a host that is not very busy: none. Thread: the
  /// collect thread only.
  virtual void look() = 0;
  virtual int looks_due() = 0;

  /// Rereads one VM's static figures (state, vCPUs, quota, shares, memory) as soon as possible: called after acting on
  /// it. An empty id rereads all. Thread: any; returns at once.
  virtual void refresh(const VmId& vm) = 0;
};

}  // namespace proteus
