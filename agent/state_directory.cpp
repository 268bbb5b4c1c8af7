#include "agent/state_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace proteus {
namespace {

Error system_error(const std::string& what) {
  const ErrorCode code = errno == EACCES || errno == EPERM ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable;
  return {code, what + ": " + std::generic_category().message(errno)};
}

}  // namespace

Result<std::unique_ptr<StateDirectory>> StateDirectory::hold(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("cannot make state directory " + path);
  const std::string file = path + "/lock";
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_error("cannot open " + file);
  std::unique_ptr<StateDirectory> held(new StateDirectory(lock));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("cannot lock " + file);
    return Error{ErrorCode::kAlreadyExists, "another proteus-agent runs on state directory " + path};
  }
  return held;
}

StateDirectory::~StateDirectory() {
  ::close(lock_);
}

}  // namespace proteus
