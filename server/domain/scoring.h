// Scoring: points from what a lead is and from what it did, in integers only, so that a score is
// the same on every machine and at every replay.
//
// A rule looks at the lead (counts once while its filter matches) or at touchpoints (counts each
// that matches). Evidence ages in whole UTC days: a touchpoint of day d is worth points x D[today -
// d] with D in 1/65536. D[0] is 65536 and D[n x half-life] exactly 65536 / 2^n; between them D[age]
// is 65536 x 2^(-age / half-life), computed at 62 binary digits and rounded to the nearest. Without
// a half-life D is 65536 up to the end of the window; past the window it is 0. The products of a
// rule are added exactly, the sum is divided by 65536 toward zero, then held within the cap. Rules
// of one group are added and held within the group's cap together. The score is the sum of the
// rules that stand alone and of the groups, and may be negative.
//
// A score is a function of the model's revision, the lead's fields, the touchpoints recorded and
// the day. When the revision that a lead is judged by becomes another, its score_state is counted
// anew from its touchpoints (EvidenceOf), so that it never depends on the way.
//
// A worked example, computed by hand and kept true by a test (tests/domain/worked_example_test.cc):
// server/domain/docs/worked_example.md.
//
// What the write path needs of past touchpoints is the lead's score_state: per rule and day, how
// many counted. It is bounded by the windows; its text is canonical: equal states, equal texts.
//
// Pure; a CompiledModel is immutable and safe to share between threads.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/filter.h"
#include "server/domain/filter_schema.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/value.h"

namespace relais::domain {

// Limits of a model. The window is the contract's; the others keep every sum far inside 64 bits:
// 10^4 points x 10^6 touchpoints a day x 65536 x 401 days < 2^62.
inline constexpr int64_t kMaxWindowDays = 400;
inline constexpr int64_t kMaxHalfLifeDays = 4000;
inline constexpr int64_t kMaxRulePoints = 10'000;
inline constexpr int64_t kMaxCountPerDay = 1'000'000;  // further ones of that day do not count
inline constexpr size_t kMaxRules = 200;
inline constexpr size_t kMaxGroups = 50;
inline constexpr int64_t kMaxBoundPoints = 1'000'000'000;
inline constexpr int64_t kDecayUnit = 65'536;

struct ScoringRule {
  std::string id;  // lower_snake, unique in the model
  ScoreDimension dimension = ScoreDimension::kUnspecified;
  std::string description;
  std::string lead_filter;  // exactly one of the two
  std::string touchpoint_filter;
  int64_t points = 0;
  int64_t cap_points = 0;            // 0: no cap
  int64_t repeat_limit_per_day = 0;  // 0: no limit; touchpoint rules only, like the two below
  int64_t window_days = 0;           // 1 to 400
  int64_t half_life_days = 0;        // 0: no decay
  std::string group = {};            // id of a group of the model; empty: stands alone
};

// Rules that say the same thing in several ways, whose points together stay within a cap. They look
// at one dimension.
struct ScoringGroup {
  std::string id;  // lower_snake, unique among the groups of the model
  std::string description;
  int64_t cap_points = 0;  // at least 1: the sum of its rules never passes this in size
};

struct ScoringModel {
  std::string id;  // "b2b"
  std::string display_name;
  Market market = Market::kUnspecified;
  int64_t revision = 1;
  std::vector<ScoringRule> rules;
  int64_t threshold_points = 0;
  std::array<int64_t, 3> fit_bounds{};         // least points for A, B, C; descending
  std::array<int64_t, 3> engagement_bounds{};  // least engagement + intent for 1, 2, 3
  bool built_in = false;
  std::vector<ScoringGroup> groups = {};
  // Least points for WARM and READY. Both 0: half the threshold, rounded up, and the threshold.
  int64_t warm_points = 0, ready_points = 0;

  ScoreBand band(int64_t score) const;
  std::string name() const;            // "scoringModels/b2b"
  std::string versioned_name() const;  // "scoringModels/b2b@1"
};

// What a rule's filter may name. The lead's: all filterable fields but those that scoring itself or
// the keeping of the lead writes (score, its parts, grade, model, times of record). Neither may
// depend on now(): windows say how evidence ages.
const FilterSchema& LeadRuleSchema();
const FilterSchema& TouchpointRuleSchema();

// D[0..window] of a rule; the definition is above.
std::vector<int64_t> DecayTable(int64_t window_days, int64_t half_life_days);

class CompiledModel {
 public:
  struct Rule {
    const ScoringRule* spec;  // inside model()
    bool on_touchpoints;
    Filter filter;
    std::vector<int64_t> decay;  // touchpoint rules: index is the age in days
    int group = -1;              // index into model().groups; -1: stands alone
  };

  // INVALID_ARGUMENT with every violation ("rules[2].touchpoint_filter", ...).
  static absl::StatusOr<std::shared_ptr<const CompiledModel>> Compile(ScoringModel model);

  CompiledModel(const CompiledModel&) = delete;
  CompiledModel& operator=(const CompiledModel&) = delete;

  const ScoringModel& model() const { return model_; }
  absl::Span<const Rule> rules() const { return rules_; }
  // The dimension of each of model().groups.
  absl::Span<const ScoreDimension> group_dimensions() const { return group_dimensions_; }
  const std::string& versioned_name() const { return versioned_name_; }

 private:
  explicit CompiledModel(ScoringModel model) : model_(std::move(model)) {}

  ScoringModel model_;
  std::vector<Rule> rules_;
  std::vector<ScoreDimension> group_dimensions_;
  std::string versioned_name_;
};

// Rule -> day -> how many counted. No empty rules and no counts of 0.
struct ScoreState {
  std::map<std::string, std::map<int64_t, int64_t>, std::less<>> counts;
  friend bool operator==(const ScoreState&, const ScoreState&) = default;

  // "demo_request=20474:1,20480:2;page_view=20470:5"; empty when there is nothing.
  std::string Format() const;
  // INTERNAL when the text is not one that Format makes.
  static absl::StatusOr<ScoreState> Parse(std::string_view text);
};

// Counts a touchpoint under every rule that it matches, within repeat limits.
void AddTouchpoint(const CompiledModel& model, const Touchpoint& touchpoint, ScoreState& state);

// The evidence of touchpoints under a model, as if they had been added one by one: their order does
// not matter. Pruned at `now`.
ScoreState EvidenceOf(const CompiledModel& model, absl::Span<const Touchpoint> touchpoints,
                      Timestamp now);

// Drops what can count no more at or after `now` under any model: days beyond kMaxWindowDays, and
// beyond the window of a rule that the model knows. Rules that the model does not know stay, so
// that a lead that changes its market and back loses nothing.
void Prune(const CompiledModel& model, Timestamp now, ScoreState& state);

struct ScoreEvidence {
  int64_t day = 0;
  int64_t count = 0;
  int64_t points = 0;  // of that day alone, before the cap, rounded toward zero
};

struct ScorePart {
  const ScoringRule* rule = nullptr;  // lives as long as the model
  int64_t points = 0;                 // after cap and decay; never 0
  int64_t uncapped_points = 0;
  std::vector<ScoreEvidence> evidence;  // the latest day first; empty for rules on the lead
};

struct MissedRule {
  const ScoringRule* rule = nullptr;  // gave 0 points
};

// What the cap of a group took away.
struct GroupCut {
  const ScoringGroup* group = nullptr;
  int64_t uncapped_points = 0;  // of its rules together
  int64_t points = 0;           // to be added to theirs: the cap less the sum, never 0
};

struct ScoreBreakdown {
  std::vector<ScorePart> parts;    // the weightiest first (by size), ties by rule id
  std::vector<MissedRule> missed;  // the most points first, ties by rule id
  int64_t score = 0, fit_score = 0, engagement_score = 0, intent_score = 0;
  std::vector<GroupCut> cuts = {};  // in the order of the model's groups
  std::string grade;                // "A1"
  ScoreBand band = ScoreBand::kUnspecified;
  bool marketing_qualified = false;
  int64_t missing_points = 0;  // to the threshold; 0 when it is reached
  // Midnight UTC of the first day after today on which the score, a part of it or the grade is
  // another by the passing of time alone; absent when that never comes.
  std::optional<Timestamp> next_score_time;
};

// The score at `now`. Evidence of days after today does not count yet.
ScoreBreakdown Evaluate(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                        Timestamp now);

// The score alone.
int64_t ScoreAt(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                Timestamp now);

// Writes the score fields, grade, band, score_model, score_state (pruned), next_score_time and, at
// the first crossing of the threshold, milestones.marketing_qualified_time = now. INTERNAL when the
// lead's score_state is damaged; the lead is then unchanged.
absl::Status Rescore(Lead& lead, const CompiledModel& model, Timestamp now);

// What a touchpoint leaves on its lead beside evidence: counter, last_touch_time (the latest),
// first_contacted_time (the earliest call, meeting, chat or e-mail sent).
void NoteTouchpoint(Lead& lead, const Touchpoint& touchpoint);

// NoteTouchpoint and its evidence in score_state. Rescore comes
// after it, once for all touchpoints of a step. INTERNAL as above.
absl::Status ApplyTouchpoint(Lead& lead, const Touchpoint& touchpoint, const CompiledModel& model,
                             Timestamp now);

// Whether a refresh by time alone deserves an event: another grade or band, or the other side of
// the threshold.
bool BandChanged(const Lead& before, const Lead& after, const CompiledModel& model);

}  // namespace relais::domain
