#include "agent/collect/shared_filesystem.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "agent/collect/text_file.h"

namespace proteus::collect {
namespace {

constexpr int kLinksMost = 40;  // as the kernel follows

bool is_shared_kind(std::string_view kind) {
  constexpr std::array<std::string_view, 16> kShared = {"nfs",    "nfs4", "cifs",  "smb3",    "smbfs",  "gfs2",
                                                        "ocfs2",  "ceph", "afs",   "gpfs",    "lustre", "9p",
                                                        "beegfs", "fuse", "pvfs2", "virtiofs"};
  return std::find(kShared.begin(), kShared.end(), kind) != kShared.end() || kind.starts_with("fuse.");
}

/// "\040" and the like are characters that would part the fields.
std::string unescaped(std::string_view field) {
  std::string text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::string_view digits = field.substr(i + 1, 3);
    if (field[i] == '\\' && digits.size() == 3 && digits.find_first_not_of("01234567") == std::string_view::npos) {
      text += static_cast<char>((digits[0] - '0') * 64 + (digits[1] - '0') * 8 + (digits[2] - '0'));
      i += 3;
    } else {
      text += field[i];
    }
  }
  return text;
}

/// Of each place where something is mounted, whether that is shared.
std::map<std::string, bool> parse_mounts(std::string_view mountinfo) {
  std::map<std::string, bool> mounts;
  while (auto line = take_line(mountinfo)) {  // 36 35 98:0 /root /place options optional … - kind source options
    for (int field = 0; field < 4; ++field) take_word(*line);
    const std::string_view place = take_word(*line);
    const std::size_t end = line->find(" - ");
    if (place.empty() || end == std::string_view::npos) continue;
    line->remove_prefix(end + 3);
    mounts[unescaped(place)] = is_shared_kind(take_word(*line));
  }
  return mounts;
}

std::string link_target(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

bool on_shared_filesystem(const std::string& path, std::string_view mountinfo) {
  const std::map<std::string, bool> mounts = parse_mounts(mountinfo);
  const auto holds = [&mounts](std::string place) {  // by the deepest mount
    for (;;) {
      const auto mount = mounts.find(place.empty() ? "/" : place);
      if (mount != mounts.end()) return mount->second;
      if (place.empty()) return false;
      place.resize(place.rfind('/'));
    }
  };
  std::string rest = path;
  std::string place;  // an absolute path without its last slash
  int links = 0;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string name = rest.substr(0, slash);
    rest.erase(0, slash == std::string::npos ? rest.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      place.resize(place.empty() ? 0 : place.rfind('/'));
      continue;
    }
    const std::string next = place + "/" + name;
    // Of a shared one nothing is asked, not even whether this is a link.
    const bool asks = !mounts.contains(next) && !holds(place);
    const std::string target = asks ? link_target(next) : std::string();
    if (target.empty()) {
      place = next;
      continue;
    }
    if (++links > kLinksMost) return false;
    if (target.front() == '/') place.clear();
    rest = target + "/" + rest;
  }
  return holds(place);
}

bool on_shared_filesystem(const std::string& path) {
  const auto mountinfo = read_file("/proc/self/mountinfo");
  return mountinfo && on_shared_filesystem(path, *mountinfo);
}

}  // namespace proteus::collect
