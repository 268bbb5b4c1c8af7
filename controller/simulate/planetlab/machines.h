#pragma once

#include <array>
#include <cstddef>

namespace proteus::simulate::planetlab {

/// A host of the benchmark.
struct HostType {
  const char* name;
  int cores;
  double core_mips;
  double ram_mb;
  double bandwidth;
  std::array<double, 11> watts;  ///< at 0, 10, … 100 % of its MIPS

  double mips() const { return cores * core_mips; }
  /// At full load.
  double mips_per_watt() const { return mips() / watts.back(); }
  /// Watts at a utilisation (0 … 1), linear between the points; what the machine draws when idle at 0.
  double power(double utilisation) const;
};

/// A VM of the benchmark; each has one virtual CPU.
struct VmType {
  double mips;
  double ram_mb;
  double bandwidth;
};

inline constexpr std::size_t kHosts = 800;
/// Source: SPECpower_ssj2008 results of both machines, as CloudSim uses them (Beloglazov & Buyya 2012).
inline constexpr std::array<HostType, 2> kHostTypes = {{
    {"HP ML110 G4", 2, 1860, 4096, 1e6, {86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117}},
    {"HP ML110 G5", 2, 2660, 4096, 1e6, {93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135}},
}};
/// Source: as above, after Amazon EC2's types of that time.
inline constexpr std::array<VmType, 4> kVmTypes = {
    {{2500, 870, 1e5}, {2000, 1740, 1e5}, {1000, 1740, 1e5}, {500, 613, 1e5}}};

/// Types alternate by id.
constexpr const HostType& host_type(std::size_t host) {
  return kHostTypes[host % kHostTypes.size()];
}
/// VM i of n: a quarter of each type, in order.
constexpr const VmType& vm_type(std::size_t i, std::size_t n) {
  return kVmTypes[i / ((n + kVmTypes.size() - 1) / kVmTypes.size())];
}

/// Samples of a trace, and seconds between them.
inline constexpr std::size_t kSamples = 288;
inline constexpr double kSampleS = 300;
/// Control step k is at k * kSampleS + kStepOffsetS, k = 1 … 287.
inline constexpr double kStepOffsetS = 0.1;

/// Policy NPA (non power aware): all hosts at full power for the whole day.
double energy_kwh_all_on();

}  // namespace proteus::simulate::planetlab
