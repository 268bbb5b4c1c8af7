#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/token_bucket.h"
#include "common/wire/telemetry_codec.h"
#include "controller/ingest/recent_names.h"
#include "controller/store/store.h"

namespace proteus::ingest {

/// Decides what becomes of each telemetry message: stored, passed over as a repeat, refused, or asked for again.
/// Holds, per host and boot, how far frames were taken and what is needed to decode the next; what it lacks after a
/// restart it asks the agent for.
/// A batch is collected with take() and ended with committed(). Until then nothing is acknowledged.
/// Thread: owned by one. Pure but for `last_sequence`.
class Intake {
 public:
  /// last_sequence: highest durable frame of a host's boot, as store::Store::last_sequence.
  using LastSequence = std::function<Result<std::optional<std::uint64_t>>(const HostId&, std::uint64_t boot_id)>;
  explicit Intake(LastSequence last_sequence) : last_sequence_(std::move(last_sequence)) {}

  /// Different VMs that one host may list within a day. Whatever is kept of VMs is bounded by it: a host with 1,000 VMs
  /// on which 200 begin each hour lists 5,800.
  static constexpr std::size_t kVmsPerDayMax = 8192;
  /// Boots of one host's agent within an hour: of one that ends at once and is started again every two seconds there
  /// are 1,800.
  static constexpr std::size_t kBootsPerHourMax = 2048;
  /// Jumps of one host's telemetry at once, and one in each interval from then on: its clock was set back, or forward
  /// by more than kLeap, or what follows is of an agent that another one had taken turns with. Each begins pages anew.
  static constexpr double kJumpsAtOnceMax = 64;
  static constexpr std::chrono::seconds kJumpInterval{60};
  static constexpr std::chrono::minutes kLeap{10};
  /// Windows of pages (store::kWindowUs) that one host's telemetry enters: four days of them at once, as what it had to
  /// keep for so long comes in without a pause, and then one in each interval, an hour in a minute. Each is a chunk of
  /// its own, however little is in it.
  static constexpr double kWindowsAtOnceMax = 4 * 24 * 6;
  static constexpr std::chrono::seconds kWindowInterval{10};

  enum class Outcome { kStored, kRepeat, kWanted };

  /// user: the host behind the connection's key; link: where its answer goes.
  /// Errors: kCorrupt (undecodable), kPermissionDenied (speaks for another host), kFailedPrecondition (the host has
  /// used more names than are remembered of a host, jumps too often, or its clock runs too fast; later there is room
  /// again), those of last_sequence (without it a repeat would be taken for news); the message is refused.
  Result<Outcome> take(const HostId& user, const std::string& link, std::string_view bytes, Timestamp now);

  /// What is to be stored, in this order, and beside each frame its sample.
  std::vector<store::RawMessage>& messages() { return messages_; }
  std::vector<std::optional<Sample>>& samples() { return samples_; }
  /// True if there is something to store or to answer.
  bool has_news() const { return !messages_.empty() || !answers_.empty(); }

  struct Answer {
    std::string link;
    wire::Ack ack;
  };
  /// messages() is durable. Returns: what to tell the agents. Samples and messages are the caller's to take before.
  std::vector<Answer> committed();

 private:
  struct Boot {
    std::uint64_t durable_sequence = 0;
    std::uint64_t taken_sequence = 0;  // durable, or in the batch
  };
  struct LastTold {  // by the last frame
    std::uint64_t boot_id = 0;
    Timestamp time;
  };
  struct Host {
    wire::FrameDecoder decoder;  // its catalogs are stored, or in the batch, in the order in which it was given them
    Timestamp heard_at{};
    std::map<std::uint64_t, Boot> boots;
    std::deque<std::uint64_t> boot_order;
    std::deque<std::uint64_t>
        stored_boots;  // that decoders of what is stored remember; frames stored longest ago first
    RecentNames<VmId> vms{kVmsPerDayMax, std::chrono::hours(24)};
    RecentNames<std::uint64_t> new_boots{kBootsPerHourMax, std::chrono::hours(1)};
    std::shared_ptr<const Catalog> in_use;  // of the last frame
    std::optional<LastTold> last;
    BasicTokenBucket<Timestamp> jumps{kJumpsAtOnceMax, 1.0 / std::chrono::duration<double>(kJumpInterval).count()};
    BasicTokenBucket<Timestamp> windows{kWindowsAtOnceMax,
                                        1.0 / std::chrono::duration<double>(kWindowInterval).count()};
    std::uint64_t asked_boot = 0;
    Timestamp asked_at{};
    Nanoseconds ask_interval{};  // doubles while asking brings nothing new
  };
  struct Due {
    std::string link;
    wire::Ack::Want want = wire::Ack::Want::kNothing;
  };

  Result<Boot*> boot_of(const HostId& host, Host& state, std::uint64_t boot_id, Timestamp now);
  static bool jumps_to(const Host& host, const Boot& boot, const wire::EncodedFrame& frame);
  static bool enters_window(const Host& host, const wire::EncodedFrame& frame);
  void forget_boots();
  static Status use_names(Host& host, const Catalog& catalog, Timestamp now);
  Result<Outcome> take_catalog(const HostId& user, Host& host, Catalog catalog, std::string_view bytes, Timestamp now);
  Result<Outcome> take_frame(const HostId& user, Host& host, const std::string& link, const wire::EncodedFrame& frame,
                             std::string_view bytes, Timestamp now);
  Outcome ask(const HostId& user, Host& host, const std::string& link, std::uint64_t boot_id, wire::Ack::Want want,
              Timestamp now);

  LastSequence last_sequence_;
  std::map<HostId, Host> hosts_;
  std::set<HostId> crowded_;  // with more boots than are kept
  std::vector<store::RawMessage> messages_;
  std::vector<std::optional<Sample>> samples_;
  std::map<std::pair<HostId, std::uint64_t>, Due> answers_;
};

}  // namespace proteus::ingest
