// The half of SeriesReader that reads every value.
#include "controller/store/series_reader.h"

namespace proteus::store {
namespace {

/// What is counted for a value besides its own 16 bytes: what its vectors have room for, and what putting it in order
/// takes of who writes it.
constexpr std::uint64_t kSampleBytes = 32;
constexpr std::uint64_t kBucketSampleBytes = 56;
constexpr std::int64_t kTickUs = 1'000'000;

/// Ends a reading that has come to what it was for; nobody is told.
const Error kEnough{ErrorCode::kFailedPrecondition, "enough has been read"};

}  // namespace

Status SeriesReader::read_samples(const SeriesSelector& selector, std::int64_t from_us, std::int64_t to_us,
                                  Allowance& allowance, const std::function<bool(HostSamples)>& visit) const {
  return read_parts(selector, allowance, [&](const HostId& host, const SelectedEntities& some) -> Result<PartRead> {
    std::int64_t span_us = to_us - from_us;
    bool visited = false;
    for (std::int64_t begin_us = from_us; begin_us < to_us;) {
      const std::int64_t end_us = to_us - begin_us > span_us ? begin_us + span_us : to_us;
      HostSamples samples{host, some, {}, visited};
      Allowance::Share share(allowance, allowance.left());
      const Status read = collect(selector.kpi, begin_us, end_us, share, samples);
      if (!read && share.exceeded() && some.size() > 1) return PartRead::kTooMuch;
      if (!read && share.exceeded() && span_us > kTickUs) {
        span_us = (end_us - begin_us) / 2;
        continue;
      }
      if (!read) return read.error();
      if (!samples.series.empty()) {
        visited = true;
        if (!visit(std::move(samples))) return PartRead::kEnded;
      }
      begin_us = end_us;
    }
    return PartRead::kDone;
  });
}

/// Its view of the database ends before anybody is given the values: who takes them slowly holds nothing up there.
Status SeriesReader::collect(Kpi kpi, std::int64_t from_us, std::int64_t to_us, Allowance::Share& share,
                             HostSamples& samples) const {
  std::vector<HeadRow> rows = pages_.head(samples.host, from_us, to_us);
  const RocksDb::View view(db_);
  const auto head = head_beside(view, samples.host, std::move(rows));
  if (!head) return head.error();
  const std::uint64_t each = info(kpi).kind == KpiKind::kHistogram ? kBucketSampleBytes : kSampleBytes;
  const auto take = [&](const Piece& piece) -> Status {
    HostSamples::Samples& series = samples.series[piece.key];
    const std::size_t before = series.values.size();
    for (std::size_t i = 0; i < piece.values.size(); ++i) {
      const std::int64_t time = piece.window.times_us[piece.at.empty() ? i : piece.at[i]];
      if (time < from_us || time >= to_us) continue;
      series.times_us.push_back(time);
      series.values.push_back(piece.values[i]);
    }
    return share.hold((series.values.size() - before) * each);
  };
  const Status read = read_range(view, kpi, samples.host, samples.entities, *head, from_us, to_us, share, {{}, take});
  if (!read) return read;
  std::erase_if(samples.series, [](const auto& series) { return series.second.values.empty(); });
  return {};
}

bool SeriesReader::has_value_in(const Piece& piece, std::int64_t from_us, std::int64_t to_us) {
  for (std::size_t i = 0; i < piece.values.size(); ++i) {
    const std::int64_t time = piece.window.times_us[piece.at.empty() ? i : piece.at[i]];
    if (time >= from_us && time < to_us) return true;
  }
  return false;
}

Result<bool> SeriesReader::has_samples(const SeriesSelector& selector, std::int64_t from_us, std::int64_t to_us,
                                       Allowance& allowance) const {
  bool found = false;
  const Status read =
      read_parts(selector, allowance, [&](const HostId& host, const SelectedEntities& entities) -> Result<PartRead> {
        std::vector<HeadRow> rows = pages_.head(host, from_us, to_us);
        const RocksDb::View view(db_);
        const auto head = head_beside(view, host, std::move(rows));
        if (!head) return head.error();
        Allowance::Share share(allowance, allowance.left());
        const auto look = [&](const Piece& piece) -> Status {
          found = has_value_in(piece, from_us, to_us);
          return found ? Status(kEnough) : Status();
        };
        const Status looked = read_range(view, selector.kpi, host, entities, *head, from_us, to_us, share, {{}, look});
        if (!looked && !found) return looked.error();
        return found ? PartRead::kEnded : PartRead::kDone;
      });
  if (!read) return read.error();
  return found;
}

}  // namespace proteus::store
