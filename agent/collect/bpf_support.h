#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace proteus::collect {

/// While it lives, what libbpf says on this thread's behalf is kept instead of printed: the reason of a failed load.
/// At most one at a time in the process (libbpf's printer is global). Thread: one.
class BpfLog {
 public:
  BpfLog();
  ~BpfLog();
  BpfLog(const BpfLog&) = delete;
  BpfLog& operator=(const BpfLog&) = delete;
  /// The last line that says what went wrong; empty if none.
  std::string reason() const;
};

/// An Error with errno's text for `what`. number: positive errno.
Error bpf_error(const std::string& what, int number);

/// What the kernel keeps of one program.
struct ProgramStatistics {
  std::uint64_t run_time_ns = 0;   ///< 0 unless statistics are on
  std::uint64_t run_count = 0;     ///< likewise
  std::uint64_t misses_count = 0;  ///< events on which the program was already running on that CPU and was skipped
};
std::optional<ProgramStatistics> program_statistics(int program_fd);

/// A kernel program that runs without being asked.
struct NamedProgram {
  const char* name;  ///< lives as long as the process
  int fd;
};

/// How many arguments a tracepoint of the running kernel hands to programs; nullopt if it has no such tracepoint.
/// module: where it may live if it is not built in; null if it cannot.
std::optional<int> tracepoint_argument_count(const std::string& tracepoint, const char* module);
/// Whether the running kernel, without its modules, knows a struct of this name.
bool has_kernel_type(const std::string& name);
/// Whether such a struct has a member of this name. module: where it may be defined if not in the kernel itself.
bool has_kernel_member(const std::string& type, const std::string& member, const char* module);
/// Whether the running kernel, without its modules, has a function of this name. Errors: kUnsupported, with the version
/// that it came with.
Status require_kernel_function(const std::string& name, const char* since);
/// Whether a module is loaded that has types.
bool kernel_has_module(const std::string& module);
/// The names of an enum's values below `most`, by value; empty strings for values without a name.
std::vector<std::string> kernel_enumerators(const std::string& enumeration, std::size_t most);

/// True if sysctl kernel.bpf_stats_enabled is on (root: where procfs is looked for).
bool run_statistics_enabled(const std::string& root);

/// Turns the kernel's run statistics on for as long as it lives; they are counted by the kernel, so several holders do
/// no harm.
class RunStatistics {
 public:
  static Result<RunStatistics> enable();
  ~RunStatistics();
  RunStatistics(RunStatistics&& other) noexcept;
  RunStatistics& operator=(RunStatistics&& other) noexcept;

 private:
  explicit RunStatistics(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace proteus::collect
