#include "server/domain/config.h"

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"

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
  return ActiveOf(policies, market);
}
const CompiledModel& Config::model(Market market) const { return *ActiveOf(models, market); }
const Pipeline& Config::pipeline() const { return pipelines.front(); }

const QualificationPolicy* Config::FindPolicy(std::string_view name) const {
  return FindVersion(policies, name);
}

const CompiledModel* Config::FindModel(std::string_view name) const {
  const std::shared_ptr<const CompiledModel>* found = FindVersion(models, name);
  return found == nullptr ? nullptr : found->get();
}

const Pipeline* Config::FindPipeline(std::string_view name) const {
  for (const Pipeline& pipeline : pipelines) {
    if (pipeline.name() == name) return &pipeline;
  }
  return nullptr;
}

}  // namespace relais::domain
