#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace proteus {

/// What kind of trouble an Error is; callers branch on this, people read the message.
enum class ErrorCode {
  kInvalidArgument,     ///< the caller's input is wrong and stays wrong
  kNotFound,            ///< host, domain, key or file does not exist (any more)
  kAlreadyExists,       ///< the thing to be made is there already
  kPermissionDenied,    ///< key, user or rule forbids it
  kFailedPrecondition,  ///< the world is not in the state that the call requires
  kUnavailable,         ///< may work later: peer gone, busy, disk full
  kDeadlineExceeded,    ///< time ran out
  kUnsupported,         ///< this host, kernel or library cannot do it
  kCorrupt,             ///< bytes that do not decode or fail their checksum
  kInternal,            ///< a foreign library failed in a way we do not classify
};

/// The code's name as printed in JSON and logs, for example "not_found".
const char* to_string(ErrorCode code);

/// Expected trouble, as a value.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  ///< one sentence, outermost context first
};

/// Puts context in front of an error's message: with_context(e, "open store") -> "open store: …".
Error with_context(Error error, const std::string& context);

/// A value or an Error, shaped like std::expected (C++23).
/// value() and error() assert on misuse, in release too.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const { return error_.value(); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace proteus
