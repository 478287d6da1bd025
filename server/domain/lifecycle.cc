#include "server/domain/lifecycle.h"

#include <algorithm>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

using enum Trigger;
using enum TransitionGuard;

// The captures of known leads are rows too, and so are the steps of hand-offs: that they move
// nobody is a rule, not an omission. A lead is handed over when it qualified or, by policy, before;
// sales may have opened an opportunity before it says that it accepts.
constexpr LifecycleRow kLifecycle[] = {
    {Stage::kUnspecified, kCaptureLead, kNone, Stage::kLead},

    {Stage::kLead, kCaptureLead, kNone, Stage::kLead},
    {Stage::kLead, kQualifyLead, kNone, Stage::kProspect},
    {Stage::kLead, kDisqualifyLead, kNone, Stage::kDisqualified},
    {Stage::kLead, kRejectHandoff, kNone, Stage::kLead},
    {Stage::kLead, kCreateHandoff, kNone, Stage::kLead},
    {Stage::kLead, kAcceptHandoff, kNone, Stage::kLead},

    {Stage::kProspect, kCaptureLead, kNone, Stage::kProspect},
    {Stage::kProspect, kCreateOpportunity, kNone, Stage::kOpportunity},
    {Stage::kProspect, kReopenOpportunity, kNone, Stage::kOpportunity},
    {Stage::kProspect, kDisqualifyLead, kNone, Stage::kDisqualified},
    {Stage::kProspect, kRejectHandoff, kNone, Stage::kLead},
    {Stage::kProspect, kCreateHandoff, kNone, Stage::kProspect},
    {Stage::kProspect, kAcceptHandoff, kNone, Stage::kProspect},

    {Stage::kOpportunity, kCaptureLead, kNone, Stage::kOpportunity},
    {Stage::kOpportunity, kCreateOpportunity, kNone, Stage::kOpportunity},
    {Stage::kOpportunity, kReopenOpportunity, kNone, Stage::kOpportunity},
    {Stage::kOpportunity, kCloseOpportunity, kOthersOpen, Stage::kOpportunity},
    {Stage::kOpportunity, kCloseOpportunity, kLastWinStands, Stage::kCustomer},
    {Stage::kOpportunity, kCloseOpportunity, kLastNoWin, Stage::kProspect},
    {Stage::kOpportunity, kAcceptHandoff, kNone, Stage::kOpportunity},

    {Stage::kCustomer, kCaptureLead, kNone, Stage::kCustomer},
    {Stage::kCustomer, kCreateOpportunity, kNone, Stage::kOpportunity},
    {Stage::kCustomer, kReopenOpportunity, kNone, Stage::kOpportunity},

    {Stage::kDisqualified, kCaptureLead, kNone, Stage::kDisqualified},
    {Stage::kDisqualified, kRecycleLead, kNone, Stage::kLead},
};

bool Holds(TransitionGuard guard, const Counters& after) {
  switch (guard) {
    case kNone:
      return true;
    case kOthersOpen:
      return after.open_opportunities > 0;
    case kLastWinStands:
      return after.open_opportunities == 0 && after.won_opportunities > 0;
    case kLastNoWin:
      return after.open_opportunities == 0 && after.won_opportunities == 0;
  }
  return false;
}

std::string_view GuardText(TransitionGuard guard) {
  switch (guard) {
    case kNone:
      return "";
    case kOthersOpen:
      return " (another stays open)";
    case kLastWinStands:
      return " (the last open one, a win stands)";
    case kLastNoWin:
      return " (the last open one, no win stands)";
  }
  return "";
}

bool NeedsReason(Trigger trigger) {
  return trigger == kDisqualifyLead || trigger == kRecycleLead || trigger == kReopenOpportunity ||
         trigger == kRejectHandoff;
}

// A step that is there to move nobody; opportunities that come beside others are not meant.
bool LetsStay(const LifecycleRow& row) {
  return row.from == row.to && (row.trigger == kCaptureLead || row.trigger == kRejectHandoff ||
                                row.trigger == kCreateHandoff || row.trigger == kAcceptHandoff);
}

bool IsClosing(Trigger trigger) {
  return trigger == kCloseOpportunity || trigger == kReopenOpportunity;
}

std::vector<Stage> SourcesOf(Trigger trigger) {
  std::vector<Stage> stages;
  for (const LifecycleRow& row : kLifecycle) {
    if (row.trigger == trigger && row.from != Stage::kUnspecified &&
        std::find(stages.begin(), stages.end(), row.from) == stages.end()) {
      stages.push_back(row.from);
    }
  }
  return stages;
}

template <class Items>
std::string Names(const Items& items) {
  std::string text;
  for (auto item : items) Append(text, text.empty() ? "" : ", ", NameOf(item));
  return text.empty() ? "nothing" : text;
}

// The counters after the trigger. A count that would fall below zero means that lead and
// opportunity do not belong to the same moment, which the caller's transaction must rule out.
absl::StatusOr<Counters> Count(Counters counters, Trigger trigger, CloseOutcome outcome) {
  int64_t& ended =
      outcome == CloseOutcome::kWon ? counters.won_opportunities : counters.lost_opportunities;
  switch (trigger) {
    case kCreateOpportunity:
      ++counters.open_opportunities;
      break;
    case kCloseOpportunity:
      --counters.open_opportunities;
      ++ended;
      break;
    case kReopenOpportunity:
      ++counters.open_opportunities;
      --ended;
      break;
    default:
      break;
  }
  if (counters.open_opportunities < 0 || ended < 0) {
    return InternalFault("a lead's counters do not hold the opportunity that changes");
  }
  return counters;
}

void Enter(Stage to, Trigger trigger, const TransitionContext& context, Lead& lead) {
  Milestones& marks = lead.milestones;
  auto first = [&](std::optional<Timestamp>& mark) {
    if (!mark.has_value()) mark = context.occur_time;
  };
  lead.stage = to;
  marks.stage_time = context.occur_time;
  switch (to) {
    case Stage::kProspect:
      first(marks.prospect_time);
      break;
    case Stage::kOpportunity:
      first(marks.opportunity_time);
      break;
    case Stage::kCustomer:
      first(marks.customer_time);
      break;
    case Stage::kDisqualified:
      marks.disqualified_time = context.occur_time;
      lead.disqualify_reason = context.reason;
      break;
    case Stage::kLead:
      lead.disqualify_reason.clear();
      if (trigger == kRecycleLead) {
        marks.recycled_time = context.occur_time;
        ++marks.recycle_count;
      }
      break;
    case Stage::kUnspecified:
      break;
  }
}

}  // namespace

absl::Status CheckOccurTime(std::string_view field, Timestamp occur_time, Timestamp now) {
  if (occur_time.micros <= now.micros + kClockSkewMicros) return absl::OkStatus();
  return InvalidField(field, "must not lie more than 5 minutes in the future");
}

std::string_view NameOf(Trigger trigger) {
  switch (trigger) {
    case kCaptureLead:
      return "CaptureLead";
    case kQualifyLead:
      return "QualifyLead";
    case kDisqualifyLead:
      return "DisqualifyLead";
    case kRecycleLead:
      return "RecycleLead";
    case kCreateOpportunity:
      return "CreateOpportunity";
    case kReopenOpportunity:
      return "ReopenOpportunity";
    case kCloseOpportunity:
      return "CloseOpportunity";
    case kRejectHandoff:
      return "RejectHandoff";
    case kCreateHandoff:
      return "CreateHandoff";
    case kAcceptHandoff:
      return "AcceptHandoff";
  }
  return "";
}

absl::Span<const LifecycleRow> Lifecycle() { return kLifecycle; }

std::vector<Trigger> AllowedFrom(Stage stage) {
  std::vector<Trigger> allowed;
  for (Trigger trigger : kTriggers) {
    auto leaves = [&](const LifecycleRow& row) {
      return row.from == stage && row.trigger == trigger;
    };
    if (std::any_of(std::begin(kLifecycle), std::end(kLifecycle), leaves)) {
      allowed.push_back(trigger);
    }
  }
  return allowed;
}

std::string LifecycleDiagram() {
  // Edges in the order of the table; triggers that share an edge and a guard share its label.
  struct Edge {
    LifecycleRow row;
    std::string label;
  };
  std::vector<Edge> edges;
  for (const LifecycleRow& row : kLifecycle) {
    if (LetsStay(row)) continue;
    auto same = std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) {
      return edge.row.from == row.from && edge.row.to == row.to && edge.row.guard == row.guard;
    });
    if (same != edges.end()) {
      Append(same->label, ", ", NameOf(row.trigger));
    } else {
      edges.push_back({row, std::string(NameOf(row.trigger))});
    }
  }
  std::string text = "stateDiagram-v2\n";
  for (const Edge& edge : edges) {
    std::string_view from = edge.row.from == Stage::kUnspecified ? "[*]" : NameOf(edge.row.from);
    Append(text, "    ", from, " --> ", NameOf(edge.row.to), ": ", edge.label,
           GuardText(edge.row.guard), "\n");
  }
  return text;
}

absl::Status IllegalTransition(const Lead& lead, Trigger trigger) {
  std::string_view stage = NameOf(lead.stage);
  std::string message = Concat(NameOf(trigger), " is not allowed from ", stage,
                               "; it is allowed from ", Names(SourcesOf(trigger)));
  return PreconditionFailed(
      "ILLEGAL_TRANSITION", message,
      {{"STAGE", NameOf(lead.id),
        Concat("stage is ", stage, "; allowed from there: ", Names(AllowedFrom(lead.stage)))}});
}

absl::StatusOr<Lead> Transit(Lead before, Trigger trigger, const TransitionContext& context) {
  std::vector<FieldViolation> violations;
  if (absl::Status status = CheckOccurTime("occur_time", context.occur_time, context.now);
      !status.ok()) {
    violations = FaultOf(status)->fields;
  }
  if (NeedsReason(trigger) && context.reason.empty()) {
    violations.push_back({"reason", Concat("must be given for ", NameOf(trigger))});
  }
  if (IsClosing(trigger) && context.outcome == CloseOutcome::kUnspecified) {
    violations.push_back({"outcome", "must be WON or LOST"});
  }
  if (!violations.empty()) return InvalidFields(std::move(violations));

  auto leaves = [&](const LifecycleRow& row) {
    return row.from == before.stage && row.trigger == trigger;
  };
  if (std::none_of(std::begin(kLifecycle), std::end(kLifecycle), leaves)) {
    return IllegalTransition(before, trigger);
  }
  ASSIGN_OR_RETURN(Counters counters, Count(before.counters, trigger, context.outcome));
  Lead lead = std::move(before);
  lead.counters = counters;
  const LifecycleRow* way =
      std::find_if(std::begin(kLifecycle), std::end(kLifecycle), [&](const LifecycleRow& row) {
        return row.from == lead.stage && row.trigger == trigger && Holds(row.guard, counters);
      });
  if (way == std::end(kLifecycle)) return IllegalTransition(lead, trigger);
  if (way->to != lead.stage) Enter(way->to, trigger, context, lead);
  if (trigger == kReopenOpportunity && counters.won_opportunities == 0) {
    lead.milestones.customer_time.reset();
  }
  return lead;
}

Stage MergedStage(const Lead& a, const Lead& b) {
  if (a.counters.open_opportunities + b.counters.open_opportunities > 0) return Stage::kOpportunity;
  if (a.counters.won_opportunities + b.counters.won_opportunities > 0) return Stage::kCustomer;
  if (a.stage == Stage::kDisqualified) return b.stage;
  if (b.stage == Stage::kDisqualified) return a.stage;
  return std::max(a.stage, b.stage);
}

EventDraft TransitionDraft(const TransitionContext& context, std::string basis,
                           std::string rule_version) {
  return {.type = EventType::kLeadTransitioned,
          .occur_time = context.occur_time,
          .rule_version = std::move(rule_version),
          .basis = std::move(basis),
          .reason = context.reason};
}

}  // namespace relais::domain
