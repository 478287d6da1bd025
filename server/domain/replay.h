// From the log back to the state: entities and scores as they were recorded at a moment.
//
// Events come in the order of their numbers and concern one lead or one opportunity (those of
// others are skipped). What the log does not hold is not rebuilt: the revision, and the fields
// without history (score_state and next_score_time, which ReplayScoreState and Evaluate give).
//
// Pure.
#pragma once

#include <limits>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/event.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/opportunity.h"
#include "server/domain/scoring.h"
#include "server/domain/value.h"

namespace relais::domain {

inline constexpr Timestamp kEndOfTime = {std::numeric_limits<int64_t>::max()};

// Whether an event's changes are those of the lead itself. Other events of a lead tell the fields
// of a touchpoint, a consent or an assessment, some of which are named like the lead's own.
bool ChangesLead(EventType type);

// The lead after the last of its events recorded at or before `read_time`. Values of an erased
// person are absent. NOT_FOUND when it had not been made by then.
absl::StatusOr<Lead> ReplayLead(const LeadId& lead, absl::Span<const Event> events,
                                Timestamp read_time = kEndOfTime);

// The same for an opportunity.
absl::StatusOr<Opportunity> ReplayOpportunity(const OpportunityId& opportunity,
                                              absl::Span<const Event> events,
                                              Timestamp read_time = kEndOfTime);

// The evidence of a lead under a model, from the touchpoints recorded at or before `read_time`, as
// the write path would have kept it at that moment.
ScoreState ReplayScoreState(const CompiledModel& model, const LeadId& lead,
                            absl::Span<const Event> events, Timestamp read_time);

// Lead and evidence together: the score as it stood at `read_time`. `model` is the one to judge by.
struct ReplayedScore {
  Lead lead;
  ScoreState state;
  ScoreBreakdown breakdown;
};
absl::StatusOr<ReplayedScore> ReplayScore(const CompiledModel& model, const LeadId& lead,
                                          absl::Span<const Event> events, Timestamp read_time);

}  // namespace relais::domain
