#include "agent/collect/bpf_support.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

#include "agent/collect/text_file.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

std::mutex log_mutex;  // guards log_reason; libbpf may print from any thread
std::string log_reason;

int keep_line(libbpf_print_level level, const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  std::string_view line(text);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (level == LIBBPF_WARN && line.find("BEGIN PROG LOAD LOG") == std::string_view::npos) {
    std::lock_guard lock(log_mutex);
    if (log_reason.empty()) log_reason = line;  // the first names the cause, the others follow from it
  }
  return 0;
}

}  // namespace

BpfLog::BpfLog() {
  {
    std::lock_guard lock(log_mutex);
    log_reason.clear();
  }
  libbpf_set_print(keep_line);
}

BpfLog::~BpfLog() {
  libbpf_set_print(nullptr);
}

std::string BpfLog::reason() const {
  std::lock_guard lock(log_mutex);
  return log_reason;
}

Error bpf_error(const std::string& what, int number) {
  const ErrorCode code = number == EPERM || number == EACCES                       ? ErrorCode::kPermissionDenied
                         : number == ENOMEM || number == EAGAIN || number == EBUSY ? ErrorCode::kUnavailable
                                                                                   : ErrorCode::kUnsupported;
  return Error{code, fmt::format("{}: {}", what, std::strerror(number))};
}

std::optional<ProgramStatistics> program_statistics(int program_fd) {
  bpf_prog_info info{};
  __u32 length = sizeof info;
  if (bpf_obj_get_info_by_fd(program_fd, &info, &length) != 0) return std::nullopt;
  return ProgramStatistics{info.run_time_ns, info.run_cnt, info.recursion_misses};
}

bool run_statistics_enabled(const std::string& root) {
  const auto text = read_file(under(root, "/proc/sys/kernel/bpf_stats_enabled"));
  return text && parse_number(*text).value_or(0) > 0;
}

Result<RunStatistics> RunStatistics::enable() {
  const int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
  if (fd < 0) return bpf_error("enable BPF run statistics", errno);
  return RunStatistics(fd);
}

RunStatistics::~RunStatistics() {
  if (fd_ >= 0) ::close(fd_);
}
RunStatistics::RunStatistics(RunStatistics&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
RunStatistics& RunStatistics::operator=(RunStatistics&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace proteus::collect
