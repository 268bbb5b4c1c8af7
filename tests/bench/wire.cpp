#include <benchmark/benchmark.h>

#include "common/wire/telemetry_codec.h"
#include "tests/common/wire/telemetry_samples.h"

// Cost of a frame on the wire, per value, for a host with 100 VMs. Time per value = time per frame / values.
namespace proteus::wire {
namespace {

constexpr int kVms = 100;
constexpr std::uint64_t kFrames = 60;

/// A minute of one host: half of the counters stand still, the others move by up to a few milliseconds or kilobytes.
std::vector<Sample> make_minute() {
  std::mt19937_64 random(1);
  const auto catalog = make_catalog("h1", 1, 1, kVms);
  std::vector<Sample> samples;
  std::vector<std::int64_t> values(catalog->series.size(), 1'000'000'000);
  for (std::uint64_t sequence = 1; sequence <= kFrames; ++sequence) {
    Sample sample{catalog, {1, 1, sequence, from_unix_ns(static_cast<std::int64_t>(sequence)), {}, {}}};
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 2 == 0) values[i] += static_cast<std::int64_t>(random() % 5000) * info(catalog->series[i].kpi).quantum;
    }
    sample.frame.present.assign(values.size(), 1);
    sample.frame.values = values;
    samples.push_back(std::move(sample));
  }
  return samples;
}

void report(benchmark::State& state, std::size_t values) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * values));
  state.counters["ns_per_value"] = benchmark::Counter(static_cast<double>(state.iterations() * values) * 1e-9,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void encode_frames(benchmark::State& state) {
  const auto samples = make_minute();
  std::size_t bytes = 0;
  for (auto _ : state) {
    FrameEncoder encoder;
    std::vector<std::string> messages;
    bytes = 0;
    for (const Sample& sample : samples) encoder.encode(sample, messages);
    for (std::size_t i = 1; i < messages.size(); ++i) bytes += messages[i].size();
    benchmark::DoNotOptimize(messages);
  }
  const std::size_t values = samples.size() * samples[0].frame.values.size();
  report(state, values);
  state.counters["bytes_per_value"] = static_cast<double>(bytes) / static_cast<double>(values);
}
BENCHMARK(encode_frames)->Unit(benchmark::kMillisecond);

void decode_frames(benchmark::State& state) {
  const auto samples = make_minute();
  FrameEncoder encoder;
  std::vector<std::string> messages;
  for (const Sample& sample : samples) encoder.encode(sample, messages);
  FrameDecoder decoder;
  if (!decoder.add(*samples[0].catalog)) state.SkipWithError("catalog refused");
  for (auto _ : state) {
    for (std::size_t i = 1; i < messages.size(); ++i) {
      auto message = decode_upstream(messages[i]);
      auto sample = decoder.decode(std::get<EncodedFrame>(*message));
      if (!sample) state.SkipWithError("frame refused");
      benchmark::DoNotOptimize(sample);
    }
  }
  report(state, samples.size() * samples[0].frame.values.size());
}
BENCHMARK(decode_frames)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace proteus::wire

BENCHMARK_MAIN();
