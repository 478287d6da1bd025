// Scoring models and qualification policies: drafts, and what is put in force.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/documents.h"
#include "server/domain/revisions.h"

namespace relais::commands {

using domain::ConfigDocument;
using domain::QualificationPolicy;
using domain::Revised;
using domain::RevisedKind;
using domain::ScoringModel;
using storage::Keys;
using storage::WriteTxn;

namespace {

bool Has(const std::vector<std::string>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

void CopyParts(const std::vector<std::string>& paths, const ScoringModel& from, ScoringModel& to) {
  if (Has(paths, "display_name")) to.display_name = from.display_name;
  if (Has(paths, "rules")) to.rules = from.rules;
  if (Has(paths, "groups")) to.groups = from.groups;
  if (Has(paths, "threshold_points")) to.threshold_points = from.threshold_points;
  if (Has(paths, "grade_bounds")) {
    to.fit_bounds = from.fit_bounds;
    to.engagement_bounds = from.engagement_bounds;
  }
  if (Has(paths, "band_bounds")) {
    to.warm_points = from.warm_points;
    to.ready_points = from.ready_points;
  }
}

void CopyParts(const std::vector<std::string>& paths, const QualificationPolicy& from,
               QualificationPolicy& to) {
  if (Has(paths, "display_name")) to.display_name = from.display_name;
  if (Has(paths, "criteria")) to.criteria = from.criteria;
  if (Has(paths, "marketing_weight")) to.marketing_weight = from.marketing_weight;
  if (Has(paths, "sales_weight")) to.sales_weight = from.sales_weight;
}

// What the violations of a value are called in a request that holds it.
absl::Status Below(std::string_view field, const absl::Status& status) {
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  if (!fault.has_value() || fault->fields.empty()) return status;
  for (domain::FieldViolation& violation : fault->fields) {
    violation.field = Concat(field, ".", violation.field);
  }
  return domain::InvalidFields(std::move(fault->fields));
}

std::string ResourceOf(domain::ConfigKind kind, const domain::ConfigName& name) {
  return Concat(domain::CollectionOf(kind), "/", name.name,
                name.version == 0 ? "" : Concat("@", name.version));
}

template <class T>
absl::StatusOr<std::vector<Revised<T>>> Revisions(WriteTxn& tx) {
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents, tx.Configurations(RevisedKind<T>::kKind));
  return domain::RevisionsOf<T>(tx.config(), documents);
}

template <class T>
absl::StatusOr<Revised<T>> ExistingRevision(const std::vector<Revised<T>>& revisions,
                                            const domain::ConfigName& name) {
  const Revised<T>* found = domain::FindRevision(revisions, name);
  if (found == nullptr) {
    return domain::NotFound(RevisedKind<T>::kType, ResourceOf(RevisedKind<T>::kKind, name));
  }
  return *found;
}

// What an earlier request of the same id made, as it stands.
template <class T>
absl::StatusOr<Result<Revised<T>>> Replayed(WriteTxn& tx, const storage::RequestRecord& record) {
  std::optional<domain::ConfigName> name =
      domain::ParseConfigName(RevisedKind<T>::kKind, record.resource);
  if (!name.has_value()) return domain::InternalFault("a request log entry names no revision");
  ASSIGN_OR_RETURN(std::vector<Revised<T>> revisions, Revisions<T>(tx));
  ASSIGN_OR_RETURN(Revised<T> revision, ExistingRevision(revisions, *name));
  return Result<Revised<T>>{std::move(revision), true};
}

domain::EventDraft Changed(WriteTxn& tx) {
  return {.type = domain::EventType::kConfigurationChanged, .occur_time = tx.now()};
}

template <class T>
Keys KeysOfConfiguration(const Once& once) {
  Keys keys;
  keys.Request(once.id).Configuration(RevisedKind<T>::kKind);
  return keys;
}

template <class T>
absl::StatusOr<Result<Revised<T>>> Save(WriteTxn& tx, const SaveRevisionCommand<T>& command,
                                        std::string_view field) {
  using Kind = RevisedKind<T>;
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return Replayed<T>(tx, *earlier);
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents, tx.Configurations(Kind::kKind));
  ASSIGN_OR_RETURN(std::vector<Revised<T>> revisions,
                   domain::RevisionsOf<T>(tx.config(), documents));
  const Revised<T>* latest = domain::FindRevision(revisions, {command.name.name, 0});

  Revised<T> revised;
  if (command.create) {
    if (latest != nullptr) {
      return domain::Taken(Concat(field, "_id"), Kind::kType,
                           ResourceOf(Kind::kKind, command.name));
    }
    revised.value = command.values;
    revised.value.id = command.name.name;
  } else {
    ASSIGN_OR_RETURN(revised, ExistingRevision(revisions, command.name));
    RETURN_IF_ERROR(
        domain::CheckEtag(revised.value.versioned_name(), command.etag, revised.revision));
    CopyParts(command.paths, command.values, revised.value);
  }
  revised.value.built_in = false;
  RETURN_IF_ERROR(Below(field, Kind::Check(revised.value)));

  ConfigDocument draft = domain::NextDraft(documents, Kind::kKind, command.name.name,
                                           latest == nullptr ? 0 : latest->value.revision,
                                           domain::ConfigDocumentId(tx.NewId()));
  if (draft.revision == 0) draft.create_time = tx.now();
  revised.value.revision = draft.version;
  draft.slot = domain::SlotOf(revised.value.market);
  draft.document = domain::DocumentOf(revised.value);
  draft.author = tx.call().principal;
  RETURN_IF_ERROR(tx.Keep(draft, Changed(tx)));
  RETURN_IF_ERROR(Remember(tx, command.once, draft.versioned()));
  return Result<Revised<T>>{{std::move(revised.value), draft.state, draft.author, draft.create_time,
                             draft.activate_time, draft.revision}};
}

template <class T>
absl::StatusOr<Result<Revised<T>>> PutInForce(WriteTxn& tx,
                                              const ActivateRevisionCommand<T>& command) {
  using Kind = RevisedKind<T>;
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return Replayed<T>(tx, *earlier);
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents, tx.Configurations(Kind::kKind));
  ASSIGN_OR_RETURN(std::vector<Revised<T>> revisions,
                   domain::RevisionsOf<T>(tx.config(), documents));
  ASSIGN_OR_RETURN(Revised<T> revised, ExistingRevision(revisions, command.name));
  const std::string name = revised.value.versioned_name();
  RETURN_IF_ERROR(domain::CheckEtag(name, command.etag, revised.revision));

  if (revised.state != domain::RevisionState::kActive) {
    const ConfigDocument* stored =
        domain::FindDocument(documents, revised.value.id, revised.value.revision);
    ConfigDocument target;
    if (stored != nullptr) {
      target = *stored;
    } else {
      // One that is shipped gets a row of its own, which says that it is in force.
      target.id = domain::ConfigDocumentId(tx.NewId());
      target.kind = Kind::kKind;
      target.name = revised.value.id;
      target.version = revised.value.revision;
      target.slot = domain::SlotOf(revised.value.market);
      target.document = domain::DocumentOf(revised.value);
      target.create_time = tx.now();
    }
    ASSIGN_OR_RETURN(std::vector<ConfigDocument> changed,
                     domain::Activate(documents, target, tx.now()));
    for (ConfigDocument& document : changed) RETURN_IF_ERROR(tx.Keep(document, Changed(tx)));
    const ConfigDocument& active = changed.back();
    revised.state = active.state;
    revised.activate_time = active.activate_time;
    revised.create_time = active.create_time;
    revised.revision = active.revision;
  }
  RETURN_IF_ERROR(Remember(tx, command.once, name));
  return Result<Revised<T>>{std::move(revised)};
}

}  // namespace

Keys KeysOf(const SaveScoringModelCommand& command) {
  return KeysOfConfiguration<ScoringModel>(command.once);
}
absl::StatusOr<Result<Revised<ScoringModel>>> Run(WriteTxn& tx,
                                                  const SaveScoringModelCommand& command) {
  return Save(tx, command, "scoring_model");
}
Keys KeysOf(const SavePolicyCommand& command) {
  return KeysOfConfiguration<QualificationPolicy>(command.once);
}
absl::StatusOr<Result<Revised<QualificationPolicy>>> Run(WriteTxn& tx,
                                                         const SavePolicyCommand& command) {
  return Save(tx, command, "qualification_policy");
}
Keys KeysOf(const ActivateScoringModelCommand& command) {
  return KeysOfConfiguration<ScoringModel>(command.once);
}
absl::StatusOr<Result<Revised<ScoringModel>>> Run(WriteTxn& tx,
                                                  const ActivateScoringModelCommand& command) {
  return PutInForce(tx, command);
}
Keys KeysOf(const ActivatePolicyCommand& command) {
  return KeysOfConfiguration<QualificationPolicy>(command.once);
}
absl::StatusOr<Result<Revised<QualificationPolicy>>> Run(WriteTxn& tx,
                                                         const ActivatePolicyCommand& command) {
  return PutInForce(tx, command);
}

}  // namespace relais::commands
