// Update masks: which fields of an entity a request changes.
//
// Internal to convert.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "google/protobuf/field_mask.pb.h"
#include "server/convert/violations.h"
#include "server/domain/fields.h"

namespace relais::convert {

// The paths that UpdateLead, UpdateOpportunity, UpdateUser, UpdateTeam and UpdateCalendar may
// change, all of them in the entity's field table; everything else is output only or immutable.
absl::Span<const std::string_view> DescriptiveLeadPaths();
absl::Span<const std::string_view> DescriptiveOpportunityPaths();
absl::Span<const std::string_view> DescriptiveUserPaths();
absl::Span<const std::string_view> DescriptiveTeamPaths();
absl::Span<const std::string_view> DescriptiveCalendarPaths();
absl::Span<const std::string_view> DescriptiveSegmentPaths();
// Of messages that are no entities: whole members of RoutingRule and HandoffPolicy.
absl::Span<const std::string_view> RoutingRulePaths();
absl::Span<const std::string_view> HandoffPolicyPaths();

struct UpdateMask {
  // Field table paths, in the table's order, each once; empty while `implied`.
  std::vector<std::string> paths;
  // No mask was given: every populated descriptive field changes.
  bool implied = false;
};

// Resolves a mask: "*" is every descriptive path, "person" every one below it. Violations of
// "update_mask.paths[i]" for paths that are output only, immutable or unknown; the first one lists
// what is allowed. `known` answers whether a path, or one below it, is in the field table.
UpdateMask ReadUpdateMask(bool given, const google::protobuf::FieldMask& mask,
                          absl::Span<const std::string_view> descriptive,
                          absl::FunctionRef<bool(std::string_view path)> known,
                          Violations& violations);

// Whether one path is the other, or the message around it.
bool IsAtOrBelow(std::string_view path, std::string_view ancestor);

// "lead.person.emails[1].address" of the resource "lead" is "person.emails.address".
std::string PathInResource(std::string_view field, std::string_view resource);

// Ends the reading of an update: keeps of `found` (what is wrong with the resource) only what
// concerns fields that change, and fills in an implied mask from what `values` has.
template <class E>
std::vector<std::string> ResolveUpdate(std::string_view resource, bool mask_given,
                                       const google::protobuf::FieldMask& mask,
                                       absl::Span<const std::string_view> descriptive,
                                       const E& values, const Violations& found,
                                       Violations& violations) {
  UpdateMask resolved = ReadUpdateMask(
      mask_given, mask, descriptive,
      [](std::string_view path) {
        for (const domain::Field<E>& field : domain::FieldsOf<E>()) {
          if (IsAtOrBelow(field.spec.path, path)) return true;
        }
        return false;
      },
      violations);
  violations.AddFrom(found, [&](std::string_view field) {
    std::string path = PathInResource(field, resource);
    auto concerns = [&](std::string_view changed) { return IsAtOrBelow(path, changed); };
    return resolved.implied ? std::any_of(descriptive.begin(), descriptive.end(), concerns)
                            : std::any_of(resolved.paths.begin(), resolved.paths.end(), concerns);
  });
  if (resolved.implied) {
    for (std::string_view path : descriptive) {
      const domain::Field<E>* field = domain::FindField<E>(path);
      if (!field->get(values).absent()) resolved.paths.emplace_back(path);
    }
  }
  return std::move(resolved.paths);
}

}  // namespace relais::convert
