// Who gets a lead: ordered rules, the people whom a rule names, and how one of them is chosen.
//
// Everything that a choice rests on is in its arguments and in the decision that comes out, so that
// a decision which was written down can be made again: Choose over the same candidates names the
// same user.
//
// Pure and thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/event.h"
#include "server/domain/filter.h"
#include "server/domain/filter_schema.h"
#include "server/domain/lead.h"

namespace relais::domain {

struct RoutingRule {
  std::string id;
  int64_t revision = 1;
  std::string display_name;
  // Rules are asked in the order of their positions, then of their ids; the first that matches and
  // has somebody free decides.
  int64_t position = 0;
  std::string filter_text;         // as it was written
  Filter filter;                   // over the fields of a lead alone: without touchpoints and now()
  std::vector<std::string> users;  // users/{id}
  std::string team;                // teams/{id}: its members are candidates, too
  RoutingStrategy strategy = RoutingStrategy::kRoundRobin;
  bool match_territory = false;  // only those with a territory that holds the lead

  std::string name() const;            // "routingRules/{id}"
  std::string versioned_name() const;  // "routingRules/{id}@{revision}"
};

// What a routing filter may name.
const FilterSchema& RoutingFilterSchema();

// A revision of a rule as it is kept. Its etag is made of the rule's revision.
struct StoredRoutingRule {
  RoutingRule rule;
  bool archived = false;
  Timestamp create_time;
};

// Whose turn it is, by rule and user: what somebody was given too little (positive) or too much
// (negative), in units of 1/weight. One value a tenant, changed under its lock.
struct Rotation {
  int64_t revision = 0;
  std::map<std::string, std::map<std::string, int64_t>> credits;  // rule name -> user name
  friend bool operator==(const Rotation&, const Rotation&) = default;
};

// A user as routing sees one.
struct Colleague {
  const User* user = nullptr;
  int64_t open_leads = 0;  // owned, and neither customer nor disqualified
};

struct Candidate {
  std::string user;  // users/{id}
  int64_t weight = 1;
  int64_t open_leads = 0;
  int64_t credit = 0;   // before the choice
  std::string skipped;  // why not: ABSENT, AT_CAPACITY, OTHER_TERRITORY, EXCLUDED; empty: might be
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

// The index of the one who gets it, nullopt when all are skipped:
//   ROUND_ROBIN   the one with the most credit, all weighing the same
//   WEIGHTED      the one with the most credit
//   LEAST_LOADED  of those with the fewest open leads the one with the most credit
// Among equals the first by name.
std::optional<size_t> Choose(RoutingStrategy strategy, absl::Span<const Candidate> candidates);

struct RoutingDecision {
  std::string rule;  // versioned name
  RoutingStrategy strategy = RoutingStrategy::kUnspecified;
  std::string owner;                  // users/{id}
  std::string team;                   // that of the rule
  std::vector<Candidate> candidates;  // by name
};

// Decides by the first rule that matches the lead and has a candidate who is not skipped, and takes
// the turn in `rotation`. `excluded` are user names that are passed over, such as owners who let it
// lie. Archived users are no candidates. FAILED_PRECONDITION, reason NO_ROUTE, one violation for
// each rule that matched, or one that says that none did.
absl::StatusOr<RoutingDecision> Route(absl::Span<const RoutingRule> rules, const Lead& lead,
                                      absl::Span<const Colleague> colleagues,
                                      const std::set<std::string>& excluded, Timestamp now,
                                      Rotation& rotation);

// The same within a team without a rule: the least loaded member, turns taken under the team's
// name.
absl::StatusOr<RoutingDecision> RouteWithin(const std::string& team, const Lead& lead,
                                            absl::Span<const Colleague> colleagues,
                                            const std::set<std::string>& excluded, Timestamp now,
                                            Rotation& rotation);

// The decision as facts of an event: routing.rule, routing.strategy, routing.candidates.
std::vector<FieldChange> FactsOf(const RoutingDecision& decision);
// The reverse, of an event's changes; nullopt when they hold no decision.
std::optional<RoutingDecision> DecisionIn(absl::Span<const FieldChange> changes);

// The stages in which owning a lead is work to do.
bool IsOpen(Stage stage);

// The text of a rotation for storage, and back; INTERNAL when it is malformed.
std::string FormatRotation(const Rotation& rotation);
absl::Status ParseRotation(std::string_view text, Rotation& out);

}  // namespace relais::domain
