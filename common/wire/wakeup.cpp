#include "common/wire/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "common/log.h"

namespace proteus::wire {

Wakeup::Wakeup() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) {
    log::error("eventfd: {}", std::strerror(errno));
    std::abort();
  }
}

Wakeup::~Wakeup() {
  ::close(fd_);
}

void Wakeup::notify() {
  const std::uint64_t one = 1;
  // EAGAIN means that 2^64-2 wake-ups are pending: the thread wakes anyway.
  while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void Wakeup::drain() {
  std::uint64_t count = 0;
  while (::read(fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace proteus::wire
