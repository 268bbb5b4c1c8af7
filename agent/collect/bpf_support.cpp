#include "agent/collect/bpf_support.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
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

namespace {

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, FreeBtf>;

/// The arguments of the tracepoint's function type, without the first, which is the attachment's own.
std::optional<int> argument_count(const btf* types, const std::string& tracepoint) {
  const int id = btf__find_by_name_kind(types, ("btf_trace_" + tracepoint).c_str(), BTF_KIND_TYPEDEF);
  if (id <= 0) return std::nullopt;
  const btf_type* type = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);  // a pointer …
  if (type == nullptr || !btf_is_ptr(type)) return std::nullopt;
  type = btf__type_by_id(types, type->type);  // … to a function
  if (type == nullptr || !btf_is_func_proto(type)) return std::nullopt;
  return btf_vlen(type) - 1;
}

/// Also in structs and unions without a name, whose members C takes for those of the struct around them.
bool has_member(const btf* types, __u32 id, const std::string& member) {
  const btf_type* type = btf__type_by_id(types, id);
  if (type == nullptr || !btf_is_composite(type)) return false;
  const btf_member* members = btf_members(type);
  return std::any_of(members, members + btf_vlen(type), [&](const btf_member& one) {
    return one.name_off == 0 ? has_member(types, one.type, member)
                             : btf__name_by_offset(types, one.name_off) == member;
  });
}

bool has_member(const btf* types, const std::string& type, const std::string& member) {
  const int id = btf__find_by_name_kind(types, type.c_str(), BTF_KIND_STRUCT);
  return id > 0 && has_member(types, static_cast<__u32>(id), member);
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

std::optional<int> tracepoint_argument_count(const std::string& tracepoint, const char* module) {
  const BpfLog log;
  const Btf kernel(btf__load_vmlinux_btf());
  if (!kernel) return std::nullopt;
  const auto built_in = argument_count(kernel.get(), tracepoint);
  if (built_in || module == nullptr || !kernel_has_module(module)) return built_in;
  const Btf types(btf__load_module_btf(module, kernel.get()));
  return types ? argument_count(types.get(), tracepoint) : std::nullopt;
}

bool has_kernel_type(const std::string& name) {
  const BpfLog log;
  const Btf kernel(btf__load_vmlinux_btf());
  return kernel && btf__find_by_name_kind(kernel.get(), name.c_str(), BTF_KIND_STRUCT) > 0;
}

bool has_kernel_member(const std::string& type, const std::string& member, const char* module) {
  const BpfLog log;
  const Btf kernel(btf__load_vmlinux_btf());
  if (!kernel) return false;
  if (has_member(kernel.get(), type, member)) return true;
  if (!kernel_has_module(module)) return false;
  const Btf types(btf__load_module_btf(module, kernel.get()));
  return types && has_member(types.get(), type, member);
}

Status require_kernel_function(const std::string& name, const char* since) {
  const BpfLog log;
  const Btf kernel(btf__load_vmlinux_btf());
  if (!kernel) return Error{ErrorCode::kUnsupported, "the kernel has no type information (CONFIG_DEBUG_INFO_BTF)"};
  if (btf__find_by_name_kind(kernel.get(), name.c_str(), BTF_KIND_FUNC) > 0) return {};
  return Error{ErrorCode::kUnsupported, fmt::format("the kernel has no {} (since {})", name, since)};
}

bool kernel_has_module(const std::string& module) {
  return exists("/sys/kernel/btf/" + module);
}

std::vector<std::string> kernel_enumerators(const std::string& enumeration, std::size_t most) {
  std::vector<std::string> names;
  const BpfLog log;
  const Btf kernel(btf__load_vmlinux_btf());
  if (!kernel) return names;
  const int id = btf__find_by_name_kind(kernel.get(), enumeration.c_str(), BTF_KIND_ENUM);
  if (id <= 0) return names;
  const btf_type* type = btf__type_by_id(kernel.get(), static_cast<__u32>(id));
  const struct btf_enum* value = btf_enum(type);
  for (int i = 0; i < btf_vlen(type); ++i, ++value) {
    if (value->val < 0 || static_cast<std::size_t>(value->val) >= most) continue;
    const auto at = static_cast<std::size_t>(value->val);
    if (names.size() <= at) names.resize(at + 1);
    names[at] = btf__name_by_offset(kernel.get(), value->name_off);
  }
  return names;
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
