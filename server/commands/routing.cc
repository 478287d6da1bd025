#include "server/commands/routing.h"

#include <utility>
#include <vector>

#include "server/commands/once.h"

namespace relais::commands {

absl::StatusOr<domain::RoutingDecision> TakeRoute(storage::WriteTxn& tx, const domain::Lead& lead,
                                                  const std::string& team,
                                                  const std::set<std::string>& excluded) {
  ASSIGN_OR_RETURN(domain::Rotation rotation, tx.FindRotation());
  ASSIGN_OR_RETURN(std::vector<domain::Colleague> colleagues, tx.Colleagues());
  ASSIGN_OR_RETURN(
      domain::RoutingDecision decision,
      team.empty()
          ? domain::Route(tx.config().routing_rules, lead, colleagues, excluded, tx.now(), rotation)
          : domain::RouteWithin(team, lead, colleagues, excluded, tx.now(), rotation));
  RETURN_IF_ERROR(tx.KeepRotation(rotation));
  return decision;
}

absl::StatusOr<domain::Desk> DeskOf(storage::WriteTxn& tx, const std::string& user_name) {
  domain::Desk desk{.owner = user_name, .calendar = {}};
  auto id = domain::ParseName<domain::UserTag>(user_name);
  const domain::User* user = nullptr;
  if (id.has_value()) {
    ASSIGN_OR_RETURN(std::vector<domain::Colleague> colleagues, tx.Colleagues());
    for (const domain::Colleague& colleague : colleagues) {
      if (colleague.user->id == *id) user = colleague.user;
    }
  }
  if (user == nullptr) return desk;  // archived since: the usual week
  desk.calendar = user->calendar;
  for (const std::string& team_name : user->teams) {
    if (!desk.calendar.empty()) break;
    auto team_id = domain::ParseName<domain::TeamTag>(team_name);
    if (!team_id.has_value()) continue;
    ASSIGN_OR_RETURN(const domain::Team* team, tx.FindTeam(*team_id));
    if (team != nullptr) desk.calendar = team->calendar;
  }
  desk.working_time = domain::WorkingTime::Usual(user->time_zone);
  if (auto calendar_id = domain::ParseName<domain::CalendarTag>(desk.calendar)) {
    ASSIGN_OR_RETURN(const domain::Calendar* calendar, tx.FindCalendar(*calendar_id));
    if (calendar != nullptr) {
      ASSIGN_OR_RETURN(desk.working_time, domain::WorkingTime::Of(*calendar));
    }
  }
  desk.working_time.Without(user->absences);
  return desk;
}

}  // namespace relais::commands
