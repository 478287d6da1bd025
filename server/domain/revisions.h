// Revisions of models and policies as people see them: those that are shipped and those that the
// tenant keeps, in one list.
//
// Pure.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/config.h"
#include "server/domain/configuration.h"
#include "server/domain/documents.h"
#include "server/domain/status_macros.h"

namespace relais::domain {

template <class T>
struct Revised {
  T value;
  RevisionState state = RevisionState::kUnspecified;
  std::string author;  // empty when shipped
  std::optional<Timestamp> create_time, activate_time;
  int64_t revision = 0;  // of the row, for the etag; 0 when shipped
};

// What the kinds have to say of themselves.
template <class T>
struct RevisedKind;
template <>
struct RevisedKind<ScoringModel> {
  static constexpr ConfigKind kKind = ConfigKind::kScoringModel;
  static constexpr std::string_view kType = "ScoringModel";
  static absl::StatusOr<ScoringModel> Read(const ConfigDocument& document) {
    return ScoringModelOf(document);
  }
  // INVALID_ARGUMENT with every violation, paths from the model on.
  static absl::Status Check(const ScoringModel& model) {
    return CompiledModel::Compile(model).status();
  }
  template <class Each>
  static void ForEach(const Config& config, Each each) {
    for (const auto& model : config.models) each(model->model());
  }
  static const ScoringModel& InForce(const Config& config, Market market) {
    return config.model(market).model();
  }
};
template <>
struct RevisedKind<QualificationPolicy> {
  static constexpr ConfigKind kKind = ConfigKind::kQualificationPolicy;
  static constexpr std::string_view kType = "QualificationPolicy";
  static absl::StatusOr<QualificationPolicy> Read(const ConfigDocument& document) {
    return QualificationPolicyOf(document);
  }
  static absl::Status Check(const QualificationPolicy& policy) { return CheckPolicy(policy); }
  template <class Each>
  static void ForEach(const Config& config, Each each) {
    for (const QualificationPolicy& policy : config.policies) each(policy);
  }
  static const QualificationPolicy& InForce(const Config& config, Market market) {
    return config.policy(market);
  }
};

// All of them by name and number. `documents` are all of the kind; a stored revision stands for a
// shipped one of the same name and number. INTERNAL for a document that cannot be read.
template <class T>
absl::StatusOr<std::vector<Revised<T>>> RevisionsOf(const Config& config,
                                                    absl::Span<const ConfigDocument> documents) {
  using Kind = RevisedKind<T>;
  std::vector<Revised<T>> revisions;
  // The snapshot of a batch may be older than the documents; what is stored says so itself.
  Kind::ForEach(config, [&](const T& value) {
    if (FindDocument(documents, value.id, value.revision) != nullptr) return;
    const bool active =
        ActiveDocument(documents, SlotOf(value.market)) == nullptr &&
        Kind::InForce(config, value.market).versioned_name() == value.versioned_name();
    revisions.push_back(
        {value, active ? RevisionState::kActive : RevisionState::kRetired, "", {}, {}, 0});
  });
  for (const ConfigDocument& document : documents) {
    ASSIGN_OR_RETURN(T value, Kind::Read(document));
    revisions.push_back({std::move(value), document.state, document.author, document.create_time,
                         document.activate_time, document.revision});
  }
  std::sort(revisions.begin(), revisions.end(), [](const Revised<T>& a, const Revised<T>& b) {
    return a.value.id != b.value.id ? a.value.id < b.value.id : a.value.revision < b.value.revision;
  });
  return revisions;
}

// The revision `name.version`, or the latest where that is 0; null when there is none.
template <class T>
const Revised<T>* FindRevision(const std::vector<Revised<T>>& revisions, const ConfigName& name) {
  const Revised<T>* found = nullptr;
  for (const Revised<T>& revision : revisions) {
    if (revision.value.id != name.name) continue;
    if (name.version == 0 || revision.value.revision == name.version) found = &revision;
  }
  return found;
}

}  // namespace relais::domain
