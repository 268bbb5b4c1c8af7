#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "controller/store/classed_values.h"
#include "controller/store/page.h"
#include "controller/store/page_series.h"

/// How a series of a page is best written, told from a part of its values. Thread: pure.
namespace proteus::store {

struct Choice {
  Mode mode = Mode::kConstant;
  ClassedForm form;  ///< of kClassed, without `back`
};
/// other: a series of the page that may move as this one does, or just the other way; empty: none.
Choice choose(std::span<const std::int64_t> values, const ValueFigures& figures, std::span<const std::int64_t> other,
              bool opposite);

/// Where the differences of a series grow and where they shrink, at a few places. 0: not enough of either to say.
std::uint64_t shape_of(std::span<const std::int64_t> values, const ValueFigures& figures);

/// The newest series of a page with their shapes.
class Likenesses {
 public:
  struct Found {
    bool any = false;
    std::size_t series = 0;
    bool opposite = false;
  };
  void clear() { known_.clear(); }
  void add(std::size_t series, std::uint64_t shape) { known_.push_back({series, shape}); }
  /// The one that is most like it, or most like its opposite. None for shape 0.
  Found find(std::uint64_t shape) const;

 private:
  struct Known {
    std::size_t series = 0;
    std::uint64_t shape = 0;
  };
  std::vector<Known> known_;
};

}  // namespace proteus::store
