#include "server/domain/scoring.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/filter_eval.h"
#include "server/domain/scoring_internal.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

using scoring_internal::Capped;
using scoring_internal::Days;
using scoring_internal::Rule;
using scoring_internal::Sums;
using scoring_internal::Tally;
using scoring_internal::UncappedPoints;
using scoring_internal::WorthAt;

// ---- decay ------------------------------------------------------------------------------------

// Fractions of 1 in 62 binary digits: a product of two fits 128 bits, 1 itself fits 64.
constexpr int kFractionBits = 62;
constexpr uint64_t kOne = uint64_t{1} << kFractionBits;

uint64_t Multiply(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>((absl::uint128(a) * b) >> kFractionBits);
}

uint64_t Power(uint64_t base, int64_t exponent) {
  uint64_t result = kOne;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result = Multiply(result, base);
    base = Multiply(base, base);
  }
  return result;
}

// 2^(-1/n): the greatest fraction whose n-th power is not above one half.
uint64_t RootOfHalf(int64_t n) {
  uint64_t low = 0;
  uint64_t high = kOne;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    (Power(middle, n) <= kOne / 2 ? low : high) = middle;
  }
  return low;
}

// ---- evidence ---------------------------------------------------------------------------------

std::string GradeOf(const ScoringModel& model, int64_t fit, int64_t engagement) {
  auto place = [](const std::array<int64_t, 3>& bounds, int64_t points) {
    size_t i = 0;
    while (i < bounds.size() && points < bounds[i]) ++i;
    return i;
  };
  std::string grade = "A1";
  grade[0] = static_cast<char>('A' + place(model.fit_bounds, fit));
  grade[1] = static_cast<char>('1' + place(model.engagement_bounds, engagement));
  return grade;
}

// One touchpoint rule that has evidence, as the days pass.
class Fading {
 public:
  Fading(const Rule& rule, const Days& days) : rule_(&rule), days_(&days) {}

  const Rule& rule() const { return *rule_; }

  int64_t PointsOn(int64_t day) const {
    return Capped(*rule_->spec, UncappedPoints(*rule_, *days_, day));
  }

  // The first day after `day` on which the points are others; absent when that never comes. While
  // no new evidence comes of age the size of the points only shrinks, so that the day is found by
  // bisection.
  std::optional<int64_t> NextChange(int64_t day) const {
    int64_t now = PointsOn(day);
    while (true) {
      auto arrival = days_->upper_bound(day);
      bool arrives = arrival != days_->end();
      int64_t end = arrives ? arrival->first
                            : std::max(day, days_->rbegin()->first) +
                                  static_cast<int64_t>(rule_->decay.size());
      if (PointsOn(arrives ? end - 1 : end) != now) {
        int64_t same = day;
        int64_t other = arrives ? end - 1 : end;
        while (other - same > 1) {
          int64_t middle = same + (other - same) / 2;
          (PointsOn(middle) == now ? same : other) = middle;
        }
        return other;
      }
      if (!arrives) return std::nullopt;
      if (PointsOn(end) != now) return end;
      day = end;
    }
  }

 private:
  const Rule* rule_;
  const Days* days_;
};

// The points of a rule before its cap. A touchpoint rule with evidence is added to `fading`.
int64_t UncappedPointsNow(const Rule& rule, const FilterSubject& lead, const ScoreState& state,
                          Timestamp now, std::vector<Fading>& fading) {
  if (!rule.on_touchpoints) return Matches(rule.filter, lead, now) ? rule.spec->points : 0;
  const Days* days = scoring_internal::DaysOf(state, rule);
  if (days == nullptr) return 0;
  fading.emplace_back(rule, *days);
  return UncappedPoints(rule, *days, DayOf(now));
}

// `fixed` are the points that do not depend on the day.
std::optional<int64_t> NextChangeDay(const Tally& fixed, const std::vector<Fading>& fading,
                                     int64_t today) {
  auto sums_on = [&](int64_t day) {
    Tally tally = fixed;
    for (const Fading& rule : fading) tally.Add(rule.rule(), rule.PointsOn(day));
    return tally.Total();
  };
  Sums now = sums_on(today);
  int64_t day = today;
  while (true) {
    std::optional<int64_t> next;
    for (const Fading& rule : fading) {
      std::optional<int64_t> change = rule.NextChange(day);
      if (change.has_value() && (!next.has_value() || *change < *next)) next = change;
    }
    if (!next.has_value()) return std::nullopt;
    // Two rules of one dimension may cancel each other out on the day they both change, and a group
    // may stay at its cap.
    if (sums_on(*next) != now) return next;
    day = *next;
  }
}

// ---- models -----------------------------------------------------------------------------------

bool IsRuleId(std::string_view id) {
  if (id.empty() || id.size() > 63 || id[0] < 'a' || id[0] > 'z') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

template <class E>
FilterSchema SchemaWithout(const std::set<std::string_view>& paths) {
  FilterSchema all = SchemaOf<E>();
  FilterSchema rest;
  for (const auto& [path, field] : all.fields()) {
    if (paths.count(path) == 0) rest.Add(*field).IgnoreError();
  }
  return rest;
}

class ModelCheck {
 public:
  void Say(std::string field, std::string description) {
    violations_.push_back({std::move(field), std::move(description)});
  }

  void Range(std::string field, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most) {
      Say(std::move(field), Concat("must be ", least, " to ", most));
    }
  }

  void Bounds(const char* field, const std::array<int64_t, 3>& bounds) {
    if (bounds[0] <= bounds[1] || bounds[1] <= bounds[2]) Say(field, "must descend");
  }

  Filter Parse(const std::string& field, const std::string& text, const FilterSchema& schema) {
    FilterResult result = ParseFilter(text, schema);
    if (!result.ok()) {
      Say(field, result.error().ToString());
      return {};
    }
    if (result.filter().depends_on_now()) {
      Say(field, "must not depend on now(); the rule's window says how evidence ages");
    }
    return result.filter();
  }

  absl::Status status() {
    return violations_.empty() ? absl::OkStatus() : InvalidFields(std::move(violations_));
  }

 private:
  std::vector<FieldViolation> violations_;
};

}  // namespace

ScoreBand ScoringModel::band(int64_t score) const {
  const bool given = warm_points != 0 || ready_points != 0;
  const int64_t ready = given ? ready_points : threshold_points;
  const int64_t warm = given ? warm_points : (threshold_points + 1) / 2;
  if (score >= ready) return ScoreBand::kReady;
  return score >= warm ? ScoreBand::kWarm : ScoreBand::kCurious;
}

std::string ScoringModel::name() const { return Concat("scoringModels/", id); }

std::string ScoringModel::versioned_name() const { return Concat(name(), "@", revision); }

const FilterSchema& LeadRuleSchema() {
  static const auto* const kSchema = new FilterSchema(
      SchemaWithout<Lead>({"score", "fit_score", "engagement_score", "intent_score", "grade",
                           "score_band", "score_model", "next_score_time",
                           "milestones.marketing_qualified_time", "create_time", "update_time"}));
  return *kSchema;
}

const FilterSchema& TouchpointRuleSchema() {
  static const auto* const kSchema = new FilterSchema(SchemaWithout<Touchpoint>({"create_time"}));
  return *kSchema;
}

std::vector<int64_t> DecayTable(int64_t window_days, int64_t half_life_days) {
  std::vector<int64_t> table(static_cast<size_t>(window_days) + 1, kDecayUnit);
  if (half_life_days == 0) return table;
  // Rounding to the nearest drops 62 - 16 digits and looks at the first of them.
  constexpr int kDropped = kFractionBits - 16;
  uint64_t root = RootOfHalf(half_life_days);
  uint64_t fraction = kOne;
  for (size_t age = 0; age < table.size(); ++age) {
    // Whole half-lives are exact halvings, so that an error never grows beyond one of them.
    auto halvings = static_cast<int64_t>(age) / half_life_days;
    if (static_cast<int64_t>(age) % half_life_days == 0) fraction = kOne;
    uint64_t value = halvings < kFractionBits ? fraction >> halvings : 0;
    table[age] = static_cast<int64_t>((value + (uint64_t{1} << (kDropped - 1))) >> kDropped);
    fraction = Multiply(fraction, root);
  }
  return table;
}

absl::StatusOr<std::shared_ptr<const CompiledModel>> CompiledModel::Compile(ScoringModel model) {
  // No make_shared: the constructor is private.
  std::shared_ptr<CompiledModel> compiled(new CompiledModel(std::move(model)));
  const ScoringModel& spec = compiled->model_;
  ModelCheck check;
  if (spec.rules.empty() || spec.rules.size() > kMaxRules) {
    check.Say("rules", Concat("must hold 1 to ", kMaxRules, " rules"));
  }
  check.Bounds("grade_bounds.fit", spec.fit_bounds);
  check.Bounds("grade_bounds.engagement", spec.engagement_bounds);
  check.Range("threshold_points", spec.threshold_points, -kMaxBoundPoints, kMaxBoundPoints);
  if ((spec.warm_points != 0 || spec.ready_points != 0) && spec.warm_points >= spec.ready_points) {
    check.Say("band_bounds.warm", "must be below ready");
  }
  check.Range("band_bounds.warm", spec.warm_points, -kMaxBoundPoints, kMaxBoundPoints);
  check.Range("band_bounds.ready", spec.ready_points, -kMaxBoundPoints, kMaxBoundPoints);
  if (spec.groups.size() > kMaxGroups) {
    check.Say("groups", Concat("must hold at most ", kMaxGroups, " groups"));
  }
  std::map<std::string, int> groups;
  for (size_t i = 0; i < spec.groups.size(); ++i) {
    const std::string path = Concat("groups[", i, "].");
    if (!IsRuleId(spec.groups[i].id)) {
      check.Say(path + "group", "must be 1 to 63 lower-case letters, digits and underscores");
    } else if (!groups.emplace(spec.groups[i].id, static_cast<int>(i)).second) {
      check.Say(path + "group", "is used twice");
    }
    check.Range(path + "cap_points", spec.groups[i].cap_points, 1, kMaxRulePoints * kMaxRulePoints);
  }
  compiled->group_dimensions_.assign(spec.groups.size(), ScoreDimension::kUnspecified);
  std::set<std::string> ids;
  for (size_t i = 0; i < spec.rules.size(); ++i) {
    const ScoringRule& rule = spec.rules[i];
    std::string path = Concat("rules[", i, "].");
    if (!IsRuleId(rule.id)) {
      check.Say(path + "rule", "must be 1 to 63 lower-case letters, digits and underscores");
    } else if (!ids.insert(rule.id).second) {
      check.Say(path + "rule", "is used twice");
    }
    if (rule.dimension == ScoreDimension::kUnspecified) {
      check.Say(path + "dimension", "must be FIT, ENGAGEMENT or INTENT");
    }
    if (rule.points == 0) check.Say(path + "points", "must not be 0");
    check.Range(path + "points", rule.points, -kMaxRulePoints, kMaxRulePoints);
    check.Range(path + "cap_points", rule.cap_points, 0, kMaxRulePoints * kMaxRulePoints);
    const bool on_touchpoints = !rule.touchpoint_filter.empty();
    check.Range(path + "repeat_limit_per_day", rule.repeat_limit_per_day, 0, kMaxCountPerDay);
    check.Range(path + "window_days", rule.window_days, on_touchpoints ? 1 : 0, kMaxWindowDays);
    check.Range(path + "half_life_days", rule.half_life_days, 0, kMaxHalfLifeDays);
    int group = -1;
    if (!rule.group.empty()) {
      auto found = groups.find(rule.group);
      if (found == groups.end()) {
        check.Say(path + "group", "names no group of the model");
      } else {
        group = found->second;
        ScoreDimension& dimension = compiled->group_dimensions_[static_cast<size_t>(group)];
        if (dimension == ScoreDimension::kUnspecified) dimension = rule.dimension;
        if (dimension != rule.dimension) {
          check.Say(path + "dimension", "must be that of the other rules of its group");
        }
      }
    }
    if (on_touchpoints == !rule.lead_filter.empty()) {
      check.Say(path + "touchpoint_filter", "either it or lead_filter must be given, not both");
      continue;
    }
    Rule out{
        .spec = &rule, .on_touchpoints = on_touchpoints, .filter = {}, .decay = {}, .group = group};
    if (on_touchpoints) {
      out.filter =
          check.Parse(path + "touchpoint_filter", rule.touchpoint_filter, TouchpointRuleSchema());
      if (rule.window_days >= 1 && rule.window_days <= kMaxWindowDays && rule.half_life_days >= 0 &&
          rule.half_life_days <= kMaxHalfLifeDays) {
        out.decay = DecayTable(rule.window_days, rule.half_life_days);
      }
    } else {
      out.filter = check.Parse(path + "lead_filter", rule.lead_filter, LeadRuleSchema());
      if (rule.repeat_limit_per_day != 0 || rule.window_days != 0 || rule.half_life_days != 0) {
        check.Say(path + "window_days", "a rule on the lead has no window, decay or repeat limit");
      }
    }
    compiled->rules_.push_back(std::move(out));
  }
  for (size_t i = 0; i < spec.groups.size(); ++i) {
    const std::string& id = spec.groups[i].id;
    if (std::none_of(spec.rules.begin(), spec.rules.end(),
                     [&](const ScoringRule& rule) { return rule.group == id; })) {
      check.Say(Concat("groups[", i, "].group"), "has no rule");
    }
  }
  RETURN_IF_ERROR(check.status());
  compiled->versioned_name_ = spec.versioned_name();
  return compiled;
}

std::string ScoreState::Format() const {
  std::string text;
  for (const auto& [rule, days] : counts) {
    Append(text, text.empty() ? "" : ";", rule);
    char separator[] = "=";
    for (const auto& [day, count] : days) {
      Append(text, static_cast<const char*>(separator), day, ":", count);
      separator[0] = ',';
    }
  }
  return text;
}

absl::StatusOr<ScoreState> ScoreState::Parse(std::string_view text) {
  ScoreState state;
  auto next = [](std::string_view& rest, char end) {
    size_t at = rest.find(end);
    std::string_view piece = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
    return piece;
  };
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view days = next(rest, ';');
    std::string_view rule = next(days, '=');
    Days& counts = state.counts[std::string(rule)];
    while (!days.empty()) {
      std::string_view count = next(days, ',');
      std::string_view day = next(count, ':');
      int64_t day_number = 0;
      int64_t number = 0;
      if (absl::SimpleAtoi(ToAbsl(day), &day_number) && absl::SimpleAtoi(ToAbsl(count), &number)) {
        counts[day_number] = std::clamp<int64_t>(number, 0, kMaxCountPerDay);
      }
    }
  }
  // The canonical spelling is the whole of the grammar: what does not come back the same is
  // damaged.
  for (const auto& [rule, days] : state.counts) {
    bool counted = std::all_of(days.begin(), days.end(), [](auto& day) { return day.second > 0; });
    if (days.empty() || !counted || !IsRuleId(rule)) return InternalFault("damaged score_state");
  }
  if (state.Format() != text) return InternalFault("damaged score_state");
  return state;
}

void AddTouchpoint(const CompiledModel& model, const Touchpoint& touchpoint, ScoreState& state) {
  EntitySubject<Touchpoint> subject(touchpoint);
  for (const CompiledModel::Rule& rule : model.rules()) {
    if (!rule.on_touchpoints || !Matches(rule.filter, subject, touchpoint.occur_time)) continue;
    int64_t limit = rule.spec->repeat_limit_per_day;
    if (limit == 0) limit = kMaxCountPerDay;
    int64_t& count = state.counts[rule.spec->id][DayOf(touchpoint.occur_time)];
    count = std::min(count + 1, limit);
  }
}

ScoreState EvidenceOf(const CompiledModel& model, absl::Span<const Touchpoint> touchpoints,
                      Timestamp now) {
  ScoreState state;
  for (const Touchpoint& touchpoint : touchpoints) AddTouchpoint(model, touchpoint, state);
  Prune(model, now, state);
  return state;
}

void Prune(const CompiledModel& model, Timestamp now, ScoreState& state) {
  const absl::Span<const Rule> rules = model.rules();
  for (auto it = state.counts.begin(); it != state.counts.end();) {
    auto rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& known) {
      return known.on_touchpoints && known.spec->id == it->first;
    });
    int64_t window = rule == rules.end() ? kMaxWindowDays : rule->spec->window_days;
    it->second.erase(it->second.begin(), it->second.lower_bound(DayOf(now) - window));
    it = it->second.empty() ? state.counts.erase(it) : std::next(it);
  }
}

namespace {

// What a lead shows of its score.
struct Shown {
  int64_t score = 0;
  std::string grade;
  ScoreBand band = ScoreBand::kUnspecified;
  bool marketing_qualified = false;
  std::optional<Timestamp> next_score_time;
};
Shown ShownOf(const CompiledModel& model, const Sums& sums, const Tally& fixed,
              const std::vector<Fading>& fading, Timestamp now) {
  const ScoringModel& spec = model.model();
  Shown shown;
  shown.score = sums.total();
  shown.grade = GradeOf(spec, sums.fit, sums.engagement + sums.intent);
  shown.band = spec.band(shown.score);
  shown.marketing_qualified = shown.score >= spec.threshold_points;
  // Rules on the lead do not depend on time, so that only evidence can move the sums.
  if (std::optional<int64_t> day = NextChangeDay(fixed, fading, DayOf(now))) {
    shown.next_score_time = Timestamp{*day * kMicrosPerDay};
  }
  return shown;
}

}  // namespace

ScoreBreakdown Evaluate(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                        Timestamp now) {
  const int64_t today = DayOf(now);
  ScoreBreakdown result;
  Tally tally(model);
  Tally fixed(model);
  std::vector<Fading> fading;
  EntitySubject<Lead> subject(lead);
  for (const Rule& rule : model.rules()) {
    ScorePart part{.rule = rule.spec, .evidence = {}};
    part.uncapped_points = UncappedPointsNow(rule, subject, state, now, fading);
    if (const Days* days = rule.on_touchpoints ? scoring_internal::DaysOf(state, rule) : nullptr) {
      for (auto it = days->rbegin(); it != days->rend(); ++it) {
        int64_t worth = it->second * WorthAt(rule, today - it->first);
        if (worth == 0) continue;
        part.evidence.push_back({it->first, it->second, rule.spec->points * worth / kDecayUnit});
      }
    }
    part.points = Capped(*rule.spec, part.uncapped_points);
    tally.Add(rule, part.points);
    if (!rule.on_touchpoints) fixed.Add(rule, part.points);
    if (part.points == 0) {
      result.missed.push_back({rule.spec});
    } else {
      result.parts.push_back(std::move(part));
    }
  }
  std::sort(result.parts.begin(), result.parts.end(), [](const ScorePart& a, const ScorePart& b) {
    int64_t left = std::abs(a.points);
    int64_t right = std::abs(b.points);
    return left != right ? left > right : a.rule->id < b.rule->id;
  });
  std::sort(result.missed.begin(), result.missed.end(),
            [](const MissedRule& a, const MissedRule& b) {
              return a.rule->points != b.rule->points ? a.rule->points > b.rule->points
                                                      : a.rule->id < b.rule->id;
            });
  const Sums sums = tally.Total();
  Shown shown = ShownOf(model, sums, fixed, fading, now);
  result.cuts = tally.Cuts();
  result.fit_score = sums.fit;
  result.engagement_score = sums.engagement;
  result.intent_score = sums.intent;
  result.score = shown.score;
  result.grade = std::move(shown.grade);
  result.band = shown.band;
  result.marketing_qualified = shown.marketing_qualified;
  result.missing_points = std::max<int64_t>(0, model.model().threshold_points - result.score);
  result.next_score_time = shown.next_score_time;
  return result;
}

int64_t ScoreAt(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                Timestamp now) {
  Tally tally(model);
  std::vector<Fading> fading;
  EntitySubject<Lead> subject(lead);
  for (const Rule& rule : model.rules()) {
    tally.Add(rule, Capped(*rule.spec, UncappedPointsNow(rule, subject, state, now, fading)));
  }
  return tally.Total().total();
}

absl::Status Rescore(Lead& lead, const CompiledModel& model, Timestamp now) {
  ASSIGN_OR_RETURN(ScoreState state, ScoreState::Parse(lead.score_state));
  Prune(model, now, state);
  // As Evaluate, without the parts that explain it.
  Tally tally(model);
  Tally fixed(model);
  std::vector<Fading> fading;
  EntitySubject<Lead> subject(lead);
  for (const Rule& rule : model.rules()) {
    const int64_t points = Capped(*rule.spec, UncappedPointsNow(rule, subject, state, now, fading));
    tally.Add(rule, points);
    if (!rule.on_touchpoints) fixed.Add(rule, points);
  }
  const Sums sums = tally.Total();
  Shown shown = ShownOf(model, sums, fixed, fading, now);
  lead.score = shown.score;
  lead.fit_score = sums.fit;
  lead.engagement_score = sums.engagement;
  lead.intent_score = sums.intent;
  lead.grade = std::move(shown.grade);
  lead.score_band = shown.band;
  lead.score_model = model.versioned_name();
  lead.score_state = state.Format();
  lead.next_score_time = shown.next_score_time;
  if (shown.marketing_qualified && !lead.milestones.marketing_qualified_time.has_value()) {
    lead.milestones.marketing_qualified_time = now;
  }
  return absl::OkStatus();
}

void NoteTouchpoint(Lead& lead, const Touchpoint& touchpoint) {
  ++lead.counters.touchpoints;
  std::optional<Timestamp>& last = lead.milestones.last_touch_time;
  last = last.has_value() ? std::max(*last, touchpoint.occur_time) : touchpoint.occur_time;
  switch (touchpoint.kind) {
    case TouchpointKind::kCall:
    case TouchpointKind::kMeeting:
    case TouchpointKind::kChat:
    case TouchpointKind::kEmailSent: {
      std::optional<Timestamp>& first = lead.milestones.first_contacted_time;
      first = first.has_value() ? std::min(*first, touchpoint.occur_time) : touchpoint.occur_time;
      break;
    }
    default:
      break;
  }
}

absl::Status ApplyTouchpoint(Lead& lead, const Touchpoint& touchpoint, const CompiledModel& model,
                             Timestamp now) {
  ASSIGN_OR_RETURN(ScoreState state, ScoreState::Parse(lead.score_state));
  AddTouchpoint(model, touchpoint, state);
  Prune(model, now, state);
  lead.score_state = state.Format();
  NoteTouchpoint(lead, touchpoint);
  return absl::OkStatus();
}

bool BandChanged(const Lead& before, const Lead& after, const CompiledModel& model) {
  int64_t threshold = model.model().threshold_points;
  return before.grade != after.grade || before.score_band != after.score_band ||
         (before.score >= threshold) != (after.score >= threshold);
}

}  // namespace relais::domain
