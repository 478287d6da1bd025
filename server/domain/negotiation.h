// The steps of an opportunity: opened, moved along its pipeline, closed, reopened. Each step gives
// the opportunity and its lead together, the lead moved through the lifecycle and nothing else.
//
// Times are the caller's and may lie in the past. A close may come before the opening or before the
// lead's first contact, as it does in real histories: durations are then negative.
//
// Pure. create_time, update_time and revision are not touched.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/domain/lead.h"
#include "server/domain/lifecycle.h"
#include "server/domain/opportunity.h"
#include "server/domain/value.h"

namespace relais::domain {

struct PipelineStage {
  std::string id;  // "negotiation"
  std::string display_name;
  int64_t probability_percent = 0;           // 0 to 100
  std::vector<std::string> required_fields;  // paths of Opportunity that must be set to enter
};

struct Pipeline {
  std::string id;  // "default"
  std::string display_name;
  std::vector<PipelineStage> stages;  // at least one; an opportunity starts in the first
  bool built_in = false;

  std::string name() const;                                 // "pipelines/default"
  const PipelineStage* Find(std::string_view stage) const;  // null when there is none
};

struct NegotiationStep {
  Opportunity opportunity;
  Lead lead;
  Trigger trigger = Trigger::kCreateOpportunity;
  bool lead_moved = false;  // the lead's stage changed
};

// Opens `draft` (id and descriptive fields set by the caller; everything output-only is set here)
// for `lead` in the first stage of `pipeline`. An owner that is not given is the lead's. Errors:
//   INVALID_ARGUMENT: no intention ("opportunity.intention"), occur_time in the future;
//   FAILED_PRECONDITION: reason ILLEGAL_TRANSITION unless the lead is PROSPECT, OPPORTUNITY or
//     CUSTOMER; reason STAGE_REQUIREMENTS as for MoveOpportunity.
absl::StatusOr<NegotiationStep> OpenOpportunity(const Lead& lead, Opportunity draft,
                                                const Pipeline& pipeline,
                                                const TransitionContext& context);

// Another stage of the pipeline, forward or back. Whole seconds spent in the stage left are added
// to stage_seconds. Errors:
//   INVALID_ARGUMENT: "stage" is none of the pipeline's or the present one; "occur_time" is in the
//     future or before stage_time;
//   FAILED_PRECONDITION: reason ALREADY_CLOSED (type STATE); reason STAGE_REQUIREMENTS, one
//   violation
//     of type FIELD per field that the stage demands and that is not set.
absl::StatusOr<Opportunity> MoveOpportunity(Opportunity before, std::string_view stage,
                                            const Pipeline& pipeline,
                                            const TransitionContext& context);

struct CloseTerms {
  CloseOutcome outcome = CloseOutcome::kUnspecified;
  std::string winning_competitor;  // only when lost
  std::optional<Money> amount;     // the final amount, when it differs
};

// Won or lost; context.reason is the close reason, context.outcome is ignored. The time in the last
// stage is added to stage_seconds. Errors:
//   INVALID_ARGUMENT: "outcome" not said; "reason" missing when lost; "winning_competitor" when
//   won;
//     "occur_time" in the future;
//   FAILED_PRECONDITION: reason ALREADY_CLOSED (type STATE); reason ILLEGAL_TRANSITION.
absl::StatusOr<NegotiationStep> CloseOpportunity(const Lead& lead, Opportunity before,
                                                 const CloseTerms& terms,
                                                 const TransitionContext& context);

// Open again in the stage where it was closed (in the pipeline's first one if that is gone).
// Errors:
//   INVALID_ARGUMENT: "reason" missing; "occur_time" in the future or before close_time;
//   FAILED_PRECONDITION: reason NOT_CLOSED (type STATE); reason ILLEGAL_TRANSITION.
absl::StatusOr<NegotiationStep> ReopenOpportunity(const Lead& lead, Opportunity before,
                                                  const Pipeline& pipeline,
                                                  const TransitionContext& context);

}  // namespace relais::domain
