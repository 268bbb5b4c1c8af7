#include "controller/store/page_head.h"

#include <xxhash.h>

#include <bit>
#include <cstring>

namespace proteus::store {
namespace {

static_assert(std::endian::native == std::endian::little, "the head is written as the machine holds it");

constexpr std::size_t kChecksumAt = 16;

std::uint64_t checksum_of(std::string_view page) {
  const std::uint64_t head = XXH64(page.data(), kChecksumAt, 0);
  return XXH64(page.data() + kPageHeadBytes, page.size() - kPageHeadBytes, head);
}

}  // namespace

void write_head(const PageHead& head, std::string& page) {
  page[0] = static_cast<char>(head.format);
  page[1] = head.compressed ? 1 : 0;
  page[2] = page[3] = 0;
  std::memcpy(page.data() + 4, &head.ticks, 4);
  std::memcpy(page.data() + 8, &head.series, 4);
  std::memcpy(page.data() + 12, &head.body_bytes, 4);
  const std::uint64_t checksum = checksum_of(page);
  std::memcpy(page.data() + kChecksumAt, &checksum, 8);
}

Result<PageHead> read_head(std::string_view page) {
  if (page.size() < kPageHeadBytes) return Error{ErrorCode::kCorrupt, "a page is cut off"};
  std::uint64_t checksum = 0;
  std::memcpy(&checksum, page.data() + kChecksumAt, 8);
  if (checksum != checksum_of(page)) return Error{ErrorCode::kCorrupt, "a page's checksum is wrong"};
  const auto format = static_cast<std::uint8_t>(page[0]);
  if (format != kPageFormat && format != kPageFormatClassed) {
    return Error{ErrorCode::kUnsupported, "a page is of a format that this version does not know"};
  }
  PageHead head{.format = format, .compressed = page[1] != 0};
  std::memcpy(&head.ticks, page.data() + 4, 4);
  std::memcpy(&head.series, page.data() + 8, 4);
  std::memcpy(&head.body_bytes, page.data() + 12, 4);
  return head;
}

void append_parts(const PageParts& parts, std::string& page) {
  for (const std::uint32_t size : {parts.front, parts.front_stored, parts.symbols_stored}) {
    page.append(reinterpret_cast<const char*>(&size), 4);
  }
}

Result<PageParts> take_parts(std::string_view& rest) {
  if (rest.size() < kPagePartsBytes) return Error{ErrorCode::kCorrupt, "a page is cut off"};
  PageParts parts;
  std::memcpy(&parts.front, rest.data(), 4);
  std::memcpy(&parts.front_stored, rest.data() + 4, 4);
  std::memcpy(&parts.symbols_stored, rest.data() + 8, 4);
  rest.remove_prefix(kPagePartsBytes);
  if (parts.front_stored > rest.size() || parts.symbols_stored > rest.size() - parts.front_stored) {
    return Error{ErrorCode::kCorrupt, "a page's parts are impossible"};
  }
  return parts;
}

std::uint8_t form_of(Mode mode, Presence presence, bool monotone, bool has_shift) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(mode) | static_cast<unsigned>(presence) << 3 |
                                   (monotone ? 1u << 5 : 0u) | (has_shift ? 1u << 6 : 0u));
}

}  // namespace proteus::store
