#include "tests/bench/tune_kvm/parameters.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <type_traits>

namespace proteus::simulate::kvm {
namespace {

ham::Prices& owner(Setup& setup, double ham::Prices::*) {
  return setup.ham.prices;
}
template <typename T>
ham::Limits& owner(Setup& setup, T ham::Limits::*) {
  return setup.ham.limits;
}
RecentWeights& owner(Setup& setup, double RecentWeights::*) {
  return setup.recent;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc{} || end != text.end()) return std::nullopt;
  return value;
}

}  // namespace

const std::vector<Parameter>& parameters() {
  using ham::Limits;
  using ham::Prices;
  static const std::vector<Parameter> kAll = {
      {"payback_h", {3, 6, 12}, &Limits::payback},
      {"gain_floor", {0.05, 0.08, 0.1, 0.12, 0.16}, &Limits::gain_floor},
      {"emptying_eur", {0.005, 0.0075, 0.01, 0.015}, &Limits::emptying_floor},
      {"gain_min", {0, 0.1}, &Limits::gain_min},
      {"cooldown_h", {0, 0.5, 2}, &Limits::cooldown},
      {"waiting_eur", {0.024, 0.048, 0.072, 0.096}, &Prices::waiting_per_vm_hour},
      {"shortage_eur", {3, 10, 30}, &Prices::memory_shortage_per_gib_hour},
      {"sleep_payback_h", {6, 12, 24}, &Limits::sleep_payback},
      {"awake_h", {6, 12, 24}, &Limits::awake_min},
      {"memory_headroom", {0, 0.07, 0.12}, &Limits::memory_headroom},
      {"memory_comfort", {0.75, 0.85, 0.95}, &Limits::memory_comfort},
      {"crowding_eur", {0.08, 0.15, 0.3}, &Prices::crowding_per_host_hour},
      {"memory_promise", {0.97, 1, 1.05, 1.08}, &Limits::memory_promise},
      {"memory_bursts", {0, 2, 3, 5}, &Limits::memory_bursts},
      {"now", {0.2, 0.4, 0.6}, &RecentWeights::now},
      {"hours", {0, 0.15, 0.3}, &RecentWeights::hours},
      {"season", {0, 0.25, 0.4}, &RecentWeights::season},
      {"week", {0.1, 0.2, 0.35}, &RecentWeights::week},
  };
  return kAll;
}

bool set(Setup& setup, const Parameter& parameter, double value) {
  return std::visit(
      [&](auto member) {
        auto& present = owner(setup, member).*member;
        using Type = std::remove_reference_t<decltype(present)>;
        Type wanted;
        if constexpr (std::is_same_v<Type, Nanoseconds>) {
          wanted = from_seconds(value * 3600);
        } else {
          wanted = static_cast<Type>(value);
        }
        if (present == wanted) return false;
        present = wanted;
        return true;
      },
      parameter.member);
}

bool set(Setup& setup, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::optional<double> value = number(text.substr(equals + 1));
  for (const Parameter& parameter : parameters()) {
    if (!value || parameter.name != text.substr(0, equals)) continue;
    set(setup, parameter, *value);
    return true;
  }
  return false;
}

std::string describe(const Setup& setup) {
  Setup copy = setup;
  std::string text;
  for (const Parameter& parameter : parameters()) {
    const double value = std::visit(
        [&](auto member) {
          const auto present = owner(copy, member).*member;
          if constexpr (std::is_same_v<std::remove_const_t<decltype(present)>, Nanoseconds>) {
            return to_seconds(present) / 3600;
          } else {
            return static_cast<double>(present);
          }
        },
        parameter.member);
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", parameter.name, value);
  }
  return text;
}

}  // namespace proteus::simulate::kvm
