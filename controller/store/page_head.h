#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "controller/store/page.h"

/// The fixed part in front of a page's body, drawn in page.h, and the form byte of its directory. Thread: pure.
namespace proteus::store {

constexpr std::uint8_t kPageFormat = 1;
constexpr std::size_t kPageHeadBytes = 24;

struct PageHead {
  bool compressed = false;
  std::uint32_t ticks = 0;
  std::uint32_t series = 0;
  std::uint32_t body_bytes = 0;
};

/// Writes head and checksum over the first kPageHeadBytes of `page`, whose body is in place.
void write_head(const PageHead& head, std::string& page);
/// Errors: kCorrupt (checksum, limits); kUnsupported for another format.
Result<PageHead> read_head(std::string_view page);

std::uint8_t form_of(Mode mode, Presence presence, bool monotone, bool has_shift);

}  // namespace proteus::store
