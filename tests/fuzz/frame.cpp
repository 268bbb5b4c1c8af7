// The columns of frames against a catalog that both sides know: presence masks and differences as an agent likes.
#include <cstdlib>

#include "common/wire/telemetry_codec.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::mt19937_64 random(2);
  wire::FrameEncoder encoder(2);
  std::vector<std::string> columns;
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    std::vector<std::string> messages;
    encoder.encode(make_sample(make_catalog("h1", 7, 1, 1), sequence, random), messages);
    const auto upstream = wire::decode_upstream(messages.back());
    const auto& frame = std::get<wire::EncodedFrame>(*upstream);
    columns.push_back(frame.presence);
    columns.push_back(frame.values);
  }
  return {join(columns), join({columns[0], columns[1]})};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  static const auto catalog = make_catalog("h1", 7, 1, 1);
  wire::FrameDecoder decoder;
  if (!decoder.add(*catalog)) std::abort();
  const auto columns = fuzz::split(fuzz::text_of(data, size));
  std::uint64_t good = 0;  // sequence of the last frame that was accepted
  for (std::size_t i = 0; i + 1 < columns.size(); i += 2) {
    const std::uint64_t sequence = good + 1;
    const wire::EncodedFrame frame{.boot_id = 7,
                                   .catalog_version = 1,
                                   .sequence = sequence,
                                   .base_sequence = i % 4 == 0 ? 0 : good,
                                   .previous_sequence = good,
                                   .time = from_unix_ns(1),
                                   .presence = std::string(columns[i]),
                                   .values = std::string(columns[i + 1])};
    const auto sample = decoder.decode(frame);
    if (!sample) continue;
    if (sample->frame.values.size() != catalog->series.size()) std::abort();
    good = sequence;
  }
  return 0;
}
