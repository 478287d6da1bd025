#include "server/domain/explain.h"

#include <algorithm>
#include <utility>

#include "server/domain/calendar.h"
#include "server/domain/concat.h"
#include "server/domain/filter_eval.h"
#include "server/domain/scoring_internal.h"

namespace relais::domain {
namespace {

using scoring_internal::Capped;
using scoring_internal::Days;
using scoring_internal::Rule;
using scoring_internal::Tally;
using scoring_internal::UncappedPoints;

// The condition that alone keeps a filter from matching; null when it is not one of several.
FilterNodePtr OnlyUnmet(const Filter& filter, const FilterSubject& subject, Timestamp now) {
  const FilterAll* all =
      filter.root() == nullptr ? nullptr : std::get_if<FilterAll>(&filter.root()->node);
  if (all == nullptr) return nullptr;
  FilterNodePtr unmet;
  for (const FilterNodePtr& part : all->parts) {
    if (Matches(Filter(part), subject, now)) continue;
    if (unmet != nullptr) return nullptr;
    unmet = part;
  }
  return unmet;
}

std::optional<NearMiss> NearMissOf(const Rule& rule, const Lead& lead,
                                   absl::Span<const Touchpoint> touchpoints, Timestamp now) {
  if (!rule.on_touchpoints) {
    FilterNodePtr unmet = OnlyUnmet(rule.filter, EntitySubject<Lead>(lead), now);
    if (unmet == nullptr) return std::nullopt;
    return NearMiss{Filter(std::move(unmet)).Canonical(), std::nullopt,
                    "every other condition of its filter holds"};
  }
  std::optional<int64_t> last;
  for (const Touchpoint& touchpoint : touchpoints) {
    if (!Matches(rule.filter, EntitySubject<Touchpoint>(touchpoint), touchpoint.occur_time)) {
      continue;
    }
    const int64_t day = DayOf(touchpoint.occur_time);
    if (!last.has_value() || day > *last) last = day;
  }
  if (!last.has_value()) return std::nullopt;
  const int64_t age = DayOf(now) - *last;
  std::string reason =
      age < 0 ? Concat("its evidence counts from ", DayText(*last), " on")
      : age > rule.spec->window_days
          ? Concat("its latest evidence is ", age, " days old; it looks back ",
                   rule.spec->window_days)
          : Concat("its latest evidence is ", age, " days old and has faded to less than a point");
  return NearMiss{"", last, std::move(reason)};
}

// The points of every rule, and how one match more would move them.
class Outlook {
 public:
  Outlook(const CompiledModel& model, const Lead& lead, const ScoreState& state, Timestamp now)
      : model_(model), today_(DayOf(now)) {
    EntitySubject<Lead> subject(lead);
    for (const Rule& rule : model.rules()) {
      Line line;
      if (rule.on_touchpoints) {
        if (const Days* days = scoring_internal::DaysOf(state, rule)) line.days = *days;
      } else {
        line.matches = Matches(rule.filter, subject, now);
      }
      lines_.push_back(std::move(line));
    }
  }

  int64_t Score() const { return ScoreWith(lines_.size()); }

  // What one match more of rule `i` adds to the score; 0 where there can be none.
  int64_t Gain(size_t i) const { return CanMatch(i) ? ScoreWith(i) - Score() : 0; }

  void Match(size_t i) {
    lines_[i].matches = true;
    if (model_.rules()[i].on_touchpoints) ++lines_[i].days[today_];
  }

 private:
  struct Line {
    bool matches = false;  // rules on the lead
    Days days;             // rules on touchpoints
  };

  bool CanMatch(size_t i) const {
    const Rule& rule = model_.rules()[i];
    if (rule.spec->points <= 0) return false;
    if (!rule.on_touchpoints) return !lines_[i].matches;
    const int64_t limit = rule.spec->repeat_limit_per_day;
    auto today = lines_[i].days.find(today_);
    return limit == 0 || today == lines_[i].days.end() || today->second < limit;
  }

  // With one match more of rule `more`; lines_.size() for none.
  int64_t ScoreWith(size_t more) const {
    Tally tally(model_);
    for (size_t i = 0; i < lines_.size(); ++i) {
      const Rule& rule = model_.rules()[i];
      int64_t points = 0;
      if (rule.on_touchpoints) {
        Days days = lines_[i].days;
        if (i == more) ++days[today_];
        points = UncappedPoints(rule, days, today_);
      } else if (lines_[i].matches || i == more) {
        points = rule.spec->points;
      }
      tally.Add(rule, Capped(*rule.spec, points));
    }
    return tally.Total().total();
  }

  const CompiledModel& model_;
  const int64_t today_;
  std::vector<Line> lines_;
};

}  // namespace

ScoreOutlook OutlookOf(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                       absl::Span<const Touchpoint> touchpoints, Timestamp now) {
  ScoreOutlook result;
  const absl::Span<const Rule> rules = model.rules();
  const ScoreBreakdown breakdown = Evaluate(model, lead, state, now);
  for (const MissedRule& missed : breakdown.missed) {
    auto rule = std::find_if(rules.begin(), rules.end(),
                             [&](const Rule& each) { return each.spec == missed.rule; });
    std::optional<NearMiss> near = NearMissOf(*rule, lead, touchpoints, now);
    if (near.has_value()) result.near.emplace(missed.rule->id, *std::move(near));
  }

  Outlook outlook(model, lead, state, now);
  int64_t missing = model.model().threshold_points - outlook.Score();
  for (size_t i = 0; i < rules.size(); ++i) {
    const int64_t gain = outlook.Gain(i);
    if (gain > 0) result.lifts.push_back({rules[i].spec, gain, missing > 0 && gain >= missing});
  }
  std::sort(result.lifts.begin(), result.lifts.end(), [](const ScoreLift& a, const ScoreLift& b) {
    return a.points != b.points ? a.points > b.points : a.rule->id < b.rule->id;
  });

  while (missing > 0 && result.path.size() < kMaxLiftSteps) {
    size_t best = rules.size();
    int64_t most = 0;
    for (size_t i = 0; i < rules.size(); ++i) {
      const int64_t gain = outlook.Gain(i);
      if (gain > most || (gain == most && gain > 0 && rules[i].spec->id < rules[best].spec->id)) {
        most = gain;
        best = i;
      }
    }
    if (best == rules.size()) break;
    outlook.Match(best);
    result.path.push_back(rules[best].spec);
    missing -= most;
  }
  if (missing > 0) result.path.clear();
  return result;
}

}  // namespace relais::domain
