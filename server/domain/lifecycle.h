// The lifecycle of a lead: one table, read by the step that moves a lead, by the refusals, by the
// picture in the README and by the test of every cell.
//
// Whether a win stands is counters.won_opportunities > 0, and nothing else: it counts opportunities
// that were won and not reopened since. Reopening a win retracts it. If it is lost afterwards and
// no other win stands, the lead goes back to PROSPECT and milestones.customer_time is taken away,
// so that "was ever a customer", the stage and the figures cannot disagree. While another win
// stands, customer_time keeps the moment at which the lead first became a customer, whichever win
// made it.
//
// Pure: time comes in as an argument; nothing is kept. create_time, update_time and revision belong
// to whoever keeps the lead and are not touched here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/event.h"
#include "server/domain/lead.h"
#include "server/domain/value.h"

namespace relais::domain {

// How far a time that a caller states may lie ahead of ours, in microseconds: five minutes, the
// allowance for wrong clocks that the contract states for every occur_time.
inline constexpr int64_t kClockSkewMicros = 5 * 60 * kMicrosPerSecond;

// INVALID_ARGUMENT naming `field` when `occur_time` is further ahead of `now` than that. The past
// has no limit: histories are imported.
absl::Status CheckOccurTime(std::string_view field, Timestamp occur_time, Timestamp now);

// What can happen to a lead. The names are those of the calls.
enum class Trigger : int8_t {
  kCaptureLead,
  kQualifyLead,
  kDisqualifyLead,
  kRecycleLead,
  kCreateOpportunity,
  kReopenOpportunity,
  kCloseOpportunity,
  kRejectHandoff,
  kCreateHandoff,
  kAcceptHandoff,
};
inline constexpr Trigger kTriggers[] = {
    Trigger::kCaptureLead,      Trigger::kQualifyLead,       Trigger::kDisqualifyLead,
    Trigger::kRecycleLead,      Trigger::kCreateOpportunity, Trigger::kReopenOpportunity,
    Trigger::kCloseOpportunity, Trigger::kRejectHandoff,     Trigger::kCreateHandoff,
    Trigger::kAcceptHandoff,
};
inline constexpr Stage kStages[] = {Stage::kLead, Stage::kProspect, Stage::kOpportunity,
                                    Stage::kCustomer, Stage::kDisqualified};

// "QualifyLead".
std::string_view NameOf(Trigger trigger);

// What decides between several destinations of one trigger.
enum class TransitionGuard : int8_t {
  kNone,
  kOthersOpen,     // another opportunity stays open
  kLastWinStands,  // none stays open, and a win stands
  kLastNoWin,      // none stays open, and no win stands
};

// One way through the lifecycle. `from` is kUnspecified for a lead that does not exist yet; `from`
// equal to `to` is allowed and moves nobody.
struct LifecycleRow {
  Stage from;
  Trigger trigger;
  TransitionGuard guard;
  Stage to;
};

// Every way there is, by stage; what is not here is refused.
absl::Span<const LifecycleRow> Lifecycle();

// The triggers that have a way out of `stage`, in the order of kTriggers.
std::vector<Trigger> AllowedFrom(Stage stage);

// The lifecycle as a Mermaid state diagram, made from the table; captures of known leads and the
// steps of a hand-off that move nobody are left out. Ends with a line feed.
std::string LifecycleDiagram();

// FAILED_PRECONDITION, reason ILLEGAL_TRANSITION, one violation of type STAGE that names the lead,
// its stage and what is allowed from there.
absl::Status IllegalTransition(const Lead& lead, Trigger trigger);

struct TransitionContext {
  Timestamp now;         // the server's clock
  Timestamp occur_time;  // when it happened; may be long ago
  std::string reason =
      {};  // mandatory for DisqualifyLead, RecycleLead, ReopenOpportunity, RejectHandoff
  // CloseOpportunity: how the opportunity ends. ReopenOpportunity: how it had ended. Else ignored.
  CloseOutcome outcome = CloseOutcome::kUnspecified;
};

// The lead after `trigger`: stage, milestones, disqualify_reason and the three counters of
// opportunities. A lead that stays where it is keeps its stage_time. Errors:
//   INVALID_ARGUMENT, reason INVALID_FIELD: occur_time in the future; no reason where one is
//     mandatory (fields "occur_time" and "reason", both named when both are wrong);
//   FAILED_PRECONDITION, reason ILLEGAL_TRANSITION: see IllegalTransition.
absl::StatusOr<Lead> Transit(Lead before, Trigger trigger, const TransitionContext& context);

// Where two leads that are merged into one stand: OPPORTUNITY if an opportunity of either is open,
// else CUSTOMER if one was won, else the further stage; DISQUALIFIED only if both are.
Stage MergedStage(const Lead& a, const Lead& b);

// How the log tells a step of Transit. LEAD_TRANSITIONED is said when the stage changed; nothing
// else of the lead's changes needs an event type of its own. `basis` and `rule_version` as in
// Event.
EventDraft TransitionDraft(const TransitionContext& context, std::string basis = {},
                           std::string rule_version = {});

}  // namespace relais::domain
