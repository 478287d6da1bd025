#include "server/domain/simulation.h"

#include <algorithm>
#include <utility>

#include "server/domain/replay.h"

namespace relais::domain {
namespace {

constexpr int64_t kWhole = 10'000;  // basis points
constexpr size_t kGroups = 10;

Market Effective(Market market) { return market == Market::kUnspecified ? Market::kB2c : market; }

// One model, walking along with a lead.
class Walk {
 public:
  explicit Walk(const CompiledModel& model) : model_(model) {
    // Only what costs points can raise a score by fading.
    for (const CompiledModel::Rule& rule : model.rules()) {
      rises_ |= rule.on_touchpoints && rule.spec->points < 0;
    }
  }

  void Touch(const Touchpoint& touchpoint) { AddTouchpoint(model_, touchpoint, state_); }

  void Score(const Lead& lead, Timestamp at) { Note(ScoreAt(model_, lead, state_, at), at); }

  // The time from `at` on, in which nothing happens, up to `until`.
  void Pass(const Lead& lead, Timestamp at, Timestamp until) {
    if (!rises_ || result_.cross_time.has_value()) return;
    while (true) {
      const std::optional<Timestamp> next = Evaluate(model_, lead, state_, at).next_score_time;
      if (!next.has_value() || *next >= until) return;
      at = *next;
      Score(lead, at);
    }
  }

  SimulatedScore result() const { return result_; }

 private:
  void Note(int64_t score, Timestamp at) {
    if (!seen_ || score > result_.peak) result_.peak = score;
    seen_ = true;
    if (!result_.cross_time.has_value() && score >= model_.model().threshold_points) {
      result_.cross_time = at;
    }
  }

  const CompiledModel& model_;
  bool rises_ = false;
  bool seen_ = false;
  ScoreState state_;
  SimulatedScore result_;
};

bool IsWin(const Event& event) {
  if (event.type != EventType::kOpportunityClosed) return false;
  return std::any_of(event.changes.begin(), event.changes.end(), [](const FieldChange& change) {
    return change.path == "state" && change.after.if_int() != nullptr &&
           *change.after.if_int() == static_cast<int64_t>(OpportunityState::kWon);
  });
}

std::optional<int64_t> Share(int64_t part, int64_t of) {
  if (of == 0) return std::nullopt;
  return part * kWhole / of;
}

}  // namespace

SimulatedLead Simulate(const CompiledModel& candidate, const CompiledModel& active,
                       const LeadId& lead, absl::Span<const Event> events, Timestamp until) {
  std::vector<const Event*> order;
  order.reserve(events.size());
  for (const Event& event : events) order.push_back(&event);
  std::stable_sort(order.begin(), order.end(), [](const Event* a, const Event* b) {
    return a->occur_time != b->occur_time ? a->occur_time < b->occur_time : a->number < b->number;
  });

  SimulatedLead result;
  for (const Event* event : order) {
    if (IsWin(*event)) {
      result.won_time = event->occur_time;
      break;
    }
  }
  const Timestamp end = result.won_time.value_or(until);
  Walk walks[] = {Walk(candidate), Walk(active)};
  const std::string name = NameOf(lead);
  Lead state;
  state.id = lead;
  bool begun = false;
  for (size_t i = 0; i < order.size();) {
    const Timestamp at = order[i]->occur_time;
    const bool counts = at < end || !result.won_time.has_value();
    // What happened at one moment is one step.
    for (; i < order.size() && order[i]->occur_time == at; ++i) {
      const Event& event = *order[i];
      if (event.type == EventType::kTouchpointRecorded) {
        if (!counts) continue;
        Touchpoint touchpoint;
        Apply<Touchpoint>(event.changes, touchpoint);
        touchpoint.lead = lead;
        for (Walk& walk : walks) walk.Touch(touchpoint);
      } else if (event.subject == name && ChangesLead(event.type)) {
        Apply<Lead>(event.changes, state);
        begun = true;
      }
    }
    if (!begun || !counts) continue;
    const Timestamp next = i < order.size() ? std::min(order[i]->occur_time, end) : end;
    for (Walk& walk : walks) {
      walk.Score(state, at);
      walk.Pass(state, at, next);
    }
  }
  result.exists = begun;
  result.market = state.market;
  result.candidate = walks[0].result();
  result.active = walks[1].result();
  return result;
}

bool Simulation::Add(const SimulatedLead& lead) {
  if (!lead.exists || Effective(lead.market) != Effective(candidate_.market)) return false;
  auto entry = [&](const SimulatedScore& score) {
    Entry out;
    out.peak = score.peak;
    out.crossed = score.cross_time.has_value();
    out.won = lead.won_time.has_value();
    if (out.crossed && out.won) out.days = DayOf(*lead.won_time) - DayOf(*score.cross_time);
    return out;
  };
  candidates_.push_back(entry(lead.candidate));
  actives_.push_back(entry(lead.active));
  if (lead.won_time.has_value()) ++won_;
  return true;
}

SimulatedFigures Simulation::FiguresOf(const ScoringModel& model, std::vector<Entry> entries,
                                       int64_t won) {
  SimulatedFigures figures;
  figures.bands = {SimulatedBand{ScoreBand::kReady}, SimulatedBand{ScoreBand::kWarm},
                   SimulatedBand{ScoreBand::kCurious}};
  std::vector<int64_t> days;
  for (const Entry& entry : entries) {
    if (entry.crossed) ++figures.crossed;
    if (entry.crossed && entry.won) {
      ++figures.crossed_and_won;
      days.push_back(entry.days);
    }
    for (SimulatedBand& band : figures.bands) {
      if (band.band != model.band(entry.peak)) continue;
      ++band.leads;
      if (entry.won) ++band.won;
    }
  }
  figures.precision_bp = Share(figures.crossed_and_won, figures.crossed);
  figures.recall_bp = Share(figures.crossed_and_won, won);
  if (!days.empty()) {
    auto middle = days.begin() + static_cast<int64_t>((days.size() - 1) / 2);
    std::nth_element(days.begin(), middle, days.end());
    figures.median_days = *middle;
  }

  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.peak != b.peak ? a.peak > b.peak : a.won && !b.won;
  });
  // Equal peaks are told apart by nothing: wins are spread evenly over those of one peak, or the
  // order of the sort would flatter the upper tenth.
  for (size_t from = 0; from < entries.size();) {
    size_t to = from;
    size_t wins = 0;
    for (; to < entries.size() && entries[to].peak == entries[from].peak; ++to) {
      if (entries[to].won) ++wins;
    }
    const size_t count = to - from;
    for (size_t i = 0; i < count; ++i) {
      entries[from + i].won = (i + 1) * wins / count > i * wins / count;
    }
    from = to;
  }
  for (size_t group = 0; group < kGroups; ++group) {
    const size_t from = entries.size() * group / kGroups;
    const size_t to = entries.size() * (group + 1) / kGroups;
    if (from == to) continue;
    SimulatedGroup out;
    out.max_points = entries[from].peak;
    out.min_points = entries[to - 1].peak;
    out.leads = static_cast<int64_t>(to - from);
    out.won = std::count_if(entries.begin() + static_cast<int64_t>(from),
                            entries.begin() + static_cast<int64_t>(to),
                            [](const Entry& entry) { return entry.won; });
    out.lift_bp = Share(out.won * static_cast<int64_t>(entries.size()), out.leads * won);
    figures.deciles.push_back(out);
  }
  return figures;
}

SimulationResult Simulation::Result() const {
  SimulationResult result;
  result.leads = static_cast<int64_t>(candidates_.size());
  result.won = won_;
  result.candidate = FiguresOf(candidate_, candidates_, won_);
  result.active = FiguresOf(active_, actives_, won_);
  return result;
}

}  // namespace relais::domain
