#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/ids.h"
#include "common/result.h"

namespace proteus::wire {

/// A CURVE25519 key as 40 characters of Z85 (ZeroMQ RFC 32).
constexpr std::size_t kKeyTextLength = 40;
bool valid_key_text(std::string_view key);

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

/// A public key and whose it is. One line of a public key file or of a file of authorized keys: `NAME KEY`.
struct NamedKey {
  std::string name;
  std::string key;
};

/// Errors: kUnsupported if libzmq was built without CURVE.
Result<KeyPair> generate_key_pair();

/// Writes `path` with mode 0600 and never over an existing file.
/// Errors: kAlreadyExists, kPermissionDenied, kUnavailable.
Status write_key_pair(const std::string& path, const KeyPair& keys);
/// Errors: kNotFound; kPermissionDenied if group or others may read it; kInvalidArgument, naming the line, if it is
/// malformed or its two keys do not belong together.
Result<KeyPair> read_key_pair(const std::string& path);

/// Writes one line `name key` below a comment, mode 0644, replacing what is there; the line is what an operator appends
/// to the other side's file.
Status write_public_key(const std::string& path, const NamedKey& key);
/// Reads a file with exactly one line `name key`; empty lines and lines that begin with '#' are comments.
/// Errors: kNotFound, kInvalidArgument naming the line.
Result<NamedKey> read_public_key(const std::string& path);

/// The keys that a controller admits: a text file, one line `host-name public-key` per agent; empty lines and lines
/// that begin with '#' are comments. A host may have several keys, so that they can be exchanged; a key has one host.
/// Thread: any; a mutex guards the table.
class AuthorizedKeys {
 public:
  /// Errors: kNotFound; kInvalidArgument naming file and line.
  static Result<std::unique_ptr<AuthorizedKeys>> load(const std::string& path);

  /// Reads the file again if its inode, size or a time of it changed. What cannot be read leaves the table as it was.
  /// Returns: whether the table was replaced. Errors: as load(); kInvalidArgument once per change of the file, what may
  /// pass by itself each time, until the file has been read.
  Result<bool> reload_if_changed();

  /// Whose key this is; nullopt if it is not admitted.
  std::optional<HostId> host_of(std::string_view key) const;
  std::size_t size() const;

 private:
  struct FileMark {
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;  // also when what may read it did
    bool operator==(const FileMark&) const = default;
  };
  using Table = std::unordered_map<std::string, HostId>;

  AuthorizedKeys(std::string path, FileMark mark, Table table)
      : path_(std::move(path)), mark_(mark), table_(std::move(table)) {}
  static FileMark mark_of(const std::string& path);
  static Result<Table> read_table(const std::string& path);

  const std::string path_;
  mutable std::mutex mutex_;  // guards all below
  FileMark mark_;
  Table table_;
};

}  // namespace proteus::wire
