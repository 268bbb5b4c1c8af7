#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/result.h"
#include "controller/store/query.h"

namespace proteus::store {

/// What a line takes besides its points: names, and room in a map.
constexpr std::uint64_t kLineBytes = 1024;

/// Keeps the lines with the highest means. Thread: owned by one.
class Ranking {
 public:
  /// count: of lines, at least 1. Those that are kept are held of the allowance, which outlives the object.
  Ranking(std::size_t count, Allowance& allowance) : count_(count), allowance_(allowance) {}

  /// Errors: the allowance's.
  Status add(QueryResult line);
  /// The highest first, of equals the first. Call once.
  void give_out(const LineVisitor& visit);

 private:
  struct Ranked {
    double mean = 0;
    std::size_t number = 0;  // in the order in which they came
    QueryResult line;
  };
  static bool is_better(const Ranked& a, const Ranked& b);

  const std::size_t count_;
  Allowance& allowance_;
  std::vector<Ranked> kept_;  // a heap, the lowest in front
  std::size_t next_ = 0;
};

}  // namespace proteus::store
