#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "ebpf/block_latency.h"

namespace proteus::collect {

/// What one VM did to one disk of the host since the two first met.
struct DeviceFigures {
  std::string device;  ///< for example "sda"
  block_latency_cell cell{};
};

/// For how many of them a host with so many CPUs has room.
struct BlockRoom {
  std::uint32_t groups = 0;  ///< control groups
  std::uint32_t cells = 0;   ///< pairs of a VM and a disk
};
BlockRoom block_room(int cpus);

/// Whether a disk, by its directory in sysfs, makes its requests into others' (device mapper's multipath, a loop device
/// with direct I/O; without, the page cache lies between, and what leaves that may be nobody's).
bool passes_requests_on(const std::string& directory);

/// NVMe's own multipath makes one disk of several, its paths, of which requests tell: "nvme0n1" of "nvme0c1n1"; any
/// other name stays.
std::string multipath_disk(std::string_view name);
/// Adds up those of one name, which stand side by side.
void add_up_paths(std::vector<DeviceFigures>& devices);

/// The always-on block_rq_complete hook: sizes and latencies of requests by VM and host disk. Requests are attributed
/// by the control group that sent them, so that I/O threads and kernel workers count for their VM; what page-cache
/// write-back sends later for v1 groups belongs to nobody. Thread: owned by one.
class BlockTrace {
 public:
  /// root: sysfs is read below it, for names of devices. Errors: kUnsupported, kPermissionDenied with the kernel's
  /// reason.
  static Result<std::unique_ptr<BlockTrace>> create(const std::string& root);
  virtual ~BlockTrace() = default;

  /// Requests from control group `id` (its inode number) are the VM's from now on. False if there is no room.
  virtual bool add_group(std::uint64_t id, std::uint32_t vm) = 0;
  virtual void remove_group(std::uint64_t id) = 0;
  /// Drops the VM's cells. What its groups send from then on, if they are not removed, begins at zero.
  virtual void forget(std::uint32_t vm) = 0;

  /// All VMs' figures now, by VM, then by device's name; without those of devices that are gone, and of those that pass
  /// their requests on, which the disks below them count. Cost: one system call
  /// per 64 cells, and one per device.
  virtual const std::map<std::uint32_t, std::vector<DeviceFigures>>& read() = 0;

  /// Requests for which there was no room.
  virtual std::int64_t refused_count() const = 0;
  virtual int program_fd() const = 0;
};

}  // namespace proteus::collect
