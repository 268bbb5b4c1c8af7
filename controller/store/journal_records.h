#pragma once

#include "controller/store/journal.h"
#include "schemas/journal.capnp.h"

/// Entries of the journal and what they are made of, to Cap'n Proto and back; a file for each kind of them
/// (journal_decision.cpp, journal_action.cpp, journal_input.cpp). Readers throw Error (journal_fields.h).
namespace proteus::store {

// What was decided, and what came of it
void fill(schema::ScoreTerms::Builder to, const ham::ScoreTerms& from);
void fill(schema::LearningNote::Builder to, const ham::learning::Note& from);
void fill(schema::Action::Builder to, const ham::Action& from);
void fill(schema::Candidate::Builder to, const ham::Candidate& from);
void fill(schema::Rejection::Builder to, const ham::Rejection& from);
void fill(schema::Outlook::Builder to, const ham::Outlook& from);
void fill(schema::PowerChange::Builder to, const ham::PowerChange& from);
void fill(schema::HelperChange::Builder to, const ham::HelperChange& from);
void fill(schema::HeldAction::Builder to, const ham::Held& from);
void fill(schema::LearningPart::Builder to, const ham::LearningPart& from);
void fill(schema::Decision::Builder to, const ham::Decision& from);
void fill(schema::LearningOutcome::Builder to, const ham::learning::Outcome& from);
ham::ScoreTerms read_score(schema::ScoreTerms::Reader from);
ham::learning::Note read_note(schema::LearningNote::Reader from);
ham::Held read_held(schema::HeldAction::Reader from);
ham::LearningPart read_learning(schema::LearningPart::Reader from);
ham::learning::Outcome read_outcome(schema::LearningOutcome::Reader from);
ham::Action read_action(schema::Action::Reader from);
ham::Candidate read_candidate(schema::Candidate::Reader from);
ham::Rejection read_rejection(schema::Rejection::Reader from);
ham::Outlook read_outlook(schema::Outlook::Reader from);
ham::PowerChange read_power(schema::PowerChange::Reader from);
ham::HelperChange read_helper(schema::HelperChange::Reader from);
ham::Decision read_decision(schema::Decision::Reader from);

// What is done
void fill(schema::Transition::Builder to, const drs::Transition& from);
void fill(schema::ActionRecord::Builder to, const drs::ActionRecord& from);
drs::Transition read_transition(schema::Transition::Reader from);
drs::ActionRecord read_record(schema::ActionRecord::Reader from);

// What a decision followed from
void fill(schema::Signal::Builder to, const forecast::SignalPush& from);
void fill(schema::ForecastState::Series::Builder to, const forecast::SeriesState& from);
void fill(schema::Started::EndedAction::Builder to, const EndedAction& from);
void fill(schema::Started::MissingVm::Builder to, const MissingVm& from);
void fill(schema::Started::Builder to, const Started& from);
void fill(schema::Cycle::Builder to, const Cycle& from);
void fill(schema::AgentPresence::Builder to, const AgentPresence& from);
void fill(schema::OperatorInput::Builder to, const OperatorInput& from);
void fill(schema::SignalInput::Builder to, const SignalInput& from);
void fill(schema::ForecastState::Builder to, const ForecastState& from);
void fill(schema::LearningState::Builder to, const LearningState& from);
void fill(schema::ProfileState::Record::Builder to, const profile::SavedRecord& from);
void fill(schema::ProfileState::Builder to, const ProfileState& from);
EndedAction read_ended(schema::Started::EndedAction::Reader from);
MissingVm read_missing(schema::Started::MissingVm::Reader from);
Started read_started(schema::Started::Reader from);
forecast::SignalPush read_signal(schema::Signal::Reader from);
forecast::SeriesState read_series(schema::ForecastState::Series::Reader from);
Cycle read_cycle(schema::Cycle::Reader from);
AgentPresence read_presence(schema::AgentPresence::Reader from);
OperatorInput read_operator(schema::OperatorInput::Reader from);
SignalInput read_signal_input(schema::SignalInput::Reader from);
ForecastState read_forecast_state(schema::ForecastState::Reader from);
LearningState read_learning_state(schema::LearningState::Reader from);
profile::SavedRecord read_profile_record(schema::ProfileState::Record::Reader from);
ProfileState read_profile_state(schema::ProfileState::Reader from);

}  // namespace proteus::store
