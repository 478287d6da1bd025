// The request id's part of every command: found and the same, the earlier success is answered;
// found and different, the call is refused; not found, the effect is remembered with it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/commands/commands.h"
#include "server/domain/faults.h"
#include "server/domain/merge.h"
#include "server/domain/scoring.h"
#include "server/domain/status_macros.h"
#include "storage/store.h"

namespace relais::commands {

// The record of an earlier success; null when there is none. ALREADY_EXISTS, reason
// REQUEST_ID_REUSED, when the id belongs to another request.
inline absl::StatusOr<const storage::RequestRecord*> Earlier(storage::WriteTxn& tx,
                                                             const Once& once) {
  if (once.id.empty()) return nullptr;
  ASSIGN_OR_RETURN(const storage::RequestRecord* record, tx.FindRequest(once.id));
  if (record != nullptr && record->digest != once.digest) {
    return domain::RequestIdReused(once.id);
  }
  return record;
}

inline absl::Status Remember(storage::WriteTxn& tx, const Once& once, std::string resource,
                             std::string note = {}) {
  if (once.id.empty()) return absl::OkStatus();
  return tx.Remember(
      {once.id, tx.call().method, once.digest, std::move(resource), std::move(note)});
}

// The entity behind a find, or NOT_FOUND.
template <class E>
absl::StatusOr<E> Existing(absl::StatusOr<const E*> found, std::string_view type,
                           const std::string& name) {
  if (!found.ok()) return found.status();
  if (*found == nullptr) return domain::NotFound(type, name);
  return **found;
}

// The lead, or the one that stands for it since a merge.
inline absl::StatusOr<domain::Lead> GetLead(storage::WriteTxn& tx, const domain::LeadId& id) {
  ASSIGN_OR_RETURN(domain::Lead lead, Existing(tx.FindLead(id), "Lead", NameOf(id)));
  std::optional<domain::LeadId> into = domain::MergedInto(lead);
  if (!into.has_value()) return lead;
  return Existing(tx.FindLead(*into), "Lead", NameOf(*into));
}
inline absl::StatusOr<domain::Opportunity> GetOpportunity(storage::WriteTxn& tx,
                                                          const domain::OpportunityId& id) {
  return Existing(tx.FindOpportunity(id), "Opportunity", NameOf(id));
}
// The evidence of a lead that was judged by another revision so far is counted anew. Before what a
// step adds to it.
inline absl::Status CountEvidence(storage::WriteTxn& tx, domain::Lead& lead,
                                  const domain::CompiledModel& model) {
  if (lead.score_model.empty() || lead.score_model == model.versioned_name()) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::vector<domain::Touchpoint> touchpoints, tx.Touchpoints(lead.id));
  lead.score_state = domain::EvidenceOf(model, touchpoints, tx.now()).Format();
  lead.score_model = model.versioned_name();
  return absl::OkStatus();
}

// Rescores a lead under the model of its market, at the end of a step that may have moved its
// score.
inline absl::Status RescoreLead(storage::WriteTxn& tx, domain::Lead& lead) {
  const domain::CompiledModel& model = tx.config().model(lead.market);
  RETURN_IF_ERROR(CountEvidence(tx, lead, model));
  return domain::Rescore(lead, model, tx.now());
}

// A user who may be given something: exists and is not archived. `field` names the reference.
inline absl::Status CheckAssignable(storage::WriteTxn& tx, const std::string& name,
                                    std::string_view field) {
  std::optional<domain::UserId> id = domain::ParseName<domain::UserTag>(name);
  if (!id.has_value()) return domain::InvalidField(field, "must be users/{id}");
  ASSIGN_OR_RETURN(domain::User user, Existing(tx.FindUser(*id), "User", name));
  if (user.archived) {
    return domain::PreconditionFailed("USER_ARCHIVED", name + " is archived and gets nothing new",
                                      {{"USER", name, "is archived"}});
  }
  return absl::OkStatus();
}

// Copies the values of `paths` from one entity to another.
template <class E>
void CopyFields(const std::vector<std::string>& paths, const E& from, E& to) {
  for (const std::string& path : paths) {
    if (const domain::Field<E>* field = domain::FindField<E>(path)) {
      field->set(to, field->get(from));
    }
  }
}

}  // namespace relais::commands
