#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace proteus {

/// Writes state, field by field. With StateReader it makes one description of a state serve both ways:
///   template <typename Archive> void archive(Archive& a) { a(field_); a(other_); }
/// Numbers are little-endian, lists and texts carry their length in 4 bytes.
class StateWriter {
 public:
  static constexpr bool kReading = false;
  explicit StateWriter(std::string& out) : out_(out) {}

  template <typename T>
  void operator()(const T& value) {
    static_assert(std::is_arithmetic_v<T>);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out_.append(bytes, sizeof(T));
  }
  void operator()(const std::string& text) {
    (*this)(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }
  template <typename T>
  void operator()(const std::vector<T>& list) {
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const T& value : list) (*this)(value);
  }

 private:
  std::string& out_;
};

/// Reads what StateWriter wrote. Past the end, or at a length that cannot be, ok() turns false and values stay.
class StateReader {
 public:
  static constexpr bool kReading = true;
  explicit StateReader(std::string_view in) : in_(in) {}

  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  /// For a caller that finds what was read impossible.
  void fail() { ok_ = false; }

  template <typename T>
  void operator()(T& value) {
    static_assert(std::is_arithmetic_v<T>);
    const std::string_view part = take(sizeof(T));
    if (ok_) std::memcpy(&value, part.data(), sizeof(T));
  }
  void operator()(std::string& text) {
    const std::string_view part = take(length(1));
    if (ok_) text = std::string(part);
  }
  template <typename T>
  void operator()(std::vector<T>& list) {
    const std::size_t count = length(sizeof(T));
    if (!ok_) return;
    list.resize(count);
    for (T& value : list) (*this)(value);
  }

 private:
  std::size_t length(std::size_t item_bytes) {
    std::uint32_t count = 0;
    (*this)(count);
    if (ok_ && count > in_.size() / item_bytes) ok_ = false;
    return ok_ ? count : 0;
  }
  std::string_view take(std::size_t size) {
    if (size > in_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view part = in_.substr(0, size);
    in_.remove_prefix(size);
    return part;
  }

  std::string_view in_;
  bool ok_ = true;
};

}  // namespace proteus
