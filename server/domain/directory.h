// Users and teams.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

struct User {
  UserId id;
  int64_t revision = 0;
  std::string display_name, email;
  std::vector<std::string> teams;  // teams/{id}
  std::string time_zone, language;
  bool archived = false;
  std::map<std::string, std::string> external_ids;  // system -> id
  Timestamp create_time, update_time;
  friend bool operator==(const User&, const User&) = default;
};

struct Team {
  TeamId id;
  int64_t revision = 0;
  std::string display_name, parent_team;
  bool archived = false;
  Timestamp create_time, update_time;
  friend bool operator==(const Team&, const Team&) = default;
};

// The keys by which a user or team is unique in the tenant, as (kind, value): the e-mail and each
// external id of a user, the name of a team.
std::vector<std::pair<std::string, std::string>> UniqueKeys(const User& user);
std::vector<std::pair<std::string, std::string>> UniqueKeys(const Team& team);

template <>
absl::Span<const Field<User>> FieldsOf<User>();
template <>
absl::Span<const Field<Team>> FieldsOf<Team>();

}  // namespace relais::domain
