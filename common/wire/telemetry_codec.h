#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/telemetry.h"
#include "common/units.h"

/// Bytes of schemas/telemetry.capnp and what they mean; streams, order and silence are explained there.
/// Everything that decodes takes bytes from the network or from disk: each size, index, enumerator, text and number is
/// checked, one bad field refuses the message, nothing throws. Errors: kCorrupt unless stated.
/// Thread: functions are pure; an object belongs to one thread.
namespace proteus::wire {

constexpr std::uint32_t kEntitiesMax = 65'536;
constexpr std::uint32_t kSeriesMax = 1'048'576;
constexpr std::uint32_t kKeyframeInterval = 60;  ///< frames
constexpr std::size_t kKnownCatalogsBytesMax = 128u << 20;

/// A frame as it lies on the wire: whose it is can be told without decoding its values.
struct EncodedFrame {
  std::uint64_t boot_id = 0;
  std::uint32_t catalog_version = 0;
  std::uint64_t sequence = 0;
  std::uint64_t base_sequence = 0;      ///< 0: keyframe
  std::uint64_t previous_sequence = 0;  ///< 0: the stream begins here
  Timestamp time;
  std::string presence;
  std::string values;
};

using Upstream = std::variant<Catalog, EncodedFrame>;

std::string encode(const Catalog& catalog);
/// Checks all that can be checked without the catalog; a catalog is checked whole.
Result<Upstream> decode_upstream(std::string_view bytes);

struct Ack {
  enum class Want : std::uint8_t { kNothing, kCatalog, kKeyframe };
  std::uint64_t boot_id = 0;
  std::uint64_t sequence = 0;  ///< every frame up to and including this one is durable; 0: none
  Want want = Want::kNothing;
  bool operator==(const Ack&) const = default;
};
std::string encode(const Ack& ack);
Result<Ack> decode_ack(std::string_view bytes);

/// Whether a frame may bear this time: from 1970 to 2200. Another is a broken clock's.
bool can_tell(Timestamp time);

/// Bytes of the longest varint of 64 bits.
inline constexpr int kVarintBytesMax = 10;
/// Of each series, in order: what its values are told in.
std::vector<std::int64_t> quanta_of(const Catalog& catalog);

/// Makes the stream of one agent to one reader: a controller, or a file.
/// Values are floored to the quantum of their KPI.
class FrameEncoder {
 public:
  explicit FrameEncoder(std::uint32_t keyframe_interval = kKeyframeInterval) : keyframe_interval_(keyframe_interval) {}

  /// The next sample begins the stream anew: catalog and keyframe.
  void begin_stream();

  /// Appends to `messages` the sample's catalog if the stream lacks it, and its frame.
  /// Aborts if the sample breaks the invariant of Frame. Sequences grow within a boot.
  void encode(const Sample& sample, std::vector<std::string>& messages);

 private:
  const std::uint32_t keyframe_interval_;
  std::shared_ptr<const Catalog> catalog_;  // of the stream; null: begins anew
  std::vector<std::int64_t> quanta_;        // of catalog_'s series
  std::vector<std::uint8_t> is_counted_;    // of each eight of them: all their quanta are one
  std::uint64_t previous_sequence_ = 0;     // 0: the stream begins
  std::uint32_t since_keyframe_ = 0;
  std::vector<std::int64_t> base_;  // values of the previous frame in quanta; 0 where absent
  std::string presence_;            // scratch
  std::vector<char> columns_;       // scratch: room for the longest that catalog_'s values can be
};

/// A catalog and the quanta of its series, as decoding takes them.
struct KnownCatalog {
  std::shared_ptr<const Catalog> catalog;
  std::vector<std::int64_t> quanta;
  std::size_t memory_bytes = 0;  ///< of both, about
};

/// Of one host: its boots that decoders remember, those that they were given something of last. Whoever joins later
/// and is given the same from then on remembers some of them, and none that the others do not.
inline constexpr std::size_t kBootsRememberedMax = 4;

/// The last catalogs of each of the last boots of one host, as far as they fit into a fixed memory: four of the largest
/// that an agent sends. Whoever is given the same catalogs in the same order knows the same ones.
class KnownCatalogs {
 public:
  /// Errors: kCorrupt if this boot and version named other series before.
  Result<bool> knows(const Catalog& catalog) const;
  /// One that is known already becomes the newest again. Errors: as knows().
  Status add(Catalog catalog);
  /// Errors: kNotFound.
  Result<std::shared_ptr<const KnownCatalog>> find(const EncodedFrame& frame) const;
  /// Memory of all of them, about.
  std::size_t memory_bytes() const;

 private:
  void fit(std::uint64_t boot_id);

  std::map<std::uint64_t, std::deque<std::shared_ptr<const KnownCatalog>>> boots_;  // oldest first
  std::deque<std::uint64_t> boot_order_;                                            // given something longest ago first
};

/// The last frame of each of the last boots of one host, which the next is told against.
class FrameBases {
 public:
  /// The frame's values into `out`, whose memory is used again. Errors: kFailedPrecondition if the base is not the
  /// frame decoded last of this boot; kCorrupt. After an error the state is as before, and `out` means nothing.
  Status decode(const EncodedFrame& frame, const KnownCatalog& catalog, Frame& out);

 private:
  struct Base {
    std::uint32_t catalog_version = 0;
    std::uint64_t sequence = 0;           // 0: none
    std::vector<std::int64_t> quotients;  // in quanta; 0 where absent
  };
  std::map<std::uint64_t, Base> boots_;
  std::deque<std::uint64_t> boot_order_;  // given something longest ago first
  std::vector<std::int64_t> scratch_;     // becomes a base, whose place it takes
};

/// Reads the streams of one host.
class FrameDecoder {
 public:
  /// Errors: as KnownCatalogs.
  Result<bool> knows(const Catalog& catalog) const { return catalogs_.knows(catalog); }
  Status add(Catalog catalog) { return catalogs_.add(std::move(catalog)); }
  /// Errors: as KnownCatalogs and FrameBases. After an error the state is as before.
  Result<Sample> decode(const EncodedFrame& frame);

 private:
  KnownCatalogs catalogs_;
  FrameBases bases_;
};

/// Reads raw messages of many hosts in the order in which they were stored; for replay.
class TelemetryReader {
 public:
  /// A sample, or nullopt for a catalog. Errors: as FrameDecoder; kCorrupt if a catalog names another host.
  Result<std::optional<Sample>> read(const HostId& host, std::string_view bytes);

 private:
  std::map<HostId, FrameDecoder> hosts_;
};

}  // namespace proteus::wire
