#include "server/domain/negotiation.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

absl::Status CheckState(const Opportunity& opportunity, bool must_be_open, std::string_view step) {
  bool open = opportunity.state == OpportunityState::kOpen;
  if (open == must_be_open) return absl::OkStatus();
  std::string_view state = NameOf(opportunity.state);
  return PreconditionFailed(
      must_be_open ? "ALREADY_CLOSED" : "NOT_CLOSED",
      Concat(step, " is not allowed for an opportunity that is ", state),
      {{"STATE", NameOf(opportunity.id),
        Concat("state is ", state, "; allowed from there: ",
               open ? "MoveOpportunity, CloseOpportunity" : "ReopenOpportunity")}});
}

absl::Status CheckRequirements(const Opportunity& opportunity, const PipelineStage& stage) {
  std::vector<PreconditionViolation> missing;
  for (const std::string& path : stage.required_fields) {
    const Field<Opportunity>* field = FindField<Opportunity>(path);
    if (field == nullptr || !field->get(opportunity).absent()) continue;
    missing.push_back({"FIELD", path, Concat("must be set before stage ", stage.id)});
  }
  if (missing.empty()) return absl::OkStatus();
  return PreconditionFailed("STAGE_REQUIREMENTS",
                            Concat("stage ", stage.id, " demands fields that are not set"),
                            std::move(missing));
}

// Whole seconds, rounded down, also when the end lies before the beginning.
int64_t SecondsBetween(Timestamp from, Timestamp to) {
  int64_t micros = to.micros - from.micros;
  int64_t seconds = micros / kMicrosPerSecond;
  return micros % kMicrosPerSecond < 0 ? seconds - 1 : seconds;
}

void LeaveStage(Opportunity& opportunity, Timestamp at) {
  int64_t seconds = 0;
  std::string& text = opportunity.stage_seconds[opportunity.stage];
  if (!text.empty() && !absl::SimpleAtoi(text, &seconds)) seconds = 0;
  text = Concat(seconds + SecondsBetween(opportunity.stage_time, at));
}

void EnterStage(Opportunity& opportunity, const PipelineStage& stage, Timestamp at) {
  opportunity.stage = stage.id;
  opportunity.probability_percent = stage.probability_percent;
  opportunity.stage_time = at;
}

absl::StatusOr<NegotiationStep> WithLead(const Lead& before, Opportunity opportunity,
                                         Trigger trigger, const TransitionContext& context) {
  ASSIGN_OR_RETURN(Lead after, Transit(before, trigger, context));
  bool moved = after.stage != before.stage;
  return NegotiationStep{std::move(opportunity), std::move(after), trigger, moved};
}

std::string StageNames(const Pipeline& pipeline) {
  std::string names;
  for (const PipelineStage& stage : pipeline.stages) {
    Append(names, names.empty() ? "" : ", ", stage.id);
  }
  return names;
}

}  // namespace

std::string Pipeline::name() const { return Concat("pipelines/", id); }

const PipelineStage* Pipeline::Find(std::string_view stage) const {
  for (const PipelineStage& known : stages) {
    if (known.id == stage) return &known;
  }
  return nullptr;
}

absl::StatusOr<NegotiationStep> OpenOpportunity(const Lead& lead, Opportunity draft,
                                                const Pipeline& pipeline,
                                                const TransitionContext& context) {
  std::vector<FieldViolation> violations;
  if (draft.intention.empty()) {
    violations.push_back({"opportunity.intention", "must say what the buyer intends"});
  }
  absl::Status time = CheckOccurTime("occur_time", context.occur_time, context.now);
  if (!time.ok()) violations.push_back(FaultOf(time)->fields.front());
  if (!violations.empty()) return InvalidFields(std::move(violations));

  draft.lead = lead.id;
  draft.lead_name = NameOf(lead.id);
  draft.state = OpportunityState::kOpen;
  draft.pipeline = pipeline.name();
  if (draft.owner.empty()) draft.owner = lead.owner;
  draft.open_time = context.occur_time;
  draft.close_time.reset();
  draft.close_reason.clear();
  draft.winning_competitor.clear();
  draft.stage_seconds.clear();
  draft.reopen_count = 0;
  EnterStage(draft, pipeline.stages.front(), context.occur_time);
  // The lead before the fields: whoever may not open one at all need not fill in anything.
  ASSIGN_OR_RETURN(NegotiationStep step,
                   WithLead(lead, std::move(draft), Trigger::kCreateOpportunity, context));
  RETURN_IF_ERROR(CheckRequirements(step.opportunity, pipeline.stages.front()));
  return step;
}

absl::StatusOr<Opportunity> MoveOpportunity(Opportunity before, std::string_view stage,
                                            const Pipeline& pipeline,
                                            const TransitionContext& context) {
  std::vector<FieldViolation> violations;
  const PipelineStage* target = pipeline.Find(stage);
  if (target == nullptr) {
    violations.push_back({"stage", Concat("must be one of ", StageNames(pipeline))});
  }
  absl::Status time = CheckOccurTime("occur_time", context.occur_time, context.now);
  if (!time.ok()) violations.push_back(FaultOf(time)->fields.front());
  if (!violations.empty()) return InvalidFields(std::move(violations));

  RETURN_IF_ERROR(CheckState(before, true, "MoveOpportunity"));
  if (stage == before.stage) return InvalidField("stage", "is the present stage; name another");
  if (context.occur_time < before.stage_time) {
    return InvalidField("occur_time", "must not lie before the present stage was entered");
  }
  RETURN_IF_ERROR(CheckRequirements(before, *target));
  LeaveStage(before, context.occur_time);
  EnterStage(before, *target, context.occur_time);
  return before;
}

absl::StatusOr<NegotiationStep> CloseOpportunity(const Lead& lead, Opportunity before,
                                                 const CloseTerms& terms,
                                                 const TransitionContext& context) {
  bool won = terms.outcome == CloseOutcome::kWon;
  std::vector<FieldViolation> violations;
  if (!won && terms.outcome != CloseOutcome::kLost) {
    violations.push_back({"outcome", "must be WON or LOST"});
  }
  if (terms.outcome == CloseOutcome::kLost && context.reason.empty()) {
    violations.push_back({"reason", "must be given when the opportunity is lost"});
  }
  if (won && !terms.winning_competitor.empty()) {
    violations.push_back({"winning_competitor", "must be empty when the opportunity is won"});
  }
  absl::Status time = CheckOccurTime("occur_time", context.occur_time, context.now);
  if (!time.ok()) violations.push_back(FaultOf(time)->fields.front());
  if (!violations.empty()) return InvalidFields(std::move(violations));

  RETURN_IF_ERROR(CheckState(before, true, "CloseOpportunity"));
  LeaveStage(before, context.occur_time);
  before.state = won ? OpportunityState::kWon : OpportunityState::kLost;
  before.probability_percent = won ? 100 : 0;
  before.close_time = context.occur_time;
  before.close_reason = context.reason;
  before.winning_competitor = terms.winning_competitor;
  if (terms.amount.has_value()) before.amount = terms.amount;
  TransitionContext closing = context;
  closing.outcome = terms.outcome;
  return WithLead(lead, std::move(before), Trigger::kCloseOpportunity, closing);
}

absl::StatusOr<NegotiationStep> ReopenOpportunity(const Lead& lead, Opportunity before,
                                                  const Pipeline& pipeline,
                                                  const TransitionContext& context) {
  std::vector<FieldViolation> violations;
  if (context.reason.empty()) violations.push_back({"reason", "must be given"});
  absl::Status time = CheckOccurTime("occur_time", context.occur_time, context.now);
  if (!time.ok()) violations.push_back(FaultOf(time)->fields.front());
  if (!violations.empty()) return InvalidFields(std::move(violations));

  RETURN_IF_ERROR(CheckState(before, false, "ReopenOpportunity"));
  if (before.close_time.has_value() && context.occur_time < *before.close_time) {
    return InvalidField("occur_time", "must not lie before the opportunity was closed");
  }
  TransitionContext reopening = context;
  reopening.outcome =
      before.state == OpportunityState::kWon ? CloseOutcome::kWon : CloseOutcome::kLost;
  const PipelineStage* stage = pipeline.Find(before.stage);
  EnterStage(before, stage == nullptr ? pipeline.stages.front() : *stage, context.occur_time);
  before.state = OpportunityState::kOpen;
  before.close_time.reset();
  before.close_reason.clear();
  before.winning_competitor.clear();
  ++before.reopen_count;
  return WithLead(lead, std::move(before), Trigger::kReopenOpportunity, reopening);
}

}  // namespace relais::domain
