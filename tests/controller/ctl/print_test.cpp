#include "controller/ctl/print.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"

// What proteusctl says of status, decisions and history as the API tells them.

namespace proteus::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string printed(const api::Snapshot& snapshot) {
  return print_status(api::status_json(snapshot));
}

TEST(PrintStatus, SaysNothingOfLimitsAndPagesWhileAllIsWell) {
  const std::string text = printed(api::Snapshot{});
  EXPECT_THAT(text, HasSubstr("\nstore       0 messages, 0 journal entries, "));
  EXPECT_THAT(text, Not(HasSubstr("limits")));
  EXPECT_THAT(text, Not(HasSubstr("NO PAGES")));
  EXPECT_THAT(text, Not(HasSubstr("no series")));
}

TEST(PrintStatus, SaysThatFramesAreInNoSeries) {
  api::Snapshot snapshot;
  snapshot.store.frames_undecoded = 7;
  EXPECT_THAT(printed(snapshot), HasSubstr("\n            7 frames in no series, as what explains them is missing"));
}

TEST(PrintStatus, SaysOfWhichHostMoreCameThanItsLimitsAllow) {
  api::Snapshot snapshot;
  snapshot.over_limit_count = 3;
  snapshot.over_limit_last = "h1: so much of it was stored";
  EXPECT_THAT(printed(snapshot), HasSubstr("\nlimits      3 messages refused or left to their agent, the last of h1: "
                                           "so much of it was stored\n"));
}

TEST(PrintStatus, SaysThatNoPagesAreWrittenAndWhy) {
  api::Snapshot snapshot;
  snapshot.store.series_problem = "no space left on device";
  EXPECT_THAT(printed(snapshot), HasSubstr(" on disk\n            NO PAGES ARE WRITTEN, telemetry stays as it was "
                                           "received: no space left on device\n"));
}

ham::learning::Note note(double gain, double mean, double correction) {
  ham::learning::Note note;
  note.kind = ham::learning::Kind::kMigrate;
  note.predicted = gain + 1;
  note.gain = gain;
  note.required = 2;
  note.mean = mean;
  note.deviation = 0.5;
  note.correction = correction;
  return note;
}

ham::Action move() {
  ham::Action action;
  action.vm = VmId("uuid-web");
  action.host = HostId("h1");
  Migrate migrate;
  migrate.target = HostId("h2");
  action.operation = migrate;
  action.reason = "h1 is full";
  action.learned = note(5, -1.5, -0.25);
  return action;
}

ham::Decision decision() {
  ham::Decision decision;
  decision.id = 345;
  decision.chosen.label = decision.do_nothing.label = "do nothing";
  decision.learning.present = true;
  decision.learning.revision = 17;
  return decision;
}

std::string printed(const ham::Decision& decision) {
  return print_decision(api::to_json(decision), {{"uuid-web", "web"}});
}

TEST(PrintDecision, SaysNothingOfLearningThatIsOff) {
  ham::Decision off = decision();
  off.learning = {};
  EXPECT_THAT(printed(off), Not(HasSubstr("learning")));
}

TEST(PrintDecision, SaysWhatLearningThinksWhileItWatches) {
  ham::Decision watched = decision();
  watched.chosen.label = "migrate web";
  watched.chosen.actions = {move()};
  watched.chosen.actions[0].learned->learned_act = false;
  const std::string text = printed(watched);
  EXPECT_THAT(text, HasSubstr("learning watches (revision 17): the rules decided alone\n"));
  EXPECT_THAT(text,
              HasSubstr("  learning: actions like it turn out to be worth -1.50/h (± 0.50) beside the 6.00/h that the "
                        "score expects; learning would have held it back\n"));
  EXPECT_THAT(text, Not(HasSubstr("control group")));

  ham::Action& action = watched.chosen.actions[0];
  action.learned->learned_act = action.learned->control = true;
  action.learned->preferred = false;
  EXPECT_THAT(printed(watched),
              HasSubstr("; its VM is in the control group, which is left to the rules; it was drawn among "
                        "what the score holds equal\n"));
}

TEST(PrintDecision, SaysWhatLearningHeldBackAndWhatTheRulesWouldHaveDone) {
  ham::Decision held = decision();
  held.learning.acting = true;
  held.learning.corrected = 12;
  held.learning.rules_alone = "migrate web h1 -> h2";
  held.learning.held = {{VmId("uuid-web"), "migrate web h1 -> h2", note(5, -4, -3.5), true, true},
                        {VmId("uuid-db"), "migrate db h1 -> h3", note(4, -3, -2.5), true, false},
                        {VmId("uuid-x"), "migrate x h1 -> h3", note(3, -2, -1.5), false, false}};
  const std::string text = printed(held);
  EXPECT_THAT(text,
              HasSubstr("learning acts (revision 17): it corrected the gains of 12 of the changes looked at and held 3 "
                        "back\n"));
  const auto line_of = [&](const std::string& label) {
    const std::size_t at = text.find(label);
    return at == std::string::npos ? std::string() : text.substr(at, text.find('\n', at) - at);
  };
  EXPECT_THAT(line_of("migrate web h1"), HasSubstr("5.00"));
  EXPECT_THAT(line_of("migrate web h1"), HasSubstr("2.00"));
  EXPECT_THAT(line_of("migrate web h1"), HasSubstr("-3.50"));
  EXPECT_THAT(line_of("migrate web h1"), HasSubstr("would have done it"));
  EXPECT_THAT(line_of("migrate db h1"), HasSubstr("other plan"));
  EXPECT_THAT(line_of("migrate x h1"), HasSubstr("not looked up this time"));
  EXPECT_THAT(text, HasSubstr("the rules alone would have chosen: migrate web h1 -> h2\n"));
}

TEST(PrintDecision, SaysWhatLearningThinksOfWhatWasNotDone) {
  ham::Decision idle = decision();
  idle.learning.opinion = ham::Held{VmId("uuid-web"), "migrate web h1 -> h2", note(1, 0.75, 0.25), false, false};
  EXPECT_THAT(
      printed(idle),
      HasSubstr("of the best change that was not made, migrate web h1 -> h2: it would gain 1.00/h by the score, "
                "2.00/h are asked for; actions like it turn out to be worth +0.75/h (± 0.50) beside what the score "
                "expects, +0.25/h of that is certain. What the score finds insufficient stays so\n"));
}

TEST(PrintHistory, EveryKindOfEntryHasAWord) {
  Json entries = Json::array();
  const auto add = [&](store::JournalPayload payload) {
    entries.push_back(
        api::to_json(store::JournalEntry{0, from_unix_ns(1'700'000'000'000'000'000), std::move(payload)}));
  };
  store::SignalInput signal;  // built in one expression it is taken for uninitialised by gcc 12 at -O3
  signal.push = {"orders", VmId("uuid-web"), std::chrono::seconds(90), {}};
  signal.push.points = {{{}, 1.0}, {{}, 2.0}};
  signal.by = "shop";
  add(signal);
  add(store::ForecastState{});
  add(store::LearningState{"12345"});
  add(store::ProfileState{});
  const std::string text = print_history(entries, {{"uuid-web", "web"}});
  EXPECT_THAT(text, HasSubstr("web  signal 'orders' by shop: 2 points, foretells 90 s"));
  EXPECT_THAT(text, HasSubstr("0 series, 0 signals"));
  EXPECT_THAT(text, HasSubstr("what had been learned of actions' outcomes: 5 bytes"));
  EXPECT_THAT(text, HasSubstr("what had been learned of hosts: 0 records"));
}

}  // namespace
}  // namespace proteus::ctl
