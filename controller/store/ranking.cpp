#include "controller/store/ranking.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace proteus::store {
namespace {

double mean_of(const QueryResult& line) {
  double sum = 0;
  double count = 0;
  for (const auto& point : line.points) {
    if (!point) continue;
    sum += *point;
    count += 1;
  }
  return count == 0 ? -HUGE_VAL : sum / count;
}

std::uint64_t bytes_of(const QueryResult& line) {
  return kLineBytes + line.points.capacity() * sizeof(line.points[0]);
}

}  // namespace

bool Ranking::is_better(const Ranked& a, const Ranked& b) {
  return a.mean > b.mean || (a.mean == b.mean && a.number < b.number);
}

Status Ranking::add(QueryResult line) {
  Ranked one{mean_of(line), next_++, std::move(line)};
  if (kept_.size() == count_) {
    if (!is_better(one, kept_.front())) return {};
    std::pop_heap(kept_.begin(), kept_.end(), is_better);
    allowance_.release(bytes_of(kept_.back().line));
    kept_.pop_back();
  }
  const std::uint64_t bytes = bytes_of(one.line);
  kept_.push_back(std::move(one));
  std::push_heap(kept_.begin(), kept_.end(), is_better);
  return allowance_.hold(bytes);
}

void Ranking::give_out(const LineVisitor& visit) {
  std::sort_heap(kept_.begin(), kept_.end(), is_better);
  for (Ranked& one : kept_) {
    if (!visit(std::move(one.line))) return;
  }
}

}  // namespace proteus::store
