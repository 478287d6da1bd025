// Opportunities, and what they do to their leads.

#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/lifecycle.h"
#include "server/domain/negotiation.h"
#include "server/domain/scoring.h"

namespace relais::commands {
namespace {

using domain::EventType;
using domain::Lead;
using domain::Opportunity;
using storage::Keys;
using storage::WriteTxn;

void AddOwner(Keys& keys, const std::string& owner) {
  if (auto id = domain::ParseName<domain::UserTag>(owner)) keys.User(*id);
}

void AddContacts(Keys& keys, const Opportunity& opportunity) {
  for (const domain::OpportunityContact& contact : opportunity.contacts) {
    if (auto id = domain::ParseName<domain::LeadTag>(contact.lead)) keys.Lead(*id);
  }
}

// Contacts are leads that exist. Those that were there before the step need no second look.
absl::Status CheckContacts(WriteTxn& tx, const Opportunity& before, const Opportunity& after) {
  if (after.contacts == before.contacts) return absl::OkStatus();
  for (const domain::OpportunityContact& contact : after.contacts) {
    auto id = domain::ParseName<domain::LeadTag>(contact.lead);
    if (!id.has_value()) {
      return domain::InvalidField("opportunity.contacts", "must name leads as leads/{id}");
    }
    RETURN_IF_ERROR(GetLead(tx, *id).status());
  }
  return absl::OkStatus();
}

absl::Status ClaimKeys(WriteTxn& tx, const Opportunity& before, const Opportunity& after) {
  for (const domain::ExternalId& id : after.external_ids) {
    ASSIGN_OR_RETURN(std::optional<domain::OpportunityId> owner,
                     tx.OpportunityByKey(id.system, id.id));
    if (!owner.has_value()) {
      RETURN_IF_ERROR(tx.ClaimOpportunityKey(id.system, id.id, after.id));
    } else if (*owner != after.id) {
      return domain::Taken("opportunity.external_ids", "Opportunity", NameOf(*owner));
    }
  }
  for (const domain::ExternalId& id : before.external_ids) {
    bool kept = false;
    for (const domain::ExternalId& other : after.external_ids) kept = kept || other == id;
    if (!kept) RETURN_IF_ERROR(tx.ReleaseOpportunityKey(id.system, id.id));
  }
  return absl::OkStatus();
}

// Keeps an opportunity and its lead after a step that touched both.
absl::Status KeepStep(WriteTxn& tx, domain::NegotiationStep& step, EventType type,
                      const domain::TransitionContext& context) {
  domain::EventDraft draft = domain::TransitionDraft(context, NameOf(step.opportunity.id));
  if (!step.lead_moved) draft.type = EventType::kLeadUpdated;
  RETURN_IF_ERROR(RescoreLead(tx, step.lead));
  RETURN_IF_ERROR(
      tx.Keep(step.opportunity,
              {.type = type, .occur_time = context.occur_time, .reason = context.reason}));
  return tx.Keep(step.lead, draft);
}

absl::StatusOr<const domain::Pipeline*> PipelineOf(WriteTxn& tx, const Opportunity& opportunity) {
  const domain::Pipeline* pipeline = tx.config().FindPipeline(opportunity.pipeline);
  if (pipeline == nullptr) return domain::NotFound("Pipeline", opportunity.pipeline);
  return pipeline;
}

}  // namespace

Keys KeysOf(const CreateOpportunityCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.opportunity.lead);
  for (const domain::ExternalId& id : command.opportunity.external_ids) {
    keys.OpportunityKey(id.system, id.id);
  }
  AddOwner(keys, command.opportunity.owner);
  AddContacts(keys, command.opportunity);
  return keys;
}

absl::StatusOr<Result<Opportunity>> Run(WriteTxn& tx, const CreateOpportunityCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    auto id = domain::ParseName<domain::OpportunityTag>(earlier->resource);
    if (!id.has_value()) return domain::InternalFault("a request log entry names no opportunity");
    ASSIGN_OR_RETURN(Opportunity known, GetOpportunity(tx, *id));
    return Result<Opportunity>{std::move(known), true};
  }
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.opportunity.lead));
  Opportunity draft = command.opportunity;
  draft.id = domain::OpportunityId(tx.NewId());
  draft.create_time = tx.now();
  if (!draft.owner.empty()) RETURN_IF_ERROR(CheckAssignable(tx, draft.owner, "opportunity.owner"));
  const domain::TransitionContext context{.now = tx.now(),
                                          .occur_time = command.occur_time.value_or(tx.now())};
  ASSIGN_OR_RETURN(
      domain::NegotiationStep step,
      domain::OpenOpportunity(lead, std::move(draft), tx.config().pipeline(), context));
  // Of the lead that was named, also where another one stands for it since a merge.
  step.opportunity.lead = command.opportunity.lead;
  step.opportunity.lead_name = NameOf(command.opportunity.lead);
  RETURN_IF_ERROR(CheckContacts(tx, Opportunity{}, step.opportunity));
  RETURN_IF_ERROR(ClaimKeys(tx, Opportunity{}, step.opportunity));
  RETURN_IF_ERROR(KeepStep(tx, step, EventType::kOpportunityCreated, context));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(step.opportunity.id)));
  return Result<Opportunity>{std::move(step.opportunity)};
}

Keys KeysOf(const UpdateOpportunityCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Opportunity(command.opportunity);
  for (const domain::ExternalId& id : command.values.external_ids) {
    keys.OpportunityKey(id.system, id.id);
  }
  AddOwner(keys, command.values.owner);
  AddContacts(keys, command.values);
  return keys;
}

absl::StatusOr<Result<Opportunity>> Run(WriteTxn& tx, const UpdateOpportunityCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Opportunity before, GetOpportunity(tx, command.opportunity));
  if (earlier != nullptr) return Result<Opportunity>{std::move(before), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(before.id), command.etag, before.revision));
  Opportunity after = before;
  CopyFields(command.paths, command.values, after);
  if (after.owner != before.owner && !after.owner.empty()) {
    RETURN_IF_ERROR(CheckAssignable(tx, after.owner, "opportunity.owner"));
  }
  RETURN_IF_ERROR(CheckContacts(tx, before, after));
  RETURN_IF_ERROR(ClaimKeys(tx, before, after));
  RETURN_IF_ERROR(tx.Keep(after, {.type = EventType::kOpportunityUpdated, .occur_time = tx.now()}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(after.id)));
  return Result<Opportunity>{std::move(after)};
}

Keys KeysOf(const OpportunityStepCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Opportunity(command.opportunity);
  return keys;
}

absl::StatusOr<Result<Opportunity>> Run(WriteTxn& tx, const OpportunityStepCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Opportunity before, GetOpportunity(tx, command.opportunity));
  if (earlier != nullptr) return Result<Opportunity>{std::move(before), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(before.id), command.etag, before.revision));

  const domain::TransitionContext context{.now = tx.now(),
                                          .occur_time = command.occur_time.value_or(tx.now()),
                                          .reason = command.reason,
                                          .outcome = command.outcome};
  Opportunity after;
  if (command.step == OpportunityStep::kMove) {
    ASSIGN_OR_RETURN(const domain::Pipeline* pipeline, PipelineOf(tx, before));
    ASSIGN_OR_RETURN(after,
                     domain::MoveOpportunity(std::move(before), command.stage, *pipeline, context));
    RETURN_IF_ERROR(
        tx.Keep(after, {.type = EventType::kOpportunityMoved, .occur_time = context.occur_time}));
  } else {
    ASSIGN_OR_RETURN(Lead lead, GetLead(tx, before.lead));
    domain::NegotiationStep step;
    if (command.step == OpportunityStep::kClose) {
      ASSIGN_OR_RETURN(step,
                       domain::CloseOpportunity(lead, std::move(before),
                                                {.outcome = command.outcome,
                                                 .winning_competitor = command.winning_competitor,
                                                 .amount = command.amount},
                                                context));
      RETURN_IF_ERROR(KeepStep(tx, step, EventType::kOpportunityClosed, context));
    } else {
      ASSIGN_OR_RETURN(const domain::Pipeline* pipeline, PipelineOf(tx, before));
      ASSIGN_OR_RETURN(step,
                       domain::ReopenOpportunity(lead, std::move(before), *pipeline, context));
      RETURN_IF_ERROR(KeepStep(tx, step, EventType::kOpportunityReopened, context));
    }
    after = std::move(step.opportunity);
  }
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(after.id)));
  return Result<Opportunity>{std::move(after)};
}

}  // namespace relais::commands
