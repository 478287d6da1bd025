// What a tenant's decisions rest on: policies, scoring models, pipelines. A Config is an immutable
// snapshot; whoever decides holds one for the whole of the decision.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "server/domain/criteria.h"
#include "server/domain/enums.h"
#include "server/domain/negotiation.h"
#include "server/domain/scoring.h"

namespace relais::domain {

// Thread-safe: nothing changes after it is made. It holds at least one policy and one model per
// market and at least one pipeline; each list is ordered by name, then revision.
struct Config {
  std::vector<QualificationPolicy> policies;
  std::vector<std::shared_ptr<const CompiledModel>> models;
  std::vector<Pipeline> pipelines;

  // The active one of a market, that is the greatest revision for it; kUnspecified counts as B2C,
  // like a capture that names no organization.
  const QualificationPolicy& policy(Market market) const;
  const CompiledModel& model(Market market) const;
  // Where opportunities start.
  const Pipeline& pipeline() const;

  // By "qualificationPolicies/bant" (its greatest revision) or "qualificationPolicies/bant@1"; null
  // when there is none.
  const QualificationPolicy* FindPolicy(std::string_view name) const;
  const CompiledModel* FindModel(std::string_view name) const;
  const Pipeline* FindPipeline(std::string_view name) const;  // pipelines have no revisions
};

}  // namespace relais::domain
