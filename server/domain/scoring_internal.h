// What the evaluation of scores and their explanation share. Internal to scoring.cc and explain.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "server/domain/scoring.h"

namespace relais::domain::scoring_internal {

using Days = std::map<int64_t, int64_t>;
using Rule = CompiledModel::Rule;

inline int64_t Capped(const ScoringRule& rule, int64_t points) {
  return rule.cap_points == 0 ? points : std::clamp(points, -rule.cap_points, rule.cap_points);
}

// What a touchpoint of that age is worth, in 1/65536 of the rule's points.
inline int64_t WorthAt(const Rule& rule, int64_t age) {
  return age < 0 || age >= static_cast<int64_t>(rule.decay.size())
             ? 0
             : rule.decay[static_cast<size_t>(age)];
}

inline int64_t UncappedPoints(const Rule& rule, const Days& days, int64_t today) {
  int64_t worth = 0;
  for (const auto& [day, count] : days) worth += count * WorthAt(rule, today - day);
  return rule.spec->points * worth / kDecayUnit;
}

inline const Days* DaysOf(const ScoreState& state, const Rule& rule) {
  auto found = state.counts.find(rule.spec->id);
  return found == state.counts.end() ? nullptr : &found->second;
}

// The sums that a lead shows, without their parts.
struct Sums {
  int64_t fit = 0, engagement = 0, intent = 0;

  int64_t total() const { return fit + engagement + intent; }
  int64_t& Of(ScoreDimension dimension) {
    return dimension == ScoreDimension::kFit
               ? fit
               : (dimension == ScoreDimension::kIntent ? intent : engagement);
  }
  friend bool operator==(const Sums&, const Sums&) = default;
};

// Points as they add up: by dimension, those of groups before their caps.
class Tally {
 public:
  explicit Tally(const CompiledModel& model)
      : model_(&model), groups_(model.group_dimensions().size()) {}

  void Add(const Rule& rule, int64_t points) {
    if (rule.group < 0) {
      sums_.Of(rule.spec->dimension) += points;
    } else {
      groups_[static_cast<size_t>(rule.group)] += points;
    }
  }
  Sums Total() const {
    Sums total = sums_;
    for (size_t i = 0; i < groups_.size(); ++i) {
      total.Of(model_->group_dimensions()[i]) += Held(i);
    }
    return total;
  }
  std::vector<GroupCut> Cuts() const {
    std::vector<GroupCut> cuts;
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (Held(i) == groups_[i]) continue;
      cuts.push_back({&model_->model().groups[i], groups_[i], Held(i) - groups_[i]});
    }
    return cuts;
  }

 private:
  int64_t Held(size_t group) const {
    const int64_t cap = model_->model().groups[group].cap_points;
    return std::clamp(groups_[group], -cap, cap);
  }

  const CompiledModel* model_;
  Sums sums_;
  std::vector<int64_t> groups_;
};

}  // namespace relais::domain::scoring_internal
