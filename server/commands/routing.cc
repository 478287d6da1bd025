#include "server/commands/routing.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/configuration.h"
#include "server/domain/documents.h"

namespace relais::commands {
namespace {

using domain::ConfigDocument;
using domain::ConfigKind;
using domain::HandoffPolicy;
using domain::RoutingRule;
using domain::StoredRoutingRule;
using storage::WriteTxn;

bool Has(const std::vector<std::string>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

absl::StatusOr<StoredRoutingRule> StoredOf(const ConfigDocument& document) {
  ASSIGN_OR_RETURN(RoutingRule rule, domain::RoutingRuleOf(document));
  return StoredRoutingRule{std::move(rule), document.state == domain::RevisionState::kArchived,
                           document.create_time};
}

// The document that an earlier request of the same id kept, as it stands.
absl::StatusOr<ConfigDocument> Earlier(const domain::ConfigDocuments& documents, ConfigKind kind,
                                       const storage::RequestRecord& record) {
  std::optional<domain::ConfigName> name = domain::ParseConfigName(kind, record.resource);
  const ConfigDocument* found =
      name.has_value() ? domain::FindDocument(documents, name->name, name->version) : nullptr;
  if (found == nullptr) return domain::InternalFault("a request log entry names no revision");
  return *found;
}

domain::EventDraft Changed(WriteTxn& tx) {
  return {.type = domain::EventType::kConfigurationChanged, .occur_time = tx.now()};
}

// Keeps `document` as the next revision of `name`, in force at once.
absl::StatusOr<ConfigDocument> PutInForce(WriteTxn& tx, const domain::ConfigDocuments& documents,
                                          ConfigKind kind, const std::string& name,
                                          const std::string& slot, int64_t greatest,
                                          domain::Value document) {
  ConfigDocument next =
      domain::NextDraft(documents, kind, name, greatest, domain::ConfigDocumentId(tx.NewId()));
  next.slot = slot;
  next.document = std::move(document);
  next.author = tx.call().principal;
  next.create_time = tx.now();
  ASSIGN_OR_RETURN(std::vector<ConfigDocument> changed,
                   domain::Activate(documents, next, tx.now()));
  for (ConfigDocument& each : changed) RETURN_IF_ERROR(tx.Keep(each, Changed(tx)));
  return changed.back();
}

// Whoever a rule names must be there.
absl::Status CheckNamed(WriteTxn& tx, const RoutingRule& rule) {
  for (const std::string& user : rule.users) {
    auto id = domain::ParseName<domain::UserTag>(user);
    if (!id.has_value()) return domain::InvalidField("routing_rule.users", "must be users/{id}");
    RETURN_IF_ERROR(Existing(tx.FindUser(*id), "User", user).status());
  }
  if (auto id = domain::ParseName<domain::TeamTag>(rule.team)) {
    RETURN_IF_ERROR(Existing(tx.FindTeam(*id), "Team", rule.team).status());
  }
  if (rule.users.empty() && rule.team.empty()) {
    return domain::InvalidField("routing_rule.users", "must have an entry, or team be given");
  }
  return absl::OkStatus();
}

}  // namespace

// ---- rules and policies -----------------------------------------------------------------------

storage::Keys KeysOf(const SaveRoutingRuleCommand& command) {
  storage::Keys keys;
  keys.Request(command.once.id).Configuration(ConfigKind::kRoutingRule);
  for (const std::string& user : command.values.users) {
    if (auto id = domain::ParseName<domain::UserTag>(user)) keys.User(*id);
  }
  if (auto id = domain::ParseName<domain::TeamTag>(command.values.team)) keys.Team(*id);
  return keys;
}

absl::StatusOr<Result<StoredRoutingRule>> Run(WriteTxn& tx, const SaveRoutingRuleCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents, tx.Configurations(ConfigKind::kRoutingRule));
  if (earlier != nullptr) {
    ASSIGN_OR_RETURN(ConfigDocument document,
                     Earlier(documents, ConfigKind::kRoutingRule, *earlier));
    ASSIGN_OR_RETURN(StoredRoutingRule stored, StoredOf(document));
    return Result<StoredRoutingRule>{std::move(stored), true};
  }
  const ConfigDocument* latest = domain::FindDocument(documents, command.values.id);
  RoutingRule rule;
  if (command.create) {
    if (latest != nullptr) {
      return domain::Taken("routing_rule_id", "RoutingRule", command.values.name());
    }
    rule = command.values;
    RETURN_IF_ERROR(CheckNamed(tx, rule));
  } else {
    if (latest == nullptr) return domain::NotFound("RoutingRule", command.values.name());
    ASSIGN_OR_RETURN(rule, domain::RoutingRuleOf(*latest));
    RETURN_IF_ERROR(domain::CheckEtag(rule.name(), command.etag, rule.revision));
    const RoutingRule& values = command.values;
    if (Has(command.paths, "display_name")) rule.display_name = values.display_name;
    if (Has(command.paths, "position")) rule.position = values.position;
    if (Has(command.paths, "filter")) rule.filter_text = values.filter_text;
    if (Has(command.paths, "users")) rule.users = values.users;
    if (Has(command.paths, "team")) rule.team = values.team;
    if (Has(command.paths, "strategy")) rule.strategy = values.strategy;
    if (Has(command.paths, "match_territory")) rule.match_territory = values.match_territory;
    // Those who were named before are not looked up: they were there, and nobody goes away.
    RoutingRule named = values;
    if (!Has(command.paths, "users")) named.users.clear();
    if (!Has(command.paths, "team")) named.team.clear();
    if (!named.users.empty() || !named.team.empty()) RETURN_IF_ERROR(CheckNamed(tx, named));
    if (rule.users.empty() && rule.team.empty()) {
      return domain::InvalidField("routing_rule.users", "must have an entry, or team be given");
    }
  }
  ASSIGN_OR_RETURN(ConfigDocument kept, PutInForce(tx, documents, ConfigKind::kRoutingRule, rule.id,
                                                   rule.id, 0, domain::DocumentOf(rule)));
  RETURN_IF_ERROR(Remember(tx, command.once, kept.versioned()));
  ASSIGN_OR_RETURN(StoredRoutingRule stored, StoredOf(kept));
  return Result<StoredRoutingRule>{std::move(stored)};
}

storage::Keys KeysOf(const ArchiveRoutingRuleCommand& command) {
  return storage::Keys().Request(command.once.id).Configuration(ConfigKind::kRoutingRule);
}

absl::StatusOr<Result<StoredRoutingRule>> Run(WriteTxn& tx,
                                              const ArchiveRoutingRuleCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents, tx.Configurations(ConfigKind::kRoutingRule));
  const ConfigDocument* latest = domain::FindDocument(documents, command.rule);
  if (latest == nullptr) {
    return domain::NotFound("RoutingRule", Concat("routingRules/", command.rule));
  }
  ConfigDocument document = *latest;
  if (earlier == nullptr) {
    RETURN_IF_ERROR(domain::CheckEtag(document.resource(), command.etag, document.version));
    document.state = domain::RevisionState::kArchived;
    RETURN_IF_ERROR(tx.Keep(document, Changed(tx)));
    RETURN_IF_ERROR(Remember(tx, command.once, document.versioned()));
  }
  ASSIGN_OR_RETURN(StoredRoutingRule stored, StoredOf(document));
  return Result<StoredRoutingRule>{std::move(stored), earlier != nullptr};
}

storage::Keys KeysOf(const SaveHandoffPolicyCommand& command) {
  return storage::Keys().Request(command.once.id).Configuration(ConfigKind::kHandoffPolicy);
}

absl::StatusOr<Result<HandoffPolicy>> Run(WriteTxn& tx, const SaveHandoffPolicyCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents,
                   tx.Configurations(ConfigKind::kHandoffPolicy));
  if (earlier != nullptr) {
    ASSIGN_OR_RETURN(ConfigDocument document,
                     Earlier(documents, ConfigKind::kHandoffPolicy, *earlier));
    ASSIGN_OR_RETURN(HandoffPolicy policy, domain::HandoffPolicyOf(document));
    return Result<HandoffPolicy>{std::move(policy), true};
  }
  HandoffPolicy policy;
  if (const ConfigDocument* latest = domain::FindDocument(documents, command.values.id)) {
    ASSIGN_OR_RETURN(policy, domain::HandoffPolicyOf(*latest));
  } else if (const HandoffPolicy* shipped = tx.config().FindHandoffPolicy(command.values.name())) {
    policy = *shipped;
  } else {
    return domain::NotFound("HandoffPolicy", command.values.name());
  }
  RETURN_IF_ERROR(domain::CheckEtag(policy.name(), command.etag, policy.revision));
  const HandoffPolicy& values = command.values;
  if (Has(command.paths, "display_name")) policy.display_name = values.display_name;
  if (Has(command.paths, "trigger")) policy.trigger = values.trigger;
  if (Has(command.paths, "response_minutes")) policy.response_minutes = values.response_minutes;
  if (Has(command.paths, "max_escalations")) policy.max_escalations = values.max_escalations;
  ASSIGN_OR_RETURN(ConfigDocument kept, PutInForce(tx, documents, ConfigKind::kHandoffPolicy,
                                                   policy.id, domain::SlotOf(policy.market),
                                                   policy.revision, domain::DocumentOf(policy)));
  RETURN_IF_ERROR(Remember(tx, command.once, kept.versioned()));
  ASSIGN_OR_RETURN(policy, domain::HandoffPolicyOf(kept));
  return Result<HandoffPolicy>{std::move(policy)};
}

// ---- finding somebody -------------------------------------------------------------------------

absl::StatusOr<domain::RoutingDecision> TakeRoute(storage::WriteTxn& tx, const domain::Lead& lead,
                                                  const std::string& team,
                                                  const std::set<std::string>& excluded) {
  ASSIGN_OR_RETURN(domain::Rotation rotation, tx.FindRotation());
  ASSIGN_OR_RETURN(std::vector<domain::Colleague> colleagues, tx.Colleagues());
  ASSIGN_OR_RETURN(
      domain::RoutingDecision decision,
      team.empty()
          ? domain::Route(tx.config().routing_rules, lead, colleagues, excluded, tx.now(), rotation)
          : domain::RouteWithin(team, lead, colleagues, excluded, tx.now(), rotation));
  RETURN_IF_ERROR(tx.KeepRotation(rotation));
  return decision;
}

absl::StatusOr<domain::Desk> DeskOf(storage::WriteTxn& tx, const std::string& user_name) {
  domain::Desk desk{.owner = user_name, .calendar = {}};
  auto id = domain::ParseName<domain::UserTag>(user_name);
  const domain::User* user = nullptr;
  if (id.has_value()) {
    ASSIGN_OR_RETURN(std::vector<domain::Colleague> colleagues, tx.Colleagues());
    for (const domain::Colleague& colleague : colleagues) {
      if (colleague.user->id == *id) user = colleague.user;
    }
  }
  if (user == nullptr) return desk;  // archived since: the usual week
  desk.calendar = user->calendar;
  for (const std::string& team_name : user->teams) {
    if (!desk.calendar.empty()) break;
    auto team_id = domain::ParseName<domain::TeamTag>(team_name);
    if (!team_id.has_value()) continue;
    ASSIGN_OR_RETURN(const domain::Team* team, tx.FindTeam(*team_id));
    if (team != nullptr) desk.calendar = team->calendar;
  }
  desk.working_time = domain::WorkingTime::Usual(user->time_zone);
  if (auto calendar_id = domain::ParseName<domain::CalendarTag>(desk.calendar)) {
    ASSIGN_OR_RETURN(const domain::Calendar* calendar, tx.FindCalendar(*calendar_id));
    if (calendar != nullptr) {
      ASSIGN_OR_RETURN(desk.working_time, domain::WorkingTime::Of(*calendar));
    }
  }
  desk.working_time.Without(user->absences);
  return desk;
}

}  // namespace relais::commands
