#include "controller/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "controller/forecast/global/shipped_weights.h"
#include "controller/pipeline_options.h"
#include "tests/fakes/fake_telemetry.h"

namespace proteus::controller {
namespace {

using fakes::FakeHost;
using fakes::FakeVm;

constexpr Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

PipelineOptions options() {
  PipelineOptions options;
  options.view.forecast.step = std::chrono::seconds(1);
  options.view.forecast.horizon_steps = 20;
  options.view.forecast.season = std::chrono::hours(1);
  options.view.forecast.refit_every_steps = 5;
  options.executor.controller = "test";
  return options;
}

store::Started started() {
  store::Started started;
  started.term = 1;
  return started;
}

ham::Policy policy(ham::Automation automation) {
  ham::Policy policy;
  policy.automation = automation;
  policy.limits.cooldown = std::chrono::seconds(5);
  policy.limits.payback = std::chrono::minutes(2);
  return policy;
}

/// A VM with a quota of 40 % whose demand ramps from 15 % to 70 % on a host with room.
class Ramp {
 public:
  explicit Ramp(Pipeline& pipeline) : pipeline_(pipeline) {
    FakeVm vm;
    vm.name = "web";
    vm.uuid = "uuid-web";
    vm.quota_us = 40000;
    host.vms = {vm};
    pipeline_.on_presence({HostId("h1"), true, ""});
  }
  /// One second and one cycle.
  PipelineOutput step() {
    const double wanted = second_ < 20 ? 0.15 : std::min(0.7, 0.15 + 0.015 * (second_ - 20));
    const double noise = 0.01 * std::sin(second_ * 1.7);
    const double limit = host.vms[0].quota_us < 0 ? 1.0 : static_cast<double>(host.vms[0].quota_us) / 1e5;
    const double run = std::min(wanted + noise, limit);
    host.pass(1, {{run, wanted + noise > limit ? 1.0 - run : 0.0}});
    now = kStart + std::chrono::seconds(second_++);
    pipeline_.on_sample(host.sample(now), now);
    store::Cycle cycle;
    cycle.number = static_cast<std::uint64_t>(second_);
    cycle.seed = cycle.number;
    return pipeline_.run_cycle(cycle, now);
  }

  FakeHost host{"h1", 2, 4 * kGiB};
  Timestamp now = kStart;

 private:
  Pipeline& pipeline_;
  int second_ = 0;
};

TEST(Pipeline, ReshapesBeforeTheLimitIsReached) {
  Pipeline pipeline(options(), policy(ham::Automation::kAutomatic), started());
  Ramp ramp(pipeline);
  std::optional<Command> command;
  double demand = 0;
  for (int second = 0; second < 60 && !command; ++second) {
    const PipelineOutput output = ramp.step();
    // What was journalled comes first, and holds the intent of each command.
    if (!output.commands.empty()) {
      command = output.commands.front();
      demand = pipeline.last_state()->vms[0].cpu_used_cores;
      bool intended = false;
      for (const auto& entry : output.journal) {
        if (const auto* action = std::get_if<drs::ActionRecord>(&entry))
          intended = action->action.id == command->action;
      }
      EXPECT_TRUE(intended);
    }
  }
  ASSERT_TRUE(command) << "nothing was done about a demand of 70 % under a limit of 40 %";
  EXPECT_LT(demand, 0.40) << "too late: the limit was reached before";
  EXPECT_TRUE(std::holds_alternative<SetCpuQuota>(command->operation) ||
              std::holds_alternative<SetVcpus>(command->operation));
  EXPECT_EQ(command->vm, VmId("uuid-web"));
  EXPECT_EQ(command->term, 1u);
}

TEST(Pipeline, RecommendsWithoutActing) {
  Pipeline pipeline(options(), policy(ham::Automation::kRecommend), started());
  Ramp ramp(pipeline);
  bool recommended = false;
  for (int second = 0; second < 60; ++second) {
    const PipelineOutput output = ramp.step();
    EXPECT_TRUE(output.commands.empty());
    for (const auto& entry : output.journal) {
      const auto* decision = std::get_if<ham::Decision>(&entry);
      recommended = recommended || (decision != nullptr && !decision->chosen.actions.empty());
    }
  }
  EXPECT_TRUE(recommended);
}

TEST(Pipeline, ObservesWithoutAWord) {
  Pipeline pipeline(options(), policy(ham::Automation::kObserve), started());
  Ramp ramp(pipeline);
  bool decided = false;
  for (int second = 0; second < 60; ++second) {
    const PipelineOutput output = ramp.step();
    EXPECT_TRUE(output.journal.empty());
    EXPECT_TRUE(output.commands.empty());
    decided = decided || !pipeline.last_decision()->chosen.actions.empty();
  }
  EXPECT_TRUE(decided) << "what it would do is still there to be looked at";
}

TEST(Pipeline, WaitsForApprovalAndActsOnIt) {
  Pipeline pipeline(options(), policy(ham::Automation::kApprove), started());
  Ramp ramp(pipeline);
  ActionId waiting = 0;
  for (int second = 0; second < 60 && waiting == 0; ++second) {
    EXPECT_TRUE(ramp.step().commands.empty());
    for (const auto& [id, action] : pipeline.executor().actions()) {
      if (action.state == drs::ActionState::kAwaitingApproval) waiting = id;
    }
  }
  ASSERT_NE(waiting, 0u);
  store::OperatorInput approve;
  approve.kind = store::OperatorInput::Kind::kApprove;
  approve.action = waiting;
  approve.by = "tester";
  const Result<PipelineOutput> output = pipeline.on_operator(approve, ramp.now);
  ASSERT_TRUE(output) << output.error().message;
  PipelineOutput next = ramp.step();
  EXPECT_EQ(output->commands.size() + next.commands.size(), 1u);
  approve.action = 999;
  EXPECT_EQ(pipeline.on_operator(approve, ramp.now).error().code, ErrorCode::kNotFound);
}

TEST(Pipeline, PauseBeginsNothing) {
  Pipeline pipeline(options(), policy(ham::Automation::kAutomatic), started());
  Ramp ramp(pipeline);
  store::OperatorInput pause;
  pause.kind = store::OperatorInput::Kind::kPause;
  ASSERT_TRUE(pipeline.on_operator(pause, ramp.now));
  for (int second = 0; second < 60; ++second) EXPECT_TRUE(ramp.step().commands.empty());
}

TEST(Pipeline, SameInputsSameBytes) {
  const auto run = [] {
    Pipeline pipeline(options(), policy(ham::Automation::kAutomatic), started());
    Ramp ramp(pipeline);
    std::string bytes;
    for (int second = 0; second < 60; ++second) {
      for (store::JournalPayload& payload : ramp.step().journal) {
        bytes += store::encode(store::JournalEntry{0, ramp.now, std::move(payload)});
      }
    }
    return bytes;
  };
  const std::string first = run();
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, run());
}

/// A cluster of a few VMs with waves of demand, whose cycles do not wait for forecasts, and whose application pushes
/// a signal between samples.
struct Busy {
  explicit Busy(Pipeline& with) : pipeline(with) {
    for (int i = 0; i < 6; ++i) {
      FakeVm vm;
      vm.name = "web" + std::to_string(i);
      vm.uuid = "uuid-" + vm.name;
      vm.quota_us = 40000;
      host.vms.push_back(vm);
    }
    pipeline.on_presence({HostId("h1"), true, ""});
  }
  void samples(int second) {
    std::vector<std::pair<double, double>> demand;
    for (std::size_t i = 0; i < host.vms.size(); ++i) {
      demand.emplace_back(0.2 + 0.15 * std::sin(second * 0.1 + static_cast<double>(i)), 0.0);
    }
    host.pass(1, demand);
    pipeline.on_sample(host.sample(now(second)), now(second));
  }
  static Timestamp now(int second) { return kStart + std::chrono::seconds(second); }
  static forecast::SignalPush signal(int second) {
    return {"orders", VmId("uuid-web1"), std::chrono::seconds(10), {{now(second), std::sin(second * 0.1) + 1}}};
  }
  Pipeline& pipeline;
  FakeHost host{"h1", 8, 16 * kGiB};
};

std::string bytes_of(PipelineOutput output, Timestamp now) {
  std::string bytes;
  for (store::JournalPayload& payload : output.journal) {
    bytes += store::encode(store::JournalEntry{0, now, std::move(payload)});
  }
  return bytes;
}

TEST(Pipeline, ReplaysByteForByteWhateverTheForecastsLaggedBehind) {
  constexpr int kSeconds = 200;
  std::vector<store::Cycle> cycles;
  std::vector<std::string> decided;
  PipelineOptions live = options();
  live.view.forecast_workers = 1;
  {
    Pipeline pipeline(live, policy(ham::Automation::kAutomatic), started());
    Busy busy(pipeline);
    for (int second = 0; second < kSeconds; ++second) {
      busy.samples(second);
      ASSERT_TRUE(pipeline.on_signal(Busy::signal(second)));
      pipeline.begin_cycle();
      store::Cycle cycle;
      cycle.number = static_cast<std::uint64_t>(second + 1);
      cycle.forecasts_behind = pipeline.forecasts_behind();  // as it comes: this depends on the machine's load
      cycles.push_back(cycle);
      decided.push_back(bytes_of(pipeline.run_cycle(cycle, Busy::now(second)), Busy::now(second)));
    }
  }
  PipelineOptions replayed = live;
  replayed.view.forecast_workers = 4;
  Pipeline pipeline(replayed, policy(ham::Automation::kAutomatic), started());
  Busy busy(pipeline);
  for (int second = 0; second < kSeconds; ++second) {
    // The journal has the signal in front of the cycle, and the cycle brings its samples.
    ASSERT_TRUE(pipeline.on_signal(Busy::signal(second)));
    busy.samples(second);
    const store::Cycle& cycle = cycles[static_cast<std::size_t>(second)];
    EXPECT_EQ(bytes_of(pipeline.run_cycle(cycle, Busy::now(second)), Busy::now(second)),
              decided[static_cast<std::size_t>(second)])
        << "cycle " << cycle.number << ", " << cycle.forecasts_behind << " rounds behind";
  }
}

TEST(Pipeline, ACycleCanGoWithoutTheNewestForecasts) {
  Pipeline pipeline(options(), policy(ham::Automation::kObserve), started());
  Busy busy(pipeline);
  for (int second = 0; second < 30; ++second) {
    busy.samples(second);
    store::Cycle cycle;
    cycle.forecasts_behind = second == 29 ? 1 : 0;
    pipeline.run_cycle(cycle, Busy::now(second));
    if (second < 28) continue;
    const forecast::Forecast& used = pipeline.last_state()->vms[0].forecasts.at(forecast::Resource::kCpu);
    EXPECT_EQ(used.made_at, Busy::now(28)) << "in second 29 the newest round is left out";
  }
}

TEST(Pipeline, GoesOnFromTheForecastsOfAnEarlierRun) {
  store::ForecastState state;
  {
    Pipeline pipeline(options(), policy(ham::Automation::kObserve), started());
    Busy busy(pipeline);
    for (int second = 0; second < 90; ++second) {
      busy.samples(second);
      ASSERT_TRUE(pipeline.on_signal(Busy::signal(second)));
      pipeline.run_cycle({}, Busy::now(second));
    }
    const forecast::EnginePool& pool = pipeline.view().forecasts();
    for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
      for (forecast::SeriesState& series : pool.save(shard)) state.series.push_back(std::move(series));
    }
    state.signals = pool.signals();
  }
  Pipeline pipeline(options(), policy(ham::Automation::kObserve), started());
  pipeline.on_restored(state, Busy::now(90));
  Busy busy(pipeline);
  busy.samples(90);
  busy.samples(91);
  pipeline.run_cycle({}, Busy::now(91));
  const forecast::SeriesReport report =
      pipeline.view().forecasts().report(VmId("uuid-web1"), forecast::Resource::kCpu, Busy::now(91)).value();
  EXPECT_GE(report.history.values.size(), 89u);
  EXPECT_EQ(report.forecast.steps.size(), 20u);
  EXPECT_NE(report.forecast.model, "cold_start");
  EXPECT_EQ(pipeline.view().forecasts().signals(), state.signals);
}

/// Carries out what the pipeline commands the ramp's host to do, as an agent does, and returns what was journalled.
class Obedient {
 public:
  explicit Obedient(Pipeline& pipeline) : pipeline_(pipeline), ramp_(pipeline) {}

  std::vector<store::JournalPayload> run(int seconds) {
    std::vector<store::JournalPayload> journal;
    for (int second = 0; second < seconds; ++second) take(ramp_.step(), journal);
    return journal;
  }
  Timestamp now() const { return ramp_.now; }

 private:
  void take(PipelineOutput output, std::vector<store::JournalPayload>& journal) {
    for (store::JournalPayload& payload : output.journal) journal.push_back(std::move(payload));
    for (const Command& command : output.commands) {
      FakeVm& vm = ramp_.host.vms[0];
      if (const auto* quota = std::get_if<SetCpuQuota>(&command.operation)) vm.quota_us = quota->quota_us;
      Update update{command.id, command.action, command.term, command.host, command.vm, {}, ramp_.now, "", {}, {}};
      update.state = CommandState::kSucceeded;
      if (std::holds_alternative<Inspect>(command.operation)) {
        update.observed = DomainObservation{true, true, 1, vm.quota_us, 100000, 1024, kGiB};
      }
      take(pipeline_.on_update(update, ramp_.now), journal);
    }
  }

  Pipeline& pipeline_;
  Ramp ramp_;
};

TEST(Pipeline, LearnsWhatAnActionTurnedOutToBeWorth) {
  Pipeline pipeline(options(), policy(ham::Automation::kAutomatic), started());
  Obedient world(pipeline);
  std::optional<drs::ActionRecord> taken;
  std::optional<ham::learning::Outcome> outcome;
  for (const store::JournalPayload& payload : world.run(120)) {
    if (const auto* record = std::get_if<drs::ActionRecord>(&payload); record != nullptr && !outcome) taken = *record;
    if (const auto* found = std::get_if<ham::learning::Outcome>(&payload); found != nullptr && !outcome)
      outcome = *found;
  }
  ASSERT_TRUE(outcome) << "no action was followed to its end";
  ASSERT_TRUE(taken);
  EXPECT_EQ(outcome->vm, VmId("uuid-web"));
  EXPECT_EQ(outcome->note.kind, ham::learning::Kind::kRaise);
  EXPECT_GT(outcome->note.predicted, 0) << "the score promised something";
  EXPECT_GT(outcome->realised, 0) << "and without the raise the VM would have waited";
  EXPECT_FALSE(outcome->acting);
  ASSERT_NE(pipeline.learning(), nullptr);
  EXPECT_GE(pipeline.learning()->revision(), 1u);
}

TEST(Pipeline, LearnsWhereWorkHasAValueToo) {
  ham::Policy worth = policy(ham::Automation::kAutomatic);
  ham::ValueRule& value = worth.values.emplace_back();
  value.name = "work";
  value.vms = {"*"};
  value.per_vcpu_hour = 10;
  Pipeline pipeline(options(), std::move(worth), started());
  Obedient world(pipeline);
  int outcomes = 0;
  for (const store::JournalPayload& payload : world.run(120)) {
    outcomes += std::holds_alternative<ham::learning::Outcome>(payload) ? 1 : 0;
  }
  EXPECT_GT(outcomes, 0);
  EXPECT_EQ(pipeline.learning()->revision(), static_cast<std::uint64_t>(outcomes));
}

TEST(Pipeline, GoesOnFromWhatAnEarlierRunLearned) {
  Pipeline first(options(), policy(ham::Automation::kAutomatic), started());
  Obedient(first).run(120);
  const store::LearningState state{first.learning()->save()};
  Pipeline second(options(), policy(ham::Automation::kAutomatic), started());
  ASSERT_TRUE(second.on_learned(state));
  EXPECT_EQ(second.learning()->revision(), first.learning()->revision());
  EXPECT_EQ(second.learning()->save(), state.bytes);
  EXPECT_EQ(second.on_learned({"nonsense"}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(second.learning()->save(), state.bytes);
}

TEST(Pipeline, FollowsOnWhatAnEarlierRunFollowed) {
  const auto after_restart = [](const Pipeline& pipeline) {
    Pipeline second(options(), policy(ham::Automation::kAutomatic), started());
    EXPECT_TRUE(second.on_learned({pipeline.learning()->save()}));
    return second.learning()->follower().following();
  };
  Pipeline obeyed(options(), policy(ham::Automation::kAutomatic), started());
  Obedient world(obeyed);
  for (int second = 0; second < 120 && obeyed.learning()->follower().following() == 0; ++second) world.run(1);
  ASSERT_EQ(obeyed.learning()->follower().following(), 1u);
  EXPECT_EQ(after_restart(obeyed), 1u);

  Pipeline ignored(options(), policy(ham::Automation::kAutomatic), started());
  Ramp ramp(ignored);
  for (int second = 0; second < 120 && ignored.learning()->follower().following() == 0; ++second) ramp.step();
  ASSERT_EQ(ignored.learning()->follower().following(), 1u);
  EXPECT_EQ(after_restart(ignored), 0u) << "its action was not taken over: nobody will tell its end";
}

TEST(Pipeline, DecisionsKnowWhenAMigrationIsAborted) {
  PipelineOptions brief = options();
  brief.executor.migrate_deadline = std::chrono::seconds(7);
  Pipeline pipeline(brief, policy(ham::Automation::kAutomatic), started());
  Obedient world(pipeline);
  world.run(3);
  ASSERT_NE(pipeline.last_state(), nullptr);
  EXPECT_EQ(pipeline.last_state()->migration_time_max, std::chrono::seconds(7));
}

TEST(Pipeline, LearnsNothingIfItIsNotTo) {
  PipelineOptions without = options();
  without.learning = false;
  Pipeline pipeline(without, policy(ham::Automation::kAutomatic), started());
  Obedient world(pipeline);
  int actions = 0;
  for (const store::JournalPayload& payload : world.run(120)) {
    EXPECT_FALSE(std::holds_alternative<ham::learning::Outcome>(payload));
    if (const auto* record = std::get_if<drs::ActionRecord>(&payload)) {
      ++actions;
      EXPECT_FALSE(record->action.learned);
    }
  }
  EXPECT_GT(actions, 0);
  EXPECT_EQ(pipeline.learning(), nullptr);
}

TEST(PipelineOptions, SurviveTheJournal) {
  PipelineOptions before = options();
  before.executor.migrate_deadline = std::chrono::milliseconds(61'234);
  before.view.staleness = std::chrono::seconds(7);
  before.view.cpu_speed = {{HostId("a\"b"), 0.7}, {HostId("c"), 1.0 / 3}};
  const std::string text = pipeline_options_toml(before);
  const Result<PipelineOptions> after = parse_pipeline_options(text);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(pipeline_options_toml(*after), text);
  EXPECT_EQ(after->executor.migrate_deadline, before.executor.migrate_deadline);
  EXPECT_EQ(after->executor.controller, "test");
  EXPECT_EQ(after->view.cpu_speed, before.view.cpu_speed);
  EXPECT_TRUE(after->learning);
  EXPECT_FALSE(parse_pipeline_options("controller = \"c\"\n")->learning) << "an older run knew nothing of it";
}

TEST(PipelineOptions, NetworksComeFromAFileIfThereIsOne) {
  const std::string file = ::testing::TempDir() + "pipeline_weights.bin";
  forecast::global::Weights tuned = *forecast::global::shipped_weights();
  tuned.mlp.networks[0].parameters[0] += 1;
  ASSERT_TRUE(forecast::global::write_weights(file, tuned));
  const auto options_with = [](const std::string& weights) -> Result<PipelineOptions> {
    const std::string text = "[forecast]\nweights = \"" + weights + "\"\n";
    TomlDocument document(text, "controller.toml");
    auto root = document.root();
    PipelineOptions read;
    read_pipeline_options(root, read);
    read_networks(root, read);
    if (Status done = document.finish(); !done) return done.error();
    return read;
  };
  const Result<PipelineOptions> with = options_with(file);
  ASSERT_TRUE(with) << with.error().message;
  EXPECT_EQ(*with->view.forecast.networks, tuned);

  // A recording knows which it had, and a replay can be given them.
  Result<PipelineOptions> recorded = parse_pipeline_options(pipeline_options_toml(*with));
  ASSERT_TRUE(recorded) << recorded.error().message;
  EXPECT_EQ(recorded->recorded_networks, fmt::format("{:016x}", forecast::global::weights_id(tuned)));
  EXPECT_EQ(*recorded->view.forecast.networks, *forecast::global::shipped_weights());
  use_networks(with->view.forecast.networks, *recorded);
  EXPECT_EQ(*recorded->view.forecast.networks, tuned);

  std::ofstream(file) << "no weights";
  EXPECT_NE(options_with(file).error().message.find("damaged"), std::string::npos);
  std::filesystem::remove(file);
  EXPECT_NE(options_with(file).error().message.find(file), std::string::npos);
}

// It was read until memory ended.
TEST(PipelineOptions, OfARecordingOpenNoFile) {
  const Result<PipelineOptions> recorded = parse_pipeline_options("[forecast]\nweights = \"/dev/zero\"\n");
  ASSERT_FALSE(recorded);
  EXPECT_NE(recorded.error().message.find("'weights'"), std::string::npos) << recorded.error().message;
  EXPECT_EQ(recorded.error().message.find("regular file"), std::string::npos) << "nobody has looked";
}

}  // namespace
}  // namespace proteus::controller
