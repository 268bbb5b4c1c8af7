#include "agent/collect/net_devices.h"

#include <algorithm>
#include <array>
#include <utility>

namespace proteus::collect {

void NetDevices::refresh() {
  text_ = file_.read();
  is_indexed_ = false;
}

/// One pass, where a search of its own for each tap would take the time of devices times taps.
void NetDevices::index() const {
  is_indexed_ = true;
  lines_.clear();
  std::string_view text = text_.value_or(std::string_view());
  while (const auto line = take_line(text)) {
    const std::size_t start = line->find_first_not_of(' ');
    const std::size_t colon = line->find(':');
    if (start == std::string_view::npos || colon == std::string_view::npos) continue;  // a heading
    lines_.push_back({line->substr(start, colon - start), line->substr(colon + 1)});
  }
  std::sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) { return a.name < b.name; });
}

std::optional<TapFigures> NetDevices::find(const Tap& tap) const {
  if (!is_indexed_) index();
  const auto line = std::lower_bound(lines_.begin(), lines_.end(), std::string_view(tap.device),
                                     [](const Line& a, std::string_view name) { return a.name < name; });
  if (line == lines_.end() || line->name != tap.device) return std::nullopt;
  // receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop …
  std::array<std::int64_t, 12> field{};
  std::string_view words = line->counters;
  for (auto& value : field) {
    const auto number = parse_number(take_word(words));
    if (!number) return std::nullopt;
    value = *number;
  }
  TapFigures figures{.rx_bytes = field[8],
                     .tx_bytes = field[0],
                     .rx_drops_count = field[11],
                     .tx_drops_count = field[3],
                     .packets_count = field[1] + field[9]};
  if (tap.is_macvtap) {
    std::swap(figures.rx_bytes, figures.tx_bytes);
    std::swap(figures.rx_drops_count, figures.tx_drops_count);
  }
  return figures;
}

}  // namespace proteus::collect
