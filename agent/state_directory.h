#pragma once

#include <memory>
#include <string>

#include "common/result.h"

namespace proteus {

/// The agent's state directory, made if it is missing (mode 0700) and held by this process alone until it ends: two
/// agents on one state would execute commands twice.
class StateDirectory {
 public:
  /// Errors: kAlreadyExists (another agent holds it), kUnavailable, kPermissionDenied.
  static Result<std::unique_ptr<StateDirectory>> hold(const std::string& path);
  ~StateDirectory();
  StateDirectory(const StateDirectory&) = delete;
  StateDirectory& operator=(const StateDirectory&) = delete;

 private:
  explicit StateDirectory(int lock) : lock_(lock) {}
  int lock_;
};

}  // namespace proteus
