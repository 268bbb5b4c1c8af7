#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace proteus::ctl {

/// How a simulated run went, tick by tick.
struct Course {
  static constexpr std::size_t kValues = 3;
  struct Tick {
    std::array<double, kValues> values = {};
    int moves = 0;  ///< migrations begun in it
    int disasters = 0;
  };
  std::string policy;
  std::vector<Tick> ticks;
};

/// What the values are, in the order of Tick::values, with their units.
using CourseNames = std::array<const char*, Course::kValues>;

/// A picture of runs on the same cluster as an SVG document: each of the values over the time; below, a row for each
/// run with a mark where VMs were moved (higher: more of them) and a dot where one was killed. tick_s: length of a
/// tick. Opens in any browser.
std::string svg_courses(const std::string& title, const CourseNames& names, const std::vector<Course>& courses,
                        double tick_s);

}  // namespace proteus::ctl
