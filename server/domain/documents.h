// Scoring models, policies and routing rules as documents of configuration, and back.
//
// A document is a map of the type's own members by name; a member at its default is left out. A
// reading ignores members it does not know, so that a document outlives a field that was dropped.
//
// Pure.
#pragma once

#include "absl/status/statusor.h"
#include "server/domain/configuration.h"
#include "server/domain/criteria.h"
#include "server/domain/handoff.h"
#include "server/domain/routing.h"
#include "server/domain/scoring.h"
#include "server/domain/value.h"

namespace relais::domain {

// Id, revision and the market's slot stand in the document's row.
Value DocumentOf(const ScoringModel& model);
Value DocumentOf(const QualificationPolicy& policy);
Value DocumentOf(const RoutingRule& rule);
Value DocumentOf(const HandoffPolicy& policy);

// INTERNAL when the row is of another kind or its document is none.
absl::StatusOr<ScoringModel> ScoringModelOf(const ConfigDocument& document);
absl::StatusOr<QualificationPolicy> QualificationPolicyOf(const ConfigDocument& document);
absl::StatusOr<RoutingRule> RoutingRuleOf(const ConfigDocument& document);
absl::StatusOr<HandoffPolicy> HandoffPolicyOf(const ConfigDocument& document);

// The slot of what serves a market: "B2B".
std::string SlotOf(Market market);

}  // namespace relais::domain
