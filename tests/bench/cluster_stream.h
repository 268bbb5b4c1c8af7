#pragma once

#include <fmt/core.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/units.h"
#include "common/wire/telemetry_codec.h"
#include "controller/store/store.h"
#include "tests/bench/series_bench.h"
#include "tests/fakes/fake_telemetry.h"

namespace proteus::bench {

/// Hosts h0, h1, ... of 32 CPUs and 256 GiB with ten VMs of four vCPUs each, whose load is drawn anew each second, and
/// what their agents send of it: a keyframe a minute, deltas between.
class ClusterStream {
 public:
  static constexpr int kVmsPerHost = 10;

  explicit ClusterStream(int host_count) : encoders_(static_cast<std::size_t>(host_count)) {
    for (int h = 0; h < host_count; ++h) {
      hosts_.emplace_back(fmt::format("h{}", h), 32, 256 * kGiB);
      for (int vm = 0; vm < kVmsPerHost; ++vm) {
        fakes::FakeVm fake;
        fake.uuid = vm_uuid(static_cast<std::uint32_t>(h), static_cast<std::uint32_t>(vm));
        fake.name = fmt::format("vm-{}-{}", h, vm);
        fake.vcpus = fake.vcpus_max = 4;
        hosts_.back().vms.push_back(fake);
      }
    }
  }

  /// A second passes. Returns: what the hosts send at its end, `now`, in the order of the hosts.
  std::vector<store::RawMessage> pass(Timestamp now) {
    std::vector<store::RawMessage> messages;
    const bool is_keyframe = second_++ % wire::kKeyframeInterval == 0;
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
      std::vector<std::pair<double, double>> load;
      for (int vm = 0; vm < kVmsPerHost; ++vm) load.emplace_back(static_cast<double>(random_() % 1000) / 500, 0.01);
      hosts_[h].pass(1, load);
      const Sample sample = hosts_[h].sample(now);
      bytes_.clear();
      encoders_[h].encode(sample, bytes_);
      for (std::size_t i = 0; i < bytes_.size(); ++i) {
        const bool is_frame = i + 1 == bytes_.size();
        messages.push_back({.received = now,
                            .host = sample.catalog->host,
                            .boot_id = sample.catalog->boot_id,
                            .sequence = is_frame ? sample.frame.sequence : 0,
                            .catalog_version = sample.catalog->version,
                            .base_sequence = is_frame && !is_keyframe ? sample.frame.sequence - 1 : 0,
                            .bytes = bytes_[i]});
      }
    }
    return messages;
  }

 private:
  std::mt19937_64 random_{1};
  std::vector<fakes::FakeHost> hosts_;
  std::vector<wire::FrameEncoder> encoders_;
  std::vector<std::string> bytes_;
  std::uint64_t second_ = 0;
};

}  // namespace proteus::bench
