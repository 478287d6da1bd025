// Users, teams, calendars, and the ending of long operations.

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/working_time.h"

namespace relais::commands {
namespace {

using domain::EventType;
using domain::Team;
using domain::User;
using storage::Keys;
using storage::WriteTxn;

// What differs between the two kinds of directory entries.
struct UserKind {
  using Entity = User;
  using EntityId = domain::UserId;
  using Tag = domain::UserTag;
  static constexpr std::string_view kType = "User";
  static constexpr EventType kEvent = EventType::kUserChanged;
  static auto Find(WriteTxn& tx, const EntityId& id) { return tx.FindUser(id); }
  static auto Holder(WriteTxn& tx, const std::string& kind, const std::string& value) {
    return tx.UserByKey(kind, value);
  }
  static absl::Status Claim(WriteTxn& tx, const std::string& kind, const std::string& value,
                            const EntityId& id) {
    return tx.ClaimUserKey(kind, value, id);
  }
  static absl::Status Release(WriteTxn& tx, const std::string& kind, const std::string& value) {
    return tx.ReleaseUserKey(kind, value);
  }
  static std::string FieldOf(const std::string& kind) {
    return kind == "email" ? "user.email" : "user.external_ids";
  }
};
struct TeamKind {
  using Entity = Team;
  using EntityId = domain::TeamId;
  using Tag = domain::TeamTag;
  static constexpr std::string_view kType = "Team";
  static constexpr EventType kEvent = EventType::kTeamChanged;
  static auto Find(WriteTxn& tx, const EntityId& id) { return tx.FindTeam(id); }
  static auto Holder(WriteTxn& tx, const std::string& kind, const std::string& value) {
    return tx.TeamByKey(kind, value);
  }
  static absl::Status Claim(WriteTxn& tx, const std::string& kind, const std::string& value,
                            const EntityId& id) {
    return tx.ClaimTeamKey(kind, value, id);
  }
  static absl::Status Release(WriteTxn& tx, const std::string& kind, const std::string& value) {
    return tx.ReleaseTeamKey(kind, value);
  }
  static std::string FieldOf(const std::string&) { return "team.display_name"; }
};

struct CalendarKind {
  using Entity = domain::Calendar;
  using EntityId = domain::CalendarId;
  using Tag = domain::CalendarTag;
  static constexpr std::string_view kType = "Calendar";
  static constexpr EventType kEvent = EventType::kCalendarChanged;
  static auto Find(WriteTxn& tx, const EntityId& id) { return tx.FindCalendar(id); }
};

template <class Kind>
absl::Status MoveKeys(WriteTxn& tx, const typename Kind::Entity& before,
                      const typename Kind::Entity& after, bool existed) {
  const auto wanted = domain::UniqueKeys(after);
  for (const auto& [kind, value] : wanted) {
    ASSIGN_OR_RETURN(auto holder, Kind::Holder(tx, kind, value));
    if (!holder.has_value()) {
      RETURN_IF_ERROR(Kind::Claim(tx, kind, value, after.id));
    } else if (*holder != after.id) {
      return domain::Taken(Kind::FieldOf(kind), Kind::kType, NameOf(*holder));
    }
  }
  if (!existed) return absl::OkStatus();
  for (const auto& key : domain::UniqueKeys(before)) {
    if (std::find(wanted.begin(), wanted.end(), key) == wanted.end()) {
      RETURN_IF_ERROR(Kind::Release(tx, key.first, key.second));
    }
  }
  return absl::OkStatus();
}

template <class Kind>
absl::StatusOr<Result<typename Kind::Entity>> Save(
    WriteTxn& tx, const Once& once, const std::optional<typename Kind::EntityId>& id,
    const std::string& etag, const typename Kind::Entity& values,
    const std::vector<std::string>& paths,
    const std::function<absl::Status(const typename Kind::Entity&)>& check) {
  using Entity = typename Kind::Entity;
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, once));
  if (earlier != nullptr) {
    auto known = domain::ParseName<typename Kind::Tag>(earlier->resource);
    if (!known.has_value()) return domain::InternalFault("a request log entry names no such thing");
    ASSIGN_OR_RETURN(Entity entity,
                     Existing(Kind::Find(tx, *known), Kind::kType, earlier->resource));
    return Result<Entity>{std::move(entity), true};
  }
  Entity before;
  Entity after;
  if (id.has_value()) {
    ASSIGN_OR_RETURN(before, Existing(Kind::Find(tx, *id), Kind::kType, NameOf(*id)));
    RETURN_IF_ERROR(domain::CheckEtag(NameOf(*id), etag, before.revision));
    after = before;
    CopyFields(paths, values, after);
  } else {
    after = values;
    after.id = typename Kind::EntityId(tx.NewId());
    after.create_time = tx.now();
    after.archived = false;
  }
  RETURN_IF_ERROR(check(after));
  if constexpr (requires { &Kind::Holder; }) {  // calendars have no unique keys
    RETURN_IF_ERROR(MoveKeys<Kind>(tx, before, after, id.has_value()));
  }
  RETURN_IF_ERROR(tx.Keep(after, {.type = Kind::kEvent, .occur_time = tx.now()}));
  RETURN_IF_ERROR(Remember(tx, once, NameOf(after.id)));
  return Result<Entity>{std::move(after)};
}

template <class Kind>
absl::StatusOr<Result<typename Kind::Entity>> Archive(WriteTxn& tx, const Once& once,
                                                      const typename Kind::EntityId& id,
                                                      const std::string& etag) {
  using Entity = typename Kind::Entity;
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, once));
  ASSIGN_OR_RETURN(Entity entity, Existing(Kind::Find(tx, id), Kind::kType, NameOf(id)));
  if (earlier != nullptr) return Result<Entity>{std::move(entity), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(id), etag, entity.revision));
  entity.archived = true;
  RETURN_IF_ERROR(tx.Keep(entity, {.type = Kind::kEvent, .occur_time = tx.now()}));
  RETURN_IF_ERROR(Remember(tx, once, NameOf(id)));
  return Result<Entity>{std::move(entity)};
}

// The way up from a new parent must end before it comes back to the team itself.
absl::Status CheckParent(WriteTxn& tx, const Team& team) {
  std::set<std::string> seen = {NameOf(team.id)};
  std::string parent = team.parent_team;
  while (!parent.empty()) {
    if (!seen.insert(parent).second) {
      return domain::InvalidField("team.parent_team", "must not make a circle of teams");
    }
    auto id = domain::ParseName<domain::TeamTag>(parent);
    if (!id.has_value()) return domain::InvalidField("team.parent_team", "must be teams/{id}");
    ASSIGN_OR_RETURN(Team above, Existing(tx.FindTeam(*id), "Team", parent));
    parent = above.parent_team;
  }
  return absl::OkStatus();
}

// What is given to somebody must be there, and not archived.
absl::Status CheckCalendar(WriteTxn& tx, const std::string& name, std::string_view field) {
  if (name.empty()) return absl::OkStatus();
  auto id = domain::ParseName<domain::CalendarTag>(name);
  if (!id.has_value()) return domain::InvalidField(field, "must be calendars/{id}");
  ASSIGN_OR_RETURN(domain::Calendar calendar, Existing(tx.FindCalendar(*id), "Calendar", name));
  if (calendar.archived) {
    return domain::PreconditionFailed("CALENDAR_ARCHIVED", name + " is archived",
                                      {{"CALENDAR", name, "is archived"}});
  }
  return absl::OkStatus();
}

bool Changes(const std::vector<std::string>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace

Keys KeysOf(const SaveUserCommand& command) {
  Keys keys;
  if (auto id = domain::ParseName<domain::CalendarTag>(command.values.calendar)) keys.Calendar(*id);
  keys.Request(command.once.id);
  if (command.user.has_value()) keys.User(*command.user);
  for (auto& [kind, value] : domain::UniqueKeys(command.values)) keys.UserKey(kind, value);
  for (const std::string& team : command.values.teams) {
    if (auto id = domain::ParseName<domain::TeamTag>(team)) keys.Team(*id);
  }
  return keys;
}

absl::StatusOr<Result<User>> Run(WriteTxn& tx, const SaveUserCommand& command) {
  const bool teams_given =
      !command.user.has_value() ||
      std::find(command.paths.begin(), command.paths.end(), "teams") != command.paths.end();
  return Save<UserKind>(tx, command.once, command.user, command.etag, command.values, command.paths,
                        [&](const User& user) -> absl::Status {
                          if (Changes(command.paths, "calendar")) {
                            RETURN_IF_ERROR(CheckCalendar(tx, user.calendar, "user.calendar"));
                          }
                          if (!teams_given) return absl::OkStatus();
                          for (const std::string& team : user.teams) {
                            auto id = domain::ParseName<domain::TeamTag>(team);
                            if (!id.has_value()) {
                              return domain::InvalidField("user.teams", "must be teams/{id}");
                            }
                            RETURN_IF_ERROR(Existing(tx.FindTeam(*id), "Team", team).status());
                          }
                          return absl::OkStatus();
                        });
}

Keys KeysOf(const SaveTeamCommand& command) {
  Keys keys;
  keys.Request(command.once.id);
  if (auto id = domain::ParseName<domain::CalendarTag>(command.values.calendar)) keys.Calendar(*id);
  if (command.team.has_value()) keys.Team(*command.team);
  if (!command.values.display_name.empty()) {
    for (auto& [kind, value] : domain::UniqueKeys(command.values)) keys.TeamKey(kind, value);
  }
  if (auto id = domain::ParseName<domain::TeamTag>(command.values.parent_team)) keys.Team(*id);
  return keys;
}

absl::StatusOr<Result<Team>> Run(WriteTxn& tx, const SaveTeamCommand& command) {
  return Save<TeamKind>(tx, command.once, command.team, command.etag, command.values, command.paths,
                        [&](const Team& team) -> absl::Status {
                          if (Changes(command.paths, "calendar")) {
                            RETURN_IF_ERROR(CheckCalendar(tx, team.calendar, "team.calendar"));
                          }
                          return CheckParent(tx, team);
                        });
}

Keys KeysOf(const ArchiveUserCommand& command) {
  return Keys().Request(command.once.id).User(command.user);
}
absl::StatusOr<Result<User>> Run(WriteTxn& tx, const ArchiveUserCommand& command) {
  return Archive<UserKind>(tx, command.once, command.user, command.etag);
}

Keys KeysOf(const ArchiveTeamCommand& command) {
  return Keys().Request(command.once.id).Team(command.team);
}
absl::StatusOr<Result<Team>> Run(WriteTxn& tx, const ArchiveTeamCommand& command) {
  return Archive<TeamKind>(tx, command.once, command.team, command.etag);
}

Keys KeysOf(const SaveCalendarCommand& command) {
  Keys keys;
  keys.Request(command.once.id);
  if (command.calendar.has_value()) keys.Calendar(*command.calendar);
  return keys;
}

absl::StatusOr<Result<domain::Calendar>> Run(WriteTxn& tx, const SaveCalendarCommand& command) {
  return Save<CalendarKind>(
      tx, command.once, command.calendar, command.etag, command.values, command.paths,
      [](const domain::Calendar& calendar) { return domain::WorkingTime::Of(calendar).status(); });
}

Keys KeysOf(const ArchiveCalendarCommand& command) {
  return Keys().Request(command.once.id).Calendar(command.calendar);
}
absl::StatusOr<Result<domain::Calendar>> Run(WriteTxn& tx, const ArchiveCalendarCommand& command) {
  return Archive<CalendarKind>(tx, command.once, command.calendar, command.etag);
}

// ---- operations -------------------------------------------------------------------------------

Keys KeysOf(const CancelOperationCommand& command) {
  // An import's operation has the id of the import.
  return Keys()
      .Request(command.once.id)
      .Operation(command.operation)
      .Import(domain::ImportId(command.operation.value));
}

absl::StatusOr<Result<domain::Operation>> Run(WriteTxn& tx, const CancelOperationCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(domain::Operation operation, Existing(tx.FindOperation(command.operation),
                                                         "Operation", NameOf(command.operation)));
  if (earlier != nullptr) return Result<domain::Operation>{std::move(operation), true};
  if (operation.state == domain::OperationState::kRunning) {
    operation.state = domain::OperationState::kCancelled;
    operation.end_time = tx.now();
    RETURN_IF_ERROR(
        tx.Keep(operation, {.type = EventType::kOperationChanged, .occur_time = tx.now()}));
    ASSIGN_OR_RETURN(const domain::Import* found,
                     tx.FindImport(domain::ImportId(command.operation.value)));
    if (found != nullptr && found->state == domain::ImportState::kRunning) {
      domain::Import import = *found;
      import.state = domain::ImportState::kCancelled;
      RETURN_IF_ERROR(tx.Keep(import, {.type = EventType::kImportChanged, .occur_time = tx.now()}));
    }
  }
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(operation.id)));
  return Result<domain::Operation>{std::move(operation)};
}

}  // namespace relais::commands
