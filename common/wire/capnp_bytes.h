#pragma once

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <fmt/core.h>
#include <kj/exception.h>
#include <kj/io.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"
#include "common/wire/text.h"

/// Cap'n Proto at the edge: bytes in, bytes out, no exception passes. Included by the codecs only.
namespace proteus::wire {

struct DecodeLimits {
  std::size_t bytes_max = 0;
  int nesting_max = 8;
  std::size_t traversal_words_min = 0;  ///< that may be read however small the message is
};

/// Opens `bytes` as one message and gives its Root reader to `decode`, which returns a Result.
/// ZeroMQ's buffers are mostly not aligned to 8 bytes, which the reader insists on; those are copied first. The
/// traversal limit follows from the size, so that pointers which share a target cannot make a small message long to
/// read. Errors: kCorrupt if the bytes are no such message; what `decode` returns.
template <typename Root, typename Decode>
auto with_message(std::string_view bytes, const DecodeLimits& limits, Decode decode)
    -> decltype(decode(std::declval<typename Root::Reader>())) {
  if (bytes.size() > limits.bytes_max) {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("message of {} bytes is larger than {}", bytes.size(), limits.bytes_max)};
  }
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    return Error{ErrorCode::kCorrupt, fmt::format("message of {} bytes is not whole words", bytes.size())};
  }
  try {
    const std::size_t count = bytes.size() / sizeof(capnp::word);
    kj::Array<capnp::word> copy;
    kj::ArrayPtr<const capnp::word> words(reinterpret_cast<const capnp::word*>(bytes.data()), count);
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(capnp::word) != 0) {
      copy = kj::heapArray<capnp::word>(count);
      std::memcpy(copy.asBytes().begin(), bytes.data(), bytes.size());
      words = copy;
    }
    capnp::ReaderOptions options;
    options.traversalLimitInWords = std::max(2 * words.size() + 64, limits.traversal_words_min);
    options.nestingLimit = limits.nesting_max;
    capnp::FlatArrayMessageReader reader(words, options);
    return decode(reader.getRoot<Root>());
  } catch (const kj::Exception& e) {
    return Error{ErrorCode::kCorrupt, fmt::format("malformed message: {}", clean_text(e.getDescription().cStr(), 200))};
  }
}

inline std::string to_bytes(capnp::MessageBuilder& message) {
  struct Appender final : kj::OutputStream {
    void write(const void* bytes, std::size_t size) override { text.append(static_cast<const char*>(bytes), size); }
    std::string text;
  } out;
  out.text.reserve(capnp::computeSerializedSizeInWords(message) * sizeof(capnp::word));
  capnp::writeMessage(out, message);
  return std::move(out.text);
}

}  // namespace proteus::wire
