// Users and teams.
#pragma once

#include <cstdint>
#include <map>
#include <string>
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

template <>
absl::Span<const Field<User>> FieldsOf<User>();
template <>
absl::Span<const Field<Team>> FieldsOf<Team>();

}  // namespace relais::domain
