#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace proteus {

/// Every figure that Proteus measures. The number travels on the wire and lies on disk: append, never renumber.
enum class Kpi : std::uint16_t {
  kCpuRunTimeNs = 1,
  kRunQueueWaitNs = 2,
  kRunQueueLatencyNs = 3,
  kPreemptedByCount = 4,
  kCpuThrottledTimeNs = 5,
  kDispatchesCount = 6,
  kContextSwitchesVoluntaryCount = 7,
  kContextSwitchesForcedCount = 8,
  kCpuMigrationsCount = 9,
  kEmulatorTimeNs = 10,
  kCpuSliceNs = 11,
  kGuestTimeNs = 12,
  kCpuPressureSomeNs = 13,
  kCyclesCount = 14,
  kInstructionsCount = 15,
  kLlcMissesCount = 16,
  kLlcOccupancyBytes = 17,
  kMemoryBandwidthBytes = 18,
  kMemoryResidentBytes = 20,
  kPageFaultsMajorCount = 21,
  kPageFaultsMinorCount = 22,
  kMemoryDirtyBytesPerS = 23,
  kBalloonBytes = 24,
  kGuestMemoryUsableBytes = 25,
  kMemoryWorkingSetBytes = 26,
  kMemoryPressureSomeNs = 27,
  kMemoryPressureFullNs = 28,
  kWorkingsetRefaultsCount = 29,
  kMemorySwapBytes = 30,
  kReclaimLatencyNs = 31,
  kKsmMergedPages = 32,
  kBlockReadBytes = 40,
  kBlockWriteBytes = 41,
  kBlockOpsCount = 42,
  kGuestFlushesCount = 43,
  kBlockLatencyNs = 44,
  kBlockDeviceReadBytes = 45,
  kBlockDeviceWriteBytes = 46,
  kBlockDeviceOpsCount = 47,
  kIoPressureSomeNs = 48,
  kBlockTimeNs = 49,
  kNetRxBytes = 50,
  kNetTxBytes = 51,
  kNetRxDropsCount = 52,
  kNetTxDropsCount = 53,
  kNetPacketsCount = 54,
  kVhostTimeNs = 55,
  kNetSoftirqTimeNs = 56,
  kPacketDropReasonCount = 57,
  kTcpRetransmitsCount = 58,
  kHostPressureCpuNs = 60,
  kHostPressureMemoryNs = 61,
  kHostPressureIoNs = 62,
  kHostCpuTimeNs = 63,
  kHostCpuCapacityMillicores = 64,
  kHostMemoryTotalBytes = 65,
  kHostMemoryAvailableBytes = 66,
  kKsmPagesSharing = 67,
  kAgentCpuTimeNs = 70,
  kAgentResidentBytes = 71,
  kAgentDroppedFramesCount = 72,
  kAgentHookTimeNs = 73,
  kAgentHookRunsCount = 74,
  kAgentHookMissesCount = 75,
  kVmState = 80,
  kVmVcpusCount = 81,
  kVmVcpusMaxCount = 82,
  kVmCpuQuotaUs = 83,
  kVmCpuPeriodUs = 84,
  kVmCpuShares = 85,
  kVmMemoryBytes = 86,
  kVmMemoryMaxBytes = 87,
  kKvmExitsCount = 100,
  kHaltPollSuccessNs = 101,
  kHaltPollFailNs = 102,
  kHaltWaitNs = 103,
  kHaltExitsCount = 104,
  kHaltWakeupsCount = 105,
  kIoExitsCount = 106,
  kMmioExitsCount = 107,
  kIrqInjectionsCount = 108,
  kHypercallsCount = 109,
  kSecondLevelFaultsCount = 110,
  kTlbFlushesCount = 111,
  kDirectedYieldsCount = 112,
  kPreemptionReportedCount = 113,
  kMappedPages4k = 114,
  kMappedPages2m = 115,
  kKvmExitLatencyNs = 116,
  kUserspaceExitLatencyNs = 117,
  kCpuUserTimeNs = 120,
  kCpuSystemTimeNs = 121,
  kCpuIrqTimeNs = 122,
  kCpuIowaitTimeNs = 123,
  kCpuStealTimeNs = 124,
  kCpuIdleTimeNs = 125,
  kCpuFrequencyKhz = 126,
  kThermalThrottlesCount = 127,
  kNodeMemoryAvailableBytes = 130,
  kNumaMissCount = 131,
  kPackageEnergyUj = 133,
  kDiskBusyTimeNs = 140,
  kDiskInFlightCount = 141,
};

enum class KpiKind : std::uint8_t {
  kCounter,    ///< grows; a rate is computed where it is read; a step down means that the source restarted
  kGauge,      ///< a level
  kHistogram,  ///< 32 power-of-two buckets, each a counter; bucket b counts values in [2^b, 2^(b+1)), b = 0 also 0,
               ///< b = 31 also larger
};

/// What an entity is. A series belongs to one entity. The number travels and is stored: append, never renumber.
enum class EntityKind : std::uint8_t {
  kHost,
  kVm,
  kVcpu,
  kVmPair,
  kTap,
  kDisk,
  kHook,
  kCpu,
  kNode,
  kPackage,
  kHostDisk,
  kVmDisk,
  kVmExit,
  kDropReason,
};
constexpr EntityKind kEntityKindLast = EntityKind::kDropReason;

/// How a figure is obtained, in order of cost (see schemas/README.md).
enum class Lane : std::uint8_t {
  kPoll,      ///< one kernel program per tick reads the kernel's own counters
  kFile,      ///< one pread per tick on a file kept open
  kTrace,     ///< always-on event hook
  kOnDemand,  ///< switched on by a question, with a deadline
  kSlow,      ///< libvirt, every 10 to 60 s
};

constexpr int kHistogramBucketCount = 32;

struct KpiInfo {
  Kpi kpi;
  std::string_view name;  ///< snake_case, unit last, as in schemas/README.md
  std::string_view unit;  ///< ns, bytes, pages, 1, bytes/s, us, kHz, uJ, millicores
  KpiKind kind;
  EntityKind scope;
  Lane lane;
  std::int64_t quantum;  ///< values are multiples of it (floored at the source, so that sums stay exact)
  std::string_view source;
};

/// The one table, ordered by number.
std::span<const KpiInfo> kpi_table();
/// nullptr if no row has this number.
const KpiInfo* find_kpi(std::uint16_t number);
const KpiInfo* find_kpi(std::string_view name);
const KpiInfo& info(Kpi kpi);

const char* to_string(KpiKind kind);
const char* to_string(EntityKind kind);
const char* to_string(Lane lane);

}  // namespace proteus
