// A series' state as the store keeps it, behind its hash: what a damaged but well hashed state may do.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "controller/forecast/engine.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {
namespace {

constexpr std::size_t kHashAt = 1;  // behind the version
constexpr std::size_t kHashBytes = 8;
const forecast::SeriesKey kKey{VmId("vm"), forecast::Resource::kCpu};

forecast::EngineOptions options() {
  forecast::EngineOptions options;
  options.step = std::chrono::seconds(60);
  options.horizon_steps = 3;
  options.history_steps = 64;
  return options;
}

Timestamp minute(int i) {
  return from_unix_ns(1'700'000'040'000'000'000) + std::chrono::minutes(i);
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const int steps : {1, 8, 40}) {
    forecast::Engine engine(options());
    for (int i = 0; i < steps; ++i) engine.observe(kKey.vm, kKey.resource, minute(i), 1 + i % 3);
    std::string bytes = engine.save(kKey)->bytes;
    all.push_back(bytes.erase(kHashAt, kHashBytes));
  }
  return all;
}

void restore(std::string_view input) {
  std::string bytes(input.substr(0, kHashAt));
  const std::string_view body = input.substr(bytes.size());
  const std::uint64_t hash = forecast::stable_hash(body);
  bytes.append(reinterpret_cast<const char*>(&hash), kHashBytes);
  bytes += body;
  forecast::Engine engine(options());
  if (!engine.restore({kKey, bytes})) return;
  const auto before = engine.forecast(kKey.vm, kKey.resource, minute(100));
  engine.observe(kKey.vm, kKey.resource, minute(101), 2);
  engine.observe(kKey.vm, kKey.resource, minute(102), 2);
  const auto after = engine.forecast(kKey.vm, kKey.resource, minute(102));
  if (!before || !after) std::abort();  // what was restored is there
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  proteus::fuzz::restore(proteus::fuzz::text_of(data, size));
  return 0;
}
