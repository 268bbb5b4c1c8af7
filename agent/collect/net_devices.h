#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collect/domain_xml.h"
#include "agent/collect/text_file.h"

namespace proteus::collect {

/// A tap's counters as its guest sees them: what the host transmits into the tap, the guest receives. A macvtap stands
/// for the guest's own NIC, and counts from there.
struct TapFigures {
  std::int64_t rx_bytes = 0;
  std::int64_t tx_bytes = 0;
  std::int64_t rx_drops_count = 0;
  std::int64_t tx_drops_count = 0;
  std::int64_t packets_count = 0;  ///< both directions
  bool operator==(const TapFigures&) const = default;
};

/// All network devices of the agent's network namespace with one read a tick (procfs net/dev follows the namespace,
/// sysfs shows that of whoever mounted it). Thread: owned by one.
class NetDevices {
 public:
  explicit NetDevices(const std::string& root) : file_(under(root, "/proc/net/dev"), FileRecords::kShort) {}
  /// Rereads the file; find() looks in it until the next refresh().
  void refresh();
  std::optional<TapFigures> find(const Tap& tap) const;

 private:
  struct Line {
    std::string_view name;
    std::string_view counters;
  };
  void index() const;

  TextFile file_;
  std::optional<std::string_view> text_;
  // made when the first tap is asked for: a host without VMs does not pay for it
  mutable std::vector<Line> lines_;  ///< of text_, by name
  mutable bool is_indexed_ = false;
};

}  // namespace proteus::collect
