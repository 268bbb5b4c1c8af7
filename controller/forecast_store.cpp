#include "controller/forecast_store.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace proteus::controller {
namespace {

constexpr std::string_view kSeriesPrefix = "series/";
constexpr std::string_view kSignalsKey = "external_signals";  // before "series/": models are fitted with them
constexpr std::string_view kSavedPrefix = "series_saved/";
constexpr std::size_t kPieceBytes = 1u << 20;

std::string series_key(std::size_t shard, const forecast::SeriesKey& key) {
  return std::string(kSeriesPrefix) + std::to_string(shard) + "/" + to_string(key.resource) + "/" + key.vm.value;
}

/// Of "series/SHARD/RESOURCE/UUID".
std::optional<forecast::SeriesKey> parse_series_key(std::string_view key) {
  if (!key.starts_with(kSeriesPrefix)) return std::nullopt;
  key.remove_prefix(kSeriesPrefix.size());
  const std::size_t shard_end = key.find('/');
  if (shard_end == std::string_view::npos) return std::nullopt;
  key.remove_prefix(shard_end + 1);
  for (const forecast::Resource resource : forecast::kResources) {
    const std::string prefix = std::string(to_string(resource)) + "/";
    if (key.starts_with(prefix)) return forecast::SeriesKey{VmId(std::string(key.substr(prefix.size()))), resource};
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<store::ForecastState>> load_forecasts(const store::Store& store,
                                                         const forecast::EngineOptions& options) {
  std::vector<store::ForecastState> pieces;
  std::size_t piece_bytes = kPieceBytes;
  Status trouble;
  const Status read = store.visit_models("", [&](const std::string& key, std::string value) {
    if (piece_bytes >= kPieceBytes) {
      pieces.emplace_back();
      piece_bytes = 0;
    }
    piece_bytes += value.size();
    if (key == kSignalsKey) {
      auto entry = store::decode_journal_entry(value);
      auto* state = entry ? std::get_if<store::ForecastState>(&entry->payload) : nullptr;
      if (state == nullptr) {
        trouble = Error{ErrorCode::kCorrupt, "the state of the signals does not decode"};
        return false;
      }
      pieces.back().signals = std::move(state->signals);
      return true;
    }
    const std::optional<forecast::SeriesKey> series = parse_series_key(key);
    if (!series) return true;  // some other model's
    forecast::SeriesState state{*series, std::move(value)};
    trouble = forecast::Engine::check(state, options);
    if (!trouble) return false;
    pieces.back().series.push_back(std::move(state));
    return true;
  });
  if (!read) return read.error();
  if (!trouble) return trouble.error();
  std::erase_if(pieces, [](const store::ForecastState& p) { return p.series.empty() && p.signals.empty(); });
  return pieces;
}

Result<std::optional<Timestamp>> forecasts_saved(const store::Store& store, Timestamp now) {
  std::size_t shards = 0;
  std::optional<Timestamp> oldest;
  const Status read = store.visit_models(std::string(kSavedPrefix), [&](const std::string&, const std::string& value) {
    std::int64_t ns = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ns);
    if (error != std::errc() || end != value.data() + value.size() || from_unix_ns(ns) > now) return false;
    ++shards;
    oldest = oldest ? std::min(*oldest, from_unix_ns(ns)) : from_unix_ns(ns);
    return true;
  });
  if (!read) return read.error();
  if (shards != forecast::EnginePool::shard_count()) return std::optional<Timestamp>();
  return oldest;
}

Status save_pieces(const forecast::EnginePool& pool, const std::function<Status(store::ForecastState)>& take) {
  store::ForecastState piece;
  piece.signals = pool.signals();  // in front: models are fitted with them
  std::size_t bytes = 0;
  for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
    for (forecast::SeriesState& state : pool.save(shard)) {
      bytes += state.bytes.size();
      piece.series.push_back(std::move(state));
      if (bytes < kPieceBytes) continue;
      if (Status taken = take(std::exchange(piece, {})); !taken) return taken;
      bytes = 0;
    }
  }
  return piece.series.empty() && piece.signals.empty() ? Status() : take(std::move(piece));
}

Status save_forecasts(store::Store& store, const forecast::EnginePool& pool, std::size_t shard, Timestamp now) {
  std::vector<std::pair<std::string, std::string>> models;
  std::set<std::string> present;
  for (forecast::SeriesState& state : pool.save(shard)) {
    models.emplace_back(series_key(shard, state.key), std::move(state.bytes));
    present.insert(models.back().first);
  }
  const std::string prefix = std::string(kSeriesPrefix) + std::to_string(shard) + "/";
  std::vector<std::string> gone;
  const Status read = store.visit_models(prefix, [&](const std::string& key, const std::string&) {
    if (!present.contains(key)) gone.push_back(key);
    return true;
  });
  if (!read) return read;
  if (!gone.empty()) {
    if (Status erased = store.erase_models(gone); !erased) return erased;
  }
  models.emplace_back(std::string(kSavedPrefix) + std::to_string(shard), std::to_string(to_unix_ns(now)));
  return store.put_models(models);
}

Status save_signals(store::Store& store, const forecast::EnginePool& pool) {
  store::ForecastState state;
  state.signals = pool.signals();
  return store.put_models({{std::string(kSignalsKey), store::encode(store::JournalEntry{0, {}, std::move(state)})}});
}

Status drop_forecasts(store::Store& store) {
  std::vector<std::string> keys;
  const Status read = store.visit_models("", [&](const std::string& key, const std::string&) {
    const bool ours = key == kSignalsKey || key.starts_with(kSeriesPrefix) || key.starts_with(kSavedPrefix);
    if (ours) keys.push_back(key);
    return true;
  });
  if (!read) return read;
  return keys.empty() ? Status() : store.erase_models(keys);
}

}  // namespace proteus::controller
