#pragma once

#include <set>
#include <string>

#include "controller/ham/cluster_state.h"

namespace proteus::ham {

/// True if one of the patterns names the VM: a glob over its name, a glob over its UUID, or "@key=glob" over a tag.
/// Globs as in fnmatch(3): * ? [set].
bool selects_vm(const std::set<std::string>& patterns, const VmState& vm);
/// True if one of the globs matches the host's id.
bool selects_host(const std::set<std::string>& patterns, const HostId& host);

}  // namespace proteus::ham
