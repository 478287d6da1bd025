// Assessments and the steps between LEAD, PROSPECT and DISQUALIFIED.

#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/criteria.h"
#include "server/domain/lifecycle.h"
#include "server/domain/scoring.h"

namespace relais::commands {

using domain::Lead;
using domain::Timestamp;
using storage::Keys;
using storage::WriteTxn;

Keys KeysOf(const AssessLeadCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead, storage::kAssessments);
  return keys;
}

absl::StatusOr<Result<domain::Assessment>> Run(WriteTxn& tx, const AssessLeadCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  if (earlier != nullptr) {
    ASSIGN_OR_RETURN(std::vector<domain::Assessment> all, tx.Assessments(lead.id));
    for (domain::Assessment& assessment : all) {
      if (NameOf(assessment.lead, assessment.id) == earlier->resource) {
        return Result<domain::Assessment>{std::move(assessment), true};
      }
    }
    return domain::NotFound("Assessment", earlier->resource);
  }
  std::vector<domain::Answer> answers;
  for (const domain::CriterionAnswer& record : command.assessment.answers) {
    ASSIGN_OR_RETURN(domain::Answer answer, domain::ParseAnswer(record));
    answers.push_back(std::move(answer));
  }
  domain::Assessment draft = command.assessment;
  draft.id = domain::AssessmentId(tx.NewId());
  draft.lead = command.lead;
  draft.create_time = tx.now();
  draft.occur_time = command.occur_time.value_or(tx.now());
  if (draft.author.empty()) draft.author = tx.call().principal;
  ASSIGN_OR_RETURN(
      domain::Assessment assessment,
      domain::Assess(tx.config().policy(lead.market), std::move(draft), answers, tx.now()));
  RETURN_IF_ERROR(tx.Keep(assessment, {.type = domain::EventType::kLeadAssessed,
                                       .occur_time = assessment.occur_time,
                                       .rule_version = assessment.policy}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(assessment.lead, assessment.id)));
  return Result<domain::Assessment>{std::move(assessment)};
}

Keys KeysOf(const LeadStepCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead, storage::kAssessments);
  return keys;
}

absl::StatusOr<Result<Lead>> Run(WriteTxn& tx, const LeadStepCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  if (earlier != nullptr) return Result<Lead>{std::move(lead), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(lead.id), command.etag, lead.revision));

  const domain::TransitionContext context{.now = tx.now(),
                                          .occur_time = command.occur_time.value_or(tx.now()),
                                          .reason = command.reason};
  domain::EventDraft draft = domain::TransitionDraft(context);
  switch (command.step) {
    case LeadStep::kQualify: {
      ASSIGN_OR_RETURN(std::vector<domain::Assessment> assessments, tx.Assessments(lead.id));
      ASSIGN_OR_RETURN(
          domain::QualifyOutcome outcome,
          domain::Qualify(lead, assessments, tx.config().policy(lead.market), context));
      draft = domain::TransitionDraft(context, outcome.basis, outcome.rule_version);
      lead = std::move(outcome.lead);
      break;
    }
    case LeadStep::kOverride: {
      ASSIGN_OR_RETURN(lead,
                       domain::Transit(std::move(lead), domain::Trigger::kQualifyLead, context));
      // The policy that was passed over stands in the log; the trigger says that it was.
      draft =
          domain::TransitionDraft(context, "", tx.config().policy(lead.market).versioned_name());
      break;
    }
    case LeadStep::kDisqualify: {
      ASSIGN_OR_RETURN(lead,
                       domain::Transit(std::move(lead), domain::Trigger::kDisqualifyLead, context));
      break;
    }
    case LeadStep::kRecycle: {
      ASSIGN_OR_RETURN(lead,
                       domain::Transit(std::move(lead), domain::Trigger::kRecycleLead, context));
      break;
    }
  }
  RETURN_IF_ERROR(RescoreLead(tx, lead));
  RETURN_IF_ERROR(tx.Keep(lead, draft));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(lead.id)));
  return Result<Lead>{std::move(lead)};
}

}  // namespace relais::commands
