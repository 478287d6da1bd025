#include "server/services/directory_service.h"

#include <utility>

#include "server/services/named.h"

namespace relais::services {

DirectoryService::DirectoryService(const Edge& edge)
    : Endpoint(edge, "relais.v1.DirectoryService") {
  Unary("CreateUser", &DirectoryService::CreateUser);
  Unary("GetUser", &DirectoryService::GetUser);
  Unary("ListUsers", &DirectoryService::ListUsers);
  Unary("UpdateUser", &DirectoryService::UpdateUser);
  Unary("ArchiveUser", &DirectoryService::ArchiveUser);
  Unary("CreateTeam", &DirectoryService::CreateTeam);
  Unary("GetTeam", &DirectoryService::GetTeam);
  Unary("ListTeams", &DirectoryService::ListTeams);
  Unary("UpdateTeam", &DirectoryService::UpdateTeam);
  Unary("ArchiveTeam", &DirectoryService::ArchiveTeam);
  Unary("CreateCalendar", &DirectoryService::CreateCalendar);
  Unary("GetCalendar", &DirectoryService::GetCalendar);
  Unary("ListCalendars", &DirectoryService::ListCalendars);
  Unary("UpdateCalendar", &DirectoryService::UpdateCalendar);
  Unary("ArchiveCalendar", &DirectoryService::ArchiveCalendar);
}

absl::Status DirectoryService::CreateUser(Reply<v1::User>& reply,
                                          const v1::CreateUserRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateUser(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::GetUser(Reply<v1::User>& reply, const v1::GetUserRequest& request) {
  ASSIGN_OR_RETURN(domain::UserId id, convert::ParseGetUser(request, reply.decoding()));
  return Get(reply, id, "User", &storage::ReadTxn::GetUser);
}

absl::Status DirectoryService::ListUsers(Reply<v1::ListUsersResponse>& reply,
                                         const v1::ListUsersRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListUsers(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListUsers,
              [](v1::ListUsersResponse& out) { return out.mutable_users(); });
}

absl::Status DirectoryService::UpdateUser(Reply<v1::User>& reply,
                                          const v1::UpdateUserRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateUser(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::ArchiveUser(Reply<v1::User>& reply,
                                           const v1::ArchiveUserRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseArchiveUser(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::CreateTeam(Reply<v1::Team>& reply,
                                          const v1::CreateTeamRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateTeam(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::GetTeam(Reply<v1::Team>& reply, const v1::GetTeamRequest& request) {
  ASSIGN_OR_RETURN(domain::TeamId id, convert::ParseGetTeam(request, reply.decoding()));
  return Get(reply, id, "Team", &storage::ReadTxn::GetTeam);
}

absl::Status DirectoryService::ListTeams(Reply<v1::ListTeamsResponse>& reply,
                                         const v1::ListTeamsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListTeams(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListTeams,
              [](v1::ListTeamsResponse& out) { return out.mutable_teams(); });
}

absl::Status DirectoryService::UpdateTeam(Reply<v1::Team>& reply,
                                          const v1::UpdateTeamRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateTeam(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::ArchiveTeam(Reply<v1::Team>& reply,
                                           const v1::ArchiveTeamRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseArchiveTeam(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::CreateCalendar(Reply<v1::Calendar>& reply,
                                              const v1::CreateCalendarRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateCalendar(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::GetCalendar(Reply<v1::Calendar>& reply,
                                           const v1::GetCalendarRequest& request) {
  ASSIGN_OR_RETURN(domain::CalendarId id, convert::ParseGetCalendar(request, reply.decoding()));
  return Get(reply, id, "Calendar", &storage::ReadTxn::GetCalendar);
}

absl::Status DirectoryService::ListCalendars(Reply<v1::ListCalendarsResponse>& reply,
                                             const v1::ListCalendarsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListCalendars(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListCalendars,
              [](v1::ListCalendarsResponse& out) { return out.mutable_calendars(); });
}

absl::Status DirectoryService::UpdateCalendar(Reply<v1::Calendar>& reply,
                                              const v1::UpdateCalendarRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateCalendar(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status DirectoryService::ArchiveCalendar(Reply<v1::Calendar>& reply,
                                               const v1::ArchiveCalendarRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseArchiveCalendar(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

}  // namespace relais::services
