#include "server/domain/handoff.h"

#include <algorithm>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

// Bits of a due time in whole seconds: until the year 2514.
constexpr int kDueBits = 34;
constexpr int64_t kScoreBound = 1'000'000;

absl::Status CheckPending(const Handoff& handoff) {
  if (handoff.state == HandoffState::kPending) return absl::OkStatus();
  return PreconditionFailed("HANDOFF_CLOSED", "the hand-off has been answered or has ended",
                            {{"HANDOFF", NameOf(handoff.id),
                              Concat("is ", NameOf(handoff.state),
                                     "; only PENDING ones can be answered or reassigned")}});
}

TransitionContext ContextOf(Timestamp now, std::string reason = {}) {
  return {.now = now, .occur_time = now, .reason = std::move(reason)};
}

EventDraft DraftOf(EventType type, Timestamp now, const std::string& rule,
                   const std::string& reason) {
  return {.type = type, .occur_time = now, .rule_version = rule, .basis = {}, .reason = reason};
}

EventDraft LeadDraft(EventType type, const Handoff& handoff, Timestamp now,
                     const std::string& reason) {
  return {.type = type,
          .occur_time = now,
          .rule_version = handoff.routing_rule,
          .basis = NameOf(handoff.id),
          .reason = reason};
}

absl::Status GiveTo(const Desk& desk, const HandoffPolicy& policy, const Lead& lead, Timestamp now,
                    Handoff& handoff) {
  handoff.owner = desk.owner;
  handoff.calendar = desk.calendar;
  handoff.assign_time = now;
  handoff.score = lead.score;
  ASSIGN_OR_RETURN(handoff.due_time, desk.working_time.After(now, policy.response_minutes * 60));
  handoff.priority = PriorityOf(handoff.score, handoff.due_time);
  return absl::OkStatus();
}

void AddEarlierOwner(Handoff& handoff) {
  std::vector<std::string>& earlier = handoff.earlier_owners;
  if (std::find(earlier.begin(), earlier.end(), handoff.owner) == earlier.end()) {
    earlier.push_back(handoff.owner);
  }
}

void Respond(const Desk& desk, Timestamp now, Handoff& handoff) {
  handoff.first_response_time = now;
  handoff.close_time = now;
  handoff.human_seconds =
      std::max<int64_t>(0, (now.micros - handoff.create_time.micros) / kMicrosPerSecond);
  handoff.human_working_seconds = desk.working_time.SecondsBetween(handoff.create_time, now);
}

}  // namespace

std::string HandoffPolicy::name() const { return Concat("handoffPolicies/", id); }
std::string HandoffPolicy::versioned_name() const { return Concat(name(), "@", revision); }

int64_t PriorityOf(int64_t score, Timestamp due_time) {
  const int64_t rank = kScoreBound - std::clamp(score, -kScoreBound, kScoreBound);
  const int64_t due =
      std::clamp<int64_t>(due_time.micros / kMicrosPerSecond, 0, (int64_t{1} << kDueBits) - 1);
  return (rank << kDueBits) | due;
}

absl::Status CheckHandoffAllowed(const Lead& lead, const std::vector<Handoff>& earlier,
                                 Timestamp now) {
  RETURN_IF_ERROR(Transit(lead, Trigger::kCreateHandoff, ContextOf(now)).status());
  for (const Handoff& other : earlier) {
    if (other.state != HandoffState::kPending) continue;
    return PreconditionFailed("HANDOFF_PENDING", "the lead is being handed over already",
                              {{"HANDOFF", NameOf(other.id), "is PENDING"}});
  }
  if (lead.stage == Stage::kLead && !lead.milestones.marketing_qualified_time.has_value()) {
    return PreconditionFailed("NOT_READY", "the lead is not ready for sales",
                              {{"LEAD", NameOf(lead.id),
                                "has neither qualified nor crossed the threshold of its score"}});
  }
  return absl::OkStatus();
}

absl::StatusOr<HandoffStep> CreateHandoff(const Lead& lead, const std::vector<Handoff>& earlier,
                                          const HandoffTerms& terms, const Desk& desk,
                                          const HandoffPolicy& policy, Timestamp now) {
  RETURN_IF_ERROR(CheckHandoffAllowed(lead, earlier, now));
  HandoffStep step;
  step.lead = lead;
  Handoff& handoff = step.handoff;
  handoff.id = terms.id;
  handoff.lead = lead.id;
  handoff.lead_name = NameOf(lead.id);
  handoff.state = HandoffState::kPending;
  handoff.trigger = terms.trigger;
  handoff.team = terms.team;
  handoff.routing_rule = terms.routing_rule;
  handoff.reason = terms.reason;
  handoff.trigger_time = terms.trigger_time;
  handoff.create_time = now;
  handoff.system_seconds =
      std::max<int64_t>(0, (now.micros - terms.trigger_time.micros) / kMicrosPerSecond);
  RETURN_IF_ERROR(GiveTo(desk, policy, lead, now, handoff));
  step.lead.owner = handoff.owner;
  step.lead.milestones.handed_off_time = now;
  step.handoff_draft =
      DraftOf(EventType::kHandoffCreated, now, policy.versioned_name(), terms.reason);
  step.lead_draft = LeadDraft(EventType::kLeadAssigned, handoff, now, terms.reason);
  return step;
}

absl::StatusOr<HandoffStep> AcceptHandoff(const Lead& lead, const Handoff& handoff,
                                          const Desk& desk, Timestamp now) {
  HandoffStep step{.handoff = handoff, .lead = {}, .handoff_draft = {}, .lead_draft = {}};
  RETURN_IF_ERROR(CheckPending(handoff));
  ASSIGN_OR_RETURN(step.lead, Transit(lead, Trigger::kAcceptHandoff, ContextOf(now)));
  if (desk.owner != handoff.owner) {
    AddEarlierOwner(step.handoff);
    step.handoff.owner = desk.owner;
    step.handoff.calendar = desk.calendar;
    step.handoff.assign_time = now;
  }
  step.handoff.state = HandoffState::kAccepted;
  Respond(desk, now, step.handoff);
  step.lead.owner = step.handoff.owner;
  step.lead.milestones.accepted_time = now;
  step.handoff_draft = DraftOf(EventType::kHandoffAccepted, now, {}, {});
  step.lead_draft = LeadDraft(EventType::kLeadUpdated, step.handoff, now, {});
  if (lead.owner != step.lead.owner) step.lead_draft.type = EventType::kLeadAssigned;
  return step;
}

absl::StatusOr<HandoffStep> RejectHandoff(const Lead& lead, const Handoff& handoff,
                                          const Desk& desk, const std::string& reason,
                                          Timestamp now) {
  HandoffStep step{.handoff = handoff, .lead = {}, .handoff_draft = {}, .lead_draft = {}};
  RETURN_IF_ERROR(CheckPending(handoff));
  const TransitionContext context = ContextOf(now, reason);
  ASSIGN_OR_RETURN(step.lead, Transit(lead, Trigger::kRejectHandoff, context));
  step.handoff.state = HandoffState::kRejected;
  step.handoff.reject_reason = reason;
  Respond(desk, now, step.handoff);
  step.lead.owner.clear();
  step.handoff_draft = DraftOf(EventType::kHandoffRejected, now, {}, reason);
  step.lead_draft = TransitionDraft(context, NameOf(handoff.id));
  if (step.lead.stage == lead.stage) step.lead_draft.type = EventType::kLeadAssigned;
  return step;
}

absl::StatusOr<HandoffStep> ReassignHandoff(const Lead& lead, const Handoff& handoff,
                                            const NewOwner& to, const Desk& desk,
                                            const HandoffPolicy& policy, Timestamp now) {
  RETURN_IF_ERROR(CheckPending(handoff));
  HandoffStep step{.handoff = handoff, .lead = lead, .handoff_draft = {}, .lead_draft = {}};
  AddEarlierOwner(step.handoff);
  step.handoff.team = to.team;
  step.handoff.routing_rule = to.routing_rule;
  ++(to.escalation ? step.handoff.escalation_count : step.handoff.reassignment_count);
  RETURN_IF_ERROR(GiveTo(desk, policy, lead, now, step.handoff));
  step.lead.owner = step.handoff.owner;
  step.handoff_draft =
      DraftOf(EventType::kHandoffReassigned, now, policy.versioned_name(), to.reason);
  step.lead_draft = LeadDraft(EventType::kLeadAssigned, step.handoff, now, to.reason);
  return step;
}

absl::StatusOr<Handoff> CloseHandoff(const Handoff& handoff, HandoffState state,
                                     const std::string& reason, Timestamp now) {
  RETURN_IF_ERROR(CheckPending(handoff));
  Handoff closed = handoff;
  closed.state = state;
  closed.close_time = now;
  closed.reject_reason = reason;
  return closed;
}

template <>
absl::Span<const Field<Handoff>> FieldsOf<Handoff>() {
  static const auto* const kFields = new std::vector<Field<Handoff>>{
      MakeField<Handoff>(
          "lead", [](auto& e) -> auto& { return e.lead_name; }),
      MakeField<Handoff>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Handoff>(
          "trigger", [](auto& e) -> auto& { return e.trigger; }),
      MakeField<Handoff>(
          "owner", [](auto& e) -> auto& { return e.owner; }),
      MakeField<Handoff>(
          "team", [](auto& e) -> auto& { return e.team; }),
      MakeField<Handoff>(
          "routing_rule", [](auto& e) -> auto& { return e.routing_rule; }),
      MakeField<Handoff>(
          "calendar", [](auto& e) -> auto& { return e.calendar; }),
      MakeField<Handoff>(
          "score", [](auto& e) -> auto& { return e.score; }),
      MakeField<Handoff>("priority", [](auto& e) -> auto& { return e.priority; },
                         {.filterable = false}),
      MakeField<Handoff>(
          "reason", [](auto& e) -> auto& { return e.reason; }),
      MakeField<Handoff>(
          "reject_reason", [](auto& e) -> auto& { return e.reject_reason; }),
      MakeField<Handoff>(
          "earlier_owners", [](auto& e) -> auto& { return e.earlier_owners; }),
      MakeField<Handoff>(
          "escalation_count", [](auto& e) -> auto& { return e.escalation_count; }),
      MakeField<Handoff>(
          "reassignment_count", [](auto& e) -> auto& { return e.reassignment_count; }),
      MakeField<Handoff>(
          "due_time", [](auto& e) -> auto& { return e.due_time; }),
      MakeField<Handoff>(
          "trigger_time", [](auto& e) -> auto& { return e.trigger_time; }),
      MakeField<Handoff>(
          "assign_time", [](auto& e) -> auto& { return e.assign_time; }),
      MakeField<Handoff>(
          "first_response_time", [](auto& e) -> auto& { return e.first_response_time; }),
      MakeField<Handoff>(
          "close_time", [](auto& e) -> auto& { return e.close_time; }),
      MakeField<Handoff>(
          "system_seconds", [](auto& e) -> auto& { return e.system_seconds; }),
      MakeField<Handoff>(
          "human_seconds", [](auto& e) -> auto& { return e.human_seconds; }),
      MakeField<Handoff>(
          "human_working_seconds", [](auto& e) -> auto& { return e.human_working_seconds; }),
      MakeField<Handoff>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Handoff>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
