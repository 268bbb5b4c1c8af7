#include "common/toml_document.h"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <utility>

namespace proteus {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20;

struct Suffix {
  std::string_view text;
  double factor;
};
constexpr std::array kDurationSuffixes = {Suffix{"ns", 1},   Suffix{"us", 1e3},   Suffix{"ms", 1e6},   Suffix{"s", 1e9},
                                          Suffix{"m", 60e9}, Suffix{"h", 3600e9}, Suffix{"d", 86400e9}};
constexpr std::array kSizeSuffixes = {Suffix{"B", 1}, Suffix{"KiB", 1024.0}, Suffix{"MiB", 1048576.0},
                                      Suffix{"GiB", 1073741824.0}, Suffix{"TiB", 1099511627776.0}};

/// "<number><suffix>" as a multiple of the suffix's factor.
template <std::size_t N>
std::optional<std::int64_t> parse_with_suffix(std::string_view text, const std::array<Suffix, N>& suffixes) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number)) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  for (const Suffix& known : suffixes) {
    if (suffix != known.text) continue;
    const double value = number * known.factor;
    if (std::abs(value) > 9.2e18) return std::nullopt;
    return static_cast<std::int64_t>(std::llround(value));
  }
  return std::nullopt;
}

int line_of(const toml::node& node) {
  return static_cast<int>(node.source().begin.line);
}

}  // namespace

struct TomlDocument::Impl {
  std::string file_name;
  toml::table root;
  std::set<std::pair<const void*, std::string>> asked;
  std::set<const void*> visited;
  std::vector<std::pair<int, std::string>> problems;

  void report(int line, const std::string& message) {
    problems.emplace_back(line, fmt::format("{}:{}: {}", file_name, line, message));
  }

  void report_unasked(const toml::table& table) {
    for (const auto& [key, node] : table) {
      if (!asked.contains({&table, std::string(key.str())})) {
        report(line_of(node), fmt::format("unknown key '{}'", key.str()));
      }
    }
  }
  void walk(const toml::table& table) {
    if (visited.contains(&table)) report_unasked(table);
    for (const auto& [key, node] : table) {
      if (const toml::table* inner = node.as_table()) walk(*inner);
      if (const toml::array* array = node.as_array()) {
        for (const toml::node& item : *array) {
          if (const toml::table* inner = item.as_table()) walk(*inner);
        }
      }
    }
  }

  const toml::node* find(const void* table, std::string_view key) {
    if (table == nullptr) return nullptr;
    asked.emplace(table, std::string(key));
    return static_cast<const toml::table*>(table)->get(key);
  }
};

TomlDocument::TomlDocument(std::string_view text, std::string_view file_name) : impl_(std::make_unique<Impl>()) {
  impl_->file_name = file_name;
  try {
    impl_->root = toml::parse(text, file_name);
  } catch (const toml::parse_error& error) {
    impl_->report(static_cast<int>(error.source().begin.line), std::string(error.description()));
  }
}

TomlDocument::~TomlDocument() = default;

TomlDocument::Table TomlDocument::root() {
  impl_->visited.insert(&impl_->root);
  return Table(impl_.get(), &impl_->root);
}

Status TomlDocument::finish() {
  impl_->walk(impl_->root);
  if (impl_->problems.empty()) return {};
  std::stable_sort(impl_->problems.begin(), impl_->problems.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string all;
  std::set<std::string_view> told;  // who reads a key twice meets its problem twice
  for (const auto& [line, message] : impl_->problems) {
    if (told.insert(message).second) all += (all.empty() ? "" : "\n") + message;
  }
  return Error{ErrorCode::kInvalidArgument, all};
}

bool TomlDocument::Table::has(std::string_view key) const {
  return node_ != nullptr && static_cast<const toml::table*>(node_)->contains(key);
}

void TomlDocument::Table::read(std::string_view key, std::string& out) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<std::string>()) {
    out = *value;
  } else {
    problem(key, fmt::format("'{}' must be a string", key));
  }
}

void TomlDocument::Table::read(std::string_view key, bool& out) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  if (const auto value = node->value_exact<bool>()) {
    out = *value;
  } else {
    problem(key, fmt::format("'{}' must be true or false", key));
  }
}

void TomlDocument::Table::read(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::int64_t>();
  if (!value) {
    problem(key, fmt::format("'{}' must be a whole number", key));
  } else if (*value < min || *value > max) {
    problem(key, fmt::format("'{}' is {}, but must be from {} to {}", key, *value, min, max));
  } else {
    out = *value;
  }
}

void TomlDocument::Table::read(std::string_view key, int& out, int min, int max) {
  std::int64_t wide = out;
  read(key, wide, std::int64_t{min}, std::int64_t{max});
  out = static_cast<int>(wide);
}

void TomlDocument::Table::read(std::string_view key, double& out, double min, double max) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !std::isfinite(*value)) {
    problem(key, fmt::format("'{}' must be a number", key));
  } else if (*value < min || *value > max) {
    problem(key, fmt::format("'{}' is {}, but must be from {} to {}", key, *value, min, max));
  } else {
    out = *value;
  }
}

void TomlDocument::Table::read(std::string_view key, std::vector<std::string>& out) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  std::vector<std::string> values;
  bool good = array != nullptr;
  if (good) {
    for (const toml::node& item : *array) {
      const auto value = item.value_exact<std::string>();
      good = good && value.has_value();
      if (value) values.push_back(*value);
    }
  }
  if (good) {
    out = std::move(values);
  } else {
    problem(key, fmt::format("'{}' must be a list of strings", key));
  }
}

void TomlDocument::Table::read_duration(std::string_view key, Nanoseconds& out, Nanoseconds min, Nanoseconds max) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  const auto text = node->value_exact<std::string>();
  const auto value = text ? parse_with_suffix(*text, kDurationSuffixes) : std::nullopt;
  if (!value) {
    problem(key, fmt::format("'{}' must be a duration such as \"250ms\", \"30s\", \"5m\" or \"1h\"", key));
  } else if (*value < min.count() || *value > max.count()) {
    problem(key,
            fmt::format("'{}' is {}, but must be from {:g} s to {:g} s", key, *text, to_seconds(min), to_seconds(max)));
  } else {
    out = Nanoseconds{*value};
  }
}

void TomlDocument::Table::read_bytes(std::string_view key, std::int64_t& out, std::int64_t min, std::int64_t max) {
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return;
  std::optional<std::int64_t> value = node->value_exact<std::int64_t>();
  if (const auto text = node->value_exact<std::string>()) value = parse_with_suffix(*text, kSizeSuffixes);
  if (!value) {
    problem(key, fmt::format("'{}' must be a size such as \"512MiB\" or \"4GiB\"", key));
  } else if (*value < min || *value > max) {
    problem(key, fmt::format("'{}' is {} bytes, but must be from {} to {}", key, *value, min, max));
  } else {
    out = *value;
  }
}

void TomlDocument::Table::require(std::string_view key) {
  if (!has(key)) problem(key, fmt::format("'{}' is missing", key));
}

TomlDocument::Table TomlDocument::Table::table(std::string_view key) {
  const toml::node* node = document_->find(node_, key);
  const toml::table* inner = node == nullptr ? nullptr : node->as_table();
  if (node != nullptr && inner == nullptr) problem(key, fmt::format("'{}' must be a table", key));
  if (inner != nullptr) document_->visited.insert(inner);
  return Table(document_, inner);
}

std::vector<TomlDocument::Table> TomlDocument::Table::tables(std::string_view key) {
  std::vector<Table> result;
  const toml::node* node = document_->find(node_, key);
  if (node == nullptr) return result;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    problem(key, fmt::format("'{}' must be written as [[{}]]", key, key));
    return result;
  }
  for (const toml::node& item : *array) {
    const toml::table* inner = item.as_table();
    if (inner == nullptr) {
      problem(key, fmt::format("'{}' must be written as [[{}]]", key, key));
      continue;
    }
    document_->visited.insert(inner);
    result.push_back(Table(document_, inner));
  }
  return result;
}

int TomlDocument::Table::line() const {
  return node_ == nullptr ? 0 : line_of(*static_cast<const toml::table*>(node_));
}

int TomlDocument::Table::line(std::string_view key) const {
  if (node_ == nullptr) return 0;
  const toml::node* node = static_cast<const toml::table*>(node_)->get(key);
  return node == nullptr ? 0 : line_of(*node);
}

void TomlDocument::Table::problem(std::string_view key, std::string message) {
  const int at = line(key);
  document_->report(at != 0 ? at : line(), message);
}

Result<std::string> read_config_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return Error{error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kPermissionDenied,
                 fmt::format("cannot read {}: {}", path, std::strerror(error))};
  }
  std::string content(kMaxFileBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) return Error{ErrorCode::kPermissionDenied, fmt::format("cannot read {}: is it a file?", path)};
  if (content.size() > kMaxFileBytes) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} is larger than {} bytes", path, kMaxFileBytes)};
  }
  return content;
}

}  // namespace proteus
