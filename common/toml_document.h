#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/units.h"

/// Strict reading of configuration files. Only toml_document.cpp knows toml++.
namespace proteus {

/// A parsed TOML file that collects every problem found while it is read, each as "file:line: message", so that a
/// person sees them all at once. A key that nobody asked for is a problem too. Thread: owned by one.
class TomlDocument {
 public:
  class Table;

  /// A syntax error is reported by finish() as well; the root is then empty.
  TomlDocument(std::string_view text, std::string_view file_name);
  ~TomlDocument();
  TomlDocument(const TomlDocument&) = delete;
  TomlDocument& operator=(const TomlDocument&) = delete;

  Table root();
  /// Call last. Errors: kInvalidArgument with all problems, one per line, ordered by line number.
  Status finish();

 private:
  friend class Table;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A view of one table. Each read_* leaves `out` as it is if the key is absent, and reports a wrong type or range.
/// Valid as long as its document.
class TomlDocument::Table {
 public:
  bool has(std::string_view key) const;
  void read(std::string_view key, std::string& out);
  void read(std::string_view key, bool& out);
  void read(std::string_view key, std::int64_t& out, std::int64_t min = std::numeric_limits<std::int64_t>::min(),
            std::int64_t max = std::numeric_limits<std::int64_t>::max());
  void read(std::string_view key, int& out, int min, int max);
  /// Integers are taken for numbers too.
  void read(std::string_view key, double& out, double min, double max);
  void read(std::string_view key, std::vector<std::string>& out);
  /// "250ms", "30s", "5m", "1h", "2d".
  void read_duration(std::string_view key, Nanoseconds& out, Nanoseconds min, Nanoseconds max);
  /// "512MiB", "4GiB", "64KiB", "1TiB" or a plain number of bytes.
  void read_bytes(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max);
  /// A missing key is a problem.
  void require(std::string_view key);
  /// The table under `key`; an empty one if absent.
  Table table(std::string_view key);
  /// The tables of [[key]]; empty if absent.
  std::vector<Table> tables(std::string_view key);
  /// Line of the table's header, or of `key`'s value; 0 if absent.
  int line() const;
  int line(std::string_view key) const;
  /// Reports a problem at `key`'s line (the table's, if absent).
  void problem(std::string_view key, std::string message);

 private:
  friend class TomlDocument;
  Table(TomlDocument::Impl* document, const void* node) : document_(document), node_(node) {}
  TomlDocument::Impl* document_;
  const void* node_;  // const toml::table*, nullptr for an absent table
};

/// The whole file. Errors: kNotFound, kPermissionDenied, kInvalidArgument (over 1 MiB).
Result<std::string> read_config_file(const std::string& path);

}  // namespace proteus
