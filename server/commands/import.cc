// Imports: each row is the call it stands for, with the same guards, in one transaction a chunk.

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/concat.h"
#include "server/domain/identity.h"

namespace relais::commands {
namespace {

using domain::EventType;
using domain::ImportRowOutcome;
using domain::Lead;
using domain::LeadId;
using storage::Keys;
using storage::WriteTxn;

struct Outcome {
  ImportRowOutcome outcome = ImportRowOutcome::kUnspecified;
  std::string resource;
};

Outcome DoneOr(bool unchanged, std::string resource) {
  return {unchanged ? ImportRowOutcome::kUnchanged : ImportRowOutcome::kDone, std::move(resource)};
}

void AddLead(Keys& keys, const LeadReference& reference, uint32_t plan) {
  if (const LeadId* id = std::get_if<LeadId>(&reference)) {
    keys.Lead(*id, plan);
  } else {
    domain::IdentityKey key = domain::KeyOf(std::get<domain::ExternalId>(reference));
    keys.Identity(key.kind, std::move(key.value), plan);
  }
}

absl::StatusOr<LeadId> Resolve(WriteTxn& tx, const LeadReference& reference) {
  if (const LeadId* id = std::get_if<LeadId>(&reference)) return *id;
  const auto& external = std::get<domain::ExternalId>(reference);
  const domain::IdentityKey key = domain::KeyOf(external);
  ASSIGN_OR_RETURN(std::optional<LeadId> owner, tx.IdentityOwner(key.kind, key.value));
  // The key itself may be personal: the system is all that an error may say.
  if (!owner.has_value()) {
    return domain::NotFoundByKey("Lead", external.system);
  }
  return *owner;
}

// ---- keys -------------------------------------------------------------------------------------

void AddKeys(Keys& keys, const CaptureRow& row) { keys.Add(KeysOf(row.capture)); }

void AddKeys(Keys& keys, const TouchpointRow& row) {
  AddLead(keys, row.lead, storage::kLeadOnly);
  const domain::Touchpoint& touchpoint = row.touchpoint.touchpoint;
  if (!touchpoint.external_id.empty()) {
    keys.TouchpointKey(touchpoint.source, touchpoint.external_id);
  }
}

void AddKeys(Keys& keys, const QualificationRow& row) {
  AddLead(keys, row.lead, storage::kAssessments);
}

void AddKeys(Keys& keys, const OpportunityRow& row) {
  AddLead(keys, row.lead, storage::kLeadOnly);
  for (const domain::ExternalId& id : row.opportunity.opportunity.external_ids) {
    keys.OpportunityKey(id.system, id.id);
  }
  for (const domain::OpportunityContact& contact : row.opportunity.opportunity.contacts) {
    if (auto id = domain::ParseName<domain::LeadTag>(contact.lead)) keys.Lead(*id);
  }
  if (auto id = domain::ParseName<domain::UserTag>(row.opportunity.opportunity.owner)) {
    keys.User(*id);
  }
}

void AddKeys(Keys& keys, const CloseRow& row) {
  keys.OpportunityKey(row.opportunity.system, row.opportunity.id);
}

// ---- rows -------------------------------------------------------------------------------------

absl::StatusOr<Outcome> RunRow(WriteTxn& tx, const CaptureRow& row) {
  ASSIGN_OR_RETURN(Result<Captured> result, Run(tx, row.capture));
  return DoneOr(result.value.touchpoint_known, NameOf(result.value.lead.id));
}

absl::StatusOr<Outcome> RunRow(WriteTxn& tx, const TouchpointRow& row) {
  RecordTouchpointCommand command = row.touchpoint;
  ASSIGN_OR_RETURN(command.lead, Resolve(tx, row.lead));
  ASSIGN_OR_RETURN(Result<Recorded> result, Run(tx, command));
  const domain::Touchpoint& touchpoint = result.value.touchpoint;
  return DoneOr(result.value.known, NameOf(touchpoint.lead, touchpoint.id));
}

// The same answers of the same moment were imported before.
bool AssessedBefore(const std::vector<domain::Assessment>& assessments,
                    const AssessLeadCommand& command) {
  return std::any_of(
      assessments.begin(), assessments.end(), [&](const domain::Assessment& assessment) {
        return assessment.source == domain::AssessmentSource::kImport &&
               assessment.occur_time == command.occur_time &&
               std::all_of(command.assessment.answers.begin(), command.assessment.answers.end(),
                           [&](const domain::CriterionAnswer& wanted) {
                             return std::any_of(assessment.answers.begin(),
                                                assessment.answers.end(),
                                                [&](const domain::CriterionAnswer& answer) {
                                                  return answer.criterion == wanted.criterion &&
                                                         answer.state == wanted.state;
                                                });
                           });
      });
}

absl::StatusOr<Outcome> RunRow(WriteTxn& tx, const QualificationRow& row) {
  ASSIGN_OR_RETURN(LeadId id, Resolve(tx, row.lead));
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, id));
  const bool past_lead = lead.stage == domain::Stage::kProspect ||
                         lead.stage == domain::Stage::kOpportunity ||
                         lead.stage == domain::Stage::kCustomer;
  if (past_lead) return DoneOr(true, NameOf(id));
  bool changed = false;
  if (row.assessment.has_value()) {
    ASSIGN_OR_RETURN(std::vector<domain::Assessment> assessments, tx.Assessments(id));
    if (!AssessedBefore(assessments, *row.assessment)) {
      AssessLeadCommand assess = *row.assessment;
      assess.lead = id;
      RETURN_IF_ERROR(Run(tx, assess).status());
      changed = true;
    }
  }
  if (row.qualify) {
    LeadStepCommand qualify{.step = LeadStep::kQualify, .lead = id};
    qualify.occur_time = row.occur_time.has_value()   ? row.occur_time
                         : row.assessment.has_value() ? row.assessment->occur_time
                                                      : std::nullopt;
    RETURN_IF_ERROR(Run(tx, qualify).status());
    changed = true;
  }
  return DoneOr(!changed, NameOf(id));
}

absl::StatusOr<Outcome> RunRow(WriteTxn& tx, const OpportunityRow& row) {
  CreateOpportunityCommand command = row.opportunity;
  if (!command.opportunity.external_ids.empty()) {
    const domain::ExternalId& key = command.opportunity.external_ids.front();
    ASSIGN_OR_RETURN(std::optional<domain::OpportunityId> known,
                     tx.OpportunityByKey(key.system, key.id));
    if (known.has_value()) return DoneOr(true, NameOf(*known));
  }
  ASSIGN_OR_RETURN(command.opportunity.lead, Resolve(tx, row.lead));
  command.opportunity.lead_name = NameOf(command.opportunity.lead);
  ASSIGN_OR_RETURN(Result<domain::Opportunity> result, Run(tx, command));
  if (!row.stage.empty() && row.stage != result.value.stage) {
    OpportunityStepCommand move{.step = OpportunityStep::kMove, .opportunity = result.value.id};
    move.stage = row.stage;
    move.occur_time = command.occur_time;
    RETURN_IF_ERROR(Run(tx, move).status());
  }
  return DoneOr(false, NameOf(result.value.id));
}

absl::StatusOr<Outcome> RunRow(WriteTxn& tx, const CloseRow& row) {
  ASSIGN_OR_RETURN(std::optional<domain::OpportunityId> id,
                   tx.OpportunityByKey(row.opportunity.system, row.opportunity.id));
  if (!id.has_value()) {
    return domain::NotFoundByKey("Opportunity", row.opportunity.system);
  }
  ASSIGN_OR_RETURN(domain::Opportunity opportunity, GetOpportunity(tx, *id));
  const auto closed_as = row.close.outcome == domain::CloseOutcome::kWon
                             ? domain::OpportunityState::kWon
                             : domain::OpportunityState::kLost;
  if (opportunity.state == closed_as &&
      (!row.close.occur_time.has_value() || opportunity.close_time == row.close.occur_time)) {
    return DoneOr(true, NameOf(*id));
  }
  OpportunityStepCommand command = row.close;
  command.step = OpportunityStep::kClose;
  command.opportunity = *id;
  RETURN_IF_ERROR(Run(tx, command).status());
  return DoneOr(false, NameOf(*id));
}

}  // namespace

Keys KeysOf(const ImportRowsCommand& command) {
  Keys keys;
  keys.Import(command.import).Operation(domain::OperationId(command.import.value));
  for (const ImportRow& row : command.rows) {
    if (!row.content.ok()) continue;
    std::visit([&](const auto& content) { AddKeys(keys, content); }, *row.content);
  }
  return keys;
}

absl::StatusOr<Imported> Run(WriteTxn& tx, const ImportRowsCommand& command) {
  Imported imported;
  domain::Import& import = imported.import;
  domain::Operation operation;
  ASSIGN_OR_RETURN(const domain::Import* found, tx.FindImport(command.import));
  if (found != nullptr) {
    import = *found;
    ASSIGN_OR_RETURN(operation, Existing(tx.FindOperation(domain::OperationId(import.id.value)),
                                         "Operation", import.operation));
    if (import.state != domain::ImportState::kRunning) {
      return domain::PreconditionFailed(
          "IMPORT_ENDED", Concat(NameOf(import.id), " has ended and takes no more rows"),
          {{"STATE", NameOf(import.id), std::string(NameOf(import.state))}});
    }
  } else {
    operation.id = domain::OperationId(command.import.value);
    operation.kind = "import";
    operation.state = domain::OperationState::kRunning;
    operation.target = NameOf(command.import);
    operation.actor = tx.call().principal;
    operation.create_time = tx.now();
    import.id = command.import;
    import.display_name = command.display_name;
    import.state = domain::ImportState::kRunning;
    import.operation = NameOf(operation.id);
    import.actor = tx.call().principal;
    import.create_time = tx.now();
  }
  if (command.rows_total > 0) import.rows_total = command.rows_total;

  for (const ImportRow& row : command.rows) {
    ImportRowResult result{.row = row.row};
    if (row.row <= import.committed_row) {
      result.outcome = ImportRowOutcome::kUnchanged;
      imported.results.push_back(std::move(result));
      continue;
    }
    result.status = row.content.status();
    if (row.content.ok()) {
      result.status = tx.Attempt([&]() -> absl::Status {
        ASSIGN_OR_RETURN(
            Outcome outcome,
            std::visit([&](const auto& content) { return RunRow(tx, content); }, *row.content));
        result.outcome = outcome.outcome;
        result.resource = std::move(outcome.resource);
        return absl::OkStatus();
      });
    }
    if (!result.status.ok()) result.outcome = ImportRowOutcome::kFailed;
    switch (result.outcome) {
      case ImportRowOutcome::kDone:
        ++import.rows_done;
        break;
      case ImportRowOutcome::kUnchanged:
        ++import.rows_unchanged;
        break;
      default:
        ++import.rows_failed;
    }
    import.committed_row = row.row;
    imported.results.push_back(std::move(result));
  }
  if (command.complete) {
    import.state = domain::ImportState::kCompleted;
    operation.state = domain::OperationState::kSucceeded;
    operation.end_time = tx.now();
  }
  operation.rows_total = import.rows_total;
  operation.rows_done = import.rows_done + import.rows_unchanged;
  operation.rows_failed = import.rows_failed;
  operation.rows_read = operation.rows_done + operation.rows_failed;
  RETURN_IF_ERROR(tx.Keep(import, {.type = EventType::kImportChanged, .occur_time = tx.now()}));
  RETURN_IF_ERROR(
      tx.Keep(operation, {.type = EventType::kOperationChanged, .occur_time = tx.now()}));
  return imported;
}

}  // namespace relais::commands
