#include "server/domain/routing.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/filter_eval.h"
#include "server/domain/working_time.h"

namespace relais::domain {
namespace {

constexpr std::string_view kRuleFact = "routing.rule";
constexpr std::string_view kStrategyFact = "routing.strategy";
constexpr std::string_view kTeamFact = "routing.team";
constexpr std::string_view kCandidatesFact = "routing.candidates";

bool HoldsTerritory(const User& user, const Lead& lead) {
  const PostalAddress& address = lead.person.postal_address;
  const std::string& country = address.country.empty() ? lead.person.country : address.country;
  if (country.empty()) return false;
  const std::string region = Concat(country, "-", address.region);
  return std::any_of(
      user.territories.begin(), user.territories.end(),
      [&](const std::string& territory) { return territory == country || territory == region; });
}

Candidate CandidateOf(const Colleague& colleague, RoutingStrategy strategy, bool match_territory,
                      const Lead& lead, const std::set<std::string>& excluded, Timestamp now,
                      const std::map<std::string, int64_t>& credits) {
  const User& user = *colleague.user;
  Candidate candidate;
  candidate.user = NameOf(user.id);
  candidate.open_leads = colleague.open_leads;
  if (strategy == RoutingStrategy::kWeighted) candidate.weight = user.weight.value_or(1);
  if (auto it = credits.find(candidate.user); it != credits.end()) candidate.credit = it->second;
  if (excluded.contains(candidate.user)) {
    candidate.skipped = "EXCLUDED";
  } else if (IsAbsent(user, now)) {
    candidate.skipped = "ABSENT";
  } else if (user.capacity.has_value() && colleague.open_leads >= *user.capacity) {
    candidate.skipped = "AT_CAPACITY";
  } else if (match_territory && !HoldsTerritory(user, lead)) {
    candidate.skipped = "OTHER_TERRITORY";
  }
  return candidate;
}

// Whether two of those not skipped are in the running together.
bool InTheRunning(RoutingStrategy strategy, const Candidate& candidate, int64_t fewest) {
  return candidate.skipped.empty() &&
         (strategy != RoutingStrategy::kLeastLoaded || candidate.open_leads == fewest);
}

int64_t FewestLeads(absl::Span<const Candidate> candidates) {
  int64_t fewest = INT64_MAX;
  for (const Candidate& candidate : candidates) {
    if (candidate.skipped.empty()) fewest = std::min(fewest, candidate.open_leads);
  }
  return fewest;
}

// Smooth weighted round robin: everybody in the running earns their weight, and whoever is chosen
// pays for all of it. So the credits always add up to the same, and nobody is ever more than one
// turn away from what they are due.
std::optional<size_t> TakeTurn(RoutingStrategy strategy, absl::Span<const Candidate> candidates,
                               std::map<std::string, int64_t>& credits) {
  const std::optional<size_t> chosen = Choose(strategy, candidates);
  if (!chosen.has_value()) return chosen;
  const int64_t fewest = FewestLeads(candidates);
  int64_t total = 0;
  for (const Candidate& candidate : candidates) {
    if (!InTheRunning(strategy, candidate, fewest)) continue;
    credits[candidate.user] = candidate.credit + candidate.weight;
    total += candidate.weight;
  }
  credits[candidates[*chosen].user] -= total;
  return chosen;
}

void SortByName(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.user < b.user; });
}

std::string WhyNobody(absl::Span<const Candidate> candidates) {
  if (candidates.empty()) return "names nobody who could get it";
  std::map<std::string, int> counts;
  for (const Candidate& candidate : candidates) ++counts[candidate.skipped];
  std::string text = "has nobody free:";
  for (const auto& [reason, count] : counts) Append(text, " ", count, " ", reason);
  return text;
}

absl::Status NoRoute(std::vector<PreconditionViolation> violations) {
  return PreconditionFailed("NO_ROUTE", "nobody can be given the lead by the routing rules",
                            std::move(violations));
}

Value ValueOf(const Candidate& candidate) {
  ValueMap map{{"user", candidate.user},
               {"weight", candidate.weight},
               {"open_leads", candidate.open_leads},
               {"credit", candidate.credit}};
  if (!candidate.skipped.empty()) map.emplace("skipped", candidate.skipped);
  return Value(std::move(map));
}

int64_t IntIn(const ValueMap& map, const std::string& key) {
  auto it = map.find(key);
  return it == map.end() || it->second.if_int() == nullptr ? 0 : *it->second.if_int();
}
std::string TextIn(const ValueMap& map, const std::string& key) {
  auto it = map.find(key);
  return it == map.end() || it->second.if_text() == nullptr ? std::string() : *it->second.if_text();
}

}  // namespace

std::string RoutingRule::name() const { return Concat("routingRules/", id); }
std::string RoutingRule::versioned_name() const { return Concat(name(), "@", revision); }

const FilterSchema& RoutingFilterSchema() {
  static const auto* const kSchema = new FilterSchema(SchemaOf<Lead>());
  return *kSchema;
}

bool IsOpen(Stage stage) {
  return stage == Stage::kLead || stage == Stage::kProspect || stage == Stage::kOpportunity;
}

std::optional<size_t> Choose(RoutingStrategy strategy, absl::Span<const Candidate> candidates) {
  const int64_t fewest = FewestLeads(candidates);
  std::optional<size_t> best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!InTheRunning(strategy, candidates[i], fewest)) continue;
    auto turn = [](const Candidate& candidate) { return candidate.credit + candidate.weight; };
    if (!best.has_value() || turn(candidates[i]) > turn(candidates[*best]) ||
        (turn(candidates[i]) == turn(candidates[*best]) &&
         candidates[i].user < candidates[*best].user)) {
      best = i;
    }
  }
  return best;
}

absl::StatusOr<RoutingDecision> Route(absl::Span<const RoutingRule> rules, const Lead& lead,
                                      absl::Span<const Colleague> colleagues,
                                      const std::set<std::string>& excluded, Timestamp now,
                                      Rotation& rotation) {
  std::vector<const RoutingRule*> ordered;
  for (const RoutingRule& rule : rules) ordered.push_back(&rule);
  std::sort(ordered.begin(), ordered.end(), [](const RoutingRule* a, const RoutingRule* b) {
    return std::tie(a->position, a->id) < std::tie(b->position, b->id);
  });
  std::vector<PreconditionViolation> violations;
  for (const RoutingRule* rule : ordered) {
    if (!Matches(rule->filter, EntitySubject<Lead>(lead), now)) continue;
    std::map<std::string, int64_t>& credits = rotation.credits[rule->name()];
    RoutingDecision decision{.rule = rule->versioned_name(),
                             .strategy = rule->strategy,
                             .owner = {},
                             .team = rule->team,
                             .candidates = {}};
    for (const Colleague& colleague : colleagues) {
      const User& user = *colleague.user;
      auto holds = [](const std::vector<std::string>& list, const std::string& name) {
        return std::find(list.begin(), list.end(), name) != list.end();
      };
      if (user.archived || (!holds(rule->users, NameOf(user.id)) &&
                            (rule->team.empty() || !holds(user.teams, rule->team)))) {
        continue;
      }
      decision.candidates.push_back(CandidateOf(colleague, rule->strategy, rule->match_territory,
                                                lead, excluded, now, credits));
    }
    SortByName(decision.candidates);
    if (auto chosen = TakeTurn(rule->strategy, decision.candidates, credits)) {
      decision.owner = decision.candidates[*chosen].user;
      return decision;
    }
    violations.push_back({"ROUTING_RULE", rule->name(), WhyNobody(decision.candidates)});
  }
  if (violations.empty()) {
    violations.push_back({"ROUTING_RULE", "routingRules", "no rule matches the lead"});
  }
  return NoRoute(std::move(violations));
}

absl::StatusOr<RoutingDecision> RouteWithin(const std::string& team, const Lead& lead,
                                            absl::Span<const Colleague> colleagues,
                                            const std::set<std::string>& excluded, Timestamp now,
                                            Rotation& rotation) {
  std::map<std::string, int64_t>& credits = rotation.credits[team];
  RoutingDecision decision{.rule = {},
                           .strategy = RoutingStrategy::kLeastLoaded,
                           .owner = {},
                           .team = team,
                           .candidates = {}};
  for (const Colleague& colleague : colleagues) {
    const std::vector<std::string>& teams = colleague.user->teams;
    if (colleague.user->archived || std::find(teams.begin(), teams.end(), team) == teams.end()) {
      continue;
    }
    decision.candidates.push_back(
        CandidateOf(colleague, decision.strategy, false, lead, excluded, now, credits));
  }
  SortByName(decision.candidates);
  if (auto chosen = TakeTurn(decision.strategy, decision.candidates, credits)) {
    decision.owner = decision.candidates[*chosen].user;
    return decision;
  }
  return NoRoute({{"TEAM", team, WhyNobody(decision.candidates)}});
}

std::vector<FieldChange> FactsOf(const RoutingDecision& decision) {
  std::vector<FieldChange> facts;
  auto add = [&](std::string_view path, Value value) {
    facts.push_back({std::string(path), Value(), std::move(value), false});
  };
  if (!decision.rule.empty()) add(kRuleFact, decision.rule);
  if (!decision.team.empty()) add(kTeamFact, decision.team);
  add(kStrategyFact, std::string(NameOf(decision.strategy)));
  ValueList list;
  for (const Candidate& candidate : decision.candidates) list.push_back(ValueOf(candidate));
  add(kCandidatesFact, std::move(list));
  return facts;
}

std::optional<RoutingDecision> DecisionIn(absl::Span<const FieldChange> changes) {
  RoutingDecision decision;
  bool found = false;
  for (const FieldChange& change : changes) {
    const std::string* text = change.after.if_text();
    if (change.path == kRuleFact && text != nullptr) decision.rule = *text;
    if (change.path == kTeamFact && text != nullptr) decision.team = *text;
    if (change.path == "owner" && text != nullptr) decision.owner = *text;
    if (change.path == kStrategyFact && text != nullptr) {
      if (auto number = EnumTraits<RoutingStrategy>::names().Number(*text)) {
        decision.strategy = static_cast<RoutingStrategy>(*number);
      }
    }
    if (change.path != kCandidatesFact || change.after.if_list() == nullptr) continue;
    found = true;
    for (const Value& item : *change.after.if_list()) {
      if (item.if_map() == nullptr) continue;
      const ValueMap& map = *item.if_map();
      decision.candidates.push_back({.user = TextIn(map, "user"),
                                     .weight = IntIn(map, "weight"),
                                     .open_leads = IntIn(map, "open_leads"),
                                     .credit = IntIn(map, "credit"),
                                     .skipped = TextIn(map, "skipped")});
    }
  }
  return found ? std::optional<RoutingDecision>(std::move(decision)) : std::nullopt;
}

// One line for each credit: rule, user and number, parted by blanks, which none of them holds.
std::string FormatRotation(const Rotation& rotation) {
  std::string text;
  for (const auto& [rule, credits] : rotation.credits) {
    for (const auto& [user, credit] : credits) Append(text, rule, " ", user, " ", credit, "\n");
  }
  return text;
}

absl::Status ParseRotation(std::string_view text, Rotation& out) {
  out.credits.clear();
  for (absl::string_view line : absl::StrSplit(ToAbsl(text), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    int64_t credit = 0;
    if (words.size() != 3 || !absl::SimpleAtoi(words[2], &credit)) {
      return InternalFault("a rotation is malformed");
    }
    out.credits[words[0]][words[1]] = credit;
  }
  return absl::OkStatus();
}

}  // namespace relais::domain
