// A file that `proteusctl record` cut, or that somebody says it did. The first byte says what the rest is: 'f' the file
// itself; 'c' the entries of a chunk, 't' the totals at its end, which checksums would keep a fuzzer out of. Whatever
// it is, reading ends, and a file that is read whole holds what its summary says.
#include "controller/replay/recording.h"

#include <xxhash.h>
#include <zstd.h>

#include <cstdlib>
#include <random>
#include <variant>

#include "controller/store/journal.h"
#include "tests/controller/store/journal_samples.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_file.h"

namespace proteus::fuzz {
namespace {

/// Numbers stand as on a little-endian machine, which is what this is.
template <typename Number>
std::string number(Number value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string checked(std::string_view bytes) {
  return std::string(bytes) + number(std::uint64_t{XXH64(bytes.data(), bytes.size(), 0)});
}

std::string head() {
  const std::string description = number(std::int64_t{1}) + number(std::int64_t{2}) + number(std::uint16_t{1}) + "1";
  return "PROTEUSR" + number(std::uint32_t{1}) + number(static_cast<std::uint32_t>(description.size())) +
         checked(description);
}

std::string chunk(std::string_view entries) {
  std::string packed(ZSTD_compressBound(entries.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), entries.data(), entries.size(), 1));
  return number(static_cast<std::uint32_t>(packed.size())) + number(static_cast<std::uint32_t>(entries.size())) +
         number(std::uint64_t{XXH64(packed.data(), packed.size(), 0)}) + packed;
}

std::string trailer(std::string_view totals) {
  return number(std::uint32_t{0}) + number(static_cast<std::uint32_t>(totals.size())) + checked(totals);
}

std::string entry(std::uint8_t kind, std::uint64_t lsn, const std::string& body) {
  return number(kind) + number(lsn) + number(static_cast<std::uint32_t>(body.size())) + body;
}

std::string telemetry(std::uint64_t sequence) {
  return number(std::int64_t{5}) + number(std::uint64_t{7}) + number(sequence) + number(std::uint32_t{1}) +
         number(std::uint64_t{0}) + number(std::uint16_t{2}) + "h1" + "bytes";
}

}  // namespace

std::vector<std::string> seeds() {
  const std::string totals = number(std::uint64_t{1}) + number(std::uint64_t{0}) + number(std::uint16_t{2}) + "h1";
  std::vector<std::string> all = {"f" + head() + chunk(entry(1, 9, telemetry(3))) + trailer(totals), "t" + totals,
                                  "c" + entry(1, 9, telemetry(3)) + entry(1, 10, telemetry(4))};
  std::mt19937_64 random(3);
  for (std::size_t kind = 0; kind < std::variant_size_v<store::JournalPayload>; ++kind) {
    const store::JournalEntry sample{0, from_unix_ns(5), store::random_payload(random, kind)};
    all.push_back("c" + entry(2, 11 + kind, store::encode(sample)));
  }
  return all;
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  if (size < 2) return 0;
  const std::string_view rest = fuzz::text_of(data + 1, size - 1);
  std::string content(rest);
  if (data[0] == 'c') content = fuzz::head() + fuzz::chunk(rest) + fuzz::trailer(std::string(16, '\0'));
  if (data[0] == 't') content = fuzz::head() + fuzz::trailer(rest);
  const fuzz::MemoryFile file(content);
  std::uint64_t raw = 0;
  std::uint64_t journal = 0;
  const auto read = replay::read_recording(file.path(), {.raw =
                                                             [&](const store::RawMessage& message) {
                                                               raw += message.bytes.size() <= size ? 1 : 2;
                                                               return true;
                                                             },
                                                         .journal =
                                                             [&](const store::JournalEntry&) {
                                                               ++journal;
                                                               return true;
                                                             }});
  if (data[0] != 'f' && raw > size) std::abort();
  if (read && data[0] != 'c' && (read->raw_messages != raw || read->journal_entries != journal)) std::abort();
  return 0;
}
