#include "agent/collect/block_trace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "agent/collect/text_file.h"
#include "common/log.h"
#include "ebpf/block_latency.skel.h"

namespace proteus::collect {
namespace {

constexpr std::uint32_t kBatch = 64;

class Trace final : public BlockTrace {
 public:
  explicit Trace(std::string root) : root_(std::move(root)) {}
  ~Trace() override { block_latency_bpf__destroy(skeleton_); }

  Status load() {
    const BpfLog log;
    skeleton_ = block_latency_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open block_latency", errno);
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    const BlockRoom room = block_room(cpus);
    bpf_map__set_max_entries(skeleton_->maps.groups, room.groups);
    bpf_map__set_max_entries(skeleton_->maps.cells, room.cells);
    if (const int code = block_latency_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load block_latency");
    }
    if (const int code = block_latency_bpf__attach(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "attach to block_rq_complete");
    }
    return {};
  }

  bool add_group(std::uint64_t id, std::uint32_t vm) override {
    return bpf_map_update_elem(groups(), &id, &vm, BPF_ANY) == 0;
  }

  void remove_group(std::uint64_t id) override { bpf_map_delete_elem(groups(), &id); }

  void forget(std::uint32_t vm) override {
    delete_cells([vm](const block_latency_key& key) { return key.vm == vm; });
  }

  const std::map<std::uint32_t, std::vector<DeviceFigures>>& read() override {
    if (refused_count() > 0 && !std::exchange(said_full_, true)) {
      log::warning(
          "block latency: more pairs of VMs and disks than the {} that have room: those beyond have no figures",
          bpf_map__max_entries(skeleton_->maps.cells));
    }
    figures_.swap(before_);
    for (auto& [vm, devices] : figures_) devices.clear();
    follow_devices();
    __u32 position = 0;
    bool first = true;
    for (;;) {
      __u32 count = kBatch;
      const int failed = bpf_map_lookup_batch(cells(), first ? nullptr : &position, &position, batch_keys_.data(),
                                              batch_cells_.data(), &count, nullptr);
      if (failed != 0 && errno != ENOENT) {  // ENOENT: these are the last
        figures_.swap(before_);              // else a device would seem to come anew
        return figures_;
      }
      for (std::size_t i = 0; i < count; ++i) {
        const Name& disk = name(batch_keys_[i].device, batch_cells_[i].disk);
        if (!disk.passes_on) figures_[batch_keys_[i].vm].push_back({disk.name, batch_cells_[i]});
      }
      if (failed != 0) break;
      first = false;
    }
    std::erase_if(figures_, [](const auto& entry) { return entry.second.empty(); });
    // a number may be another device's once nobody has figures of it
    std::erase_if(names_, [](const auto& entry) { return !entry.second.used; });
    for (auto& [number, name] : names_) name.used = false;
    for (auto& [vm, devices] : figures_) {
      std::sort(devices.begin(), devices.end(),
                [](const DeviceFigures& a, const DeviceFigures& b) { return a.device < b.device; });
      add_up_paths(devices);
    }
    return figures_;
  }

  std::int64_t refused_count() const override { return counted(skeleton_->bss->refused_count); }
  int program_fd() const override { return bpf_program__fd(skeleton_->progs.on_block_rq_complete); }

 private:
  int groups() const { return bpf_map__fd(skeleton_->maps.groups); }
  int cells() const { return bpf_map__fd(skeleton_->maps.cells); }

  std::vector<block_latency_key> keys() const {
    std::vector<block_latency_key> all;
    block_latency_key key{};
    bool first = true;
    while (bpf_map_get_next_key(cells(), first ? nullptr : &key, &key) == 0) {
      all.push_back(key);
      first = false;
    }
    return all;
  }

  template <typename IsOver>
  void delete_cells(IsOver is_over) const {
    for (const block_latency_key& key : keys()) {
      if (is_over(key)) bpf_map_delete_elem(cells(), &key);
    }
  }

  /// A device that is gone takes its counts with it; its number may be another's by now.
  void follow_devices() {
    for (auto gone = names_.begin(); gone != names_.end();) {
      if (place_of(gone->first, gone->second.disk) == gone->second.place) {
        ++gone;
        continue;
      }
      // With other paths to it the disk begins anew: a sum must not fall.
      const auto is_gone = [&](const block_latency_key& key) {
        const auto named = names_.find(key.device);
        return key.device == gone->first || (named != names_.end() && named->second.name == gone->second.name);
      };
      if (!gone->second.place.empty()) delete_cells(is_gone);
      gone = names_.erase(gone);
    }
  }

  std::string directory_of(std::uint32_t device) const {
    return under(root_, fmt::format("/sys/dev/block/{}:{}", device >> 20, device & 0xfffff));
  }

  /// Among the host's devices, by its number or else its name; empty if it is not there.
  std::string place_of(std::uint32_t device, const std::string& disk) const {
    std::array<char, 512> place{};
    ssize_t length = ::readlink(directory_of(device).c_str(), place.data(), place.size());
    if (length < 0) length = ::readlink(under(root_, "/sys/block/" + disk).c_str(), place.data(), place.size());
    return {place.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
  }

  struct Name {
    std::string name;
    std::string disk;        ///< as the kernel calls it
    std::string place;       ///< see place_of(), when it was named
    bool passes_on = false;  ///< see passes_requests_on()
    bool used = false;       ///< in this reading
  };

  const Name& name(std::uint32_t device, const char* disk) {
    const auto [entry, is_new] = names_.try_emplace(device);
    std::string& name = entry->second.name;
    entry->second.used = true;
    if (is_new) {
      name = fmt::format("{}:{}", device >> 20, device & 0xfffff);
      entry->second.disk.assign(disk, ::strnlen(disk, BLOCK_LATENCY_DISK_BYTES));
      entry->second.place = place_of(device, entry->second.disk);
      if (!entry->second.place.empty()) name = multipath_disk(entry->second.disk);
      entry->second.passes_on = passes_requests_on(directory_of(device));
      std::string_view rest;
      const auto text = read_file(directory_of(device) + "/uevent");
      if (text) rest = *text;
      while (const auto line = take_line(rest)) {
        if (line->starts_with("DEVNAME=")) name = line->substr(8);
      }
    }
    return entry->second;
  }

  const std::string root_;
  block_latency_bpf* skeleton_ = nullptr;
  bool said_full_ = false;
  std::map<std::uint32_t, Name> names_;  // by device number
  std::map<std::uint32_t, std::vector<DeviceFigures>> figures_;
  std::map<std::uint32_t, std::vector<DeviceFigures>> before_;  // of the reading before, and memory for the next
  std::array<block_latency_key, kBatch> batch_keys_{};
  std::array<block_latency_cell, kBatch> batch_cells_{};
};

}  // namespace

std::string multipath_disk(std::string_view name) {
  const std::size_t path = name.find('c', 4);
  const std::size_t rest = name.find('n', path == std::string_view::npos ? path : path + 1);
  if (!name.starts_with("nvme") || rest == std::string_view::npos) return std::string(name);
  return std::string(name.substr(0, path)) + std::string(name.substr(rest));
}

void add_up_paths(std::vector<DeviceFigures>& devices) {
  std::size_t last = 0;
  for (std::size_t i = 1; i < devices.size(); ++i) {
    if (devices[i].device != devices[last].device) {
      if (++last != i) devices[last] = std::move(devices[i]);
      continue;
    }
    block_latency_cell& sum = devices[last].cell;
    const block_latency_cell& path = devices[i].cell;
    for (std::size_t b = 0; b < BLOCK_LATENCY_BUCKETS; ++b) sum.latencies[b] += path.latencies[b];
    sum.read_bytes += path.read_bytes;
    sum.write_bytes += path.write_bytes;
    sum.ops_count += path.ops_count;
  }
  if (!devices.empty()) devices.resize(last + 1);
}

bool passes_requests_on(const std::string& directory) {
  std::error_code unreadable;
  const std::filesystem::directory_iterator slaves(directory + "/slaves", unreadable);
  return (!unreadable && slaves != std::filesystem::directory_iterator()) ||
         read_file(directory + "/loop/dio").value_or("0").starts_with('1');
}

BlockRoom block_room(int cpus) {
  const auto bounded = [cpus](std::int64_t per_cpu, std::int64_t least, std::int64_t most) {
    return static_cast<std::uint32_t>(std::clamp(cpus * per_cpu, least, most));
  };
  return {.groups = bounded(BLOCK_LATENCY_GROUPS_PER_CPU, BLOCK_LATENCY_GROUPS_MIN, BLOCK_LATENCY_GROUPS_MAX),
          .cells = bounded(BLOCK_LATENCY_CELLS_PER_CPU, BLOCK_LATENCY_CELLS_MIN, BLOCK_LATENCY_CELLS_MAX)};
}

Result<std::unique_ptr<BlockTrace>> BlockTrace::create(const std::string& root) {
  auto trace = std::make_unique<Trace>(root);
  if (const Status loaded = trace->load(); !loaded) return loaded.error();
  return std::unique_ptr<BlockTrace>(std::move(trace));
}

}  // namespace proteus::collect
