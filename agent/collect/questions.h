#pragma once

#include <array>
#include <bitset>
#include <string>
#include <string_view>

#include "agent/collect/text_file.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus::collect {

/// What costs too much to be watched always, and is watched while somebody asks.
enum class Question : std::size_t { kKvmExits, kNetSoftirq, kPacketDrops };
constexpr std::array<std::string_view, 3> kQuestionNames{"kvm_exits", "net_softirq", "packet_drops"};
using Questions = std::bitset<kQuestionNames.size()>;

/// Longest time that one asking lasts.
constexpr Nanoseconds kQuestionLongest = std::chrono::minutes(10);

/// The questions asked of an agent, in a file of its state directory: a line "NAME DEADLINE" each, the deadline in ns
/// since the Unix epoch. `proteus-agent ask` writes it; a running agent looks at every tick. What is not understood,
/// and a deadline further away than kQuestionLongest (a clock that was set back), asks nothing.
class AskedQuestions {
 public:
  /// path: empty for an agent that is asked nothing. A question that is asked anew gets a new deadline.
  explicit AskedQuestions(const std::string& path) : file_(path, FileRecords::kShort) {}
  Questions read(Timestamp now);

  /// Errors: kInvalidArgument for an unknown name or a time out of its limits; kPermissionDenied, kUnavailable.
  static Status ask(const std::string& path, std::string_view name, Nanoseconds duration, Timestamp now);

 private:
  TextFile file_;
};

}  // namespace proteus::collect
