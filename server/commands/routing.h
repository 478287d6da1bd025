// Finding somebody for a lead, inside a unit whose keys name the rotation.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "server/domain/handoff.h"
#include "server/domain/lead.h"
#include "server/domain/routing.h"
#include "storage/store.h"

namespace relais::commands {

// Decides within `team`, or by the tenant's rules when it is empty, and keeps the turn that was
// taken. Errors as domain::Route; then no turn is taken.
absl::StatusOr<domain::RoutingDecision> TakeRoute(storage::WriteTxn& tx, const domain::Lead& lead,
                                                  const std::string& team,
                                                  const std::set<std::string>& excluded);

// The calendar and working time of a user: their own calendar, else that of the first of their
// teams that has one, else the usual week in their time zone; their absences taken out. Needs
// Keys::Directory or Keys::Rotation.
absl::StatusOr<domain::Desk> DeskOf(storage::WriteTxn& tx, const std::string& user_name);

}  // namespace relais::commands
