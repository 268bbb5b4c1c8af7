#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <ostream>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

/// Where a download goes. A file gets its name only when it is whole: until then it is .FILE.XXXXXX, each time another,
/// and what was there stays; its mode is kept. A link is followed, also to what is not there. "-" and /dev/stdout are
/// standard output; a device or a pipe is written to, never replaced. What is not whole does not stay when the process
/// is interrupted, terminated or hung up on: of one object at a time. Thread: owned by one.
class Destination {
 public:
  static bool is_standard_output(const std::string& file);
  /// Where words about it go: not among the bytes of what is written to standard output.
  static std::ostream& words(const std::string& file, std::ostream& usual);
  /// mode: of a file that is not there yet, less the umask. Errors: kPermissionDenied; kInvalidArgument for an empty
  /// name.
  static Result<Destination> open(const std::string& file, mode_t mode = 0666);
  /// Gives up what was not kept.
  ~Destination();
  Destination(Destination&& other) noexcept;
  Destination& operator=(Destination&&) = delete;

  /// So many bytes are to come. Errors: kFailedPrecondition if the file system has no room for them.
  Status check_room(std::uint64_t bytes) const;
  /// False: it cannot be written, see error().
  bool write(const char* data, std::size_t size);
  bool failed() const { return !why_.empty(); }
  /// Precondition: failed().
  Error error() const;
  /// All is there. Errors: as error().
  Status keep();
  /// All of it, and keeps it. Errors: as check_room() and error().
  Status keep_whole(const std::string& bytes);

 private:
  Destination() = default;
  void open_part(mode_t mode);
  void fail();

  std::ofstream file_;  ///< closed: standard output
  std::string name_;    ///< of what is there in the end
  std::string part_;    ///< what it is called until it is whole; empty: it is called so already
  int part_fd_ = -1;    ///< of it; what the mode forbids to open again
  std::string why_;
};

}  // namespace proteus::ctl
