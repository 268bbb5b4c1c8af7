// Weights of the forecasting networks, as `[forecast] weights` names a file of them; behind their checksum.
#include "controller/forecast/global/weights.h"

#include <xxhash.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "controller/forecast/global/features.h"
#include "controller/forecast/global/forecaster.h"
#include "controller/forecast/global/mixture.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/temporary_directory.h"

namespace proteus::fuzz {
namespace {

namespace global = forecast::global;

constexpr std::size_t kChecksumBytes = 8;

/// As small as networks for this program's features can be.
global::Committee committee(std::size_t rows, std::size_t anchors, std::size_t calibrations, std::uint32_t lstm) {
  global::TrainedNetwork network;
  network.shape = {static_cast<std::uint32_t>(global::kWindowInputs),
                   static_cast<std::uint32_t>(rows),
                   1,
                   1,
                   static_cast<std::uint32_t>(global::Mixture(anchors).outputs()),
                   lstm,
                   lstm > 0 ? static_cast<std::uint32_t>(global::kSequenceInputs) : 0,
                   lstm > 0 ? static_cast<std::uint32_t>(global::kSequenceSteps) : 0};
  network.parameters.assign(network.shape.parameter_count(), 0.1F);
  global::Committee committee;
  committee.networks.push_back(network);
  committee.calibration.assign(calibrations, global::Calibration{1, 1, 1, 1, 1});
  return committee;
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const std::uint32_t lstm : {0U, 1U}) {
    global::Weights weights;
    weights.mlp = committee(global::kStepInputs, global::kStepAnchors, global::kBands, 0);
    if (lstm > 0) weights.lstm = committee(global::kStepInputs, global::kStepAnchors, global::kBands, lstm);
    weights.maxima = committee(global::kMaxInputs, global::kMaxAnchors, global::kWindows.size(), 0);
    const TemporaryDirectory directory;
    if (!global::write_weights(directory / "weights", weights)) std::abort();
    std::ifstream in(directory / "weights", std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!global::parse_weights(bytes, "seed")) std::abort();
    bytes.resize(bytes.size() - kChecksumBytes);
    all.push_back(std::move(bytes));
  }
  return all;
}

void read(std::string_view content) {
  const std::uint64_t checksum = XXH64(content.data(), content.size(), 0);
  std::string bytes(content);
  bytes.append(reinterpret_cast<const char*>(&checksum), kChecksumBytes);
  const auto weights = global::parse_weights(bytes, "input");
  if (!weights) return;
  // One set of weights is one file, and networks can be made of it.
  if (global::weights_id(*weights) != checksum) std::abort();
  const global::Forecaster forecaster(std::make_shared<const global::Weights>(*weights));
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  proteus::fuzz::read(proteus::fuzz::text_of(data, size));
  return 0;
}
