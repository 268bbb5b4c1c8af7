#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "controller/forecast/global/network.h"
#include "controller/forecast/global/samples.h"
#include "controller/forecast/global/training_set.h"

namespace proteus::forecast::global {

/// What an ensemble can be made of.
enum class Member : std::uint8_t { kMlp, kLstm, kAr, kSeasonalAr };
inline constexpr std::size_t kMembers = 4;
/// As printed, for example "seasonal_ar".
const char* to_string(Member member);

struct TrainedNetwork {
  NetworkShape shape;
  std::vector<float> parameters;
  bool operator==(const TrainedNetwork&) const = default;
};

/// Factors on the distance of each level from the median, found on windows that were not learned from, so that
/// stated coverage is true coverage there. The median's own is 1.
using Calibration = Levels;

/// Networks of one kind, whose answers are averaged.
struct Committee {
  std::vector<TrainedNetwork> networks;
  /// One for each band of steps ahead, or for each of kWindows.
  std::vector<Calibration> calibration;
  bool operator==(const Committee&) const = default;
};

/// What training leaves: everything that a Forecaster needs.
struct Weights {
  Committee mlp;   ///< steps
  Committee lstm;  ///< steps, with an LSTM; may have no network
  Committee maxima;
  /// How the members of an ensemble are weighed by band of steps ahead, before a series has told otherwise.
  std::array<std::array<float, kMembers>, kBands> shares{};
  /// Of a step above the reservation, for each of kWindows (reservation.h).
  std::array<float, kWindows.size()> prices{};
  bool operator==(const Weights&) const = default;
};

/// Tells one set of weights from another: the checksum at the end of the file that write_weights() makes of them.
std::uint64_t weights_id(const Weights& weights);
/// What such a file holds.
std::string encode_weights(const Weights& weights);
/// Whole or not at all. Errors: kUnavailable if the file cannot be written; what was there before stays.
Status write_weights(const std::filesystem::path& file, const Weights& weights);
/// Errors: kNotFound; kCorrupt for a damaged file, and for what is no regular file or far too large; kUnsupported for
/// one of another version, or made for other features than this program computes.
Result<Weights> read_weights(const std::filesystem::path& file);
/// The same of a file's content. name: as errors call it.
Result<Weights> parse_weights(std::string_view bytes, const std::string& name);

}  // namespace proteus::forecast::global
