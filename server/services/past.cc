#include "server/services/past.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/domain/merge.h"
#include "server/domain/status_macros.h"
#include "server/services/serve.h"

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

namespace {

absl::StatusOr<std::vector<domain::Event>> AllEvents(storage::ReadTxn& txn,
                                                     storage::EventQuery query) {
  std::vector<domain::Event> events;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<domain::Event> page, txn.Events(query));
    bool last = page.size() < static_cast<size_t>(query.limit);
    std::move(page.begin(), page.end(), std::back_inserter(events));
    if (last) return events;
    query.after_number = events.back().number;
  }
}

// The leads that `lead` stands for after its events.
std::vector<domain::LeadId> MergedAt(const domain::LeadId& lead,
                                     absl::Span<const domain::Event> events) {
  domain::Lead state;
  const std::string name = domain::NameOf(lead);
  for (const domain::Event& event : events) {
    if (event.subject != name) continue;
    for (const domain::FieldChange& change : event.changes) {
      if (change.path == "merged_leads") domain::Apply<domain::Lead>({&change, 1}, state);
    }
  }
  return domain::MergedLeads(state);
}

}  // namespace

std::vector<domain::EventType> LeadEventTypes() {
  using domain::EventType;
  return {EventType::kLeadCreated,  EventType::kLeadUpdated,  EventType::kLeadTransitioned,
          EventType::kLeadAssigned, EventType::kLeadRescored, EventType::kLeadMerged,
          EventType::kLeadUnmerged};
}

absl::StatusOr<std::vector<domain::Event>> EventsOf(storage::ReadTxn& txn,
                                                    const domain::LeadId& lead,
                                                    domain::Timestamp read_time,
                                                    std::vector<domain::EventType> types) {
  storage::EventQuery query;
  query.lead = lead;
  query.up_to_time = read_time;
  query.types = types;
  query.limit = kPage;
  const bool touchpoints =
      types.empty() ||
      std::find(types.begin(), types.end(), domain::EventType::kTouchpointRecorded) != types.end();
  ASSIGN_OR_RETURN(std::vector<domain::Event> events, AllEvents(txn, query));
  if (!touchpoints) return events;
  // What happened with those that the lead stood for then counts as its own.
  std::vector<domain::LeadId> merged = MergedAt(lead, events);
  if (merged.empty()) return events;
  query.lead = merged.back();
  merged.pop_back();
  query.merged = std::move(merged);
  query.types = {domain::EventType::kTouchpointRecorded};
  ASSIGN_OR_RETURN(std::vector<domain::Event> others, AllEvents(txn, query));
  for (domain::Event& event : others) {
    event.lead = lead;
    events.push_back(std::move(event));
  }
  std::sort(events.begin(), events.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  return events;
}

absl::StatusOr<domain::LeadId> StandingAsOf(storage::ReadTxn& txn, const domain::LeadId& lead,
                                            std::optional<domain::Timestamp> read_time) {
  if (!read_time.has_value()) {
    ASSIGN_OR_RETURN(domain::Lead standing, FindLead(txn, lead));
    return standing.id;
  }
  ASSIGN_OR_RETURN(std::vector<domain::Event> events,
                   EventsOf(txn, lead, *read_time,
                            {domain::EventType::kLeadMerged, domain::EventType::kLeadUnmerged}));
  domain::LeadId standing = lead;
  for (const domain::Event& event : events) {
    for (const domain::FieldChange& change : event.changes) {
      if (change.path != "merged_into") continue;
      const std::string* name = change.after.if_text();
      auto into = domain::ParseName<domain::LeadTag>(name == nullptr ? std::string() : *name);
      standing = into.has_value() ? *into : lead;
    }
  }
  return standing;
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
  if (auto into = domain::MergedInto(then)) return LeadAsOf(txn, *into, read_time);
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
    // "leads/{l}/touchpoints/{t}": the lead that it belongs to, whichever stands for that.
    touchpoint.lead = domain::LeadId(event.subject.substr(6, event.subject.find('/', 6) - 6));
    touchpoint.id = domain::TouchpointId(event.subject.substr(event.subject.rfind('/') + 1));
    touchpoints.push_back(std::move(touchpoint));
  }
  return touchpoints;
}

}  // namespace relais::services
