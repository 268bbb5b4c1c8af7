#include "controller/ham/rules/selector.h"

#include <fnmatch.h>

namespace proteus::ham {
namespace {

bool glob(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool pattern_selects(const std::string& pattern, const VmState& vm) {
  if (pattern.starts_with('@')) {
    const auto equals = pattern.find('=');
    if (equals == std::string::npos) return vm.groups.contains(pattern.substr(1));
    const auto tag = vm.groups.find(pattern.substr(1, equals - 1));
    return tag != vm.groups.end() && glob(pattern.substr(equals + 1), tag->second);
  }
  return glob(pattern, vm.name) || glob(pattern, vm.id.value);
}

}  // namespace

bool selects_vm(const std::set<std::string>& patterns, const VmState& vm) {
  for (const std::string& pattern : patterns) {
    if (pattern_selects(pattern, vm)) return true;
  }
  return false;
}

bool selects_host(const std::set<std::string>& patterns, const HostId& host) {
  for (const std::string& pattern : patterns) {
    if (glob(pattern, host.value)) return true;
  }
  return false;
}

}  // namespace proteus::ham
