#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/kpi.h"
#include "controller/store/query.h"

namespace proteus::store {

/// Series of VMs that have been on several hosts: joined over these, so that the VM counts once in the step in which it
/// moved. Thread: owned by one.
class MovedSeries {
 public:
  /// vms: UUIDs of those that have moved. query and allowance outlive the object.
  MovedSeries(const Query& query, const StepGrid& grid, std::set<std::string> vms, Allowance& allowance);

  /// Whether it is of a VM that has moved.
  bool has(const SelectedEntity& entity) const { return !vms_.empty() && vms_.contains(entity.vm_uuid); }
  /// In the step in which it moved each host measured a part of it; joined, they are one series that was there all the
  /// time. Which of two parts is the later is not known, nor what the p95 of both is: of `last` and p95 the greater one
  /// stays. False: the allowance is not enough.
  bool add(const SeriesReader::Stretch& stretch);
  /// Every joined series, all its steps at once; false from `take` ends it, and is returned. Call once.
  bool visit(const std::function<bool(const SeriesReader::Stretch&)>& take);

 private:
  /// Sums and weights from all hosts.
  struct Gathered {
    HostId host;  // where it was measured last, which names and labels it
    SelectedEntity entity;
    SeriesKey key;
    std::vector<StepFigures> steps;
    std::vector<std::int64_t> longest;   // of a counter: weight of the longest part of each step
    std::vector<std::int64_t> here;      // the same of the host that is being read
    std::vector<std::int64_t> of_hosts;  // of each host the longest, added up
    std::size_t newest = 0;              // step in which something was measured, there
    std::size_t began = 0;               // the first one, there
    HostId reading;
    std::size_t reading_began = 0;
  };

  /// Whether a host gives it a name of its own, so that it has another one where it has moved: all of a VM's are one
  /// series then, as far as nobody asks for more than their sum. A VM itself is known by its UUID.
  bool is_named_by_host(EntityKind kind) const;

  const Query& query_;
  const StepGrid grid_;
  const std::set<std::string> vms_;
  Allowance& allowance_;
  std::map<std::tuple<std::string, EntityKind, std::string, std::uint8_t>, Gathered> gathered_;
};

}  // namespace proteus::store
