// A stream of telemetry messages from one agent, as a controller reads it.
#include <cstdlib>

#include "common/wire/catalog_check.h"
#include "common/wire/telemetry_codec.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const int vms : {0, 1, 2}) {
    std::mt19937_64 random(1);
    wire::FrameEncoder encoder(3);
    std::vector<std::string> messages;
    const auto catalog = make_catalog("h1", 7, 1, vms);
    for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) {
      encoder.encode(make_sample(catalog, sequence, random), messages);
    }
    std::erase_if(messages, [](const std::string& m) { return m.size() > 0xffff; });
    all.push_back(join(messages));
  }
  return all;
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  wire::TelemetryReader reader;
  for (const std::string_view message : fuzz::split(fuzz::text_of(data, size))) {
    const auto read = reader.read(HostId("h1"), message);
    if (!read || !*read) continue;
    const Sample& sample = **read;
    const std::size_t series = sample.catalog->series.size();
    if (!wire::check_catalog(*sample.catalog) || sample.frame.present.size() != series ||
        sample.frame.values.size() != series || sample.frame.sequence == 0) {
      std::abort();  // a frame that was accepted fits a good catalog
    }
    for (std::size_t i = 0; i < series; ++i) {
      if (sample.frame.values[i] % info(sample.catalog->series[i].kpi).quantum != 0) std::abort();
    }
  }
  return 0;
}
