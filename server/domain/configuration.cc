#include "server/domain/configuration.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::domain {

template <>
absl::Span<const Field<ConfigDocument>> FieldsOf<ConfigDocument>() {
  static const auto* const kFields = new std::vector<Field<ConfigDocument>>{
      MakeField<ConfigDocument>(
          "kind", [](auto& e) -> auto& { return e.kind; }),
      MakeField<ConfigDocument>(
          "name", [](auto& e) -> auto& { return e.name; }),
      MakeField<ConfigDocument>(
          "version", [](auto& e) -> auto& { return e.version; }),
      MakeField<ConfigDocument>(
          "slot", [](auto& e) -> auto& { return e.slot; }),
      MakeField<ConfigDocument>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<ConfigDocument>("document", [](auto& e) -> auto& { return e.document; },
                                {.filterable = false}),
      MakeField<ConfigDocument>(
          "author", [](auto& e) -> auto& { return e.author; }),
      MakeField<ConfigDocument>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<ConfigDocument>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
      MakeField<ConfigDocument>(
          "activate_time", [](auto& e) -> auto& { return e.activate_time; }),
  };
  return *kFields;
}

std::string_view CollectionOf(ConfigKind kind) {
  switch (kind) {
    case ConfigKind::kScoringModel:
      return "scoringModels";
    case ConfigKind::kQualificationPolicy:
      return "qualificationPolicies";
    case ConfigKind::kRoutingRule:
      return "routingRules";
    case ConfigKind::kHandoffPolicy:
      return "handoffPolicies";
    case ConfigKind::kUnspecified:
      break;
  }
  return "configDocuments";
}

std::string ConfigDocument::resource() const { return Concat(CollectionOf(kind), "/", name); }

std::string ConfigDocument::versioned() const { return Concat(resource(), "@", version); }

bool IsConfigId(std::string_view id) {
  if (id.empty() || id.size() > 63 || id[0] < 'a' || id[0] > 'z') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

std::optional<ConfigName> ParseConfigName(ConfigKind kind, std::string_view text) {
  const std::string_view collection = CollectionOf(kind);
  if (!text.starts_with(collection) || !text.substr(collection.size()).starts_with('/')) {
    return std::nullopt;
  }
  text.remove_prefix(collection.size() + 1);
  ConfigName parsed;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    const std::string_view digits = text.substr(at + 1);
    // Only the one spelling that versioned() writes.
    if (!absl::SimpleAtoi(ToAbsl(digits), &parsed.version) || parsed.version <= 0 ||
        Concat(parsed.version) != digits) {
      return std::nullopt;
    }
    text = text.substr(0, at);
  }
  if (!IsConfigId(text)) return std::nullopt;
  parsed.name = std::string(text);
  return parsed;
}

const ConfigDocument* FindDocument(absl::Span<const ConfigDocument> documents,
                                   std::string_view name, int64_t version) {
  const ConfigDocument* found = nullptr;
  for (const ConfigDocument& document : documents) {
    if (document.name != name || (version != 0 && document.version != version)) continue;
    if (found == nullptr || found->version < document.version) found = &document;
  }
  return found;
}

const ConfigDocument* ActiveDocument(absl::Span<const ConfigDocument> documents,
                                     std::string_view slot) {
  auto found =
      std::find_if(documents.begin(), documents.end(), [&](const ConfigDocument& document) {
        return document.state == RevisionState::kActive && document.slot == slot;
      });
  return found == documents.end() ? nullptr : &*found;
}

ConfigDocument NextDraft(absl::Span<const ConfigDocument> documents, ConfigKind kind,
                         std::string_view name, int64_t greatest, ConfigDocumentId id) {
  const ConfigDocument* last = FindDocument(documents, name);
  if (last != nullptr && last->draft()) return *last;
  ConfigDocument draft;
  draft.id = std::move(id);
  draft.kind = kind;
  draft.name = std::string(name);
  draft.version = std::max(greatest, last == nullptr ? 0 : last->version) + 1;
  draft.state = RevisionState::kDraft;
  return draft;
}

absl::StatusOr<std::vector<ConfigDocument>> Activate(absl::Span<const ConfigDocument> documents,
                                                     const ConfigDocument& target, Timestamp now) {
  std::vector<ConfigDocument> changed;
  if (target.state == RevisionState::kActive) return changed;
  if (target.state == RevisionState::kArchived) {
    return PreconditionFailed("REVISION_ARCHIVED", target.versioned() + " was archived",
                              {{"REVISION", target.versioned(), "is archived"}});
  }
  if (const ConfigDocument* active = ActiveDocument(documents, target.slot)) {
    changed.push_back(*active);
    changed.back().state = RevisionState::kRetired;
  }
  changed.push_back(target);
  changed.back().state = RevisionState::kActive;
  changed.back().activate_time = now;
  return changed;
}

}  // namespace relais::domain
