#include "controller/ctl/policy_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/wire/telemetry_codec.h"
#include "controller/api/json_view.h"
#include "controller/ctl/print.h"
#include "controller/ctl/replay_command.h"
#include "controller/pipeline_options.h"
#include "controller/replay/recording.h"
#include "controller/replay/replayer.h"
#include "tests/fakes/fake_telemetry.h"
#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

using testing::HasSubstr;

/// How one was made.
struct RecordedRun {
  std::uint64_t seconds = 90;
  std::string policy = "";
  std::uint64_t expired_lsn = 0;
  bool carried_out = false;  ///< as far as the journal tells
};

/// A recording of one host on which a VM with a quota of 40 % comes to want 70 %, in a minute and a half.
class PolicyFiles : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory();
    record(recording(), {});
  }
  using Decided = std::map<Timestamp, std::vector<ham::Decision>>;
  /// With what had been decided then.
  static void record(const std::string& path, const Decided& decided, const RecordedRun& run = {}) {
    const TemporaryDirectory directory;
    auto store = store::Store::open({.directory = directory / "store"});
    ASSERT_TRUE(store) << store.error().message;
    controller::PipelineOptions options;
    options.view.forecast.step = std::chrono::seconds(1);
    options.view.forecast.horizon_steps = 20;
    options.executor.controller = "test";
    store::Started started;
    started.term = 1;
    started.options_toml = controller::pipeline_options_toml(options);
    started.policy_toml = run.policy;
    Timestamp now = from_unix_ns(1'700'000'000'000'000'000);
    const auto write = [&](store::JournalPayload payload) {
      std::vector<store::JournalEntry> entries{{0, now, std::move(payload)}};
      ASSERT_TRUE((*store)->append(entries));
    };
    write(started);
    write(store::AgentPresence{HostId("h1"), true, ""});
    if (run.expired_lsn != 0) write(store::Cycle{0, 0, run.expired_lsn});
    fakes::FakeHost host("h1", 2, 4 * kGiB);
    fakes::FakeVm vm;
    vm.name = "web";
    vm.uuid = "00000000-0000-4000-8000-000000000001";
    vm.quota_us = 40000;
    host.vms = {vm};
    wire::FrameEncoder encoder;
    std::uint64_t base = 0;
    for (std::uint64_t second = 1; second <= run.seconds; ++second, now += std::chrono::seconds(1)) {
      const double ran = std::min(0.4, 0.15 + 0.005 * static_cast<double>(second));
      host.pass(1, {{ran, ran >= 0.4 ? 0.6 : 0.0}});
      const Sample sample = host.sample(now);
      std::vector<std::string> messages;
      encoder.encode(sample, messages);
      std::vector<store::RawMessage> raw;
      for (std::size_t i = 0; i < messages.size(); ++i) {
        const bool is_frame = i + 1 == messages.size();
        raw.push_back({.received = now,
                       .host = HostId("h1"),
                       .boot_id = host.boot_id,
                       .sequence = is_frame ? sample.frame.sequence : 0,
                       .catalog_version = 1,
                       .base_sequence = is_frame ? base : 0,
                       .bytes = messages[i]});
      }
      base = sample.frame.sequence;
      ASSERT_TRUE((*store)->append(raw));
      write(store::Cycle{second, second, raw.back().lsn});
      const auto said = decided.find(now);
      if (said == decided.end()) continue;
      for (ham::Decision decision : said->second) {
        if (run.carried_out) set_automatic(decision);
        write(decision);
        for (const ham::Action& action : decision.chosen.actions) {
          if (!run.carried_out) break;
          drs::ActionRecord intent;
          intent.action = action;
          intent.action.id = second;
          write(intent);
          drs::Transition transition;
          transition.action = second;
          transition.to = drs::ActionState::kVerified;
          write(transition);
        }
      }
    }
    const auto written = replay::write_recording(**store, {.to = now + std::chrono::seconds(1), .hosts = {}}, path);
    ASSERT_TRUE(written) << written.error().message;
  }
  static void set_automatic(ham::Decision& decision) {
    for (ham::Action& action : decision.chosen.actions) action.automation = ham::Automation::kAutomatic;
    for (ham::Candidate& candidate : decision.alternatives) {
      for (ham::Action& action : candidate.actions) action.automation = ham::Automation::kAutomatic;
    }
  }
  static void TearDownTestSuite() {
    delete directory_;
    directory_ = nullptr;
  }

  static std::string recording() { return *directory_ / "run.rec"; }
  static std::string file(const std::string& name, const std::string& text) {
    std::ofstream(*directory_ / name) << text;
    return *directory_ / name;
  }

  static Decided decided_by(const std::string& policy, const std::string& path = recording());

  std::ostringstream out_;
  static TemporaryDirectory* directory_;
};

TemporaryDirectory* PolicyFiles::directory_ = nullptr;

TEST_F(PolicyFiles, CheckNamesEveryProblemWithItsLine) {
  PolicyCommand command;
  command.file = file("bad.toml", "colour = 'red'\n[limits]\ncooldown = 5\n");
  const auto valid = check_policy(command, out_);
  ASSERT_TRUE(valid);
  EXPECT_FALSE(*valid);
  EXPECT_THAT(out_.str(), HasSubstr("bad.toml:1: "));
  EXPECT_THAT(out_.str(), HasSubstr("bad.toml:3: "));
  command.json = true;
  out_.str("");
  ASSERT_TRUE(check_policy(command, out_));
  const Json json = Json::parse(out_.str());
  EXPECT_FALSE(json.at("valid").get<bool>());
  ASSERT_EQ(json.at("problems").size(), 2u);
  EXPECT_EQ(json.at("problems")[1].at("line"), 3);
}

TEST_F(PolicyFiles, CheckSaysWhatIsInIt) {
  PolicyCommand command;
  command.file = file("good.toml", "name = 'lab'\n[[rules.exclude]]\nname = 'no'\nvms = ['a']\n");
  const auto valid = check_policy(command, out_);
  ASSERT_TRUE(valid);
  EXPECT_TRUE(*valid);
  EXPECT_THAT(out_.str(),
              HasSubstr("valid. Policy \"lab\", automation recommend, strategies: reshape, migrate; 1 rules"));
  EXPECT_THAT(out_.str(), HasSubstr("exclude"));
  command.file = file("value.toml", "[[rules.value]]\nname = 'worth'\nvms = ['a']\nper_vcpu_hour = 5\n");
  out_.str("");
  ASSERT_TRUE(check_policy(command, out_));
  EXPECT_THAT(out_.str(), HasSubstr("1 rules"));
  EXPECT_THAT(out_.str(), HasSubstr("worth"));
  command.file = *directory_ / "none.toml";
  EXPECT_FALSE(check_policy(command, out_));
}

TEST_F(PolicyFiles, TestSaysWhatWouldHaveBeenDone) {
  PolicyCommand command;
  command.file = file("plain.toml", "automation = 'observe'\n");
  command.recording = recording();
  const Status done = test_policy(command, out_);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(out_.str(), HasSubstr("90 cycles; "));
  EXPECT_THAT(out_.str(), HasSubstr("set_cpu_quota"));
  EXPECT_THAT(out_.str(), HasSubstr("web's CPU demand"));
  command.json = true;
  out_.str("");
  ASSERT_TRUE(test_policy(command, out_));
  const Json json = Json::parse(out_.str());
  EXPECT_GE(json.at("acting").get<int>(), 1);
  EXPECT_FALSE(json.at("changes").empty());
  command.json = false;
  command.at = json.at("changes")[0].at("time").get<std::string>();
  out_.str("");
  ASSERT_TRUE(test_policy(command, out_));
  EXPECT_THAT(out_.str(), HasSubstr("do nothing"));
  EXPECT_THAT(out_.str(), HasSubstr("GAIN/H"));
  command.at = "1";
  EXPECT_EQ(test_policy(command, out_).error().code, ErrorCode::kNotFound);
}

TEST_F(PolicyFiles, WhatTheRecordingLacksIsSaid) {
  PolicyCommand command;
  command.file = file("any.toml", "");
  command.other = file("any2.toml", "");
  command.recording = *directory_ / "lacks.rec";
  record(command.recording, {}, {.expired_lsn = 2});
  const std::string said = "telemetry that had been taken in until 2023-11-14T22:13:20.000Z is not in the recording";
  const auto both = [&] {
    std::ostringstream tested, compared;
    EXPECT_TRUE(test_policy(command, tested));
    EXPECT_TRUE(diff_policies(command, compared));
    return std::pair(tested.str(), compared.str());
  };
  const auto [tested, compared] = both();
  EXPECT_TRUE(tested.starts_with(said)) << tested;
  EXPECT_TRUE(compared.starts_with(said)) << compared;
  command.json = true;
  const auto [tested_json, compared_json] = both();
  EXPECT_EQ(Json::parse(tested_json)["missing_until"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(Json::parse(compared_json)["missing_until"], "2023-11-14T22:13:20.000Z");
}

TEST_F(PolicyFiles, TestTellsWhichRulesForbade) {
  PolicyCommand command;
  command.file = file("small.toml",
                      "[[rules.size]]\nname = 'small'\nvms = ['web']\ncpu_cores_max = 0.4\n"
                      "[[rules.window]]\nname = 'shut'\nvms = ['*']\nwhat = 'all'\neffect = 'forbid'\n");
  command.recording = recording();
  ASSERT_TRUE(test_policy(command, out_));
  EXPECT_THAT(out_.str(), HasSubstr("0 decisions would act"));
}

TEST_F(PolicyFiles, DiffFindsWhereTheyPart) {
  PolicyCommand command;
  command.file = file("a.toml", "");
  command.other = file("b.toml", "name = 'another name, the same will'\n");
  command.recording = recording();
  auto same = diff_policies(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(*same) << out_.str();
  command.other = file("c.toml", "[strategies]\nreshape = false\n");
  out_.str("");
  same = diff_policies(command, out_);
  ASSERT_TRUE(same);
  EXPECT_FALSE(*same);
  EXPECT_THAT(out_.str(), HasSubstr("raise CPU quota"));
  command.json = true;
  out_.str("");
  ASSERT_TRUE(diff_policies(command, out_));
  const Json json = Json::parse(out_.str());
  EXPECT_EQ(json.at("policies").size(), 2u);
  ASSERT_FALSE(json.at("differences").empty());
  EXPECT_EQ(json.at("differences")[0].at("second"), "do nothing");
}

/// What a replay by that policy decides.
PolicyFiles::Decided PolicyFiles::decided_by(const std::string& policy, const std::string& path) {
  Decided decided;
  replay::ReplayOptions options;
  options.policy = *ham::parse_policy(policy, "policy");
  options.output = [&](const store::JournalEntry& entry) {
    if (const auto* decision = std::get_if<ham::Decision>(&entry.payload)) decided[entry.time].push_back(*decision);
  };
  replay::Replayer replayer(std::move(options));
  const auto read = replay::read_recording(
      path, {.raw = [&](const store::RawMessage& message) { return replayer.on_raw(message).has_value(); },
             .journal = [&](const store::JournalEntry& entry) { return replayer.on_journal(entry).has_value(); }});
  EXPECT_TRUE(read);
  return decided;
}

// The name it was decided by, and what was under way then, are no other will.
TEST_F(PolicyFiles, AReplayByTheSamePolicyDiffersInNothing) {
  Decided decided = decided_by("name = 'before'\n");
  ASSERT_FALSE(decided.empty());
  for (auto& [time, decisions] : decided) decisions.front().rejections.push_back({"move web", "in_flight", "it moves"});
  ReplayCommand command;
  command.file = *directory_ / "decided.rec";
  command.policy_file = file("same.toml", "name = 'now'\n");
  command.diff = true;
  record(command.file, decided);
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(*same) << out_.str();
}

// Each action's level differed, and what was done had no counterpart.
TEST_F(PolicyFiles, AReplayByTheSamePolicyDiffersInNothingThoughActionsWereCarriedOut) {
  const std::string policy = "automation = 'automatic'\n";
  const Decided decided = decided_by(policy);
  ReplayCommand command;
  command.file = *directory_ / "carried_out.rec";
  command.policy_file = file("automatic.toml", policy);
  command.diff = true;
  record(command.file, decided, {.policy = policy, .carried_out = true});
  int actions = 0;
  ASSERT_TRUE(replay::read_recording(command.file, {.raw = nullptr, .journal = [&](const store::JournalEntry& entry) {
                                                      actions +=
                                                          std::holds_alternative<drs::ActionRecord>(entry.payload);
                                                      return true;
                                                    }}));
  ASSERT_GT(actions, 0);
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(*same) << out_.str();
}

// Two a minute did: signs of life that were not put out in the same second had no counterpart.
TEST_F(PolicyFiles, ADecisionAtAnotherTimeIsNoOtherWill) {
  const std::string policy = "[strategies]\nreshape = false\n";
  const std::string quiet = *directory_ / "quiet.rec";
  record(quiet, {}, {.seconds = 300});
  const Decided decided = decided_by(policy, quiet);
  ASSERT_GE(decided.size(), 5u);
  const auto [begun, first] = *decided.begin();
  Decided later{{begun, first}};
  ham::Decision other = first.front();
  other.chosen.label = "something else";
  other.chosen.actions.emplace_back().vm = VmId("web");
  later[begun + std::chrono::seconds(10)].push_back(other);
  for (auto sign = std::next(decided.begin()); sign != decided.end(); ++sign) {
    ASSERT_EQ(sign->second.front().chosen.label, "do nothing");
    later[sign->first + std::chrono::seconds(2)] = sign->second;
  }
  ReplayCommand command;
  command.file = *directory_ / "later.rec";
  command.policy_file = file("quiet.toml", policy);
  command.diff = true;
  record(command.file, later, {.seconds = 300});
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_FALSE(*same);
  EXPECT_THAT(out_.str(), HasSubstr(", 1 differences from the journal\n"));
}

TEST_F(PolicyFiles, WhatIsWantedWhileNothingNewWasJournalledIsADifference) {
  Decided decided = decided_by("[strategies]\nreshape = false\n");
  ASSERT_FALSE(decided.empty());
  decided.erase(std::next(decided.begin()), decided.end());
  ReplayCommand command;
  command.file = *directory_ / "silent.rec";
  command.policy_file = file("plain.toml", "");
  command.diff = true;
  command.json = true;
  record(command.file, decided);
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same && !*same);
  const Json difference = Json::parse(out_.str())["differences"][0];
  EXPECT_TRUE(difference["recorded"].is_null());
  EXPECT_FALSE(difference["replayed"]["chosen"]["actions"].empty());
}

constexpr const char* kObservesAll =
    "automation = 'observe'\n[[rules.automation]]\nname = 'none'\nvms = ['*']\nlevel = 'observe'\n";

TEST_F(PolicyFiles, AReplayByAPolicyThatObservesShowsWhatItWouldDo) {
  ReplayCommand command;
  command.file = recording();
  command.policy_file = file("observe.toml", kObservesAll);
  ASSERT_TRUE(run_replay(command, out_));
  EXPECT_THAT(out_.str(), HasSubstr("raise CPU quota"));
  // Its level alone is no other will.
  command.file = *directory_ / "recommended.rec";
  command.diff = true;
  record(command.file, decided_by(""));
  out_.str("");
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(*same) << out_.str();
}

TEST_F(PolicyFiles, NothingIsComparedWithARunThatObserved) {
  ReplayCommand command;
  command.file = *directory_ / "observed.rec";
  command.policy_file = file("plain.toml", "");
  command.diff = true;
  record(command.file, {}, {.policy = "automation = 'observe'\n"});
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_TRUE(*same) << out_.str();
  EXPECT_THAT(out_.str(), HasSubstr("the recorded policy was at level observe"));
  command.json = true;
  std::ostringstream json;
  ASSERT_TRUE(run_replay(command, json));
  EXPECT_EQ(Json::parse(json.str())["recorded_at_observe"], true);
  command.file = recording();
  std::ostringstream other;
  ASSERT_TRUE(run_replay(command, other));
  EXPECT_EQ(Json::parse(other.str())["recorded_at_observe"], false);
}

TEST_F(PolicyFiles, AllDifferencesAreCountedAndTheFirstShown) {
  Decided decided = decided_by("");
  ASSERT_FALSE(decided.empty());
  std::vector<ham::Decision>& first = decided.begin()->second;
  ham::Decision other = first.front();
  other.power.push_back({HostId("h1"), false, "it is idle"});
  first.insert(first.end(), 150, other);
  ReplayCommand command;
  command.file = *directory_ / "many.rec";
  command.policy_file = file("plain.toml", "");
  command.diff = true;
  record(command.file, decided);
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_FALSE(*same);
  EXPECT_THAT(out_.str(), HasSubstr(", 150 differences from the journal, the first 100 shown\n"));
  command.json = true;
  std::ostringstream json;
  ASSERT_TRUE(run_replay(command, json));
  EXPECT_EQ(Json::parse(json.str())["differences_count"], 150);
  EXPECT_EQ(Json::parse(json.str())["differences"].size(), 100u);
}

// Taken against the year 1970, "-15m" was before everything, and "now" likewise.
TEST_F(PolicyFiles, TimesAreTakenAgainstTheRecordingsEnd) {
  const Decided decided = decided_by("");
  ASSERT_FALSE(decided.empty());
  PolicyCommand command;
  command.file = file("plain.toml", "");
  command.recording = recording();
  command.json = true;
  const auto time_at = [&](const std::string& at) -> std::string {
    command.at = at;
    std::ostringstream out;
    const Status tested = test_policy(command, out);
    EXPECT_TRUE(tested) << at << ": " << tested.error().message;
    return tested ? Json::parse(out.str()).at("time").get<std::string>() : "";
  };
  EXPECT_EQ(time_at("now"), api::to_rfc3339(decided.rbegin()->second.back().time));
  EXPECT_EQ(time_at("-60s"), time_at("2023-11-14T22:13:51Z")) << "it ends at 22:14:51";
}

TEST(PolicyDiff, WhatALabelDoesNotNameIsAStepAllTheSame) {
  const auto decision = [](const std::string& to, const std::string& awake) {
    return Json::parse(R"({"chosen": {"label": "6 changes and more", "actions":
        [{"vm": "web7", "host": "h1", "operation": {"kind": "migrate", "to": ")" +
                       to + R"("}, "reason": ")" + to + R"("}]}, "helpers": [], "power": [{"host": "h9", "awake": )" +
                       awake + R"(, "reason": "x"}]})");
  };
  EXPECT_EQ(steps_of(decision("h2", "true")), steps_of(decision("h2", "true")));
  EXPECT_NE(steps_of(decision("h2", "true")), steps_of(decision("h3", "true")));
  EXPECT_NE(steps_of(decision("h2", "true")), steps_of(decision("h2", "false")));
  Json other_reason = decision("h2", "true");
  other_reason["chosen"]["actions"][0]["reason"] = "another";
  EXPECT_EQ(steps_of(decision("h2", "true")), steps_of(other_reason));
  EXPECT_EQ(steps_of(Json::parse(R"({"chosen": {"actions": []}, "helpers": [], "power": []})")), "[]");
}

TEST_F(PolicyFiles, ADifferenceIsToldByWhereItIs) {
  Decided decided = decided_by("");
  ASSERT_GT(decided.size(), 1u);
  decided.begin()->second.front().power.push_back({HostId("h1"), false, "it is idle"});
  std::next(decided.begin())->second.front().summary = "another reason is no other will";
  ReplayCommand command;
  command.file = *directory_ / "other.rec";
  command.policy_file = file("plain.toml", "");
  command.diff = true;
  record(command.file, decided);
  const auto same = run_replay(command, out_);
  ASSERT_TRUE(same && !*same);
  EXPECT_THAT(out_.str(),
              HasSubstr("Z decision 1\n  /power/0\n  - {\"host\":\"h1\",\"awake\":false,\"reason\":\"it is idle\"}\n"
                        "  + nothing\n90 cycles"));
  command.json = true;
  std::ostringstream json;
  ASSERT_TRUE(run_replay(command, json));
  EXPECT_EQ(Json::parse(json.str())["differences"][0]["recorded"]["power"][0]["host"], "h1");
}

TEST_F(PolicyFiles, AReplayGoesAsFarAsTheRecordingIsWhole) {
  std::ifstream whole(recording(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(whole), {}};
  ReplayCommand command;
  command.file = file("cut.rec", bytes.substr(0, bytes.size() - 10));
  for (const bool diff : {false, true}) {
    command.diff = diff;
    std::ostringstream out;
    const auto replayed = run_replay(command, out);
    ASSERT_FALSE(replayed);
    EXPECT_EQ(replayed.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(replayed.error().message, HasSubstr("cut off after 91 telemetry messages and 92 journal entries, the "
                                                    "newest of 2023-11-14T22:14:49.000Z"));
    EXPECT_THAT(out.str(), HasSubstr("90 cycles over 90 frames"));
  }
  command.json = true;
  std::ostringstream out;
  EXPECT_FALSE(run_replay(command, out));
  EXPECT_THAT(Json::parse(out.str())["trouble"].get<std::string>(), HasSubstr("cut off"));
  command = {.file = file("damaged.rec", bytes.substr(0, bytes.size() / 2)), .policy_file = "", .weights_file = ""};
  EXPECT_FALSE(run_replay(command, out_));
  EXPECT_EQ(out_.str(), "") << "nothing in it is whole";
}

}  // namespace
}  // namespace proteus::ctl
