// A lead's past, read from the log.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/domain/event.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/replay.h"
#include "server/domain/value.h"
#include "storage/store.h"

namespace relais::services {

// Everything recorded about a lead at or before `read_time`, in order. `types` empty: all types.
// The touchpoints of leads that it stood for then are among them, as its own.
absl::StatusOr<std::vector<domain::Event>> EventsOf(storage::ReadTxn& txn,
                                                    const domain::LeadId& lead,
                                                    domain::Timestamp read_time,
                                                    std::vector<domain::EventType> types = {});

// The lead that stood for `lead` at `read_time`, now when it is absent: itself unless it was
// merged. NOT_FOUND now when there is no such lead.
absl::StatusOr<domain::LeadId> StandingAsOf(storage::ReadTxn& txn, const domain::LeadId& lead,
                                            std::optional<domain::Timestamp> read_time);

// The types of event that change the lead itself.
std::vector<domain::EventType> LeadEventTypes();

// The lead as it was recorded at `read_time`, in place of one that was merged by then the one that
// stood for it, with the etag and the next_score_time it had.
// NOT_FOUND when it had not been made by then.
absl::StatusOr<domain::Lead> LeadAsOf(storage::ReadTxn& txn, const domain::LeadId& lead,
                                      domain::Timestamp read_time);

// The score at `read_time` under `judge`, or under the model that was the lead's then. The model
// lives as long as the transaction's configuration, which `config` keeps.
struct PastScore {
  const domain::CompiledModel* model = nullptr;
  domain::ReplayedScore score;
};
absl::StatusOr<PastScore> ScoreAsOf(const domain::Config& config, const domain::LeadId& lead,
                                    absl::Span<const domain::Event> events,
                                    domain::Timestamp read_time,
                                    const domain::CompiledModel* judge = nullptr);

// The model that a lead was judged by last; that of its market when it never was.
const domain::CompiledModel& ModelOf(const domain::Config& config, const domain::Lead& lead);

// The touchpoints that events tell, in the order in which they were recorded.
std::vector<domain::Touchpoint> TouchpointsIn(absl::Span<const domain::Event> events);

}  // namespace relais::services
