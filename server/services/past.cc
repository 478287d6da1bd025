#include "server/services/past.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/domain/status_macros.h"

namespace relais::services {
namespace {

// Events read at a time: a long history is never one statement's result.
constexpr int kPage = 1000;

}  // namespace

const domain::CompiledModel& ModelOf(const domain::Config& config, const domain::Lead& lead) {
  const domain::CompiledModel* model =
      lead.score_model.empty() ? nullptr : config.FindModel(lead.score_model);
  return model == nullptr ? config.model(lead.market) : *model;
}

std::vector<domain::EventType> LeadEventTypes() {
  using domain::EventType;
  return {EventType::kLeadCreated, EventType::kLeadUpdated, EventType::kLeadTransitioned,
          EventType::kLeadAssigned, EventType::kLeadRescored};
}

absl::StatusOr<std::vector<domain::Event>> EventsOf(storage::ReadTxn& txn,
                                                    const domain::LeadId& lead,
                                                    domain::Timestamp read_time,
                                                    std::vector<domain::EventType> types) {
  storage::EventQuery query;
  query.lead = lead;
  query.up_to_time = read_time;
  query.types = std::move(types);
  query.limit = kPage;
  std::vector<domain::Event> events;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<domain::Event> page, txn.Events(query));
    bool last = page.size() < static_cast<size_t>(query.limit);
    std::move(page.begin(), page.end(), std::back_inserter(events));
    if (last) return events;
    query.after_number = events.back().number;
  }
}

absl::StatusOr<PastScore> ScoreAsOf(const domain::Config& config, const domain::LeadId& lead,
                                    absl::Span<const domain::Event> events,
                                    domain::Timestamp read_time,
                                    const domain::CompiledModel* judge) {
  ASSIGN_OR_RETURN(domain::Lead then, domain::ReplayLead(lead, events, read_time));
  const domain::CompiledModel& model = judge == nullptr ? ModelOf(config, then) : *judge;
  ASSIGN_OR_RETURN(domain::ReplayedScore score,
                   domain::ReplayScore(model, lead, events, read_time));
  return PastScore{&model, std::move(score)};
}

absl::StatusOr<domain::Lead> LeadAsOf(storage::ReadTxn& txn, const domain::LeadId& lead,
                                      domain::Timestamp read_time) {
  ASSIGN_OR_RETURN(std::vector<domain::Event> events, EventsOf(txn, lead, read_time));
  ASSIGN_OR_RETURN(domain::Lead then, domain::ReplayLead(lead, events, read_time));
  // Every keeping of a lead raised its revision by one and appended one event of these types.
  const std::string name = domain::NameOf(lead);
  const std::vector<domain::EventType> types = LeadEventTypes();
  domain::Timestamp kept;
  for (const domain::Event& event : events) {
    if (event.subject != name || std::find(types.begin(), types.end(), event.type) == types.end()) {
      continue;
    }
    ++then.revision;
    kept = event.record_time;
  }
  // What was stored is what was reckoned when the lead was last kept, not at `read_time`: evidence
  // that ran out since counted then. The touchpoint that a step recorded follows its lead's event
  // within the step's transaction, a microsecond an event.
  constexpr int64_t kStepMicros = 1000;
  kept.micros = std::min(read_time.micros, kept.micros + kStepMicros);
  const domain::CompiledModel& model = ModelOf(txn.config(), then);
  domain::ScoreState state = domain::ReplayScoreState(model, lead, events, kept);
  then.next_score_time = domain::Evaluate(model, then, state, then.update_time).next_score_time;
  return then;
}

std::vector<domain::Touchpoint> TouchpointsIn(absl::Span<const domain::Event> events) {
  std::vector<domain::Touchpoint> touchpoints;
  for (const domain::Event& event : events) {
    if (event.type != domain::EventType::kTouchpointRecorded) continue;
    domain::Touchpoint touchpoint;
    domain::Apply<domain::Touchpoint>(event.changes, touchpoint);
    touchpoint.lead = event.lead;
    // "leads/{l}/touchpoints/{t}"
    touchpoint.id = domain::TouchpointId(event.subject.substr(event.subject.rfind('/') + 1));
    touchpoints.push_back(std::move(touchpoint));
  }
  return touchpoints;
}

}  // namespace relais::services
