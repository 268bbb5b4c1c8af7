#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace proteus::bench {

/// A VM as the agent sees one: a process with libvirt's arguments and thread names, in control groups of its own as
/// libvirt lays them out (v1 and unified, as far as this machine lets us make them), and a domain of libvirt's test
/// driver.
struct SyntheticVm {
  std::string name;
  std::string uuid;
  pid_t pid = 0;
  std::vector<std::string> groups;  ///< directories made for it
};

/// Many of them; all end with this object. Their vCPU threads wake 20 times a second and work for some microseconds, so
/// that every counter moves at every tick. Needs root for the control groups. Thread: one.
class SyntheticVms {
 public:
  SyntheticVms(int count, int vcpus, std::string directory);
  ~SyntheticVms();
  SyntheticVms(const SyntheticVms&) = delete;
  SyntheticVms& operator=(const SyntheticVms&) = delete;

  /// The URI under which libvirt's test driver has the domains.
  std::string libvirt_uri() const { return "test://" + directory_ + "/node.xml"; }
  std::size_t group_count() const;

 private:
  void write_domains(int vcpus) const;
  void make_groups(SyntheticVm& vm);

  const std::string directory_;
  std::vector<SyntheticVm> vms_;
  std::vector<std::string> tops_;  ///< groups that hold theirs
};

/// What a child process does: `program vm -uuid UUID VCPUS`. Never returns.
[[noreturn]] void run_as_synthetic_vm(int vcpus);

}  // namespace proteus::bench
