#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>

#include "common/units.h"

namespace proteus::ingest {

/// Which different names a host has used of late: so many within a span, and no more. Thread: owned by one.
template <typename Name>
class RecentNames {
 public:
  RecentNames(std::size_t names_max, Nanoseconds span) : names_max_(names_max), span_(span) {}

  /// These are in use now. False if, with those that were in use within the span, they are too many: then none of them
  /// is taken. Those that were taken within the span always are.
  bool use(const std::set<Name>& names, Timestamp now) {
    if (!fit(names)) {
      // Also what a clock that has been set back since says is far ahead.
      const auto is_old = [&](Timestamp used_at) { return std::chrono::abs(now - used_at) >= span_; };
      std::erase_if(used_, [&](const auto& used) { return is_old(used.second) && !names.contains(used.first); });
      if (!fit(names)) return false;
    }
    for (const Name& name : names) used_[name] = now;
    return true;
  }
  std::size_t size() const { return used_.size(); }

 private:
  bool fit(const std::set<Name>& names) const {
    std::size_t count = used_.size();
    for (const Name& name : names) count += used_.contains(name) ? 0 : 1;
    return count <= names_max_ || count == used_.size();
  }

  std::size_t names_max_;
  Nanoseconds span_;
  std::map<Name, Timestamp> used_;  // and when that was last
};

}  // namespace proteus::ingest
