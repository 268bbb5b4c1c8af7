#include "controller/forecast/global/weights.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/mixture.h"
#include "controller/forecast/global/shipped_weights.h"
#include "tests/controller/forecast/global/small_weights.h"

namespace proteus::forecast::global {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void put_content(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(Weights, WhatIsWrittenIsReadAndDamageIsNoticed) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "weights_test.bin";
  const Weights weights = small_weights();
  ASSERT_TRUE(write_weights(file, weights));
  Result<Weights> read = read_weights(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, weights);

  const std::string good = content(file);
  EXPECT_EQ(good.substr(0, 8), "PRTSFCST");
  EXPECT_EQ(good[8], 1) << "the version";
  for (const std::size_t at : {std::size_t{0}, std::size_t{9}, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    put_content(file, bad);
    Result<Weights> damaged = read_weights(file);
    ASSERT_FALSE(damaged) << at;
    EXPECT_EQ(damaged.error().code, ErrorCode::kCorrupt) << at;
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{10}, good.size() - 8}) {
    put_content(file, good.substr(0, length));
    ASSERT_FALSE(read_weights(file)) << length;
  }
  std::filesystem::remove(file);
  Result<Weights> absent = read_weights(file);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
}

TEST(Weights, MadeForOtherFeaturesAreRefused) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "weights_other_test.bin";
  Weights weights = small_weights();
  NetworkShape& shape = weights.mlp.networks[0].shape;
  ++shape.window_inputs;
  weights.mlp.networks[0].parameters.resize(shape.parameter_count(), 0.0F);
  ASSERT_TRUE(write_weights(file, weights));
  Result<Weights> read = read_weights(file);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kUnsupported);
  std::filesystem::remove(file);
}

TEST(Weights, TheShippedOnesAreThoseOfTheFile) {
  const std::filesystem::path file =
      std::filesystem::path(PROTEUS_SOURCE_DIR) / "controller/forecast/global/weights.bin";
  Result<Weights> read = read_weights(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(*shipped_weights() == *read);
  const std::string bytes = content(file);
  std::uint64_t id = 0;
  std::memcpy(&id, bytes.data() + bytes.size() - sizeof id, sizeof id);
  EXPECT_EQ(weights_id(*shipped_weights()), id);
  EXPECT_FALSE(read->lstm.networks.empty());
  for (const auto& band : read->shares) EXPECT_NEAR(band[0] + band[1] + band[2] + band[3], 1, 1e-5);
}

TEST(WeightsFile, AFailedWriteLeavesWhatWasThere) {
  const std::string file = ::testing::TempDir() + "kept_weights.bin";
  ASSERT_TRUE(write_weights(file, *shipped_weights()));
  ASSERT_TRUE(std::filesystem::create_directory(file + ".new"));  // stands in the way of the new one
  std::ofstream(file + ".new/full") << "x";
  Weights other = *shipped_weights();
  other.prices[0] += 1;
  EXPECT_EQ(write_weights(file, other).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(*read_weights(file), *shipped_weights());
  std::filesystem::remove_all(file + ".new");
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace proteus::forecast::global
