#pragma once

namespace proteus::bench {

/// A program on sched_switch that does nothing, attached for as long as it lives: what any program there costs, and, by
/// the kernel's run statistics, what these cost themselves. Thread: any.
class EmptyHook {
 public:
  EmptyHook();
  ~EmptyHook();
  EmptyHook(const EmptyHook&) = delete;
  EmptyHook& operator=(const EmptyHook&) = delete;

  bool attached() const { return link_ >= 0; }
  int program_fd() const { return program_; }

 private:
  int program_ = -1;
  int link_ = -1;
};

}  // namespace proteus::bench
