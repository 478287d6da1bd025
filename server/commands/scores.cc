// Scores that change without anything happening to the lead: because its model is another, and
// because time passes.

#include <algorithm>
#include <string>
#include <utility>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/scoring.h"

namespace relais::commands {

using domain::EventType;
using domain::Lead;
using storage::Keys;
using storage::WriteTxn;

Keys KeysOf(const RescoreLeadsCommand& command) {
  Keys keys;
  keys.Request(command.once.id);
  return keys;
}

absl::StatusOr<Result<domain::Operation>> Run(WriteTxn& tx, const RescoreLeadsCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    auto id = domain::ParseName<domain::OperationTag>(earlier->resource);
    if (!id.has_value()) return domain::InternalFault("a request log entry names no operation");
    ASSIGN_OR_RETURN(domain::Operation operation,
                     Existing(tx.FindOperation(*id), "Operation", earlier->resource));
    return Result<domain::Operation>{std::move(operation), true};
  }
  domain::Operation operation;
  operation.id = domain::OperationId(tx.NewId());
  operation.kind = kRescoreKind;
  operation.state = domain::OperationState::kRunning;
  operation.actor = tx.call().principal;
  operation.create_time = tx.now();
  RETURN_IF_ERROR(
      tx.Keep(operation, {.type = EventType::kOperationChanged, .occur_time = tx.now()}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(operation.id)));
  return Result<domain::Operation>{std::move(operation)};
}

Keys KeysOf(const RescoreSliceCommand& command) {
  Keys keys;
  keys.Operation(command.operation);
  for (size_t i = 0; i < command.leads.size(); ++i) {
    const bool counted = i < command.counted.size() && command.counted[i];
    keys.Lead(command.leads[i], counted ? storage::kTouchpoints : storage::kLeadOnly);
  }
  return keys;
}

absl::StatusOr<domain::Operation> Run(WriteTxn& tx, const RescoreSliceCommand& command) {
  const std::string name = NameOf(command.operation);
  ASSIGN_OR_RETURN(domain::Operation operation,
                   Existing(tx.FindOperation(command.operation), "Operation", name));
  if (operation.state != domain::OperationState::kRunning || operation.cursor != command.after) {
    return domain::PreconditionFailed("OPERATION_MOVED", name + " has gone on elsewhere",
                                      {{"OPERATION", name, "has moved or ended"}});
  }
  for (const domain::LeadId& id : command.leads) {
    ++operation.rows_read;
    ASSIGN_OR_RETURN(const Lead* found, tx.FindLead(id));
    if (found == nullptr) continue;
    Lead lead = *found;
    RETURN_IF_ERROR(RescoreLead(tx, lead));
    if (lead == *found) continue;
    ++operation.rows_done;
    RETURN_IF_ERROR(tx.Keep(lead, {.type = EventType::kLeadRescored,
                                   .occur_time = tx.now(),
                                   .rule_version = lead.score_model,
                                   .basis = name}));
  }
  if (!command.leads.empty()) operation.cursor = command.leads.back().value;
  operation.rows_total = std::max(command.total, operation.rows_read);
  if (command.last) {
    operation.rows_total = operation.rows_read;
    operation.state = domain::OperationState::kSucceeded;
    operation.end_time = tx.now();
  }
  RETURN_IF_ERROR(
      tx.Keep(operation, {.type = EventType::kOperationChanged, .occur_time = tx.now()}));
  return operation;
}

Keys KeysOf(const FailOperationCommand& command) {
  Keys keys;
  keys.Operation(command.operation);
  return keys;
}

absl::StatusOr<domain::Operation> Run(WriteTxn& tx, const FailOperationCommand& command) {
  ASSIGN_OR_RETURN(domain::Operation operation, Existing(tx.FindOperation(command.operation),
                                                         "Operation", NameOf(command.operation)));
  if (operation.state != domain::OperationState::kRunning) return operation;
  operation.state = domain::OperationState::kFailed;
  operation.error_code = command.code;
  operation.error_message = command.message;
  operation.end_time = tx.now();
  RETURN_IF_ERROR(
      tx.Keep(operation, {.type = EventType::kOperationChanged, .occur_time = tx.now()}));
  return operation;
}

Keys KeysOf(const RefreshScoresCommand& command) {
  Keys keys;
  for (const domain::LeadId& id : command.leads) keys.Lead(id);
  return keys;
}

absl::StatusOr<int64_t> Run(WriteTxn& tx, const RefreshScoresCommand& command) {
  int64_t told = 0;
  for (const domain::LeadId& id : command.leads) {
    ASSIGN_OR_RETURN(const Lead* found, tx.FindLead(id));
    // Another server, or something that happened, was quicker.
    if (found == nullptr || !found->next_score_time.has_value() ||
        *found->next_score_time > tx.now()) {
      continue;
    }
    const Lead before = *found;
    Lead lead = before;
    RETURN_IF_ERROR(RescoreLead(tx, lead));
    if (lead.score_model == before.score_model &&
        !domain::BandChanged(before, lead, tx.config().model(lead.market))) {
      RETURN_IF_ERROR(tx.KeepScore(lead));
      continue;
    }
    ++told;
    RETURN_IF_ERROR(tx.Keep(lead, {.type = EventType::kLeadRescored,
                                   .occur_time = tx.now(),
                                   .rule_version = lead.score_model}));
  }
  return told;
}

}  // namespace relais::commands
