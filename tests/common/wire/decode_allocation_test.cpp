// How often decoding a frame asks for memory: the same few times whether it holds a hundred samples or ten thousand.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "common/wire/telemetry_codec.h"
#include "tests/common/wire/telemetry_samples.h"

namespace {

std::atomic<std::uint64_t> allocations_count{0};

}  // namespace

// Not inlined: g++ would take the malloc and the free of different calls for a pair that does not match.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations_count;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations_count;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace proteus::wire {
namespace {

/// Allocations of decoding the second frame of a host with so many VMs.
std::uint64_t allocations_of(int vm_count, std::size_t& sample_count) {
  std::mt19937_64 random(1);
  FrameEncoder encoder;
  TelemetryReader reader;
  const auto catalog = make_catalog("h1", 1, 1, vm_count);
  std::vector<std::string> messages;
  encoder.encode(make_sample(catalog, 1, random), messages);
  encoder.encode(make_sample(catalog, 2, random), messages);
  for (std::size_t i = 0; i + 1 < messages.size(); ++i) EXPECT_TRUE(reader.read(HostId("h1"), messages[i]));
  sample_count = catalog->series.size();
  const std::uint64_t before = allocations_count;
  const auto sample = reader.read(HostId("h1"), messages.back());
  const std::uint64_t after = allocations_count;
  EXPECT_TRUE(sample && *sample);
  return after - before;
}

TEST(DecodeAllocation, DoesNotGrowWithTheSamples) {
  std::size_t few = 0;
  std::size_t many = 0;
  const std::uint64_t of_few = allocations_of(1, few);
  const std::uint64_t of_many = allocations_of(50, many);
  EXPECT_GT(many, 20 * few);
  EXPECT_EQ(of_many, of_few);
  EXPECT_LT(of_few, 20u);
}

}  // namespace
}  // namespace proteus::wire
