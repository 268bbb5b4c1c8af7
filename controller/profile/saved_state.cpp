#include "controller/profile/saved_state.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string_view>

#include "common/state_archive.h"
#include "controller/profile/wait_factor.h"

namespace proteus::profile {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::string_view kMovesName = "moves";
constexpr std::string_view kHostPrefix = "hosts/";

std::string with_head(const std::string& body) {
  std::string bytes;
  StateWriter writer(bytes);
  writer(kVersion);
  writer(static_cast<std::uint64_t>(XXH64(body.data(), body.size(), 0)));
  return bytes + body;
}

/// The body, checked.
Result<std::string_view> without_head(std::string_view bytes) {
  constexpr std::size_t kHeadBytes = 9;
  StateReader reader(bytes);
  std::uint8_t version = 0;
  std::uint64_t hash = 0;
  reader(version);
  reader(hash);
  if (!reader.ok()) return Error{ErrorCode::kCorrupt, "it is cut short"};
  if (version != kVersion) return Error{ErrorCode::kUnsupported, "it has another version's form"};
  const std::string_view body = bytes.substr(kHeadBytes);
  if (XXH64(body.data(), body.size(), 0) != hash) return Error{ErrorCode::kCorrupt, "its checksum does not match"};
  return body;
}

/// Evidence of less weight has faded; nothing that is added up comes near this much.
constexpr double kFaded = 1e-9;
constexpr double kMost = 1e60;
/// No host has more.
constexpr double kMostCores = 1e6;

/// A sum of what cannot be less than nothing.
bool possible(double sum) {
  return sum >= 0 && sum < kMost;
}

void archive_time(StateWriter& a, const Timestamp& time) {
  a(to_unix_ns(time));
}
void archive_time(StateReader& a, Timestamp& time) {
  std::int64_t ns = 0;
  a(ns);
  if (ns < 0) a.fail();  // no clock said so, and how long ago it was might not be a number
  time = from_unix_ns(ns);
}

void write_curve(StateWriter& a, const CurveShape& shape, const SavedCurve& curve) {
  a(static_cast<std::uint8_t>(shape.scale));
  a(shape.bin_width);
  a(static_cast<std::uint32_t>(shape.bins));
  archive_time(a, curve.newest);
  const std::vector<Evidence::Bin>& bins = curve.evidence.bins;
  const auto seen = [](const Evidence::Bin& bin) { return bin.weight >= kFaded; };
  a(static_cast<std::uint32_t>(std::count_if(bins.begin(), bins.end(), seen)));
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (!seen(bins[i])) continue;
    a(static_cast<std::uint32_t>(i));
    for (const double sum : {bins[i].weight, bins[i].amount, bins[i].weight_squares, bins[i].amount_squares}) a(sum);
  }
}

/// False: it is of another shape.
bool read_curve(StateReader& a, const CurveShape& shape, SavedCurve& curve) {
  std::uint8_t scale = 0;
  double bin_width = 0;
  std::uint32_t bins = 0;
  a(scale);
  a(bin_width);
  a(bins);
  if (!a.ok()) return true;
  if (scale != static_cast<std::uint8_t>(shape.scale) || bin_width != shape.bin_width || bins != shape.bins)
    return false;
  archive_time(a, curve.newest);
  curve.evidence.bins.assign(shape.bins, {});
  std::uint32_t count = 0;
  a(count);
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; a.ok() && i < count; ++i) {
    std::uint32_t at = 0;
    a(at);
    Evidence::Bin bin;
    for (double* sum : {&bin.weight, &bin.amount, &bin.weight_squares, &bin.amount_squares}) {
      a(*sum);
      if (!possible(*sum)) a.fail();
    }
    if (at < next || at >= shape.bins || bin.weight < kFaded) a.fail();
    if (!a.ok()) break;
    curve.evidence.bins[at] = bin;
    next = at + 1;
  }
  return true;
}

std::string encode(const SavedHost& host) {
  std::string body;
  StateWriter a(body);
  a(host.host_class);
  a(host.cpu_capacity_cores);
  archive_time(a, host.learned_until);
  write_curve(a, shape_of(Resource::kCpu), host.cpu);
  write_curve(a, WaitFactorLearner::shape(), host.wait_factor);
  for (std::size_t i = 0; i < kCurveResources.size(); ++i) {
    write_curve(a, shape_of(kCurveResources[i]), host.answers[i]);
  }
  return with_head(body);
}

Status decode(std::string_view bytes, SavedHost& host) {
  const Result<std::string_view> body = without_head(bytes);
  if (!body) return body.error();
  StateReader a(*body);
  a(host.host_class);
  a(host.cpu_capacity_cores);
  archive_time(a, host.learned_until);
  bool same_shapes =
      read_curve(a, shape_of(Resource::kCpu), host.cpu) && read_curve(a, WaitFactorLearner::shape(), host.wait_factor);
  for (std::size_t i = 0; same_shapes && i < kCurveResources.size(); ++i) {
    same_shapes = read_curve(a, shape_of(kCurveResources[i]), host.answers[i]);
  }
  if (!same_shapes) return Error{ErrorCode::kUnsupported, "its curves are kept in other bins"};
  if (!a.ok() || !a.at_end() || !possible(host.cpu_capacity_cores) || host.cpu_capacity_cores > kMostCores) {
    return Error{ErrorCode::kCorrupt, "it says what cannot be"};
  }
  return {};
}

std::string encode(const SavedMoves& moves) {
  std::string body;
  StateWriter a(body);
  for (const MoveAccuracy::Sums& sums : {moves.cpu, moves.storage, moves.network}) {
    for (const double sum : {sums.weight, sums.errors, sums.squares}) a(sum);
  }
  return with_head(body);
}

Status decode(std::string_view bytes, SavedMoves& moves) {
  const Result<std::string_view> body = without_head(bytes);
  if (!body) return body.error();
  StateReader a(*body);
  for (MoveAccuracy::Sums* sums : {&moves.cpu, &moves.storage, &moves.network}) {
    for (double* sum : {&sums->weight, &sums->errors, &sums->squares}) a(*sum);
    if (!possible(sums->weight) || !possible(std::abs(sums->errors)) || !possible(sums->squares)) a.fail();
  }
  if (!a.ok() || !a.at_end()) return Error{ErrorCode::kCorrupt, "it says what cannot be"};
  return {};
}

}  // namespace

std::vector<SavedRecord> encode(const SavedProfile& profile) {
  std::vector<SavedRecord> records;
  if (profile.moves) records.push_back({std::string(kMovesName), encode(*profile.moves)});
  for (const SavedHost& host : profile.hosts) {
    records.push_back({std::string(kHostPrefix) + host.host.value, encode(host)});
  }
  return records;
}

Result<SavedProfile> decode(std::span<const SavedRecord> records) {
  SavedProfile profile;
  for (const SavedRecord& record : records) {
    Status read = Error{ErrorCode::kUnsupported, "nobody knows it"};
    if (record.name == kMovesName) {
      read = decode(record.bytes, profile.moves.emplace());
    } else if (record.name.starts_with(kHostPrefix)) {
      SavedHost& host = profile.hosts.emplace_back();
      host.host = HostId(record.name.substr(kHostPrefix.size()));
      read = decode(record.bytes, host);
    }
    if (!read) return with_context(read.error(), "learned of \"" + record.name + "\"");
  }
  return profile;
}

}  // namespace proteus::profile
