// What a tenant's decisions rest on: policies, scoring models, pipelines, routing. A Config is an
// immutable snapshot; whoever decides holds one for the whole of the decision.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/configuration.h"
#include "server/domain/criteria.h"
#include "server/domain/enums.h"
#include "server/domain/handoff.h"
#include "server/domain/negotiation.h"
#include "server/domain/routing.h"
#include "server/domain/scoring.h"

namespace relais::domain {

// Thread-safe: nothing changes after it is made. It holds at least one policy and one model per
// market and at least one pipeline; each list is ordered by name, then revision. Drafts are not in
// it; what was active once stays in it, so that any score can be explained.
struct Config {
  std::vector<QualificationPolicy> policies;
  std::vector<std::shared_ptr<const CompiledModel>> models;
  std::vector<Pipeline> pipelines;
  // What was activated for each market, as a versioned name; empty: the greatest revision shipped
  // for it.
  std::array<std::string, 3> active_policies, active_models;
  // The same resolved, which the write path reads for every lead.
  std::array<std::shared_ptr<const CompiledModel>, 3> models_in_force;
  std::vector<HandoffPolicy> handoff_policies;
  std::vector<RoutingRule> routing_rules;  // the active ones; may be empty

  // The active one of a market; kUnspecified counts as B2C, like a capture that names no
  // organization.
  const QualificationPolicy& policy(Market market) const;
  const CompiledModel& model(Market market) const;
  const HandoffPolicy& handoff_policy(Market market) const;
  // Where opportunities start.
  const Pipeline& pipeline() const;

  // By "qualificationPolicies/bant" (its greatest revision) or "qualificationPolicies/bant@1"; null
  // when there is none.
  const QualificationPolicy* FindPolicy(std::string_view name) const;
  const CompiledModel* FindModel(std::string_view name) const;
  const Pipeline* FindPipeline(std::string_view name) const;  // pipelines have no revisions
  const HandoffPolicy* FindHandoffPolicy(std::string_view name) const;
};

// What is shipped and what the tenant has set up, together. A stored revision stands for a shipped
// one of the same name and number. `documents` are of all kinds, in any order; drafts are passed
// over. What `earlier` (may be null) has compiled already is taken from it: revisions do not
// change. INTERNAL for a document that this program cannot read.
absl::StatusOr<std::shared_ptr<const Config>> BuildConfig(
    const Config& shipped, absl::Span<const ConfigDocument> documents, const Config* earlier);

}  // namespace relais::domain
