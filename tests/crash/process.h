#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace proteus::crash {

/// One of our programs in a process of its own, its output in a file. Killed with the object.
class Process {
 public:
  /// arguments: without the program. The log begins anew.
  Process(const std::string& program, std::vector<std::string> arguments, std::string log_file);
  ~Process() { kill_now(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// SIGKILL, whatever it does at the moment, and waits for its end.
  void kill_now();
  /// SIGTERM, and waits for its end. Returns: the exit code; −1 if a signal ended it.
  int end();
  /// It has ended by itself.
  bool gone();
  /// Its output so far.
  std::string log() const;

 private:
  pid_t process_ = 0;
  std::string log_file_;
};

/// So many TCP ports of the loopback address, each another, that are free now, and that nobody is given who asks for
/// any: their owner may let go of them for a while.
std::vector<int> free_ports(std::size_t count);

}  // namespace proteus::crash
