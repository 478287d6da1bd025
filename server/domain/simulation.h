// A scoring model tried on history: who would have crossed its threshold and when, and what that
// says of what was won later, beside the model in force.
//
// History is walked in the order in which things happened (occur_time), not in which they were
// recorded, so that an imported past counts as it was. Nothing is known before it happened: a lead
// is judged at each moment by its fields and touchpoints up to that moment, and what comes after
// its first win says nothing of how well the win was foretold.
//
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/event.h"
#include "server/domain/ids.h"
#include "server/domain/scoring.h"
#include "server/domain/value.h"

namespace relais::domain {

// One lead under one model, up to its first win.
struct SimulatedScore {
  std::optional<Timestamp> cross_time;  // the first moment at or above the threshold
  int64_t peak = 0;                     // the greatest score
};
struct SimulatedLead {
  bool exists = false;                   // before the end of history
  Market market = Market::kUnspecified;  // as it is at the end; kUnspecified counts as B2C
  std::optional<Timestamp> won_time;     // of the first opportunity that was won
  SimulatedScore candidate, active;
};

// `events` are all events of the lead, in any order. `until` is the end of history.
SimulatedLead Simulate(const CompiledModel& candidate, const CompiledModel& active,
                       const LeadId& lead, absl::Span<const Event> events, Timestamp until);

// Leads of like peak, and what became of them.
struct SimulatedGroup {
  int64_t min_points = 0, max_points = 0;
  int64_t leads = 0, won = 0;
  // won / leads over the same of all leads, in basis points (10,000: as all); absent when nothing
  // was won at all.
  std::optional<int64_t> lift_bp;
};
struct SimulatedBand {
  ScoreBand band = ScoreBand::kUnspecified;  // of the peak
  int64_t leads = 0, won = 0;
};

struct SimulatedFigures {
  int64_t crossed = 0;                  // leads that reached the threshold before they were won
  int64_t crossed_and_won = 0;          // and were won later
  std::optional<int64_t> precision_bp;  // crossed_and_won / crossed; absent when nobody crossed
  std::optional<int64_t> recall_bp;     // crossed_and_won / won; absent when nothing was won
  std::optional<int64_t> median_days;   // whole days from crossing to win; absent without any
  std::vector<SimulatedGroup> deciles;  // the tenth with the greatest peaks first; at most 10
  std::array<SimulatedBand, 3> bands;   // READY, WARM, CURIOUS
};
struct SimulationResult {
  int64_t leads = 0, won = 0;
  SimulatedFigures candidate, active;
};

// Collects leads, one by one; about 50 bytes each.
class Simulation {
 public:
  Simulation(const ScoringModel& candidate, const ScoringModel& active)
      : candidate_(candidate), active_(active) {}
  // Leads of another market than the candidate's, and those that did not exist yet, are passed
  // over; answers whether it counts.
  bool Add(const SimulatedLead& lead);
  SimulationResult Result() const;

 private:
  struct Entry {
    int64_t peak = 0;
    bool crossed = false, won = false;
    int64_t days = 0;  // from crossing to win
  };
  static SimulatedFigures FiguresOf(const ScoringModel& model, std::vector<Entry> entries,
                                    int64_t won);

  const ScoringModel candidate_, active_;
  std::vector<Entry> candidates_, actives_;
  int64_t won_ = 0;
};

}  // namespace relais::domain
