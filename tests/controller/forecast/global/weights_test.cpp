#include "controller/forecast/global/weights.h"

#include <gtest/gtest.h>
#include <xxhash.h>

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
  EXPECT_EQ(good[8], 2) << "the version";
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
  // A directory opens as a file does, and throws when it is read; a device may have no end.
  for (const std::string& none : {testing::TempDir(), std::string("/dev/zero")}) {
    EXPECT_NE(read_weights(none).error().message.find("is no regular file"), std::string::npos) << none;
  }
  put_content(file, "");
  std::filesystem::resize_file(file, std::uintmax_t{1} << 30);  // sparse
  EXPECT_NE(read_weights(file).error().message.find("is too large"), std::string::npos);
  std::filesystem::remove(file);
}

/// As fine-tuned ones may lie on a disk.
TEST(Weights, ThoseOfVersionOneKnowOfNoSignals) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "weights_v1_test.bin";
  const Weights weights = small_weights();
  ASSERT_TRUE(write_weights(file, weights));
  const std::string now = content(file);
  // Without the last two sizes of each network.
  std::string old = now.substr(0, 8) + std::string("\1\0\0\0", 4);
  std::size_t at = 12;
  for (const Committee* committee : {&weights.mlp, &weights.lstm, &weights.maxima}) {
    old += now.substr(at, 4);
    at += 4;
    for (const TrainedNetwork& network : committee->networks) {
      old += now.substr(at, 32);
      old += now.substr(at + 40, network.parameters.size() * sizeof(float));
      at += 40 + network.parameters.size() * sizeof(float);
    }
    const std::size_t rest = 4 + committee->calibration.size() * sizeof(Calibration);
    old += now.substr(at, rest);
    at += rest;
  }
  old += now.substr(at, now.size() - 8 - at);
  const std::uint64_t hash = XXH64(old.data(), old.size(), 0);
  old.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  const Result<Weights> read = parse_weights(old, "old");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, weights);
  std::filesystem::remove(file);
}

TEST(Weights, NetworksThatKnowOfSignalsAnswerTogether) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "weights_signals_test.bin";
  Weights weights = small_weights();
  const auto teach = [](TrainedNetwork& network) {
    network.shape.signal_inputs = kSignalInputs;
    network.shape.signal_outputs = kLevels.size();
    network.parameters = with_signals(network.shape, network.parameters, -2);
  };
  weights.mlp.networks.push_back(weights.mlp.networks.front());
  teach(weights.mlp.networks[0]);
  ASSERT_TRUE(write_weights(file, weights));
  EXPECT_EQ(read_weights(file).error().code, ErrorCode::kUnsupported) << "one of two";
  teach(weights.mlp.networks[1]);
  ASSERT_TRUE(write_weights(file, weights));
  const Result<Weights> read = read_weights(file);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, weights);
  std::filesystem::remove(file);
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
