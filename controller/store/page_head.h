#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/store/page.h"

/// The fixed part in front of a page's body, drawn in page.h, and the form byte of its directory. Thread: pure.
namespace proteus::store {

constexpr std::uint8_t kPageFormat = 1;
constexpr std::uint8_t kPageFormatClassed = 2;
constexpr std::size_t kPageHeadBytes = 24;
constexpr std::size_t kPagePartsBytes = 12;  ///< behind the head of the latter

struct PageHead {
  std::uint8_t format = kPageFormat;
  bool compressed = false;
  std::uint32_t ticks = 0;
  std::uint32_t series = 0;
  std::uint32_t body_bytes = 0;
};

/// How the body of a page with classes is divided.
struct PageParts {
  std::uint32_t front = 0;           ///< directory and payloads
  std::uint32_t front_stored = 0;    ///< as they are in the page: less, if compressed
  std::uint32_t symbols_stored = 0;  ///< likewise
};

/// Writes head and checksum over the first kPageHeadBytes of `page`, of which all else is in place.
void write_head(const PageHead& head, std::string& page);
/// Errors: kCorrupt (checksum, limits); kUnsupported for another format.
Result<PageHead> read_head(std::string_view page);
void append_parts(const PageParts& parts, std::string& page);
/// rest: the page behind its head, which is taken off. Errors: kCorrupt.
Result<PageParts> take_parts(std::string_view& rest);

std::uint8_t form_of(Mode mode, Presence presence, bool monotone, bool has_shift);

}  // namespace proteus::store
