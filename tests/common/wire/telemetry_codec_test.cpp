#include "common/wire/telemetry_codec.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>

#include "common/wire/catalog_check.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/hex.h"

namespace proteus::wire {
namespace {

Result<std::optional<Sample>> read_one(TelemetryReader& reader, const std::string& bytes) {
  return reader.read(HostId("h1"), bytes);
}

EncodedFrame frame_of(const std::string& bytes) {
  return std::get<EncodedFrame>(decode_upstream(bytes).value());
}

void expect_equal(const Catalog& got, const Catalog& wanted) {
  EXPECT_EQ(got.host, wanted.host);
  EXPECT_EQ(got.boot_id, wanted.boot_id);
  EXPECT_EQ(got.version, wanted.version);
  EXPECT_EQ(got.entities, wanted.entities);
  EXPECT_EQ(got.series, wanted.series);
}

TEST(TelemetryCodec, CatalogsRoundTrip) {
  for (const int vm_count : {0, 1, 50}) {
    const auto catalog = make_catalog("h1", 0xfeedfacecafebeef, 3, vm_count);
    const auto decoded = decode_upstream(encode(*catalog));
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(std::get<Catalog>(*decoded), *catalog);
  }
}

/// An agent drops the telemetry of its host whose catalog controllers would refuse.
TEST(TelemetryCodec, LabelsThatAVmsOwnerChoseDoNotMakeACatalogUnfit) {
  Catalog catalog = *make_catalog("h1", 1, 3, 1);
  const auto vm = std::find_if(catalog.entities.begin(), catalog.entities.end(),
                               [](const Entity& entity) { return entity.kind == EntityKind::kVm; });
  vm->labels = {{"unmovable", "a disk"}, {"group.a\tb", "1"}, {"group.a b", "2"}};
  const std::string long_name = "group." + std::string(kLabelKeyBytesMax, 'a');
  vm->labels[long_name + "1"] = vm->labels[long_name + "2"] = "3";
  const auto told = [&catalog, at = vm - catalog.entities.begin()]() -> std::map<std::string, std::string> {
    const auto decoded = decode_upstream(encode(catalog));
    EXPECT_TRUE(decoded) << decoded.error().message;
    return decoded ? std::get<Catalog>(*decoded).entities[static_cast<std::size_t>(at)].labels
                   : std::map<std::string, std::string>{};
  };
  EXPECT_EQ(told(), (std::map<std::string, std::string>{
                        {"unmovable", "a disk"}, {"group.a b", "1"}, {long_name.substr(0, kLabelKeyBytesMax), "3"}}));

  for (std::size_t i = 0; i < 2 * kLabelsPerEntityMax; ++i) vm->labels["group.b" + std::to_string(i)] = "4";
  EXPECT_EQ(told().size(), kLabelsPerEntityMax);
  EXPECT_EQ(told()["unmovable"], "a disk") << "what the agent says itself comes first";
}

TEST(TelemetryCodec, StreamsRoundTrip) {
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    FrameEncoder encoder(7);
    TelemetryReader reader;
    auto catalog = make_catalog("h1", seed, 1, 3);
    std::uint64_t sequence = 0;
    for (int i = 0; i < 200; ++i) {
      if (random() % 20 == 0) catalog = make_catalog("h1", seed, catalog->version + 1, static_cast<int>(random() % 6));
      if (random() % 25 == 0) encoder.begin_stream();
      sequence += 1 + random() % 3;  // frames that were dropped are missing
      const Sample sample = make_sample(catalog, sequence, random);
      std::vector<std::string> messages;
      encoder.encode(sample, messages);
      std::optional<Sample> got;
      for (const std::string& message : messages) {
        auto read = read_one(reader, message);
        ASSERT_TRUE(read) << read.error().message;
        got = std::move(*read);
      }
      ASSERT_TRUE(got);
      EXPECT_EQ(got->frame, sample.frame);
      expect_equal(*got->catalog, *sample.catalog);
    }
  }
}

TEST(TelemetryCodec, AStreamSaysWhatItBuildsOn) {
  std::mt19937_64 random(1);
  const auto catalog = make_catalog("h1", 1, 1, 1);
  FrameEncoder encoder(3);
  std::vector<std::string> messages;
  for (std::uint64_t sequence = 1; sequence <= 5; ++sequence)
    encoder.encode(make_sample(catalog, sequence, random), messages);
  ASSERT_EQ(messages.size(), 6u);  // the catalog went once
  const std::vector<std::uint64_t> bases = {0, 1, 2, 0, 4};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(frame_of(messages[i + 1]).base_sequence, bases[i]);
    EXPECT_EQ(frame_of(messages[i + 1]).previous_sequence, i);
  }
  messages.clear();
  encoder.begin_stream();
  encoder.encode(make_sample(catalog, 3, random), messages);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(frame_of(messages[1]).base_sequence, 0u);
  EXPECT_EQ(frame_of(messages[1]).previous_sequence, 0u);
}

TEST(TelemetryCodec, ValuesAreFlooredToTheQuantum) {
  const auto catalog = make_catalog("h1", 1, 1, 0);
  Sample sample{catalog, {1, 1, 1, from_unix_ns(1), {}, {}}};
  sample.frame.present.assign(catalog->series.size(), 1);
  sample.frame.values.assign(catalog->series.size(), -1);
  std::vector<std::string> messages;
  FrameEncoder().encode(sample, messages);
  TelemetryReader reader;
  ASSERT_TRUE(read_one(reader, messages[0]));
  const Sample got = *read_one(reader, messages[1]).value();
  for (std::size_t i = 0; i < catalog->series.size(); ++i) {
    EXPECT_EQ(got.frame.values[i], -info(catalog->series[i].kpi).quantum);
  }
}

TEST(TelemetryCodec, SteadyCountersCostAboutOneByte) {
  const auto catalog = make_catalog("h1", 1, 1, 10);
  FrameEncoder encoder;
  std::vector<std::string> messages;
  Sample sample{catalog, {1, 1, 1, from_unix_ns(1), {}, {}}};
  sample.frame.present.assign(catalog->series.size(), 1);
  sample.frame.values.assign(catalog->series.size(), 1'000'000'000'000);
  encoder.encode(sample, messages);
  const std::size_t keyframe_bytes = messages.back().size();
  sample.frame.sequence = 2;
  encoder.encode(sample, messages);
  EXPECT_LT(messages.back().size(), catalog->series.size() * 9 / 8 + 200);
  EXPECT_GT(keyframe_bytes, 3 * messages.back().size());
}

/// A VM with one histogram, whose counts are sent as they are.
std::shared_ptr<const Catalog> catalog_of_counts() {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId("h1");
  catalog->boot_id = 1;
  catalog->version = 1;
  catalog->entities = {{EntityKind::kHost, kNoParent, "h1", {}, {}},
                       {EntityKind::kVm, 0, "a", "00000000-0000-0000-0000-000000000001", {}}};
  for (std::size_t b = 0; b < kHistogramBucketCount; ++b) {
    catalog->series.push_back({1, Kpi::kRunQueueLatencyNs, static_cast<std::uint8_t>(b)});
  }
  return catalog;
}

/// Encodes each frame of the stream and gives back what is read of it.
class CountStream {
 public:
  explicit CountStream(std::shared_ptr<const Catalog> catalog) : catalog_(std::move(catalog)) {}

  /// All are there.
  void expect_read(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& wanted) {
    expect_read(values, std::vector<std::uint8_t>(values.size(), 1), wanted);
  }
  void expect_round_trip(const std::vector<std::int64_t>& values, const std::vector<std::uint8_t>& present) {
    expect_read(values, present, values);
  }
  /// Of the last frame.
  const std::string& bytes() const { return bytes_; }

 private:
  void expect_read(const std::vector<std::int64_t>& values, const std::vector<std::uint8_t>& present,
                   const std::vector<std::int64_t>& wanted) {
    const Sample sample{catalog_, {1, 1, ++sequence_, from_unix_ns(1), present, values}};
    std::vector<std::string> messages;
    encoder_.encode(sample, messages);
    for (const std::string& message : messages) {
      const auto read = read_one(reader_, message);
      ASSERT_TRUE(read) << read.error().message;
      if (*read) {
        EXPECT_EQ((*read)->frame.values, wanted);
        EXPECT_EQ((*read)->frame.present, present);
      }
    }
    bytes_ = frame_of(messages.back()).values;
  }

  const std::shared_ptr<const Catalog> catalog_;
  FrameEncoder encoder_;
  TelemetryReader reader_;
  std::uint64_t sequence_ = 0;
  std::string bytes_;
};

TEST(TelemetryCodec, CountsThatStandStillAreAByteEach) {
  const auto catalog = catalog_of_counts();
  const std::size_t count = catalog->series.size();
  CountStream stream(catalog);
  std::vector<std::int64_t> values(count, 1'000'000);
  const std::vector<std::uint8_t> all(count, 1);
  stream.expect_round_trip(values, all);
  stream.expect_round_trip(values, all);
  EXPECT_EQ(stream.bytes(), std::string(count, '\0'));
  for (std::size_t changed = 0; changed < count; ++changed) {
    values[changed] += 1;
    stream.expect_round_trip(values, all);
    std::string wanted(count, '\0');
    wanted[changed] = 2;
    EXPECT_EQ(stream.bytes(), wanted) << changed;
  }
  for (std::size_t absent = 0; absent < count; ++absent) {
    std::vector<std::int64_t> some = values;
    std::vector<std::uint8_t> present = all;
    some[absent] = present[absent] = 0;
    stream.expect_round_trip(some, present);
    stream.expect_round_trip(some, present);  // those that are there stand still
    EXPECT_EQ(stream.bytes().size(), count - 1);
    stream.expect_round_trip(values, all);  // against nothing
    EXPECT_GT(stream.bytes().size(), count) << absent;
  }
}

TEST(TelemetryCodec, WhatIsAsLargeAsItWasInQuantaIsNotTheSame) {
  auto catalog = std::make_shared<Catalog>(*catalog_of_counts());
  catalog->series.clear();
  for (std::uint32_t vcpu = 0; vcpu < 8; ++vcpu) {
    catalog->entities.push_back({EntityKind::kVcpu, 1, std::to_string(vcpu), {}, {}});
    catalog->series.push_back({2 + vcpu, Kpi::kCpuRunTimeNs, 0});
  }
  const std::int64_t quantum = info(Kpi::kCpuRunTimeNs).quantum;
  ASSERT_GT(quantum, 5);
  CountStream stream(catalog);
  stream.expect_round_trip(std::vector<std::int64_t>(8, 5 * quantum), std::vector<std::uint8_t>(8, 1));
  stream.expect_read(std::vector<std::int64_t>(8, 5), std::vector<std::int64_t>(8, 0));
}

TEST(TelemetryCodec, DifferencesOfEveryLengthRoundTrip) {
  const auto catalog = catalog_of_counts();
  CountStream stream(catalog);
  const std::vector<std::uint8_t> all(catalog->series.size(), 1);
  std::vector<std::int64_t> values(catalog->series.size());
  for (int bit = 0; bit < 63; ++bit) {
    for (const std::int64_t beside : {-1, 0, 1}) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = ((std::int64_t{1} << bit) + beside) * (i % 3 == 0 ? 1 : i % 3 == 1 ? -1 : 0);
      }
      stream.expect_round_trip(values, all);
    }
  }
  std::fill(values.begin(), values.end(), INT64_MAX);
  stream.expect_round_trip(values, all);
  std::fill(values.begin(), values.end(), INT64_MIN);
  stream.expect_round_trip(values, all);
}

TEST(TelemetryCodec, AClockThatIsSetBackIsNoError) {
  std::mt19937_64 random(1);
  const auto catalog = make_catalog("h1", 1, 1, 1);
  FrameEncoder encoder;
  TelemetryReader reader;
  for (std::uint64_t sequence = 1; sequence <= 6; ++sequence) {
    Sample sample = make_sample(catalog, sequence, random);
    if (sequence > 3) sample.frame.time -= std::chrono::hours(1);
    std::vector<std::string> messages;
    encoder.encode(sample, messages);
    std::optional<Sample> got;
    for (const std::string& message : messages) got = read_one(reader, message).value();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->frame, sample.frame) << "frames are in order of their sequence, whatever the clock says";
  }
}

TEST(TelemetryCodec, WithoutCatalogOrBaseADecoderSaysSo) {
  std::mt19937_64 random(1);
  const auto catalog = make_catalog("h1", 1, 1, 1);
  FrameEncoder encoder;
  std::vector<std::string> messages;
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence)
    encoder.encode(make_sample(catalog, sequence, random), messages);
  FrameDecoder decoder;
  EXPECT_EQ(decoder.decode(frame_of(messages[1])).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(decoder.add(*catalog));
  EXPECT_EQ(decoder.decode(frame_of(messages[2])).error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(decoder.decode(frame_of(messages[1])));
  EXPECT_EQ(decoder.decode(frame_of(messages[3])).error().code, ErrorCode::kFailedPrecondition);  // 2 is missing
  ASSERT_TRUE(decoder.decode(frame_of(messages[2])));
  ASSERT_TRUE(decoder.decode(frame_of(messages[3])));
}

TEST(TelemetryCodec, ACatalogCannotChangeUnderItsVersion) {
  FrameDecoder decoder;
  ASSERT_TRUE(decoder.add(*make_catalog("h1", 1, 1, 1)));
  EXPECT_TRUE(decoder.add(*make_catalog("h1", 1, 1, 1)));
  EXPECT_EQ(decoder.add(*make_catalog("h1", 1, 1, 2)).error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(decoder.add(*make_catalog("h1", 2, 1, 2)));  // another boot
}

TEST(TelemetryCodec, CatalogsThatCannotBeTrueAreRefused) {
  using Change = std::function<void(Catalog&)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"no entities",
       [](Catalog& c) {
         c.entities.clear();
         c.series.clear();
       }},
      {"bad host",
       [](Catalog& c) {
         c.host = HostId("h 1");
         c.entities[0].name = "h 1";
       }},
      {"another host first", [](Catalog& c) { c.entities[0].name = "h2"; }},
      {"second host", [](Catalog& c) { c.entities.push_back(c.entities[0]); }},
      {"unknown kind", [](Catalog& c) { c.entities[1].kind = static_cast<EntityKind>(77); }},
      {"vCPU without VM", [](Catalog& c) { c.entities[2].parent = kNoParent; }},
      {"vCPU of a vCPU", [](Catalog& c) { c.entities[2].parent = 3; }},
      {"parent out of range", [](Catalog& c) { c.entities[2].parent = 99; }},
      {"nameless", [](Catalog& c) { c.entities[1].name = ""; }},
      {"bad UUID", [](Catalog& c) { c.entities[1].uuid = "x"; }},
      {"UUID of a vCPU", [](Catalog& c) { c.entities[2].uuid = c.entities[1].uuid; }},
      {"too many labels",
       [](Catalog& c) {
         for (int i = 0; i < 65; ++i) c.entities[0].labels[std::to_string(i)] = "";
       }},
      {"empty label key", [](Catalog& c) { c.entities[0].labels[""] = "x"; }},
      {"entity out of range", [](Catalog& c) { c.series[0].entity = 99; }},
      {"KPI of another scope", [](Catalog& c) { c.series[0].entity = 1; }},
      {"unknown KPI", [](Catalog& c) { c.series[0].kpi = static_cast<Kpi>(9999); }},
      {"bucket of a counter", [](Catalog& c) { c.series[0].bucket = 1; }},
      {"series twice", [](Catalog& c) { c.series.push_back(c.series[0]); }},
  };
  for (const auto& [name, change] : changes) {
    Catalog catalog = *make_catalog("h1", 1, 1, 1);
    change(catalog);
    const auto decoded = decode_upstream(encode(catalog));
    ASSERT_FALSE(decoded) << name;
    EXPECT_EQ(decoded.error().code, ErrorCode::kCorrupt) << name;
  }
}

TEST(TelemetryCodec, FramesThatDoNotFitTheirCatalogAreRefused) {
  std::mt19937_64 random(5);
  auto narrower = std::make_shared<Catalog>(*make_catalog("h1", 1, 1, 1));
  while (narrower->series.size() % 8 != 5) narrower->series.pop_back();  // the presence mask ends within a byte
  const std::shared_ptr<const Catalog> catalog = narrower;
  std::vector<std::string> messages;
  FrameEncoder().encode(make_sample(catalog, 1, random), messages);
  const EncodedFrame good = frame_of(messages[1]);
  FrameDecoder decoder;
  ASSERT_TRUE(decoder.add(*catalog));
  const auto refuses = [&](const std::function<void(EncodedFrame&)>& change) {
    EncodedFrame frame = good;
    change(frame);
    const auto decoded = decoder.decode(frame);
    return !decoded && decoded.error().code == ErrorCode::kCorrupt;
  };
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.presence.pop_back(); }));
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.presence += '\0'; }));
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.values.pop_back(); }));
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.values += '\0'; }));
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.values.assign(f.values.size(), '\x80'); }));
  EXPECT_TRUE(refuses([](EncodedFrame& f) { f.presence.back() = static_cast<char>(f.presence.back() | 0x80); }));
  // A value that leaves 64 bits when its quantum is multiplied back in.
  EXPECT_TRUE(refuses([&](EncodedFrame& f) {
    f.presence.assign(f.presence.size(), '\0');
    for (std::size_t i = 0; i < catalog->series.size(); ++i) {
      if (info(catalog->series[i].kpi).quantum == 1) continue;
      f.presence[i / 8] = static_cast<char>(1 << i % 8);
      break;
    }
    f.values = std::string(9, '\xff') + '\x01';
  }));
  EXPECT_TRUE(decoder.decode(good));  // refusals left no trace
}

TEST(TelemetryCodec, DamagedBytesNeverThrow) {
  std::mt19937_64 random(20240608);
  const auto catalog = make_catalog("h1", 1, 1, 2);
  FrameEncoder encoder;
  std::vector<std::string> messages;
  encoder.encode(make_sample(catalog, 1, random), messages);
  encoder.encode(make_sample(catalog, 2, random), messages);
  int refused = 0;
  for (const std::string& message : messages) {
    for (std::size_t length = 0; length < message.size(); length += 1 + random() % 16) {
      TelemetryReader reader;
      ASSERT_TRUE(read_one(reader, messages[0]));
      EXPECT_FALSE(read_one(reader, message.substr(0, length)));
    }
    for (int round = 0; round < 3000; ++round) {
      std::string damaged = message;
      for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
        damaged[random() % std::min<std::size_t>(damaged.size(), 1 + random() % damaged.size())] ^=
            static_cast<char>(1 << random() % 8);
      }
      TelemetryReader reader;
      ASSERT_TRUE(read_one(reader, messages[0]));
      ASSERT_TRUE(read_one(reader, messages[1]));
      refused += !read_one(reader, damaged);
    }
  }
  EXPECT_GT(refused, 3000);
}

/// Of about so many bytes of memory, most of it labels.
Catalog large_catalog(std::uint64_t boot_id, std::uint32_t version, std::size_t bytes) {
  Catalog catalog = *make_catalog("h1", boot_id, version, 0);
  const std::string value(kLabelValueBytesMax, 'x');
  constexpr std::size_t kVmBytes = 50 * (kLabelValueBytesMax + 100);
  for (std::size_t vm = 0; vm < bytes / kVmBytes; ++vm) {
    Entity entity{EntityKind::kVm, kNoParent, "vm", fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", vm), {}};
    for (int label = 0; label < 50; ++label) entity.labels[fmt::format("group.{}", label)] = value;
    catalog.entities.push_back(std::move(entity));
  }
  return catalog;
}

bool finds(const KnownCatalogs& catalogs, std::uint64_t boot_id, std::uint32_t version) {
  EncodedFrame frame;
  frame.boot_id = boot_id;
  frame.catalog_version = version;
  return catalogs.find(frame).has_value();
}

TEST(KnownCatalogs, AreKeptAsFarAsTheyFitIntoMemory) {
  KnownCatalogs catalogs;
  for (std::uint64_t boot = 1; boot <= 4; ++boot) {
    for (std::uint32_t version = 1; version <= 4; ++version) {
      ASSERT_TRUE(catalogs.add(large_catalog(boot, version, kKnownCatalogsBytesMax / 7)));
      ASSERT_LE(catalogs.memory_bytes(), kKnownCatalogsBytesMax);
      ASSERT_TRUE(finds(catalogs, boot, version));
    }
  }
  EXPECT_FALSE(finds(catalogs, 2, 4)) << "the oldest boots' go first";
  EXPECT_FALSE(finds(catalogs, 3, 2));
  for (std::uint32_t version = 3; version <= 4; ++version) EXPECT_TRUE(finds(catalogs, 3, version));
  for (std::uint32_t version = 1; version <= 4; ++version) EXPECT_TRUE(finds(catalogs, 4, version));
  // Of the boot that goes on the newest is kept, whatever it takes.
  ASSERT_TRUE(catalogs.add(large_catalog(3, 5, 2 * kKnownCatalogsBytesMax)));
  EXPECT_TRUE(finds(catalogs, 3, 5));
  EXPECT_FALSE(finds(catalogs, 4, 4));
  EXPECT_FALSE(finds(catalogs, 3, 4));
}

TEST(KnownCatalogs, OfAnOrdinaryHostAllAreKept) {
  KnownCatalogs catalogs;
  for (std::uint64_t boot = 1; boot <= 4; ++boot) {
    for (std::uint32_t version = 1; version <= 4; ++version) {
      ASSERT_TRUE(catalogs.add(*make_catalog("h1", boot, version, 50)));
    }
  }
  for (std::uint64_t boot = 1; boot <= 4; ++boot) {
    for (std::uint32_t version = 1; version <= 4; ++version) EXPECT_TRUE(finds(catalogs, boot, version));
  }
}

TEST(TelemetryCodec, ACatalogListsNoMoreVmsThanAControllerTakesOfAHost) {
  Catalog catalog = *make_catalog("h1", 1, 1, 0);
  for (std::size_t vm = 0; vm < kVmsMax; ++vm) {
    catalog.entities.push_back(
        {EntityKind::kVm, kNoParent, "vm", fmt::format("0f0e7a52-93b1-4c7c-8a55-{:012}", vm), {}});
  }
  EXPECT_TRUE(check_catalog(catalog));
  catalog.entities.push_back({EntityKind::kVm, kNoParent, "vm", "0f0e7a52-93b1-4c7c-8a55-999999999999", {}});
  const Status checked = check_catalog(catalog);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("4097 VMs"), std::string::npos) << checked.error().message;
}

TEST(TelemetryCodec, AcksRoundTrip) {
  for (const auto want : {Ack::Want::kNothing, Ack::Want::kCatalog, Ack::Want::kKeyframe}) {
    const Ack ack{7, 9, want};
    EXPECT_EQ(decode_ack(encode(ack)).value(), ack);
  }
  EXPECT_FALSE(decode_ack(std::string(2048, '\0')));
  EXPECT_FALSE(decode_ack("short"));
}

TEST(TelemetryCodecDeathTest, ASampleThatBreaksItsInvariantStopsTheProgram) {
  const auto catalog = make_catalog("h1", 1, 1, 0);
  const Sample sample{catalog, {1, 1, 1, from_unix_ns(1), {1}, {1}}};
  std::vector<std::string> messages;
  EXPECT_DEATH(FrameEncoder().encode(sample, messages), "");
}

// If this fails, agents and controllers of different versions no longer understand each other, and what is stored and
// spooled can no longer be read: add fields instead.
TEST(TelemetryCodec, GoldenBytes) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId("h1");
  catalog->boot_id = 0x0102030405060708;
  catalog->version = 2;
  catalog->entities = {{EntityKind::kHost, kNoParent, "h1", "", {{"machine", "x86_64"}}},
                       {EntityKind::kVm, kNoParent, "web1", "0f0e7a52-93b1-4c7c-8a55-000000000001", {}}};
  catalog->series = {{0, Kpi::kHostCpuTimeNs, 0}, {1, Kpi::kMemoryResidentBytes, 0}, {1, Kpi::kRunQueueLatencyNs, 4}};
  const auto frame = [&](std::uint64_t sequence, std::vector<std::uint8_t> present, std::vector<std::int64_t> values) {
    return Sample{catalog,
                  {.boot_id = catalog->boot_id,
                   .catalog_version = 2,
                   .sequence = sequence,
                   .time = from_unix_ns(1'700'000'000'000'000'000 + static_cast<std::int64_t>(sequence)),
                   .present = std::move(present),
                   .values = std::move(values)}};
  };
  FrameEncoder encoder;
  std::vector<std::string> messages;
  encoder.encode(frame(7, {1, 1, 0}, {123'456'000, 4096, 0}), messages);
  encoder.encode(frame(9, {1, 0, 1}, {123'457'000, 0, 300}), messages);
  messages.push_back(encode(Ack{catalog->boot_id, 9, Ack::Want::kKeyframe}));
  std::string text;
  for (const std::string& message : messages) text += hex(message) + "\n";
  std::ifstream file(PROTEUS_FIXTURES "/wire/telemetry.golden");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str()) << "catalog, keyframe, difference, acknowledgement";
}

}  // namespace
}  // namespace proteus::wire
