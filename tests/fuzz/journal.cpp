// An entry of the journal, as a store's disk or a recording of another controller holds it. What decodes can be encoded
// and decodes to the same bytes again.
#include "controller/store/journal.h"

#include <cstdlib>
#include <random>

#include "tests/controller/store/journal_samples.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::mt19937_64 random(1);
  std::vector<std::string> all;
  for (std::size_t kind = 0; kind < std::variant_size_v<store::JournalPayload>; ++kind) {
    all.push_back(store::encode({7, from_unix_ns(1'700'000'000'000'000'000), store::random_payload(random, kind)}));
  }
  return all;
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const auto entry = store::decode_journal_entry(fuzz::text_of(data, size));
  if (!entry) return 0;
  const std::string bytes = store::encode(*entry);
  const auto again = store::decode_journal_entry(bytes);
  if (!again || store::encode(*again) != bytes) std::abort();
  return 0;
}
