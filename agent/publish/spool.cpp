#include "agent/publish/spool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "common/log.h"

namespace proteus::publish {
namespace {

constexpr std::uint64_t kSegmentsMax = 8;
constexpr std::string_view kSuffix = ".spool";

std::string segment_path(const std::string& directory, std::uint64_t number) {
  return fmt::format("{}/{:016x}{}", directory, number, kSuffix);
}

/// The number in the name of a segment's file; nullopt for any other file.
std::optional<std::uint64_t> segment_number(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.size() != 16 + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.find_first_not_of("0123456789abcdef") < 16) return std::nullopt;
  return std::stoull(name.substr(0, 16), nullptr, 16);
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::open(SpoolOptions options) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  const std::string lock_path = options.directory + "/lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    return Error{errno == EACCES ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
                 fmt::format("open spool {}: {}", options.directory, std::strerror(errno))};
  }
  std::unique_ptr<Spool> spool(new Spool(std::move(options), lock));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("open spool {}: another agent uses it", spool->options_.directory)};
  }
  if (auto recovered = spool->recover(); !recovered) return with_context(recovered.error(), "open spool");
  return spool;
}

Spool::~Spool() {
  flush();
  ::close(lock_);
}

Status Spool::recover() {
  std::vector<std::uint64_t> numbers;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(options_.directory, failed)) {
    if (const auto number = segment_number(entry.path())) numbers.push_back(*number);
  }
  if (failed) return Error{ErrorCode::kUnavailable, fmt::format("{}: {}", options_.directory, failed.message())};
  std::sort(numbers.begin(), numbers.end());
  for (const std::uint64_t number : numbers) {
    const std::string path = segment_path(options_.directory, number);
    next_number_ = std::max(next_number_, number + 1);
    const bool held_nothing = std::filesystem::file_size(path, failed) <= SpoolSegment::kHeadBytes;
    SpoolSegment::Damage damage;
    auto file = SpoolSegment::open(path, damage);
    if (!file && file.error().code != ErrorCode::kCorrupt) {
      log::error("{}; it is left as it is, its frames are not sent", file.error().message);
      if (!held_nothing) ++dropped_at_open_;
      continue;
    }
    if (damage.cut_bytes > 0) {
      log::warning("{}: {} bytes at the end were not whole and are gone", path, damage.cut_bytes);
    }
    if (damage.lost_frames > 0) {
      log::warning("{} is damaged: {} of its frames, at least, are lost", path, damage.lost_frames);
    }
    bool is_ours = false;
    std::size_t frame_count = 0;
    if (file && !(*file)->records().empty()) {
      const auto first = (*file)->read((*file)->records().front());
      if (!first && first.error().code == ErrorCode::kUnavailable) {
        log::error("{}; it is left as it is, its frames are not sent", first.error().message);
        ++dropped_at_open_;
        continue;
      }
      const auto message = first ? wire::decode_upstream(*first) : Result<wire::Upstream>(first.error());
      const auto* catalog = message ? std::get_if<Catalog>(&*message) : nullptr;
      is_ours = catalog != nullptr && catalog->host == options_.host;
      frame_count = static_cast<std::size_t>(std::count_if((*file)->records().begin(), (*file)->records().end(),
                                                           [](const auto& record) { return !record.is_catalog; }));
    }
    if (!is_ours) {
      log::warning("{} holds no frames of host {}; deleted, with {} frames that can be read", path, options_.host.value,
                   frame_count);
      if (!held_nothing) dropped_at_open_ += std::max<std::size_t>(frame_count + damage.lost_frames, 1);
      std::filesystem::remove(path, failed);
      continue;
    }
    dropped_at_open_ += damage.lost_frames;
    // Numbers in memory have no gaps, whatever is missing on disk.
    const std::uint64_t place = segments_.empty() ? number : segments_.back().number + 1;
    for (std::size_t i = 0; i < (*file)->records().size(); ++i) {
      if (!(*file)->records()[i].is_catalog) frames_.push_back({place, i});
    }
    bytes_ += (*file)->bytes();
    segments_.push_back({place, std::move(*file)});
  }
  std::size_t too_many = 0;
  while (!segments_.empty() && bytes_ > options_.bytes_max) too_many += drop_oldest_segment();
  if (too_many > 0) {
    log::warning("{} may hold {} bytes and held more: its oldest {} frames are lost", options_.directory,
                 options_.bytes_max, too_many);
  }
  dropped_at_open_ += too_many;
  return {};
}

Status Spool::begin_segment() {
  auto file = SpoolSegment::create(segment_path(options_.directory, next_number_));
  if (!file) return file.error();
  bytes_ += (*file)->bytes();
  segments_.push_back({segments_.empty() ? next_number_ : segments_.back().number + 1, std::move(*file)});
  ++next_number_;
  writing_ = true;
  encoder_.begin_stream();
  return {};
}

Result<std::size_t> Spool::append(const Sample& sample) {
  if (writing_ && segments_.back().file->bytes() >= options_.bytes_max / kSegmentsMax) writing_ = false;
  const bool is_new_segment = !writing_;
  if (is_new_segment) {
    if (auto begun = begin_segment(); !begun) return begun.error();
  }
  std::vector<std::string> messages;
  encoder_.encode(sample, messages);
  SpoolSegment& file = *segments_.back().file;
  const std::uint64_t bytes_before = file.bytes();
  if (auto appended = file.append(messages); !appended) {
    encoder_.begin_stream();  // it believes that the frame was taken
    if (is_new_segment) {
      bytes_ -= bytes_before;
      file.remove();
      segments_.pop_back();
      writing_ = false;
    }
    return appended.error();
  }
  bytes_ += file.bytes() - bytes_before;
  frames_.push_back({segments_.back().number, file.records().size() - 1});
  std::size_t dropped = 0;
  while (bytes_ > options_.bytes_max && segments_.size() > 1) dropped += drop_oldest_segment();
  return dropped;
}

Result<Sample> Spool::read(std::size_t index) {
  const Place place = frames_[index];
  const auto& records = segment(place.segment).file->records();
  std::size_t at = place.record;
  const bool follows = read_place_ && read_place_->segment == place.segment && read_place_->record < at &&
                       std::all_of(records.begin() + static_cast<std::ptrdiff_t>(read_place_->record) + 1,
                                   records.begin() + static_cast<std::ptrdiff_t>(at),
                                   [](const auto& record) { return record.is_catalog; });
  if (!follows) {
    while (!records[at].is_keyframe) --at;  // the first frame of a segment is one
    decoder_ = wire::FrameDecoder();
    read_catalog_record_ = place.record;  // a frame's record, so no catalog's
  }
  read_place_.reset();
  std::optional<Sample> sample;
  for (; at <= place.record; ++at) {
    if (records[at].is_catalog) continue;
    if (auto loaded = load({place.segment, at}, sample); !loaded) return loaded.error();
  }
  read_place_ = place;
  return std::move(*sample);
}

std::size_t Spool::next_keyframe(std::size_t index) const {
  do {
    ++index;
  } while (index < size() && !record(index).is_keyframe);  // the first frame of a segment is one
  return index;
}

/// Decodes the frame at `place`, its catalog first if the decoder lacks it.
Status Spool::load(const Place& place, std::optional<Sample>& sample) {
  const SpoolSegment& file = *segment(place.segment).file;
  const SpoolSegment::Record& record = file.records()[place.record];
  if (read_catalog_record_ != record.catalog_record) {
    auto bytes = file.read(file.records()[record.catalog_record]);
    if (!bytes) return bytes.error();
    auto message = wire::decode_upstream(*bytes);
    if (!message) return message.error();
    if (auto added = decoder_.add(std::get<Catalog>(std::move(*message))); !added) return added.error();
    read_catalog_record_ = record.catalog_record;
  }
  auto bytes = file.read(record);
  if (!bytes) return bytes.error();
  auto message = wire::decode_upstream(*bytes);
  if (!message) return message.error();
  auto decoded = decoder_.decode(std::get<wire::EncodedFrame>(*message));
  if (!decoded) return decoded.error();
  sample = std::move(*decoded);
  return {};
}

void Spool::pop_front() {
  frames_.pop_front();
  while (!segments_.empty() && (frames_.empty() || frames_.front().segment != segments_.front().number)) {
    remove_front_segment();
  }
}

std::size_t Spool::drop_oldest_segment() {
  if (segments_.empty()) return 0;
  const std::uint64_t number = segments_.front().number;
  std::size_t dropped = 0;
  while (!frames_.empty() && frames_.front().segment == number) {
    frames_.pop_front();
    ++dropped;
  }
  remove_front_segment();
  return dropped;
}

void Spool::remove_front_segment() {
  if (segments_.size() == 1) writing_ = false;
  if (read_place_ && read_place_->segment == segments_.front().number) read_place_.reset();
  bytes_ -= std::min(bytes_, segments_.front().file->bytes());
  segments_.front().file->remove();
  segments_.pop_front();
}

void Spool::flush() {
  if (writing_) segments_.back().file->flush();
}

}  // namespace proteus::publish
