#include "common/wire/curve.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "common/wire/text.h"

namespace proteus::wire {
namespace {

constexpr std::int64_t kFileBytesMax = 16 << 20;

Error from_errno(int number, const std::string& context) {
  ErrorCode code = ErrorCode::kUnavailable;
  if (number == ENOENT || number == ENOTDIR) code = ErrorCode::kNotFound;
  if (number == EACCES || number == EPERM || number == EROFS) code = ErrorCode::kPermissionDenied;
  if (number == EEXIST) code = ErrorCode::kAlreadyExists;
  return Error{code, fmt::format("{}: {}", context, std::strerror(number))};
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Status write_all(const File& file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return from_errno(errno, fmt::format("write {}", path));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) return from_errno(errno, fmt::format("write {}", path));
  return {};
}

Result<std::string> read_file(const std::string& path, mode_t forbidden_mode) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return from_errno(errno, fmt::format("open {}", path));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return from_errno(errno, fmt::format("open {}", path));
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kInvalidArgument, fmt::format("{} is not a file", path)};
  if (forbidden_mode != 0 && path.ends_with(".pub")) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} is a public key; the secret one is asked for", path)};
  }
  if ((status.st_mode & forbidden_mode) != 0) {
    return Error{ErrorCode::kPermissionDenied, fmt::format("{} holds a secret key but its mode is {:04o}; make it 0600",
                                                           path, status.st_mode & 07777)};
  }
  if (status.st_size > kFileBytesMax) return Error{ErrorCode::kInvalidArgument, fmt::format("{} is too large", path)};
  std::string text;
  std::array<char, 8192> buffer{};
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return from_errno(errno, fmt::format("read {}", path));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > static_cast<std::size_t>(kFileBytesMax)) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{} is too large", path)};
    }
  }
}

struct WordPair {
  int line = 0;
  std::string first;
  std::string second;
};

/// Every line that is neither empty nor a comment, which must be two words. '#' may occur inside a key, so that only a
/// line that begins with it is a comment.
Result<std::vector<WordPair>> read_word_pairs(const std::string& text, const std::string& path) {
  std::vector<WordPair> pairs;
  int number = 0;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    std::vector<std::string> words;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
      const std::size_t stop = std::min(line.find_first_of(" \t", at), line.size());
      words.emplace_back(line.substr(at, stop - at));
      at = stop;
    }
    if (words.empty() || words.front().front() == '#') continue;
    if (words.size() != 2) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{}:{}: expected two words, name and key", path, number)};
    }
    pairs.push_back({number, words[0], words[1]});
  }
  return pairs;
}

Result<std::vector<NamedKey>> read_named_keys(const std::string& path, std::vector<int>& lines) {
  auto text = read_file(path, 0);
  if (!text) return text.error();
  auto pairs = read_word_pairs(*text, path);
  if (!pairs) return pairs.error();
  std::vector<NamedKey> keys;
  for (WordPair& pair : *pairs) {
    if (!valid_host_name(pair.first)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: '{}' is not a host name", path, pair.line, clean_text(pair.first, 64))};
    }
    if (!valid_key_text(pair.second)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: the key of {} is not 40 characters of Z85", path, pair.line, pair.first)};
    }
    lines.push_back(pair.line);
    keys.push_back({std::move(pair.first), std::move(pair.second)});
  }
  return keys;
}

}  // namespace

bool valid_key_text(std::string_view key) {
  if (key.size() != kKeyTextLength) return false;
  std::array<std::uint8_t, 32> raw{};
  return zmq_z85_decode(raw.data(), std::string(key).c_str()) != nullptr;
}

Result<KeyPair> generate_key_pair() {
  std::array<char, kKeyTextLength + 1> public_key{};
  std::array<char, kKeyTextLength + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return Error{ErrorCode::kUnsupported, fmt::format("generate key pair: {}", zmq_strerror(zmq_errno()))};
  }
  return KeyPair{public_key.data(), secret_key.data()};
}

Status write_key_pair(const std::string& path, const KeyPair& keys) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return from_errno(errno, fmt::format("create {}", path));
  const std::string text = fmt::format(
      "# Proteus CURVE key pair, Z85. Whoever reads the secret key can speak in this process's name.\n"
      "public {}\nsecret {}\n",
      keys.public_key, keys.secret_key);
  if (auto written = write_all(file, text, path); !written) {
    ::unlink(path.c_str());  // half a key pair would only be refused later
    return written.error();
  }
  return {};
}

Result<KeyPair> read_key_pair(const std::string& path) {
  auto text = read_file(path, 0077);
  if (!text) return text.error();
  auto pairs = read_word_pairs(*text, path);
  if (!pairs) return pairs.error();
  KeyPair keys;
  for (const WordPair& pair : *pairs) {
    std::string* key = nullptr;
    if (pair.first == "public") key = &keys.public_key;
    if (pair.first == "secret") key = &keys.secret_key;
    if (key == nullptr || !key->empty() || !valid_key_text(pair.second)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}:{}: expected one line 'public KEY' and one 'secret KEY', each key 40 characters "
                               "of Z85",
                               path, pair.line)};
    }
    *key = pair.second;
  }
  if (keys.public_key.empty() || keys.secret_key.empty()) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{}: the public or the secret key is missing", path)};
  }
  std::array<char, kKeyTextLength + 1> derived{};
  if (zmq_curve_public(derived.data(), keys.secret_key.c_str()) != 0 || keys.public_key != derived.data()) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{}: the two keys do not belong together", path)};
  }
  return keys;
}

Status write_public_key(const std::string& path, const NamedKey& key) {
  const std::string temporary = path + ".new";
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return from_errno(errno, fmt::format("create {}", temporary));
    const std::string text = fmt::format("# Proteus CURVE public key, Z85\n{} {}\n", key.name, key.key);
    if (auto written = write_all(file, text, temporary); !written) return written.error();
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return from_errno(errno, fmt::format("create {}", path));
  return {};
}

Result<NamedKey> read_public_key(const std::string& path) {
  std::vector<int> lines;
  auto keys = read_named_keys(path, lines);
  if (!keys) return keys.error();
  if (keys->size() != 1) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}: expected one line 'name key', found {}", path, keys->size())};
  }
  return keys->front();
}

Result<std::unique_ptr<AuthorizedKeys>> AuthorizedKeys::load(const std::string& path) {
  // The mark is taken first: a change in between is then seen as a change.
  const FileMark mark = mark_of(path);
  auto table = read_table(path);
  if (!table) return table.error();
  return std::unique_ptr<AuthorizedKeys>(new AuthorizedKeys(path, mark, std::move(*table)));
}

Result<bool> AuthorizedKeys::reload_if_changed() {
  const FileMark mark = mark_of(path_);
  {
    std::lock_guard lock(mutex_);
    if (mark == mark_) return false;
  }
  auto table = read_table(path_);
  std::lock_guard lock(mutex_);
  // What is in the file stays wrong until it changes; that it could not be read may be over by itself.
  if (table || table.error().code == ErrorCode::kInvalidArgument) mark_ = mark;
  if (!table) return with_context(table.error(), "the keys admitted before stay in force");
  table_ = std::move(*table);
  return true;
}

std::optional<HostId> AuthorizedKeys::host_of(std::string_view key) const {
  std::lock_guard lock(mutex_);
  const auto entry = table_.find(std::string(key));
  if (entry == table_.end()) return std::nullopt;
  return entry->second;
}

std::size_t AuthorizedKeys::size() const {
  std::lock_guard lock(mutex_);
  return table_.size();
}

AuthorizedKeys::FileMark AuthorizedKeys::mark_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  const auto ns = [](const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
  return {status.st_ino, status.st_size, ns(status.st_mtim), ns(status.st_ctim)};
}

Result<AuthorizedKeys::Table> AuthorizedKeys::read_table(const std::string& path) {
  std::vector<int> lines;
  auto keys = read_named_keys(path, lines);
  if (!keys) return keys.error();
  Table table;
  for (std::size_t i = 0; i < keys->size(); ++i) {
    NamedKey& key = (*keys)[i];
    if (!table.try_emplace(key.key, HostId(key.name)).second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{}:{}: the key of {} is already that of {}", path,
                                                            lines[i], key.name, table.at(key.key).value)};
    }
  }
  return table;
}

}  // namespace proteus::wire
