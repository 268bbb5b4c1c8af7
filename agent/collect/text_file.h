#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace proteus::collect {

/// What the kernel makes a file of: it hands out whole records, as many as fit into one of its pages.
enum class FileRecords {
  kAny,    ///< a read may end anywhere: the end is where nothing more comes
  kShort,  ///< each far below 2 KiB, or one alone is the file: a shorter read has reached the end
};

/// A small procfs, sysfs or cgroup file that is kept open and reread from its start.
/// A file that was not there is looked for again at every read, so one that appears later is found.
/// Thread: owned by one.
class TextFile {
 public:
  explicit TextFile(std::string path, FileRecords records = FileRecords::kAny)
      : path_(std::move(path)), records_(records) {}
  ~TextFile();
  TextFile(TextFile&& other) noexcept;
  TextFile& operator=(TextFile&& other) noexcept;
  TextFile(const TextFile&) = delete;
  TextFile& operator=(const TextFile&) = delete;

  /// The whole content, valid until the next read(); nullopt if it cannot be read now.
  std::optional<std::string_view> read();
  const std::string& path() const { return path_; }

 private:
  bool open();
  void close();

  std::string path_;
  FileRecords records_;
  int fd_ = -1;
  std::vector<char> buffer_;
};

/// The content of a file that is read once; nullopt if it cannot be.
std::optional<std::string> read_file(const std::string& path);

/// The number at the start of `text` (leading blanks allowed); "max" and anything else is nullopt.
std::optional<std::int64_t> parse_number(std::string_view text);
/// The number after `key` and blanks, `key` being at the start of a line: number_after("a 1\nb 2\n", "b") is 2.
std::optional<std::int64_t> number_after(std::string_view text, std::string_view key);
/// Takes the next word of a line of words separated by blanks; empty when there is none.
std::string_view take_word(std::string_view& line);
/// Takes the next line without its newline; nullopt at the end.
std::optional<std::string_view> take_line(std::string_view& text);

/// `root` + `path`, where path begins with '/' and root may end with one.
std::string under(const std::string& root, std::string_view path);

}  // namespace proteus::collect
