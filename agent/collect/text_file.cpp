#include "agent/collect/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <utility>

namespace proteus::collect {
namespace {

constexpr std::size_t kFirstBufferBytes = 1024;
constexpr std::size_t kFileBytesMax = 4 << 20;
constexpr ssize_t kShortReadBytes = 2048;
constexpr std::string_view kBlanks = " \t";

}  // namespace

TextFile::~TextFile() {
  close();
}

TextFile::TextFile(TextFile&& other) noexcept
    : path_(std::move(other.path_)),
      records_(other.records_),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)) {}

TextFile& TextFile::operator=(TextFile&& other) noexcept {
  if (this != &other) {
    close();
    path_ = std::move(other.path_);
    records_ = other.records_;
    fd_ = std::exchange(other.fd_, -1);
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

bool TextFile::open() {
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  return fd_ >= 0;
}

void TextFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::optional<std::string_view> TextFile::read() {
  if (!open()) return std::nullopt;
  if (buffer_.empty()) buffer_.resize(kFirstBufferBytes);
  std::size_t length = 0;
  for (;;) {
    const ssize_t n = ::pread(fd_, buffer_.data() + length, buffer_.size() - length, static_cast<off_t>(length));
    if (n < 0) {
      close();  // the process or group behind it is gone
      return std::nullopt;
    }
    length += static_cast<std::size_t>(n);
    if (n == 0 || length == kFileBytesMax) return std::string_view(buffer_.data(), length);
    if (length == buffer_.size()) {
      buffer_.resize(buffer_.size() * 2);
    } else if (records_ == FileRecords::kShort && n < kShortReadBytes) {
      // The kernel fills at least a page less one record: this was the end. Asking again costs as much as the first
      // time.
      return std::string_view(buffer_.data(), length);
    }
  }
}

std::optional<std::string> read_file(const std::string& path) {
  TextFile file(path);
  const auto text = file.read();
  if (!text) return std::nullopt;
  return std::string(*text);
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  const std::size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + start, text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range && text[start] != '-') return INT64_MAX;  // cgroup v1's "no limit"
  if (error != std::errc{}) return std::nullopt;
  return value;
}

std::optional<std::int64_t> number_after(std::string_view text, std::string_view key) {
  while (auto line = take_line(text)) {
    if (line->size() > key.size() && line->substr(0, key.size()) == key &&
        kBlanks.find((*line)[key.size()]) != std::string_view::npos) {
      return parse_number(line->substr(key.size()));
    }
  }
  return std::nullopt;
}

std::string_view take_word(std::string_view& line) {
  const std::size_t start = line.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) {
    line = {};
    return {};
  }
  const std::size_t end = line.find_first_of(kBlanks, start);
  const std::string_view word = line.substr(start, end == std::string_view::npos ? end : end - start);
  line = end == std::string_view::npos ? std::string_view{} : line.substr(end);
  return word;
}

std::optional<std::string_view> take_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return line;
}

std::string under(const std::string& root, std::string_view path) {
  std::string joined = root;
  while (!joined.empty() && joined.back() == '/') joined.pop_back();
  joined += path;
  return joined;
}

}  // namespace proteus::collect
