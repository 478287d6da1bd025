// Captures, updates, touchpoints, assignment, consents.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/commands/routing.h"
#include "server/domain/concat.h"
#include "server/domain/consent.h"
#include "server/domain/identity.h"
#include "server/domain/lifecycle.h"
#include "server/domain/scoring.h"

namespace relais::commands {
namespace {

using domain::EventType;
using domain::IdentityKind;
using domain::Lead;
using domain::LeadId;
using domain::Timestamp;
using domain::Touchpoint;
using storage::Keys;
using storage::WriteTxn;

void AddIdentities(Keys& keys, const Lead& lead) {
  for (const domain::IdentityKey& key : domain::LookupKeys(lead)) {
    keys.Identity(key.kind, key.value);
  }
}

absl::Status MarkShared(WriteTxn& tx, const domain::IdentityKey& phone, const LeadId& lead) {
  const domain::IdentityKey mark = domain::SharedMark(phone);
  ASSIGN_OR_RETURN(std::optional<LeadId> marked, tx.IdentityOwner(mark.kind, mark.value));
  return marked.has_value() ? absl::OkStatus() : tx.Claim(mark.kind, mark.value, lead);
}

// "MATCHED/2": what a replay of a capture cannot read from the touchpoint.
std::string CaptureNote(domain::CaptureOutcome outcome, IdentityKind by) {
  return Concat(static_cast<int>(outcome), "/", static_cast<int>(by));
}
void ReadCaptureNote(std::string_view note, Captured& captured) {
  if (note.size() != 3) return;
  captured.outcome = static_cast<domain::CaptureOutcome>(note[0] - '0');
  captured.matched_by = static_cast<IdentityKind>(note[2] - '0');
}

struct TouchpointName {
  LeadId lead;
  domain::TouchpointId touchpoint;
};
// "leads/{l}/touchpoints/{t}", as Remember wrote it.
absl::StatusOr<TouchpointName> ReadTouchpointName(std::string_view name) {
  const size_t slash = name.find('/', 6);
  if (slash != std::string_view::npos) {
    auto lead = domain::ParseName<domain::LeadTag>(name.substr(0, slash));
    auto touchpoint = domain::ParseName<domain::TouchpointTag>(name.substr(slash + 1));
    if (lead && touchpoint) return TouchpointName{*lead, *touchpoint};
  }
  return domain::InternalFault("a request log entry names no touchpoint");
}

// The touchpoint that was recorded under the same (source, external_id), if any.
absl::StatusOr<std::optional<Touchpoint>> KnownTouchpoint(WriteTxn& tx, const Touchpoint& draft) {
  if (draft.external_id.empty()) return std::optional<Touchpoint>();
  ASSIGN_OR_RETURN(std::optional<domain::TouchpointId> id,
                   tx.TouchpointByKey(draft.source, draft.external_id));
  if (!id.has_value()) return std::optional<Touchpoint>();
  ASSIGN_OR_RETURN(const Touchpoint* found, tx.FindTouchpoint(*id));
  if (found == nullptr) return domain::InternalFault("a touchpoint key leads to nothing");
  return std::optional<Touchpoint>(*found);
}

Touchpoint Completed(WriteTxn& tx, Touchpoint draft, const LeadId& lead, Timestamp occur_time) {
  draft.id = domain::TouchpointId(tx.NewId());
  draft.lead = lead;
  draft.occur_time = occur_time;
  draft.create_time = tx.now();
  draft.actor = tx.call().principal;
  return draft;
}

void AddTouchpointKey(Keys& keys, const Touchpoint& touchpoint) {
  if (!touchpoint.external_id.empty()) {
    keys.TouchpointKey(touchpoint.source, touchpoint.external_id);
  }
}

// What an update must leave: a market, which selects the lead's rules, and something to know the
// person by.
absl::Status CheckStillSomebody(const Lead& lead) {
  std::vector<domain::FieldViolation> violations;
  if (lead.market == domain::Market::kUnspecified) {
    violations.push_back({"lead.market", "must be B2B or B2C; an update cannot take it away"});
  }
  if (lead.external_ids.empty() && lead.person.emails.empty() && lead.person.phones.empty() &&
      lead.person.display_name.empty() && lead.organization.display_name.empty() &&
      lead.organization.domain.empty()) {
    violations.push_back({"lead",
                          "must keep at least one of: an external id, an e-mail, a phone, a "
                          "name, an organization"});
  }
  return violations.empty() ? absl::OkStatus() : domain::InvalidFields(std::move(violations));
}

// Takes an update's new identities over and gives up those that it removed.
absl::Status MoveIdentities(WriteTxn& tx, const Lead& before, const Lead& after) {
  domain::IdentityChanges changes = domain::ChangedIdentities(before, after);
  for (const domain::IdentityKey& key : changes.added) {
    ASSIGN_OR_RETURN(std::optional<LeadId> owner, tx.IdentityOwner(key.kind, key.value));
    if (!owner.has_value()) {
      RETURN_IF_ERROR(tx.Claim(key.kind, key.value, after.id));
    } else if (!domain::StandsFor(after, *owner)) {
      if (key.kind == IdentityKind::kPhone) {
        RETURN_IF_ERROR(MarkShared(tx, key, *owner));
        continue;
      }
      return domain::Taken(
          key.kind == IdentityKind::kEmail ? "lead.person.emails" : "lead.external_ids", "Lead",
          NameOf(*owner));
    }
  }
  for (const domain::IdentityKey& key : changes.removed) {
    ASSIGN_OR_RETURN(std::optional<LeadId> owner, tx.IdentityOwner(key.kind, key.value));
    if (owner.has_value() && domain::StandsFor(after, *owner)) {
      RETURN_IF_ERROR(tx.Release(key.kind, key.value));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// ---- CaptureLead ------------------------------------------------------------------------------

Keys KeysOf(const CaptureCommand& command) {
  Keys keys;
  keys.Request(command.once.id);
  AddIdentities(keys, command.lead);
  AddTouchpointKey(keys, command.touchpoint);
  return keys;
}

absl::StatusOr<Result<Captured>> Run(WriteTxn& tx, const CaptureCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    ASSIGN_OR_RETURN(TouchpointName name, ReadTouchpointName(earlier->resource));
    Result<Captured> replay{.value = {}, .replayed = true};
    ReadCaptureNote(earlier->note, replay.value);
    ASSIGN_OR_RETURN(replay.value.lead, GetLead(tx, name.lead));
    ASSIGN_OR_RETURN(replay.value.touchpoint,
                     Existing(tx.FindTouchpoint(name.touchpoint), "Touchpoint",
                              NameOf(name.lead, name.touchpoint)));
    return replay;
  }

  Result<Captured> result;
  Captured& captured = result.value;
  ASSIGN_OR_RETURN(std::optional<Touchpoint> known, KnownTouchpoint(tx, command.touchpoint));
  if (known.has_value()) {
    captured.touchpoint = *known;
    ASSIGN_OR_RETURN(captured.lead, GetLead(tx, known->lead));
    captured.outcome = domain::CaptureOutcome::kMatched;
    captured.touchpoint_known = true;
    RETURN_IF_ERROR(Remember(tx, command.once, NameOf(known->lead, known->id),
                             CaptureNote(captured.outcome, captured.matched_by)));
    return result;
  }

  std::vector<domain::IdentityFinding> findings;
  std::vector<LeadId> claimed_for;  // of each finding, the lead whose identity it is
  for (domain::IdentityKey& key : domain::IdentitiesOf(command.lead)) {
    domain::IdentityFinding finding;
    ASSIGN_OR_RETURN(std::optional<LeadId> owner, tx.IdentityOwner(key.kind, key.value));
    if (owner.has_value()) {
      ASSIGN_OR_RETURN(finding.owner, tx.FindLead(*owner));
      if (finding.owner != nullptr) {
        if (auto into = domain::MergedInto(*finding.owner)) {
          ASSIGN_OR_RETURN(finding.owner, tx.FindLead(*into));
        }
      }
    }
    claimed_for.push_back(owner.value_or(LeadId()));
    if (key.kind == IdentityKind::kPhone) {
      const domain::IdentityKey mark = domain::SharedMark(key);
      ASSIGN_OR_RETURN(std::optional<LeadId> shared, tx.IdentityOwner(mark.kind, mark.value));
      finding.shared = shared.has_value();
    }
    finding.key = std::move(key);
    findings.push_back(std::move(finding));
  }
  const Timestamp occur_time = command.occur_time.value_or(tx.now());
  ASSIGN_OR_RETURN(domain::CapturedLead step,
                   domain::CaptureLead(
                       command.lead, findings,
                       {.new_id = LeadId(tx.NewId()), .now = tx.now(), .occur_time = occur_time}));
  Lead& lead = step.lead;
  // What a capture brings belongs to the person whose identity it matched, also where another lead
  // stands for that person since a merge.
  LeadId person = lead.id;
  for (size_t i = findings.size(); i-- > 0;) {
    if (findings[i].owner != nullptr && findings[i].owner->id == lead.id &&
        findings[i].key.kind == step.matched_by && !findings[i].shared) {
      person = claimed_for[i];
    }
  }
  const bool created = step.outcome == domain::CaptureOutcome::kCreated;
  if (created) lead.create_time = tx.now();

  std::vector<domain::Consent> consents;
  for (domain::Consent consent : command.consents) {
    consent.id = domain::ConsentId(tx.NewId());
    consent.lead = person;
    consent.create_time = tx.now();
    if (consent.occur_time == Timestamp{}) consent.occur_time = occur_time;
    consent.actor = tx.call().principal;
    domain::ApplyConsent(lead, consent);
    consents.push_back(std::move(consent));
  }
  Touchpoint touchpoint = Completed(tx, command.touchpoint, person, occur_time);
  const domain::CompiledModel& model = tx.config().model(lead.market);
  RETURN_IF_ERROR(CountEvidence(tx, lead, model));
  RETURN_IF_ERROR(domain::ApplyTouchpoint(lead, touchpoint, model, tx.now()));
  RETURN_IF_ERROR(domain::Rescore(lead, model, tx.now()));

  RETURN_IF_ERROR(
      tx.Keep(lead, {.type = created ? EventType::kLeadCreated : EventType::kLeadUpdated,
                     .occur_time = occur_time,
                     .rule_version = lead.score_model,
                     .basis = NameOf(person, touchpoint.id)}));
  for (const domain::IdentityKey& key : step.claims) {
    RETURN_IF_ERROR(tx.Claim(key.kind, key.value, person));
  }
  RETURN_IF_ERROR(
      tx.Keep(touchpoint, {.type = EventType::kTouchpointRecorded, .occur_time = occur_time}));
  for (const domain::Consent& consent : consents) {
    RETURN_IF_ERROR(
        tx.Keep(consent, {.type = EventType::kConsentSet, .occur_time = consent.occur_time}));
  }
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(person, touchpoint.id),
                           CaptureNote(step.outcome, step.matched_by)));

  for (domain::IdentityConflict& conflict : step.conflicts) {
    captured.conflicts.push_back({conflict.kind, std::move(conflict.value), conflict.lead});
  }
  captured.lead = std::move(lead);
  captured.touchpoint = std::move(touchpoint);
  captured.outcome = step.outcome;
  captured.matched_by = step.matched_by;
  return result;
}

// ---- UpdateLead -------------------------------------------------------------------------------

Keys KeysOf(const UpdateLeadCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead, storage::kIdentities);
  AddIdentities(keys, command.values);
  return keys;
}

absl::StatusOr<Result<Lead>> Run(WriteTxn& tx, const UpdateLeadCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead before, GetLead(tx, command.lead));
  if (earlier != nullptr) return Result<Lead>{std::move(before), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(before.id), command.etag, before.revision));

  Lead lead = before;
  CopyFields(command.paths, command.values, lead);
  domain::KeepNameComposed(before.person, lead.person);
  RETURN_IF_ERROR(CheckStillSomebody(lead));
  RETURN_IF_ERROR(MoveIdentities(tx, before, lead));
  RETURN_IF_ERROR(RescoreLead(tx, lead));
  RETURN_IF_ERROR(tx.Keep(
      lead,
      {.type = EventType::kLeadUpdated, .occur_time = tx.now(), .rule_version = lead.score_model}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(lead.id)));
  return Result<Lead>{std::move(lead)};
}

// ---- RecordTouchpoint -------------------------------------------------------------------------

Keys KeysOf(const RecordTouchpointCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead);
  AddTouchpointKey(keys, command.touchpoint);
  return keys;
}

absl::StatusOr<Result<Recorded>> Run(WriteTxn& tx, const RecordTouchpointCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    ASSIGN_OR_RETURN(TouchpointName name, ReadTouchpointName(earlier->resource));
    ASSIGN_OR_RETURN(Touchpoint touchpoint,
                     Existing(tx.FindTouchpoint(name.touchpoint), "Touchpoint",
                              NameOf(name.lead, name.touchpoint)));
    return Result<Recorded>{{std::move(touchpoint), true}, true};
  }
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  ASSIGN_OR_RETURN(std::optional<Touchpoint> known, KnownTouchpoint(tx, command.touchpoint));
  if (known.has_value()) {
    RETURN_IF_ERROR(Remember(tx, command.once, NameOf(known->lead, known->id)));
    return Result<Recorded>{{*std::move(known), true}};
  }
  const Timestamp occur_time = command.occur_time.value_or(tx.now());
  RETURN_IF_ERROR(domain::CheckOccurTime("touchpoint.occur_time", occur_time, tx.now()));
  // Of the lead that was named: after an unmerge it is the one that it belongs to.
  Touchpoint touchpoint = Completed(tx, command.touchpoint, command.lead, occur_time);
  const domain::CompiledModel& model = tx.config().model(lead.market);
  RETURN_IF_ERROR(CountEvidence(tx, lead, model));
  RETURN_IF_ERROR(domain::ApplyTouchpoint(lead, touchpoint, model, tx.now()));
  RETURN_IF_ERROR(domain::Rescore(lead, model, tx.now()));
  RETURN_IF_ERROR(tx.Keep(lead, {.type = EventType::kLeadUpdated,
                                 .occur_time = occur_time,
                                 .rule_version = lead.score_model,
                                 .basis = NameOf(touchpoint.lead, touchpoint.id)}));
  RETURN_IF_ERROR(
      tx.Keep(touchpoint, {.type = EventType::kTouchpointRecorded, .occur_time = occur_time}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(touchpoint.lead, touchpoint.id)));
  return Result<Recorded>{{std::move(touchpoint), false}};
}

// ---- AssignLead -------------------------------------------------------------------------------

Keys KeysOf(const AssignLeadCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead);
  if (command.owner.has_value()) keys.User(*command.owner);
  if (command.by_rules) keys.Rotation();
  return keys;
}

absl::StatusOr<Result<Lead>> Run(WriteTxn& tx, const AssignLeadCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  if (earlier != nullptr) return Result<Lead>{std::move(lead), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(lead.id), command.etag, lead.revision));
  lead.owner.clear();
  domain::EventDraft draft = {
      .type = EventType::kLeadAssigned, .occur_time = tx.now(), .reason = command.reason};
  if (command.by_rules) {
    ASSIGN_OR_RETURN(domain::RoutingDecision decision, TakeRoute(tx, lead, {}, {}));
    lead.owner = decision.owner;
    draft.rule_version = decision.rule;
    draft.facts = domain::FactsOf(decision);
  } else if (command.owner.has_value()) {
    lead.owner = NameOf(*command.owner);
    RETURN_IF_ERROR(CheckAssignable(tx, lead.owner, "owner"));
  }
  RETURN_IF_ERROR(RescoreLead(tx, lead));
  RETURN_IF_ERROR(tx.Keep(lead, draft));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(lead.id)));
  return Result<Lead>{std::move(lead)};
}

// ---- SetConsent -------------------------------------------------------------------------------

Keys KeysOf(const SetConsentCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead);
  return keys;
}

absl::StatusOr<Result<domain::Consent>> Run(WriteTxn& tx, const SetConsentCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    const size_t slash = earlier->resource.find("/consents/");
    auto id = domain::ParseName<domain::ConsentTag>(
        slash == std::string::npos ? std::string() : earlier->resource.substr(slash + 1));
    if (!id.has_value()) return domain::InternalFault("a request log entry names no consent");
    ASSIGN_OR_RETURN(domain::Consent consent,
                     Existing(tx.FindConsent(*id), "Consent", earlier->resource));
    return Result<domain::Consent>{std::move(consent), true};
  }
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  domain::Consent consent = command.consent;
  consent.id = domain::ConsentId(tx.NewId());
  consent.lead = command.lead;
  consent.create_time = tx.now();
  consent.occur_time = command.occur_time.value_or(tx.now());
  consent.actor = tx.call().principal;
  RETURN_IF_ERROR(domain::CheckOccurTime("consent.occur_time", consent.occur_time, tx.now()));
  domain::ApplyConsent(lead, consent);
  RETURN_IF_ERROR(RescoreLead(tx, lead));
  RETURN_IF_ERROR(tx.Keep(lead, {.type = EventType::kLeadUpdated,
                                 .occur_time = consent.occur_time,
                                 .basis = NameOf(consent.lead, consent.id)}));
  RETURN_IF_ERROR(
      tx.Keep(consent, {.type = EventType::kConsentSet, .occur_time = consent.occur_time}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(consent.lead, consent.id)));
  return Result<domain::Consent>{std::move(consent)};
}

// ---- batches ----------------------------------------------------------------------------------

namespace {

template <class Command, class Value>
std::vector<absl::StatusOr<Result<Value>>> RunEach(
    WriteTxn& tx, const std::vector<absl::StatusOr<Command>>& items) {
  std::vector<absl::StatusOr<Result<Value>>> results;
  results.reserve(items.size());
  for (const absl::StatusOr<Command>& item : items) {
    if (!item.ok()) {
      results.push_back(item.status());
      continue;
    }
    absl::StatusOr<Result<Value>> result = absl::UnknownError("not run");
    // Undoes what a failed item left; the result itself carries the error on.
    (void)tx.Attempt([&] {
      result = Run(tx, *item);
      return result.status();
    });
    results.push_back(std::move(result));
  }
  return results;
}

template <class Command>
Keys KeysOfEach(const std::vector<absl::StatusOr<Command>>& items) {
  Keys keys;
  for (const absl::StatusOr<Command>& item : items) {
    if (item.ok()) keys.Add(KeysOf(*item));
  }
  return keys;
}

}  // namespace

Keys KeysOf(const BatchCaptureCommand& command) { return KeysOfEach(command.items); }
std::vector<absl::StatusOr<Result<Captured>>> Run(WriteTxn& tx,
                                                  const BatchCaptureCommand& command) {
  return RunEach<CaptureCommand, Captured>(tx, command.items);
}

Keys KeysOf(const BatchAssignCommand& command) { return KeysOfEach(command.items); }
std::vector<absl::StatusOr<Result<Lead>>> Run(WriteTxn& tx, const BatchAssignCommand& command) {
  return RunEach<AssignLeadCommand, Lead>(tx, command.items);
}

Keys KeysOf(const BatchRecordTouchpointsCommand& command) { return KeysOfEach(command.items); }
std::vector<absl::StatusOr<Result<Recorded>>> Run(WriteTxn& tx,
                                                  const BatchRecordTouchpointsCommand& command) {
  return RunEach<RecordTouchpointCommand, Recorded>(tx, command.items);
}

}  // namespace relais::commands
