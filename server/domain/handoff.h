// The hand-over of a lead from marketing to sales: an owner, a time by which to answer, and an
// answer. Entity, policy and the steps.
//
//   PENDING --accept--> ACCEPTED
//           --reject--> REJECTED   the lead goes back to LEAD
//           --reassign, escalate--> PENDING with another owner and a new due time
//           --escalated too often--> EXPIRED
//           --the lead leaves the way--> CANCELLED
//
// Pure and thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/domain/enums.h"
#include "server/domain/event.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/lifecycle.h"
#include "server/domain/value.h"
#include "server/domain/working_time.h"

namespace relais::domain {

struct Handoff {
  HandoffId id;
  LeadId lead;
  int64_t revision = 0;

  std::string lead_name;  // NameOf(lead), the contract's field `lead`
  HandoffState state = HandoffState::kUnspecified;
  HandoffTrigger trigger = HandoffTrigger::kUnspecified;
  std::string owner, team;   // users/{id}; teams/{id} that it was routed to, may be empty
  std::string routing_rule;  // routingRules/{id}@{revision}; empty: named by hand or by the team
  std::string calendar;      // calendars/{id} of the due time; empty: the usual working week
  int64_t score = 0;         // of the lead when it was given to its present owner
  // Place in the queue: higher scores first, then what is due first (PriorityOf).
  int64_t priority = 0;
  std::string reason, reject_reason;
  std::vector<std::string> earlier_owners;  // users/{id}, in order, each once
  int64_t escalation_count = 0, reassignment_count = 0;
  Timestamp due_time;
  Timestamp trigger_time;  // when the lead qualified, crossed the threshold or was passed by hand
  Timestamp assign_time;   // when its present owner got it
  std::optional<Timestamp> first_response_time, close_time;
  // The clock of the first response in two parts: what machines took (trigger to the first owner)
  // and what people took (first owner to the answer), the latter also in working time.
  int64_t system_seconds = 0;
  std::optional<int64_t> human_seconds, human_working_seconds;
  Timestamp create_time, update_time;

  friend bool operator==(const Handoff&, const Handoff&) = default;
};

template <>
absl::Span<const Field<Handoff>> FieldsOf<Handoff>();

// When leads of a market are handed over by themselves, and how long sales has to answer.
struct HandoffPolicy {
  std::string id;
  int64_t revision = 1;
  std::string display_name;
  Market market = Market::kUnspecified;
  // MANUAL: only by CreateHandoff. QUALIFIED: when a lead becomes a prospect. THRESHOLD: when its
  // score crosses the model's threshold, and when it qualifies without having been handed over.
  HandoffTrigger trigger = HandoffTrigger::kManual;
  int64_t response_minutes = 240;  // of working time
  int64_t max_escalations = 3;     // owners after the first one; then it expires
  bool built_in = false;

  std::string name() const;            // "handoffPolicies/{id}"
  std::string versioned_name() const;  // "handoffPolicies/{id}@{revision}"
};
inline constexpr int64_t kMaxResponseMinutes = 90 * 24 * 60;
inline constexpr int64_t kMaxEscalations = 20;

// Ascending order of (score descending, due_time). Scores beyond a million count as that.
int64_t PriorityOf(int64_t score, Timestamp due_time);

// By whom and how long: what the directory says of an owner.
struct Desk {
  std::string owner;     // users/{id}
  std::string calendar;  // calendars/{id}; empty: the usual working week
  WorkingTime working_time = WorkingTime::Usual({});
};

// A lead and its hand-over after a step; `lead_draft` is how the log tells the lead's part.
struct HandoffStep {
  Handoff handoff;
  Lead lead;
  EventDraft handoff_draft, lead_draft;
};

// The steps. Guards, in this order, all FAILED_PRECONDITION: ILLEGAL_TRANSITION by the lifecycle
// table; HANDOFF_CLOSED unless it is pending; for a new one HANDOFF_PENDING when the lead has a
// pending one, and NOT_READY for a lead that has neither qualified nor crossed the threshold.

// The guards of a new one by themselves, before anybody is looked for.
absl::Status CheckHandoffAllowed(const Lead& lead, const std::vector<Handoff>& earlier,
                                 Timestamp now);

struct HandoffTerms {
  HandoffId id;
  HandoffTrigger trigger = HandoffTrigger::kManual;
  Timestamp trigger_time;
  std::string team, routing_rule, reason;
};
absl::StatusOr<HandoffStep> CreateHandoff(const Lead& lead, const std::vector<Handoff>& earlier,
                                          const HandoffTerms& terms, const Desk& desk,
                                          const HandoffPolicy& policy, Timestamp now);
// By its owner or by `desk.owner`, who then takes it over.
absl::StatusOr<HandoffStep> AcceptHandoff(const Lead& lead, const Handoff& handoff,
                                          const Desk& desk, Timestamp now);
// The lead loses its owner and goes back to LEAD.
absl::StatusOr<HandoffStep> RejectHandoff(const Lead& lead, const Handoff& handoff,
                                          const Desk& desk, const std::string& reason,
                                          Timestamp now);
// To another owner, with a new due time. An escalation counts as one and is done by the clock.
struct NewOwner {
  std::string team, routing_rule, reason;
  bool escalation = false;
};
absl::StatusOr<HandoffStep> ReassignHandoff(const Lead& lead, const Handoff& handoff,
                                            const NewOwner& to, const Desk& desk,
                                            const HandoffPolicy& policy, Timestamp now);
// Ends it without an answer: EXPIRED or CANCELLED. The lead stays as it is.
absl::StatusOr<Handoff> CloseHandoff(const Handoff& handoff, HandoffState state,
                                     const std::string& reason, Timestamp now);

// Whether nobody answered in time.
inline bool IsOverdue(const Handoff& handoff, Timestamp now) {
  return handoff.state == HandoffState::kPending && handoff.due_time <= now;
}

}  // namespace relais::domain
