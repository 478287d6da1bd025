#include "server/domain/directory.h"

#include <vector>

namespace relais::domain {

std::vector<std::pair<std::string, std::string>> UniqueKeys(const User& user) {
  std::vector<std::pair<std::string, std::string>> keys;
  if (!user.email.empty()) keys.emplace_back("email", user.email);
  for (const auto& [system, id] : user.external_ids) keys.emplace_back("id:" + system, id);
  return keys;
}

std::vector<std::pair<std::string, std::string>> UniqueKeys(const Team& team) {
  return {{"name", team.display_name}};
}

template <>
absl::Span<const Field<User>> FieldsOf<User>() {
  static const auto* const kFields = new std::vector<Field<User>>{
      MakeField<User>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<User>("email", [](auto& e) -> auto& { return e.email; }, {.personal = true}),
      MakeField<User>(
          "teams", [](auto& e) -> auto& { return e.teams; }),
      MakeField<User>(
          "time_zone", [](auto& e) -> auto& { return e.time_zone; }),
      MakeField<User>(
          "language", [](auto& e) -> auto& { return e.language; }),
      MakeField<User>(
          "archived", [](auto& e) -> auto& { return e.archived; }),
      MakeField<User>(
          "external_ids", [](auto& e) -> auto& { return e.external_ids; }),
      MakeField<User>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<User>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Team>> FieldsOf<Team>() {
  static const auto* const kFields = new std::vector<Field<Team>>{
      MakeField<Team>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Team>(
          "parent_team", [](auto& e) -> auto& { return e.parent_team; }),
      MakeField<Team>(
          "archived", [](auto& e) -> auto& { return e.archived; }),
      MakeField<Team>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Team>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
