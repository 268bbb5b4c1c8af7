// Pages, as the store reads them from its disk. The first byte says whether the rest is a page, or the body of one (its
// checksum would keep a fuzzer out), with the numbers of ticks and series in front. Whatever it is, reading ends within
// its limits, and a directory agrees with itself.
#include "controller/store/page.h"

#include <cstdlib>

#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const std::int64_t unit : {1, 1000}) {
    store::PageBuilder builder(200, unit);
    std::uint32_t number = 0;
    for (const std::int64_t step : {0, 1, 3, 1000, 123'456'789}) {
      std::vector<std::int64_t> values;
      for (std::int64_t i = 0; i < 200; ++i) values.push_back(unit * (i * step + (step == 3 ? i * i % 17 : 0)));
      builder.add({++number, 0}, values, {});
      const store::PresenceWords some{0x00ffffff, 0, 0x5555, 1};
      builder.add({++number, 7}, values, some);
    }
    // Steps of very different sizes, and a series that moves as the one before it does.
    for (const std::int64_t apart : {0, 1}) {
      std::vector<std::int64_t> values{0};
      for (std::int64_t i = 1; i < 200; ++i) values.push_back(values.back() + unit * (i * i * 7919 % (2 << i % 14)));
      for (std::int64_t i = 0; i < 200; ++i) values[static_cast<std::size_t>(i)] += unit * apart * (i % 2);
      builder.add({++number, 0}, values, {});
    }
    all.push_back("p" + builder.finish());
  }
  // A body of three ticks and two series: unit 1; entities 1 and 3; buckets; constant and delta; first, last, sum,
  // size; a block of two differences of width 0 from reference 1.
  all.push_back(std::string("b\x03\x02", 3) +
                std::string("\x01\x01\x02\x00\x00\x20\x23\x0a\x00\x04\x03\x02\x00\x02", 14));
  // Three ticks and two series in classes, the second like the first: unit, entities, buckets, forms, first, last,
  // sums, sizes of payloads and rests; payloads; symbols; a byte of rests.
  all.push_back(std::string("b\x03\x02", 3) +
                std::string("\x01\x01\x01\x00\x00\x25\x25\x0a\x0a\x0c\x0c\x05\x05\x05\x05\x01\x00"
                            "\x01\x00\x02\x03\x01"
                            "\x06\x00\x01\x01\x00"
                            "\x00\x01\x00\x00"
                            "\x01",
                            32));
  return all;
}

namespace {

void read_whole(const store::Page& page) {
  std::vector<std::int64_t> values;
  std::vector<std::int64_t> some;
  std::vector<std::uint32_t> ticks;
  for (const store::PageEntry& entry : page.entries()) {
    const Status decoded = page.decode(entry, values);
    const Status placed = page.ticks_of(entry, ticks);
    if (entry.count == 0 || entry.count > page.ticks() || page.find(entry.key) != &entry) std::abort();
    if (decoded && values.size() != entry.count) std::abort();
    const std::uint32_t middle = entry.count / 2;
    if (page.decode_at(entry, {&middle, 1}, some).has_value() != decoded.has_value()) std::abort();
    if (decoded && some != std::vector<std::int64_t>{values[middle]}) std::abort();
    if (placed && (ticks.size() != entry.count || ticks.back() >= page.ticks())) std::abort();
  }
}

}  // namespace
}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  if (size < 3) return 0;
  if (data[0] == 'p') {
    if (const auto page = store::Page::open(fuzz::text_of(data + 1, size - 1))) fuzz::read_whole(*page);
    return 0;
  }
  if (const auto page = store::Page::from_body(fuzz::text_of(data + 3, size - 3), data[1], data[2])) {
    fuzz::read_whole(*page);
  }
  return 0;
}
