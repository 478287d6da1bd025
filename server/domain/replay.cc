#include "server/domain/replay.h"

#include <optional>
#include <utility>

#include "server/domain/faults.h"
#include "server/domain/history.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

bool ChangesOpportunity(EventType type) {
  switch (type) {
    case EventType::kOpportunityCreated:
    case EventType::kOpportunityUpdated:
    case EventType::kOpportunityMoved:
    case EventType::kOpportunityClosed:
    case EventType::kOpportunityReopened:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool ChangesLead(EventType type) {
  switch (type) {
    case EventType::kLeadCreated:
    case EventType::kLeadUpdated:
    case EventType::kLeadTransitioned:
    case EventType::kLeadAssigned:
    case EventType::kLeadRescored:
    case EventType::kLeadMerged:
    case EventType::kLeadUnmerged:
      return true;
    default:
      return false;
  }
}

absl::StatusOr<Lead> ReplayLead(const LeadId& lead, absl::Span<const Event> events,
                                Timestamp read_time) {
  std::string name = NameOf(lead);
  std::optional<Lead> state;
  for (const Event& event : events) {
    if (event.record_time > read_time) break;
    if (event.subject != name || !ChangesLead(event.type)) continue;
    if (event.type == EventType::kLeadCreated) {
      state.emplace();
      state->id = lead;
    }
    if (state.has_value()) Apply<Lead>(event.changes, *state);
  }
  if (!state.has_value()) return NotFound("Lead", name);
  return *std::move(state);
}

absl::StatusOr<Opportunity> ReplayOpportunity(const OpportunityId& opportunity,
                                              absl::Span<const Event> events, Timestamp read_time) {
  std::string name = NameOf(opportunity);
  std::optional<Opportunity> state;
  for (const Event& event : events) {
    if (event.record_time > read_time) break;
    if (event.subject != name || !ChangesOpportunity(event.type)) continue;
    if (event.type == EventType::kOpportunityCreated) {
      state.emplace();
      state->id = opportunity;
    }
    if (state.has_value()) Apply<Opportunity>(event.changes, *state);
  }
  if (!state.has_value()) return NotFound("Opportunity", name);
  if (std::optional<LeadId> lead = ParseName<LeadTag>(state->lead_name)) state->lead = *lead;
  return *std::move(state);
}

ScoreState ReplayScoreState(const CompiledModel& model, const LeadId& lead,
                            absl::Span<const Event> events, Timestamp read_time) {
  ScoreState state;
  for (const Event& event : events) {
    if (event.record_time > read_time) break;
    if (event.type != EventType::kTouchpointRecorded || event.lead != lead) continue;
    Touchpoint touchpoint;
    touchpoint.lead = lead;
    Apply<Touchpoint>(event.changes, touchpoint);
    AddTouchpoint(model, touchpoint, state);
  }
  Prune(model, read_time, state);
  return state;
}

absl::StatusOr<ReplayedScore> ReplayScore(const CompiledModel& model, const LeadId& lead,
                                          absl::Span<const Event> events, Timestamp read_time) {
  ReplayedScore replayed;
  ASSIGN_OR_RETURN(replayed.lead, ReplayLead(lead, events, read_time));
  replayed.state = ReplayScoreState(model, lead, events, read_time);
  replayed.breakdown = Evaluate(model, replayed.lead, replayed.state, read_time);
  return replayed;
}

}  // namespace relais::domain
