#include "server/convert/update_mask.h"

#include "server/convert/limits.h"
#include "server/domain/concat.h"

namespace relais::convert {

absl::Span<const std::string_view> DescriptiveLeadPaths() {
  static constexpr std::string_view kPaths[] = {"market",
                                                "person.given_name",
                                                "person.family_name",
                                                "person.display_name",
                                                "person.emails",
                                                "person.phones",
                                                "person.job_title",
                                                "person.language",
                                                "person.country",
                                                "person.time_zone",
                                                "person.postal_address.street",
                                                "person.postal_address.locality",
                                                "person.postal_address.region",
                                                "person.postal_address.postal_code",
                                                "person.postal_address.country",
                                                "person.birth_date",
                                                "organization.display_name",
                                                "organization.domain",
                                                "organization.industry",
                                                "organization.headcount",
                                                "organization.annual_revenue",
                                                "needs",
                                                "maturity",
                                                "estimated_value",
                                                "labels",
                                                "external_ids"};
  return kPaths;
}

absl::Span<const std::string_view> DescriptiveOpportunityPaths() {
  static constexpr std::string_view kPaths[] = {"display_name",
                                                "amount",
                                                "line_items",
                                                "expected_close_time",
                                                "requested_delivery_time",
                                                "promised_delivery_time",
                                                "competitors",
                                                "contacts",
                                                "objections",
                                                "next_step",
                                                "owner",
                                                "external_ids",
                                                "labels"};
  return kPaths;
}

absl::Span<const std::string_view> DescriptiveUserPaths() {
  static constexpr std::string_view kPaths[] = {
      "display_name", "email",    "teams",    "time_zone", "language",   "external_ids",
      "calendar",     "absences", "capacity", "weight",    "territories"};
  return kPaths;
}

absl::Span<const std::string_view> DescriptiveTeamPaths() {
  static constexpr std::string_view kPaths[] = {"display_name", "parent_team", "calendar"};
  return kPaths;
}

absl::Span<const std::string_view> DescriptiveCalendarPaths() {
  static constexpr std::string_view kPaths[] = {"display_name", "time_zone", "working_hours",
                                                "holidays"};
  return kPaths;
}

absl::Span<const std::string_view> DescriptiveSegmentPaths() {
  static constexpr std::string_view kPaths[] = {"display_name", "description", "filter"};
  return kPaths;
}

absl::Span<const std::string_view> RoutingRulePaths() {
  static constexpr std::string_view kPaths[] = {
      "display_name", "position", "filter", "users", "team", "strategy", "match_territory"};
  return kPaths;
}

absl::Span<const std::string_view> HandoffPolicyPaths() {
  static constexpr std::string_view kPaths[] = {"display_name", "trigger", "response_minutes",
                                                "max_escalations"};
  return kPaths;
}

bool IsAtOrBelow(std::string_view path, std::string_view ancestor) {
  return path.starts_with(ancestor) &&
         (path.size() == ancestor.size() || path[ancestor.size()] == '.');
}

std::string PathInResource(std::string_view field, std::string_view resource) {
  if (!field.starts_with(resource)) return {};
  field.remove_prefix(resource.size());
  if (field.starts_with('.')) field.remove_prefix(1);
  std::string path;
  bool index = false;
  for (char c : field) {
    if (c == '[') index = true;
    if (!index) path += c;
    if (c == ']') index = false;
  }
  return path;
}

UpdateMask ReadUpdateMask(bool given, const google::protobuf::FieldMask& mask,
                          absl::Span<const std::string_view> descriptive,
                          absl::FunctionRef<bool(std::string_view path)> known,
                          Violations& violations) {
  UpdateMask out;
  if (!given || mask.paths().empty()) {
    out.implied = true;
    return out;
  }
  Path field("update_mask");
  Path paths(field, "paths");
  if (static_cast<size_t>(mask.paths_size()) > kMaxMaskPaths) {
    violations.Add(
        paths, Concat("must have at most ", kMaxMaskPaths, " entries, not ", mask.paths_size()));
    return out;
  }
  std::vector<bool> chosen(descriptive.size());
  bool listed = false;
  for (int i = 0; i < mask.paths_size(); ++i) {
    const std::string& path = mask.paths(i);
    bool found = false;
    for (size_t d = 0; d < descriptive.size(); ++d) {
      if (path == "*" || (!path.empty() && IsAtOrBelow(descriptive[d], path))) {
        chosen[d] = true;
        found = true;
      }
    }
    if (found) continue;
    bool below = std::any_of(descriptive.begin(), descriptive.end(),
                             [&](std::string_view d) { return IsAtOrBelow(path, d); });
    std::string rule = below ? "must name a field as a whole"
                       : !path.empty() && known(path)
                           ? "must name a field that an update may change"
                           : "must name a field";
    if (!listed) {
      rule += " (*";
      for (std::string_view d : descriptive) Append(rule, ", ", d);
      rule += ")";
      listed = true;
    }
    violations.Add(Path(paths, static_cast<size_t>(i)), rule, path, Privacy::kOpen);
  }
  for (size_t d = 0; d < descriptive.size(); ++d) {
    if (chosen[d]) out.paths.emplace_back(descriptive[d]);
  }
  return out;
}

}  // namespace relais::convert
