// Identifiers as distinct types, so that a lead's id cannot be passed where a user's is meant.
// Each holds the canonical text of a UUID (lower-case, 36 characters); resource names are made of
// it.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/domain/concat.h"

namespace relais::domain {

template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string v) : value(std::move(v)) {}
  bool empty() const { return value.empty(); }
  friend auto operator<=>(const Id&, const Id&) = default;
  template <class H>
  friend H AbslHashValue(H h, const Id& id) {
    return H::combine(std::move(h), id.value);
  }
};

struct TenantTag {};
struct LeadTag {
  static constexpr std::string_view kCollection = "leads";
};
struct TouchpointTag {
  static constexpr std::string_view kCollection = "touchpoints";
};
struct ConsentTag {
  static constexpr std::string_view kCollection = "consents";
};
struct AssessmentTag {
  static constexpr std::string_view kCollection = "assessments";
};
struct OpportunityTag {
  static constexpr std::string_view kCollection = "opportunities";
};
struct UserTag {
  static constexpr std::string_view kCollection = "users";
};
struct TeamTag {
  static constexpr std::string_view kCollection = "teams";
};
struct ImportTag {
  static constexpr std::string_view kCollection = "imports";
};
struct OperationTag {
  static constexpr std::string_view kCollection = "operations";
};
struct ConfigDocumentTag {
  static constexpr std::string_view kCollection = "configDocuments";
};
struct CalendarTag {
  static constexpr std::string_view kCollection = "calendars";
};
struct SegmentTag {
  static constexpr std::string_view kCollection = "segments";
};
struct HandoffTag {
  static constexpr std::string_view kCollection = "handoffs";
};

using TenantId = Id<TenantTag>;  // the one id that is a short word, not a UUID: "default"
using LeadId = Id<LeadTag>;
using TouchpointId = Id<TouchpointTag>;
using ConsentId = Id<ConsentTag>;
using AssessmentId = Id<AssessmentTag>;
using OpportunityId = Id<OpportunityTag>;
using UserId = Id<UserTag>;
using TeamId = Id<TeamTag>;
using ImportId = Id<ImportTag>;
using OperationId = Id<OperationTag>;
using ConfigDocumentId = Id<ConfigDocumentTag>;
using CalendarId = Id<CalendarTag>;
using HandoffId = Id<HandoffTag>;
using SegmentId = Id<SegmentTag>;

// "leads/0190...": the resource name of a top-level resource.
template <class Tag>
std::string NameOf(const Id<Tag>& id) {
  return Concat(Tag::kCollection, "/", id.value);
}
// "leads/0190.../touchpoints/0190...".
template <class Tag>
std::string NameOf(const LeadId& lead, const Id<Tag>& id) {
  return Concat("leads/", lead.value, "/", Tag::kCollection, "/", id.value);
}

// Reads "leads/{id}" and the like; nullopt unless the collection is right and the id is a canonical
// UUID.
bool IsCanonicalUuid(std::string_view text);
template <class Tag>
std::optional<Id<Tag>> ParseName(std::string_view name) {
  std::string_view prefix = Tag::kCollection;
  if (name.size() != prefix.size() + 1 + 36 || !name.starts_with(prefix) ||
      name[prefix.size()] != '/') {
    return std::nullopt;
  }
  std::string_view id = name.substr(prefix.size() + 1);
  if (!IsCanonicalUuid(id)) return std::nullopt;
  return Id<Tag>(std::string(id));
}

}  // namespace relais::domain
