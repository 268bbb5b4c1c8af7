#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace proteus::calibrate {

// One round of each measurement, on the calling thread, about `budget` long. Latencies come one by one, in nanoseconds.
// Errors: kUnsupported or kUnavailable, why this host cannot.

/// From the moment a timer was to wake the thread until it runs.
Result<std::vector<double>> measure_wake_up_ns(Nanoseconds budget);
/// Bytes per second read in order from 64 MiB, the best of as many passes as fit.
Result<std::vector<double>> measure_memory_bandwidth(Nanoseconds budget);
/// One load that depends on the one before, all over 64 MiB: the mean of each few thousand.
Result<std::vector<double>> measure_memory_latency_ns(Nanoseconds budget);
/// First touch of a page of 4 KiB: the mean of each few hundred.
Result<std::vector<double>> measure_page_fault_ns(Nanoseconds budget);
/// 4 KiB overwritten and synced to the disk below `directory`, in a file that is removed.
Result<std::vector<double>> measure_storage_sync_ns(const std::string& directory, Nanoseconds budget);
/// 4 KiB read at random from a file of 32 MiB there, past the page cache.
Result<std::vector<double>> measure_storage_read_ns(const std::string& directory, Nanoseconds budget);
/// A guest's port write: out to user space and back in. The guest is a page of real-mode code on `kvm_device`.
Result<std::vector<double>> measure_exit_round_trip_ns(const std::string& kvm_device, Nanoseconds budget);

}  // namespace proteus::calibrate
