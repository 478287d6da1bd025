// What lies behind a score beyond the rules that counted: which ones nearly did, and what would
// lift the lead over the threshold.
//
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/history.h"
#include "server/domain/scoring.h"

namespace relais::domain {

// Why a rule that gave nothing was close. Exactly one of the two is set.
struct NearMiss {
  std::string unmet_condition;      // the only condition of its filter that does not hold
  std::optional<int64_t> last_day;  // of its latest evidence, which has aged away
  std::string reason;               // in words
};

// One match more that would raise the score.
struct ScoreLift {
  const ScoringRule* rule = nullptr;  // lives as long as the model
  int64_t points = 0;                 // more than 0
  bool reaches_threshold = false;     // by itself
};

struct ScoreOutlook {
  std::map<std::string, NearMiss, std::less<>> near;  // by rule
  std::vector<ScoreLift> lifts;                       // the greatest first, ties by rule
  // Rules whose matches together reach the threshold, taken greedily; a rule may come several
  // times. Empty when it is reached, or cannot be in kMaxLiftSteps steps.
  std::vector<const ScoringRule*> path;
};
inline constexpr size_t kMaxLiftSteps = 20;

// `touchpoints` are those known at `now`; `state` is their evidence.
ScoreOutlook OutlookOf(const CompiledModel& model, const Lead& lead, const ScoreState& state,
                       absl::Span<const Touchpoint> touchpoints, Timestamp now);

}  // namespace relais::domain
