// Keys and values of the store, as a disk gives them back. The first byte chooses the parser; an input of two parts has
// the first one's length in front (fuzz_target.h). What decodes, encodes to what it came from, where the format leaves
// no choice.
#include "controller/store/store_keys.h"

#include <cstdlib>

#include "controller/store/series_keys.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {
namespace {

using namespace store;

void same(std::string_view was, const std::string& is) {
  if (was != is) std::abort();
}

/// A value with its key.
template <typename Visit>
void pair(std::string_view input, const Visit& visit) {
  const std::vector<std::string_view> parts = split(input);
  if (parts.size() >= 2) visit(parts[0], parts[1]);
}

void parse(char kind, std::string_view in) {
  switch (kind) {
    case 'a':
      if (const auto lsn = keys::parse_lsn_key(in)) same(in, keys::lsn_key(*lsn));
      break;
    case 'b':
      if (const auto message = keys::parse_raw_value(7, in)) same(in, keys::raw_value(*message));
      break;
    case 'c': (void)keys::raw_received(in).has_value(); break;
    case 'd': (void)keys::parse_frame_sequence(in).has_value(); break;
    case 'e':
      if (const auto place = keys::parse_frame_value(in)) same(in, keys::frame_value(*place));
      break;
    case 'f':
      pair(in, [](std::string_view key, std::string_view value) {
        const auto message = keys::parse_catalog(key, value);
        if (!message) return;
        same(key, keys::catalog_key({message->host, message->boot_id}, message->catalog_version));
        same(value, keys::catalog_value(*message));
      });
      break;
    case 'g': (void)keys::parse_journal_value(in).has_value(); break;
    case 'h': (void)keys::parse_time_lsn(in).has_value(); break;
    case 'i':
      if (const auto entry = keys::parse_action_key(in)) same(in, keys::action_key(entry->action, entry->lsn));
      break;
    case 'j':
      if (const auto lsn = keys::parse_started_key(in)) same(in, keys::started_key(*lsn));
      break;
    case 'k':
      if (const auto time = keys::parse_started_value(in)) same(in, keys::started_value(*time));
      break;
    case 'l':
      if (const auto boot = keys::parse_newest_key(in)) same(in, keys::newest_key(*boot));
      break;
    case 'm':
      if (const auto newest = keys::parse_newest_value(in)) same(in, keys::newest_value(*newest));
      break;
    case 'n':
      if (const auto action = keys::parse_open_key(in)) same(in, keys::open_key(*action));
      break;
    case 'o':
      if (const auto state = keys::parse_state(in)) same(in, keys::state_value(*state));
      break;
    case 'p': (void)keys::parse_page_place(in).has_value(); break;
    case 'q': (void)keys::parse_rollup_place(in).has_value(); break;
    case 'r': (void)keys::parse_entity_host(in).has_value(); break;
    case 's':
      pair(in, [](std::string_view key, std::string_view value) {
        if (const auto entity = keys::parse_entity(key, value)) (void)keys::entity_value(*entity);
      });
      break;
    case 't':
      if (const auto host = keys::parse_progress_host(in)) same(in, keys::progress_key(*host));
      break;
    case 'u':
      if (const auto progress = keys::parse_progress(in)) same(in, keys::progress_value(*progress));
      break;
    case 'v':
      if (const auto kept = keys::parse_kept(in)) same(in, keys::kept_value(*kept));
      break;
    default: break;
  }
}

}  // namespace

std::vector<std::string> seeds() {
  const HostId host("h1");
  const keys::Boot boot{host, 7};
  RawMessage message;
  message.lsn = 7;
  message.received = from_unix_ns(5);
  message.host = host;
  message.boot_id = 7;
  message.sequence = 3;
  message.catalog_version = 1;
  message.bytes = "bytes";
  RawMessage catalog = message;
  catalog.sequence = 0;
  StoredEntity entity;
  entity.number = 9;
  entity.name = "web1";
  entity.uuid = "00000000-0000-4000-8000-000000000001";
  entity.labels = {{"group.app", "web"}};
  const Timestamp time = from_unix_ns(1'700'000'000'000'000'000);
  return {"a" + keys::lsn_key(1),
          "b" + keys::raw_value(message),
          "c" + keys::raw_value(message),
          "d" + keys::frame_key(boot, 3),
          "e" + keys::frame_value({1, 2, 3}),
          "f" + join({keys::catalog_key(boot, 1), keys::catalog_value(catalog)}),
          "g" + keys::journal_value({3, time, Cycle{1, 2, 3}}),
          "h" + keys::time_key(keys::second_of(time), 4),
          "i" + keys::action_key(4, 5),
          "j" + keys::started_key(6),
          "k" + keys::started_value(time),
          "l" + keys::newest_key(boot),
          "m" + keys::newest_value({1, 2, time}),
          "n" + keys::open_key(3),
          "o" + keys::state_value({}),
          "p" + keys::page_key(5, host, {1, 2}),
          "q" + keys::rollup_key({keys::Level::kMinute, 5, keys::Figure::kSum, host}, 2, 60),
          "r" + keys::entity_key(host, 9),
          "s" + join({keys::entity_key(host, 9), keys::entity_value(entity)}),
          "t" + keys::progress_key(host),
          "u" + keys::progress_value({4, {{1, 2}, {3, 4}}, {5, 6}}),
          "v" + keys::kept_value({1, 2, 3})};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) proteus::fuzz::parse(static_cast<char>(data[0]), proteus::fuzz::text_of(data + 1, size - 1));
  return 0;
}
