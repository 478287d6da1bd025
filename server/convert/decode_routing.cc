#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/update_mask.h"
#include "server/domain/handoff.h"
#include "server/domain/routing.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

using domain::ConfigKind;

// "{collection}/{id}", with "@{revision}" where `revisions` is set.
std::optional<domain::ConfigName> ReadConfig(const Path& field, const std::string& in,
                                             ConfigKind kind, bool revisions, Reader& reader) {
  auto name = domain::ParseConfigName(kind, in);
  if (name.has_value() && (revisions || name->version == 0)) return name;
  const std::string_view collection = domain::CollectionOf(kind);
  reader.violations().Add(field,
                          Concat("must be ", collection, revisions ? "/{id} or " : "/{id}",
                                 revisions ? collection : "", revisions ? "/{id}@{revision}" : ""),
                          in, Privacy::kOpen);
  return std::nullopt;
}

domain::RoutingRule ReadRule(const Path& field, const v1::RoutingRule& in, Reader& reader) {
  domain::RoutingRule out;
  out.display_name =
      reader.GivenText(Path(field, "display_name"), in.display_name(), Privacy::kOpen);
  out.position = reader.Number(Path(field, "position"), in.position(), 0, kMaxRulePosition);
  Path users(field, "users");
  if (reader.Fits(users, in.users_size(), kMaxRuleUsers)) {
    for (int i = 0; i < in.users_size(); ++i) {
      AddOnce(out.users, reader.NameText<domain::UserTag>(Path(users, static_cast<size_t>(i)),
                                                          in.users(i), Presence::kRequired));
    }
  }
  out.team = reader.NameText<domain::TeamTag>(Path(field, "team"), in.team(), Presence::kOptional);
  out.strategy = reader.Enum<domain::RoutingStrategy>(Path(field, "strategy"), in.strategy());
  out.match_territory = in.match_territory();
  out.filter_text = in.filter();
  return out;
}

// Reported alone, with its place in the text.
absl::Status CheckFilter(const std::string& text) {
  constexpr std::string_view kField = "routing_rule.filter";
  ASSIGN_OR_RETURN(std::optional<domain::Filter> filter,
                   ParseFilterField(text, domain::RoutingFilterSchema(), kField));
  if (filter.has_value() && filter->depends_on_now()) {
    return domain::InvalidFilter(kField, 1, 1, "a routing rule may not depend on the time");
  }
  return absl::OkStatus();
}

// The members to change: those of a mask, or those that are set.
template <class M>
std::vector<std::string> ReadMask(bool given, const google::protobuf::FieldMask& mask,
                                  absl::Span<const std::string_view> paths, const M& message,
                                  Violations& violations) {
  UpdateMask resolved = ReadUpdateMask(
      given, mask, paths,
      [](std::string_view path) {
        return M::descriptor()->FindFieldByName(std::string(path)) != nullptr;
      },
      violations);
  if (!resolved.implied) return std::move(resolved.paths);
  std::vector<std::string> set;
  for (std::string_view path : paths) {
    const auto* field = M::descriptor()->FindFieldByName(std::string(path));
    const auto* reflection = message.GetReflection();
    const bool there = field->is_repeated() ? reflection->FieldSize(message, field) > 0
                                            : reflection->HasField(message, field);
    if (there) set.emplace_back(path);
  }
  return set;
}

bool Has(const std::vector<std::string>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

template <class R>
absl::StatusOr<NamePage> ReadNames(const R& request, std::string_view method,
                                   const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ASSIGN_OR_RETURN(PageBounds bounds, ReadPage(request, {.method = method}, reader, context));
  return NamePage{.limit = bounds.limit,
                  .after = bounds.after ? bounds.after->id : std::string(),
                  .scope = std::move(bounds.scope)};
}

}  // namespace

absl::StatusOr<Parsed<commands::SaveRoutingRuleCommand>> ParseCreateRoutingRule(
    const v1::CreateRoutingRuleRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveRoutingRuleCommand command;
  command.create = true;
  Path field("routing_rule");
  const v1::RoutingRule& in = request.routing_rule();
  command.values = ReadRule(field, in, reader);
  command.values.id =
      reader.ShortId("routing_rule_id", request.routing_rule_id(), Presence::kRequired);
  if (!command.values.id.empty() && !domain::IsConfigId(command.values.id)) {
    violations.Add("routing_rule_id",
                   "must be 1 to 63 lower-case letters, digits, '_' and '-', a letter first",
                   command.values.id, Privacy::kOpen);
  }
  if (in.display_name().empty()) violations.Add(Path(field, "display_name"), "must not be empty");
  if (in.strategy() == v1::ROUTING_STRATEGY_UNSPECIFIED) {
    violations.Add(Path(field, "strategy"), "must be given");
  }
  if (in.users().empty() && in.team().empty()) {
    violations.Add(Path(field, "users"), "must have an entry, or team be given");
  }
  if (violations.empty()) RETURN_IF_ERROR(CheckFilter(in.filter()));
  return Finish(std::move(command), request, "CreateRoutingRule", reader, context);
}

absl::StatusOr<Parsed<commands::SaveRoutingRuleCommand>> ParseUpdateRoutingRule(
    const v1::UpdateRoutingRuleRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveRoutingRuleCommand command;
  Path field("routing_rule");
  const v1::RoutingRule& in = request.routing_rule();
  auto name = ReadConfig(Path(field, "name"), in.name(), ConfigKind::kRoutingRule, false, reader);
  command.etag = reader.Etag(Path(field, "etag"), in.etag());
  command.values = ReadRule(field, in, reader);
  command.paths = ReadMask(request.has_update_mask(), request.update_mask(), RoutingRulePaths(), in,
                           violations);
  if (name.has_value()) command.values.id = name->name;
  if (Has(command.paths, "display_name") && in.display_name().empty()) {
    violations.Add(Path(field, "display_name"), "must not be empty");
  }
  if (Has(command.paths, "strategy") && in.strategy() == v1::ROUTING_STRATEGY_UNSPECIFIED) {
    violations.Add(Path(field, "strategy"), "must be given");
  }
  if (violations.empty()) RETURN_IF_ERROR(CheckFilter(in.filter()));
  return Finish(std::move(command), request, "UpdateRoutingRule", reader, context);
}

absl::StatusOr<Parsed<commands::ArchiveRoutingRuleCommand>> ParseArchiveRoutingRule(
    const v1::ArchiveRoutingRuleRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ArchiveRoutingRuleCommand command;
  auto name = ReadConfig("name", request.name(), ConfigKind::kRoutingRule, false, reader);
  if (name.has_value()) command.rule = name->name;
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ArchiveRoutingRule", reader, context);
}

absl::StatusOr<domain::ConfigName> ParseGetRoutingRule(const v1::GetRoutingRuleRequest& request,
                                                       const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto name = ReadConfig("name", request.name(), ConfigKind::kRoutingRule, true, reader);
  if (!violations.empty()) return violations.ToStatus();
  return *std::move(name);
}

absl::StatusOr<NamePage> ParseListRoutingRules(const v1::ListRoutingRulesRequest& request,
                                               const DecodeContext& context) {
  return ReadNames(request, "ListRoutingRules", context);
}

absl::StatusOr<Parsed<commands::SaveHandoffPolicyCommand>> ParseUpdateHandoffPolicy(
    const v1::UpdateHandoffPolicyRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveHandoffPolicyCommand command;
  Path field("handoff_policy");
  const v1::HandoffPolicy& in = request.handoff_policy();
  auto name = ReadConfig(Path(field, "name"), in.name(), ConfigKind::kHandoffPolicy, false, reader);
  command.etag = reader.Etag(Path(field, "etag"), in.etag());
  command.paths = ReadMask(request.has_update_mask(), request.update_mask(), HandoffPolicyPaths(),
                           in, violations);
  if (name.has_value()) command.values.id = name->name;
  command.values.display_name = reader.Text(Path(field, "display_name"), in.display_name());
  const bool triggers = Has(command.paths, "trigger");
  command.values.trigger = reader.Enum<domain::HandoffTrigger>(
      Path(field, "trigger"), in.trigger(), triggers ? Presence::kRequired : Presence::kOptional);
  // Not looked at where they are not to be changed, and 0 is what is not set.
  command.values.response_minutes =
      reader.Number(Path(field, "response_minutes"), in.response_minutes(),
                    Has(command.paths, "response_minutes") ? 1 : 0, domain::kMaxResponseMinutes);
  command.values.max_escalations = reader.Number(Path(field, "max_escalations"),
                                                 in.max_escalations(), 0, domain::kMaxEscalations);
  return Finish(std::move(command), request, "UpdateHandoffPolicy", reader, context);
}

absl::StatusOr<std::string> ParseGetHandoffPolicy(const v1::GetHandoffPolicyRequest& request,
                                                  const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ReadConfig("name", request.name(), ConfigKind::kHandoffPolicy, true, reader);
  if (!violations.empty()) return violations.ToStatus();
  return request.name();
}

absl::StatusOr<NamePage> ParseListHandoffPolicies(const v1::ListHandoffPoliciesRequest& request,
                                                  const DecodeContext& context) {
  return ReadNames(request, "ListHandoffPolicies", context);
}

}  // namespace relais::convert
