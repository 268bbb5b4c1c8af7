#include "controller/forecast_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/fakes/memory_store.h"

namespace proteus::controller {
namespace {

using std::chrono::minutes;

const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);
const Timestamp kSaved = kStart + std::chrono::hours(1);

forecast::EngineOptions options() {
  forecast::EngineOptions options;
  options.horizon_steps = 8;
  return options;
}

class ForecastStore : public testing::Test {
 protected:
  ForecastStore() {
    pool_.push({"orders", VmId(), minutes(5), {{kStart, 3}}});
    for (int step = 0; step < 40; ++step) {
      for (int vm = 0; vm < 50; ++vm) {
        pool_.observe(VmId("vm-" + std::to_string(vm)), forecast::Resource::kCpu, kStart + minutes(step),
                      1 + std::sin(step + vm));
      }
    }
    pool_.begin_round();
    pool_.take(1);
  }
  void save_all() {
    for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
      ASSERT_TRUE(save_forecasts(store_, pool_, shard, kSaved));
    }
    ASSERT_TRUE(save_signals(store_, pool_));
  }
  std::size_t stored() const {
    std::size_t count = 0;
    EXPECT_TRUE(store_.visit_models("", [&](const std::string& key, const std::string&) {
      count += key.starts_with("series_saved/") ? 0 : 1;
      return true;
    }));
    return count;
  }

  MemoryStore store_;
  forecast::EnginePool pool_{options(), 2};
};

TEST_F(ForecastStore, GivesBackEverySeriesAndSignal) {
  EXPECT_TRUE(load_forecasts(store_, options())->empty());
  save_all();
  EXPECT_EQ(stored(), 51u);
  const auto pieces = load_forecasts(store_, options());
  ASSERT_TRUE(pieces) << pieces.error().message;
  ASSERT_EQ(pieces->size(), 1u);
  EXPECT_EQ((*pieces)[0].signals, pool_.signals());
  std::size_t equal = 0;
  for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
    for (const forecast::SeriesState& state : pool_.save(shard)) {
      equal += std::count((*pieces)[0].series.begin(), (*pieces)[0].series.end(), state) == 1 ? 1 : 0;
    }
  }
  EXPECT_EQ(equal, 50u);
}

TEST_F(ForecastStore, GivesThePiecesThatWouldBeReadBack) {
  save_all();
  std::vector<store::ForecastState> pieces;
  ASSERT_TRUE(save_pieces(pool_, [&](store::ForecastState piece) {
    pieces.push_back(std::move(piece));
    return Status();
  }));
  const auto read = load_forecasts(store_, options());
  ASSERT_TRUE(read);
  ASSERT_EQ(pieces.size(), read->size());
  EXPECT_EQ(pieces[0].signals, (*read)[0].signals);
  EXPECT_TRUE(std::is_permutation(pieces[0].series.begin(), pieces[0].series.end(), (*read)[0].series.begin(),
                                  (*read)[0].series.end()));
  const Status refused = save_pieces(pool_, [](const store::ForecastState&) {
    return Status(Error{ErrorCode::kUnavailable, "no room"});
  });
  EXPECT_EQ(refused.error().message, "no room");
}

TEST_F(ForecastStore, KnowsHowOldItIs) {
  EXPECT_EQ(*forecasts_saved(store_, kSaved), std::nullopt);
  ASSERT_TRUE(save_forecasts(store_, pool_, 0, kSaved));
  EXPECT_EQ(*forecasts_saved(store_, kSaved), std::nullopt) << "not all are stored";
  save_all();
  ASSERT_TRUE(save_forecasts(store_, pool_, 3, kSaved + minutes(1)));
  EXPECT_EQ(*forecasts_saved(store_, kSaved + minutes(1)), kSaved);
  EXPECT_EQ(*forecasts_saved(store_, kSaved), std::nullopt) << "by a clock that was ahead";
  ASSERT_TRUE(drop_forecasts(store_));
  EXPECT_EQ(*forecasts_saved(store_, kSaved), std::nullopt);
}

TEST_F(ForecastStore, SeriesThatAreGoneGo) {
  save_all();
  for (int vm = 0; vm < 49; ++vm) pool_.forget(VmId("vm-" + std::to_string(vm)));
  pool_.begin_round();
  pool_.take(2);
  save_all();
  EXPECT_EQ(stored(), 2u);
}

TEST_F(ForecastStore, DamageOfAnyPartIsOneError) {
  save_all();
  std::vector<std::pair<std::string, std::string>> models;
  ASSERT_TRUE(store_.visit_models("", [&](const std::string& key, std::string value) {
    if (!key.starts_with("series_saved/")) models.emplace_back(key, std::move(value));
    return true;
  }));
  for (std::size_t i : {std::size_t{0}, models.size() / 2, models.size() - 1}) {
    std::string damaged = models[i].second;
    damaged.resize(damaged.size() / 2);
    ASSERT_TRUE(store_.put_models({{models[i].first, damaged}}));
    EXPECT_FALSE(load_forecasts(store_, options())) << models[i].first;
    ASSERT_TRUE(store_.put_models({models[i]}));
  }
  EXPECT_TRUE(load_forecasts(store_, options()));
  forecast::EngineOptions other = options();
  other.horizon_steps = 9;
  EXPECT_EQ(load_forecasts(store_, other).error().code, ErrorCode::kUnsupported);
  ASSERT_TRUE(drop_forecasts(store_));
  EXPECT_EQ(stored(), 0u);
}

}  // namespace
}  // namespace proteus::controller
