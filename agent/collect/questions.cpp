#include "agent/collect/questions.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace proteus::collect {
namespace {

using Deadlines = std::array<std::int64_t, kQuestionNames.size()>;  ///< 0: not asked

std::optional<std::size_t> index_of(std::string_view name) {
  const auto found = std::find(kQuestionNames.begin(), kQuestionNames.end(), name);
  if (found == kQuestionNames.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kQuestionNames.begin());
}

Deadlines parse(std::string_view text) {
  Deadlines deadlines{};
  while (auto line = take_line(text)) {
    const auto question = index_of(take_word(*line));
    const auto deadline = parse_number(*line);
    if (question && deadline) deadlines[*question] = *deadline;
  }
  return deadlines;
}

}  // namespace

Questions AskedQuestions::read(Timestamp now) {
  Questions asked;
  if (file_.path().empty()) return asked;
  const auto text = file_.read();
  if (!text || text->empty()) return asked;
  const Deadlines deadlines = parse(*text);
  const std::int64_t now_ns = to_unix_ns(now);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    asked[i] = deadlines[i] > now_ns && deadlines[i] - now_ns <= kQuestionLongest.count();
  }
  return asked;
}

Status AskedQuestions::ask(const std::string& path, std::string_view name, Nanoseconds duration, Timestamp now) {
  const auto question = index_of(name);
  if (!question) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is none of kvm_exits, net_softirq, packet_drops", name)};
  }
  if (duration <= Nanoseconds(0) || duration > kQuestionLongest) {
    return Error{ErrorCode::kInvalidArgument, "a question lasts more than nothing and at most ten minutes"};
  }
  Deadlines deadlines{};
  if (const auto text = read_file(path)) deadlines = parse(*text);
  deadlines[*question] = to_unix_ns(now) + duration.count();
  std::string text;
  for (std::size_t i = 0; i < deadlines.size(); ++i) {
    if (deadlines[i] > to_unix_ns(now)) text += fmt::format("{} {}\n", kQuestionNames[i], deadlines[i]);
  }
  // in place, as the agent keeps the file open; it reads numbers that are cut off as another deadline at worst
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return {};
  return Error{error == EACCES ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
               fmt::format("{}: {}", path, std::strerror(error))};
}

}  // namespace proteus::collect
