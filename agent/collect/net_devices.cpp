#include "agent/collect/net_devices.h"

#include <array>
#include <utility>

namespace proteus::collect {

std::optional<TapFigures> NetDevices::find(const Tap& tap) const {
  if (!text_) return std::nullopt;
  const std::string_view device = tap.device;
  std::string_view text = *text_;
  while (auto line = take_line(text)) {
    const std::size_t name_start = line->find_first_not_of(' ');
    if (name_start == std::string_view::npos) continue;
    const std::string_view rest = line->substr(name_start);
    if (rest.substr(0, device.size()) != device || rest.size() <= device.size() || rest[device.size()] != ':') continue;
    // receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop …
    std::array<std::int64_t, 12> field{};
    std::string_view words = rest.substr(device.size() + 1);
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
  return std::nullopt;
}

}  // namespace proteus::collect
