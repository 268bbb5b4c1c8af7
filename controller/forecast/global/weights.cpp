#include "controller/forecast/global/weights.h"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>
#include <type_traits>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/mixture.h"

// The file, all numbers little-endian:
//
//   8 bytes   "PRTSFCST"
//   u32       version, 2
//   3 ×       committee (mlp, lstm, maxima):
//     u32       networks
//     each:     10 × u32 shape (window inputs, row inputs, hidden 1, hidden 2, outputs, LSTM hidden, LSTM inputs,
//               LSTM steps, signal inputs, signal outputs; the last two are missing in version 1, whose networks know
//               of no signals), then its parameters as f32; their number follows from the shape
//     u32       calibrations
//     each:     5 × f32, one for each level
//   3 × 4 ×   f32 shares, by band of steps ahead, then member
//   2 × f32   prices of a step above the reservation (of an hour, of a day)
//   u64       XXH64 (seed 0) of everything before it

namespace proteus::forecast::global {

namespace {

static_assert(std::endian::native == std::endian::little, "the file is copied to and from memory as it is");

constexpr std::string_view kMagic = "PRTSFCST";
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kCountMax = 64;   // networks of a committee
constexpr std::uint32_t kSizeMax = 4096;  // of a layer
constexpr std::uintmax_t kFileBytesMax = 64u << 20;

template <class T>
void put(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put(std::string& out, const Committee& committee) {
  put(out, static_cast<std::uint32_t>(committee.networks.size()));
  for (const TrainedNetwork& network : committee.networks) {
    const NetworkShape& s = network.shape;
    for (const std::uint32_t size : {s.window_inputs, s.row_inputs, s.hidden1, s.hidden2, s.outputs, s.lstm_hidden,
                                     s.lstm_inputs, s.lstm_steps, s.signal_inputs, s.signal_outputs}) {
      put(out, size);
    }
    for (const float parameter : network.parameters) put(out, parameter);
  }
  put(out, static_cast<std::uint32_t>(committee.calibration.size()));
  for (const Calibration& calibration : committee.calibration) put(out, calibration);
}

/// Takes values off the front; after an attempt to take more than there is, good() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return good_ && bytes_.empty(); }
  template <class T>
  T take() {
    T value{};
    take_into(&value, sizeof value);
    return value;
  }
  void take_into(void* target, std::size_t size) {
    if (bytes_.size() < size) good_ = false;
    if (!good_ || size == 0) return;
    std::memcpy(target, bytes_.data(), size);
    bytes_.remove_prefix(size);
  }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

bool all_finite(std::span<const float> values) {
  for (const float value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

/// False if the bytes are no committee of that version.
bool take(Reader& reader, std::uint32_t version, Committee& committee) {
  const auto networks = reader.take<std::uint32_t>();
  if (networks > kCountMax) return false;
  for (std::uint32_t i = 0; i < networks && reader.good(); ++i) {
    TrainedNetwork network;
    NetworkShape& s = network.shape;
    for (std::uint32_t* size : {&s.window_inputs, &s.row_inputs, &s.hidden1, &s.hidden2, &s.outputs, &s.lstm_hidden,
                                &s.lstm_inputs, &s.lstm_steps, &s.signal_inputs, &s.signal_outputs}) {
      const bool about_signals = size == &s.signal_inputs || size == &s.signal_outputs;
      *size = version == 1 && about_signals ? 0 : reader.take<std::uint32_t>();
      if (*size > kSizeMax) return false;
    }
    if (s.parameter_count() > reader.left() / sizeof(float)) return false;
    network.parameters.resize(s.parameter_count());
    reader.take_into(network.parameters.data(), network.parameters.size() * sizeof(float));
    if (!all_finite(network.parameters)) return false;
    committee.networks.push_back(std::move(network));
  }
  const auto calibrations = reader.take<std::uint32_t>();
  if (calibrations > kCountMax) return false;
  for (std::uint32_t i = 0; i < calibrations; ++i) committee.calibration.push_back(reader.take<Calibration>());
  for (const Calibration& calibration : committee.calibration) {
    if (!all_finite(calibration)) return false;
  }
  return reader.good();
}

bool fits(const Committee& committee, std::size_t rows, std::size_t anchors, std::size_t calibrations) {
  for (const TrainedNetwork& network : committee.networks) {
    const NetworkShape& s = network.shape;
    if (s.window_inputs != kWindowInputs || s.row_inputs != rows || s.outputs != Mixture(anchors).outputs()) {
      return false;
    }
    if (s.signal_inputs != (s.signal_outputs > 0 ? kSignalInputs : 0)) return false;
    if (s.signal_outputs != 0 && s.signal_outputs != kLevels.size()) return false;
    if (s.signal_outputs != committee.networks.front().shape.signal_outputs) return false;  // they answer together
    if (s.lstm_hidden > 0 && (s.lstm_inputs != kSequenceInputs || s.lstm_steps != kSequenceSteps)) return false;
  }
  return committee.networks.empty() || committee.calibration.size() == calibrations;
}

/// The file but for its checksum.
std::string content_of(const Weights& weights) {
  std::string bytes(kMagic);
  put(bytes, kVersion);
  for (const Committee* committee : {&weights.mlp, &weights.lstm, &weights.maxima}) put(bytes, *committee);
  put(bytes, weights.shares);
  put(bytes, weights.prices);
  return bytes;
}

}  // namespace

const char* to_string(Member member) {
  switch (member) {
    case Member::kMlp: return "mlp";
    case Member::kLstm: return "lstm";
    case Member::kAr: return "ar";
    case Member::kSeasonalAr: return "seasonal_ar";
  }
  return "unknown";
}

std::uint64_t weights_id(const Weights& weights) {
  const std::string bytes = content_of(weights);
  return XXH64(bytes.data(), bytes.size(), 0);
}

std::string encode_weights(const Weights& weights) {
  std::string bytes = content_of(weights);
  put(bytes, static_cast<std::uint64_t>(XXH64(bytes.data(), bytes.size(), 0)));
  return bytes;
}

Status write_weights(const std::filesystem::path& file, const Weights& weights) {
  const std::string bytes = encode_weights(weights);
  // What was there stays until all of this is: a full disk costs nothing.
  const std::filesystem::path beside = file.string() + ".new";
  std::ofstream out(beside, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code failed;
  if (out) std::filesystem::rename(beside, file, failed);
  if (!out || failed) {
    std::filesystem::remove(beside, failed);
    return Error{ErrorCode::kUnavailable, "forecast weights: cannot write " + file.string()};
  }
  return {};
}

Result<Weights> read_weights(const std::filesystem::path& file) {
  std::error_code ignored;
  const std::filesystem::file_status there = std::filesystem::status(file, ignored);
  // A directory opens, and throws when it is read; a device may have no end.
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
    return Error{ErrorCode::kCorrupt, "forecast weights: " + file.string() + " is no regular file"};
  }
  std::ifstream in(file, std::ios::binary);
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(file, failed);
  if (!in || failed) return Error{ErrorCode::kNotFound, "forecast weights: cannot read " + file.string()};
  if (size > kFileBytesMax) return Error{ErrorCode::kCorrupt, "forecast weights: " + file.string() + " is too large"};
  std::string bytes(size, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return parse_weights(bytes, file.string());
}

Result<Weights> parse_weights(std::string_view bytes, const std::string& name) {
  const Error damaged{ErrorCode::kCorrupt, "forecast weights: " + name + " is damaged"};
  constexpr std::size_t kFrame = kMagic.size() + sizeof(std::uint32_t) + sizeof(std::uint64_t);
  if (bytes.size() < kFrame || !bytes.starts_with(kMagic)) return damaged;
  const std::size_t content = bytes.size() - sizeof(std::uint64_t);
  if (Reader(bytes.substr(content)).take<std::uint64_t>() != XXH64(bytes.data(), content, 0)) {
    return damaged;
  }
  Reader reader(bytes.substr(kMagic.size(), content - kMagic.size()));
  const auto version = reader.take<std::uint32_t>();
  if (version == 0 || version > kVersion) {
    return Error{ErrorCode::kUnsupported, "forecast weights: " + name + " is of version " + std::to_string(version) +
                                              ", not " + std::to_string(kVersion)};
  }
  Weights weights;
  for (Committee* committee : {&weights.mlp, &weights.lstm, &weights.maxima}) {
    if (!take(reader, version, *committee)) return damaged;
  }
  weights.shares = reader.take<decltype(weights.shares)>();
  weights.prices = reader.take<std::array<float, kWindows.size()>>();
  if (!reader.at_end() || !all_finite(weights.prices)) return damaged;
  for (const auto& band : weights.shares) {
    if (!all_finite(band)) return damaged;
  }
  if (weights.mlp.networks.empty() || weights.maxima.networks.empty() ||
      !fits(weights.mlp, kStepInputs, kStepAnchors, kBands) || !fits(weights.lstm, kStepInputs, kStepAnchors, kBands) ||
      !fits(weights.maxima, kMaxInputs, kMaxAnchors, kWindows.size())) {
    return Error{ErrorCode::kUnsupported, "forecast weights: " + name + " was made for other features"};
  }
  return weights;
}

}  // namespace proteus::forecast::global
