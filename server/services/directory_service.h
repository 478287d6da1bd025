// DirectoryService: the people who work with leads, and when they work.
#pragma once

#include "relais/v1/directory_service.pb.h"
#include "server/services/serve.h"

namespace relais::services {

class DirectoryService final : public Endpoint {
 public:
  explicit DirectoryService(const Edge& edge);

 private:
  absl::Status CreateUser(Reply<v1::User>& reply, const v1::CreateUserRequest& request);
  absl::Status GetUser(Reply<v1::User>& reply, const v1::GetUserRequest& request);
  absl::Status ListUsers(Reply<v1::ListUsersResponse>& reply, const v1::ListUsersRequest& request);
  absl::Status UpdateUser(Reply<v1::User>& reply, const v1::UpdateUserRequest& request);
  absl::Status ArchiveUser(Reply<v1::User>& reply, const v1::ArchiveUserRequest& request);
  absl::Status CreateTeam(Reply<v1::Team>& reply, const v1::CreateTeamRequest& request);
  absl::Status GetTeam(Reply<v1::Team>& reply, const v1::GetTeamRequest& request);
  absl::Status ListTeams(Reply<v1::ListTeamsResponse>& reply, const v1::ListTeamsRequest& request);
  absl::Status UpdateTeam(Reply<v1::Team>& reply, const v1::UpdateTeamRequest& request);
  absl::Status ArchiveTeam(Reply<v1::Team>& reply, const v1::ArchiveTeamRequest& request);
  absl::Status CreateCalendar(Reply<v1::Calendar>& reply, const v1::CreateCalendarRequest& request);
  absl::Status GetCalendar(Reply<v1::Calendar>& reply, const v1::GetCalendarRequest& request);
  absl::Status ListCalendars(Reply<v1::ListCalendarsResponse>& reply,
                             const v1::ListCalendarsRequest& request);
  absl::Status UpdateCalendar(Reply<v1::Calendar>& reply, const v1::UpdateCalendarRequest& request);
  absl::Status ArchiveCalendar(Reply<v1::Calendar>& reply,
                               const v1::ArchiveCalendarRequest& request);
};

}  // namespace relais::services
