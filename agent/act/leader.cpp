#include "agent/act/leader.h"

#include <fmt/core.h>

#include <charconv>
#include <utility>

#include "agent/act/durable_file.h"

namespace proteus::act {

Leader::Leader(Followed followed, Nanoseconds lease, Timestamp now)
    : followed_(std::move(followed)), lease_(lease), heard_(now) {}

bool Leader::alive(Timestamp now) const {
  return !followed_.controller.empty() && now - heard_ < lease_;
}

Status Leader::hear(const std::string& controller, Term term, Timestamp now) {
  if (controller.empty()) return Error{ErrorCode::kPermissionDenied, "a controller must give its id"};
  if (term < followed_.term) {
    return Error{ErrorCode::kPermissionDenied,
                 fmt::format("term {} is older than {}, in which this host followed controller '{}'", term,
                             followed_.term, followed_.controller)};
  }
  if (controller != followed_.controller && alive(now)) {
    return Error{
        ErrorCode::kPermissionDenied,
        fmt::format("this host follows controller '{}' (term {}), heard {:.1f} s ago; another is followed after "
                    "{:.1f} s of silence",
                    followed_.controller, followed_.term, to_seconds(now - heard_), to_seconds(lease_))};
  }
  followed_ = {controller, term};
  heard_ = now;
  return {};
}

Result<Leader::Followed> load_followed(const std::string& directory) {
  const std::string path = directory + "/leader";
  auto text = read_file_if_exists(path);
  if (!text) return text.error();
  if (!*text) return Leader::Followed{};
  const std::string& content = **text;
  const auto first_end = content.find('\n');
  const auto second_end = first_end == std::string::npos ? first_end : content.find('\n', first_end + 1);
  Leader::Followed followed;
  if (second_end != std::string::npos) {
    const auto [end, code] = std::from_chars(content.data(), content.data() + first_end, followed.term);
    if (code == std::errc{} && end == content.data() + first_end) {
      followed.controller = content.substr(first_end + 1, second_end - first_end - 1);
      return followed;
    }
  }
  return Error{ErrorCode::kCorrupt,
               path + " is damaged; it holds the newest term followed, so find that out before removing the file"};
}

Status store_followed(const std::string& directory, const Leader::Followed& followed) {
  return replace_file(directory + "/leader", fmt::format("{}\n{}\n", followed.term, followed.controller));
}

}  // namespace proteus::act
