#include "server/domain/config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/documents.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

// "scoringModels/b2b@3" is the name and revision 3; without '@' any revision will do (0).
struct VersionedName {
  std::string_view name;
  int64_t revision = 0;
  bool valid = true;
};

VersionedName Split(std::string_view text) {
  size_t at = text.find('@');
  if (at == std::string_view::npos) return {text};
  VersionedName split{text.substr(0, at)};
  std::string_view digits = text.substr(at + 1);
  // Only the one spelling that versioned_name() writes.
  split.valid = absl::SimpleAtoi(ToAbsl(digits), &split.revision) && split.revision > 0 &&
                Concat(split.revision) == digits;
  return split;
}

const QualificationPolicy& SpecOf(const QualificationPolicy& policy) { return policy; }
const HandoffPolicy& SpecOf(const HandoffPolicy& policy) { return policy; }
const ScoringModel& SpecOf(const std::shared_ptr<const CompiledModel>& model) {
  return model->model();
}

template <class Items>
auto FindVersion(const Items& items, std::string_view text) -> decltype(&items.front()) {
  VersionedName wanted = Split(text);
  decltype(&items.front()) best = nullptr;
  if (!wanted.valid) return best;
  for (const auto& item : items) {
    const auto& spec = SpecOf(item);
    if (spec.name() != wanted.name) continue;
    if (wanted.revision != 0 && spec.revision != wanted.revision) continue;
    if (best == nullptr || SpecOf(*best).revision < spec.revision) best = &item;
  }
  return best;
}

size_t IndexOf(Market market) {
  return static_cast<size_t>(market == Market::kUnspecified ? Market::kB2c : market);
}

template <class Items>
auto ActiveOf(const Items& items, Market market) -> decltype(items.front()) {
  if (market == Market::kUnspecified) market = Market::kB2c;
  decltype(&items.front()) best = &items.front();
  bool found = false;
  for (const auto& item : items) {
    const auto& spec = SpecOf(item);
    if (spec.market != market) continue;
    if (!found || SpecOf(*best).revision < spec.revision) best = &item;
    found = true;
  }
  return *best;
}

}  // namespace

const QualificationPolicy& Config::policy(Market market) const {
  const std::string& active = active_policies[IndexOf(market)];
  const QualificationPolicy* found = active.empty() ? nullptr : FindPolicy(active);
  return found == nullptr ? ActiveOf(policies, market) : *found;
}
const CompiledModel& Config::model(Market market) const {
  const std::shared_ptr<const CompiledModel>& active = models_in_force[IndexOf(market)];
  return active == nullptr ? *ActiveOf(models, market) : *active;
}
const HandoffPolicy& Config::handoff_policy(Market market) const {
  return ActiveOf(handoff_policies, market);
}
const Pipeline& Config::pipeline() const { return pipelines.front(); }

const QualificationPolicy* Config::FindPolicy(std::string_view name) const {
  return FindVersion(policies, name);
}

const CompiledModel* Config::FindModel(std::string_view name) const {
  const std::shared_ptr<const CompiledModel>* found = FindVersion(models, name);
  return found == nullptr ? nullptr : found->get();
}

const HandoffPolicy* Config::FindHandoffPolicy(std::string_view name) const {
  return FindVersion(handoff_policies, name);
}

const Pipeline* Config::FindPipeline(std::string_view name) const {
  for (const Pipeline& pipeline : pipelines) {
    if (pipeline.name() == name) return &pipeline;
  }
  return nullptr;
}

namespace {

// Puts an item in the place of the one with its name and revision, or beside the others.
template <class Items, class Item>
void Place(Items& items, Item item) {
  for (auto& known : items) {
    if (SpecOf(known).versioned_name() == SpecOf(item).versioned_name()) {
      known = std::move(item);
      return;
    }
  }
  items.push_back(std::move(item));
}

template <class Items>
void Sort(Items& items) {
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    const auto& left = SpecOf(a);
    const auto& right = SpecOf(b);
    return left.id != right.id ? left.id < right.id : left.revision < right.revision;
  });
}

constexpr Market kMarkets[] = {Market::kB2b, Market::kB2c};

}  // namespace

absl::StatusOr<std::shared_ptr<const Config>> BuildConfig(
    const Config& shipped, absl::Span<const ConfigDocument> documents, const Config* earlier) {
  auto config = std::make_shared<Config>(shipped);
  // What is shipped is in force where nothing else is, whatever revisions people have added.
  for (Market market : kMarkets) {
    config->active_policies[IndexOf(market)] = shipped.policy(market).versioned_name();
    config->active_models[IndexOf(market)] = shipped.model(market).model().versioned_name();
  }
  for (const ConfigDocument& document : documents) {
    if (document.draft()) continue;
    const bool active = document.state == RevisionState::kActive;
    switch (document.kind) {
      case ConfigKind::kScoringModel: {
        ASSIGN_OR_RETURN(ScoringModel model, ScoringModelOf(document));
        const size_t market = IndexOf(model.market);
        if (active) config->active_models[market] = model.versioned_name();
        std::shared_ptr<const CompiledModel> compiled;
        if (earlier != nullptr) {
          for (const auto& known : earlier->models) {
            if (known->model().versioned_name() == model.versioned_name() &&
                known->model().built_in == model.built_in) {
              compiled = known;
            }
          }
        }
        if (compiled == nullptr) {
          ASSIGN_OR_RETURN(compiled, CompiledModel::Compile(std::move(model)));
        }
        Place(config->models, std::move(compiled));
        break;
      }
      case ConfigKind::kQualificationPolicy: {
        ASSIGN_OR_RETURN(QualificationPolicy policy, QualificationPolicyOf(document));
        if (active) config->active_policies[IndexOf(policy.market)] = policy.versioned_name();
        Place(config->policies, std::move(policy));
        break;
      }
      case ConfigKind::kRoutingRule: {
        if (!active) break;
        ASSIGN_OR_RETURN(RoutingRule rule, RoutingRuleOf(document));
        config->routing_rules.push_back(std::move(rule));
        break;
      }
      case ConfigKind::kHandoffPolicy: {
        ASSIGN_OR_RETURN(HandoffPolicy policy, HandoffPolicyOf(document));
        Place(config->handoff_policies, std::move(policy));
        break;
      }
      case ConfigKind::kUnspecified:
        break;
    }
  }
  Sort(config->models);
  Sort(config->policies);
  Sort(config->handoff_policies);
  for (Market market : kMarkets) {
    const std::string& active = config->active_models[IndexOf(market)];
    for (const auto& model : config->models) {
      if (model->model().versioned_name() == active) {
        config->models_in_force[IndexOf(market)] = model;
      }
    }
  }
  return std::shared_ptr<const Config>(std::move(config));
}

}  // namespace relais::domain
