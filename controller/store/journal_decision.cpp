// Decisions, with what was considered and what was learned of them.
#include "controller/store/journal_fields.h"
#include "controller/store/journal_records.h"

namespace proteus::store {

void fill(schema::ScoreTerms::Builder to, const ham::ScoreTerms& from) {
  to.setPerformance(number(from.performance));
  to.setUtilisation(number(from.utilisation));
  to.setCost(number(from.cost));
  to.setLatency(number(from.latency));
}

void fill(schema::LearningNote::Builder to, const ham::learning::Note& from) {
  to.setKind(static_cast<std::uint8_t>(from.kind));
  auto features = to.initFeatures(static_cast<unsigned>(from.features.size()));
  for (unsigned i = 0; i < features.size(); ++i) features.set(i, number(from.features[i]));
  to.setPredicted(number(from.predicted));
  to.setCost(number(from.cost));
  to.setCopiedBytes(number(from.copied_bytes));
  to.setUtilisation(number(from.utilisation));
  to.setScale(number(from.scale));
  to.setGain(number(from.gain));
  to.setRequired(number(from.required));
  to.setMean(number(from.mean));
  to.setDeviation(number(from.deviation));
  to.setCorrection(number(from.correction));
  to.setLearnedAct(from.learned_act);
  to.setControl(from.control);
  to.setPropensity(number(from.propensity));
  to.setPreferred(from.preferred);
  to.setHorizonNs(from.horizon.count());
}

void fill(schema::Action::Builder to, const ham::Action& from) {
  to.setId(from.id);
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  wire::fill(to.initOperation(), from.operation);
  if (from.present_value) to.getPresentValue().setValue(*from.present_value);
  to.setAutomation(static_cast<std::uint8_t>(from.automation));
  JOURNAL_SET_TEXT(to, Reason, from.reason);
  to.setExpectedDurationNs(from.expected_duration.count());
  to.setExpectedDowntimeMs(from.expected_downtime_ms);
  if (from.expected_wait_ratio) to.setExpectedWaitRatio(number(*from.expected_wait_ratio));
  if (from.expected_storage_s) to.setExpectedStorageS(number(*from.expected_storage_s));
  if (from.expected_drop_share) to.setExpectedDropShare(number(*from.expected_drop_share));
  to.setReserveMemoryBytes(from.reserve.memory_bytes);
  to.setReserveCpuMillicores(from.reserve.cpu_millicores);
  if (!from.after.empty()) {
    auto after = to.initAfter(static_cast<unsigned>(from.after.size()));
    for (unsigned i = 0; i < after.size(); ++i) after.set(i, from.after[i]);
  }
  if (from.learned) fill(to.initLearned(), *from.learned);
}

void fill(schema::Candidate::Builder to, const ham::Candidate& from) {
  JOURNAL_SET_TEXT(to, Label, from.label);
  JOURNAL_SET_LIST(to, Actions, from.actions, fill);
  fill(to.initScore(), from.score);
}

void fill(schema::Rejection::Builder to, const ham::Rejection& from) {
  JOURNAL_SET_TEXT(to, Candidate, from.candidate);
  JOURNAL_SET_TEXT(to, Rule, from.rule);
  JOURNAL_SET_TEXT(to, Reason, from.reason);
}

void fill(schema::Outlook::Builder to, const ham::Outlook& from) {
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  to.setCpuP50Cores(number(from.cpu_window_max.p50));
  to.setCpuP90Cores(number(from.cpu_window_max.p90));
  to.setCpuP99Cores(number(from.cpu_window_max.p99));
  to.setCpuP10Cores(number(from.cpu_window_max.p10));
  to.setCpuP95Cores(number(from.cpu_window_max.p95));
  to.setCpuLimitCores(number(from.cpu_limit_cores));
  JOURNAL_SET_TEXT(to, Model, from.model);
  if (from.until_limit) to.getUntilLimit().setNs(from.until_limit->count());
}

void fill(schema::PowerChange::Builder to, const ham::PowerChange& from) {
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  to.setAwake(from.awake);
  JOURNAL_SET_TEXT(to, Reason, from.reason);
}

void fill(schema::HelperChange::Builder to, const ham::HelperChange& from) {
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  JOURNAL_SET_TEXT(to, Host, from.host.value);
  to.setStart(from.start);
  JOURNAL_SET_TEXT(to, Reason, from.reason);
  to.setGain(number(from.gain));
  to.setAutomation(static_cast<std::uint8_t>(from.automation));
}

void fill(schema::HeldAction::Builder to, const ham::Held& from) {
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  JOURNAL_SET_TEXT(to, Label, from.label);
  fill(to.initNote(), from.note);
  to.setExamined(from.examined);
  to.setOccasion(from.occasion);
}

void fill(schema::LearningPart::Builder to, const ham::LearningPart& from) {
  to.setActing(from.acting);
  to.setRevision(from.revision);
  JOURNAL_SET_LIST(to, Held, from.held, fill);
  to.setCorrected(from.corrected);
  if (from.opinion) fill(to.initOpinion(), *from.opinion);
  JOURNAL_SET_TEXT(to, RulesAlone, from.rules_alone);
}

void fill(schema::Decision::Builder to, const ham::Decision& from) {
  to.setId(from.id);
  to.setTimeNs(to_unix_ns(from.time));
  JOURNAL_SET_TEXT(to, Policy, from.policy);
  fill(to.initChosen(), from.chosen);
  fill(to.initDoNothing(), from.do_nothing);
  JOURNAL_SET_LIST(to, Alternatives, from.alternatives, fill);
  JOURNAL_SET_LIST(to, Rejections, from.rejections, fill);
  JOURNAL_SET_LIST(to, Outlooks, from.outlooks, fill);
  JOURNAL_SET_TEXT(to, Summary, from.summary);
  JOURNAL_SET_LIST(to, Power, from.power, fill);
  if (!from.emptying.empty()) {
    auto hosts = to.initEmptying(static_cast<unsigned>(from.emptying.size()));
    for (unsigned i = 0; i < hosts.size(); ++i) hosts.set(i, text(from.emptying[i].value));
  }
  if (from.learning.present) fill(to.initLearning(), from.learning);
  JOURNAL_SET_LIST(to, Helpers, from.helpers, fill);
}

void fill(schema::LearningOutcome::Builder to, const ham::learning::Outcome& from) {
  to.setAction(from.action);
  JOURNAL_SET_TEXT(to, Vm, from.vm.value);
  fill(to.initNote(), from.note);
  to.setRealised(number(from.realised));
  to.setWeight(number(from.weight));
  to.setDifference(number(from.difference));
  to.setLower(number(from.lower));
  to.setActing(from.acting);
  to.setRevision(from.revision);
}

ham::ScoreTerms read_score(schema::ScoreTerms::Reader from) {
  return {.performance = from.getPerformance(),
          .utilisation = from.getUtilisation(),
          .cost = from.getCost(),
          .latency = from.getLatency()};
}

ham::learning::Note read_note(schema::LearningNote::Reader from) {
  ham::learning::Note to;
  to.kind = read_enum(from.getKind(), ham::learning::Kind::kMigrate, "kind of action");
  const auto features = from.getFeatures();
  if (features.size() != to.features.size()) {
    throw Error{ErrorCode::kCorrupt, fmt::format("{} features of an action", features.size())};
  }
  for (unsigned i = 0; i < features.size(); ++i) to.features[i] = features[i];
  to.predicted = from.getPredicted();
  to.cost = from.getCost();
  to.copied_bytes = from.getCopiedBytes();
  to.utilisation = from.getUtilisation();
  to.scale = from.getScale();
  to.gain = from.getGain();
  to.required = from.getRequired();
  to.mean = from.getMean();
  to.deviation = from.getDeviation();
  to.correction = from.getCorrection();
  to.learned_act = from.getLearnedAct();
  to.control = from.getControl();
  to.propensity = from.getPropensity();
  to.preferred = from.getPreferred();
  to.horizon = Nanoseconds(from.getHorizonNs());
  return to;
}

ham::Held read_held(schema::HeldAction::Reader from) {
  return {.vm = VmId(read_text(from.getVm())),
          .label = read_text(from.getLabel()),
          .note = read_note(from.getNote()),
          .examined = from.getExamined(),
          .occasion = from.getOccasion()};
}

ham::LearningPart read_learning(schema::LearningPart::Reader from) {
  return {.present = true,
          .acting = from.getActing(),
          .revision = from.getRevision(),
          .held = read_list(from.getHeld(), read_held),
          .corrected = from.getCorrected(),
          .opinion = from.hasOpinion() ? std::optional(read_held(from.getOpinion())) : std::nullopt,
          .rules_alone = read_text(from.getRulesAlone())};
}

ham::learning::Outcome read_outcome(schema::LearningOutcome::Reader from) {
  ham::learning::Outcome to;
  to.action = from.getAction();
  to.vm = VmId(read_text(from.getVm()));
  to.note = read_note(from.getNote());
  to.realised = from.getRealised();
  to.weight = from.getWeight();
  to.difference = from.getDifference();
  to.lower = from.getLower();
  to.acting = from.getActing();
  to.revision = from.getRevision();
  return to;
}

ham::Action read_action(schema::Action::Reader from) {
  ham::Action to;
  to.id = from.getId();
  to.vm = VmId(read_text(from.getVm()));
  to.host = HostId(read_text(from.getHost()));
  to.operation = need(wire::read(from.getOperation()));
  if (from.getPresentValue().isValue()) to.present_value = from.getPresentValue().getValue();
  to.automation = read_enum(from.getAutomation(), ham::Automation::kAutomatic, "level of automation");
  to.reason = read_text(from.getReason());
  to.expected_duration = Nanoseconds(from.getExpectedDurationNs());
  to.expected_downtime_ms = from.getExpectedDowntimeMs();
  if (from.getExpectedWaitRatio() >= 0) to.expected_wait_ratio = from.getExpectedWaitRatio();
  if (from.getExpectedStorageS() >= 0) to.expected_storage_s = from.getExpectedStorageS();
  if (from.getExpectedDropShare() >= 0) to.expected_drop_share = from.getExpectedDropShare();
  to.reserve = {.memory_bytes = from.getReserveMemoryBytes(), .cpu_millicores = from.getReserveCpuMillicores()};
  to.after = read_list(from.getAfter(), [](std::uint32_t position) { return position; });
  if (from.hasLearned()) to.learned = read_note(from.getLearned());
  return to;
}

ham::Candidate read_candidate(schema::Candidate::Reader from) {
  return {.label = read_text(from.getLabel()),
          .actions = read_list(from.getActions(), read_action),
          .score = read_score(from.getScore())};
}

ham::Rejection read_rejection(schema::Rejection::Reader from) {
  return {.candidate = read_text(from.getCandidate()),
          .rule = read_text(from.getRule()),
          .reason = read_text(from.getReason())};
}

ham::Outlook read_outlook(schema::Outlook::Reader from) {
  ham::Outlook to;
  to.vm = VmId(read_text(from.getVm()));
  to.host = HostId(read_text(from.getHost()));
  to.cpu_window_max = {from.getCpuP10Cores(), from.getCpuP50Cores(), from.getCpuP90Cores(), from.getCpuP95Cores(),
                       from.getCpuP99Cores()};
  to.cpu_limit_cores = from.getCpuLimitCores();
  to.model = read_text(from.getModel());
  if (from.getUntilLimit().isNs()) to.until_limit = Nanoseconds(from.getUntilLimit().getNs());
  return to;
}

ham::PowerChange read_power(schema::PowerChange::Reader from) {
  return {.host = HostId(read_text(from.getHost())), .awake = from.getAwake(), .reason = read_text(from.getReason())};
}

ham::HelperChange read_helper(schema::HelperChange::Reader from) {
  return {.vm = VmId(read_text(from.getVm())),
          .host = HostId(read_text(from.getHost())),
          .start = from.getStart(),
          .reason = read_text(from.getReason()),
          .gain = from.getGain(),
          .automation = read_enum(from.getAutomation(), ham::Automation::kAutomatic, "level of automation")};
}

ham::Decision read_decision(schema::Decision::Reader from) {
  ham::Decision to;
  to.id = from.getId();
  to.time = from_unix_ns(from.getTimeNs());
  to.policy = read_text(from.getPolicy());
  to.chosen = read_candidate(from.getChosen());
  to.do_nothing = read_candidate(from.getDoNothing());
  to.alternatives = read_list(from.getAlternatives(), read_candidate);
  to.rejections = read_list(from.getRejections(), read_rejection);
  to.outlooks = read_list(from.getOutlooks(), read_outlook);
  to.summary = read_text(from.getSummary());
  to.power = read_list(from.getPower(), read_power);
  to.emptying = read_list(from.getEmptying(), [](capnp::Text::Reader host) { return HostId(read_text(host)); });
  if (from.hasLearning()) to.learning = read_learning(from.getLearning());
  to.helpers = read_list(from.getHelpers(), read_helper);
  return to;
}

}  // namespace proteus::store
