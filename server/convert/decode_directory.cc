#include <algorithm>
#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/convert/update_mask.h"

namespace relais::convert {
namespace {

// The one field that no user or team is without.
template <class E>
void DemandDisplayName(const Path& field, const E& values, const std::vector<std::string>& paths,
                       bool create, const std::string& given, Violations& violations) {
  bool changes = create || std::find(paths.begin(), paths.end(), "display_name") != paths.end();
  // A text that was refused has its violation already.
  bool refused = values.display_name.empty() && !given.empty();
  if (changes && values.display_name.empty() && !refused) {
    violations.Add(Path(field, "display_name"), "must not be empty");
  }
}

std::vector<std::string> AllPaths(absl::Span<const std::string_view> paths) {
  return {paths.begin(), paths.end()};
}

template <class Tag, class R>
absl::StatusOr<domain::Id<Tag>> ReadName(const R& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::Id<Tag> id = reader.Name<Tag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

}  // namespace

domain::User ReadUser(const Path& field, const v1::User& in, Reader& reader) {
  domain::User out;
  out.display_name =
      reader.GivenText(Path(field, "display_name"), in.display_name(), Privacy::kOpen);
  if (!in.email().empty()) out.email = reader.EmailAddress(Path(field, "email"), in.email());
  Path teams(field, "teams");
  if (reader.Fits(teams, in.teams_size(), kMaxTeamsOfUser)) {
    for (int i = 0; i < in.teams_size(); ++i) {
      AddOnce(out.teams, reader.NameText<domain::TeamTag>(Path(teams, static_cast<size_t>(i)),
                                                          in.teams(i), Presence::kRequired));
    }
  }
  out.time_zone = reader.TimeZone(Path(field, "time_zone"), in.time_zone());
  out.language = reader.Language(Path(field, "language"), in.language());
  Path external_ids(field, "external_ids");
  if (reader.Fits(external_ids, static_cast<int>(in.external_ids().size()),
                  domain::kMaxExternalIds)) {
    std::map<std::string, std::string> ordered(in.external_ids().begin(), in.external_ids().end());
    for (const auto& [system, id] : ordered) {
      std::string good_system = reader.System(external_ids, system, Presence::kRequired);
      std::string good_id = reader.Text(
          external_ids, id, {.max_bytes = kMaxExternalIdBytes, .presence = Presence::kRequired});
      if (!good_system.empty()) {
        out.external_ids.emplace(std::move(good_system), std::move(good_id));
      }
    }
  }
  return out;
}

domain::Team ReadTeam(const Path& field, const v1::Team& in, Reader& reader) {
  domain::Team out;
  out.display_name =
      reader.GivenText(Path(field, "display_name"), in.display_name(), Privacy::kOpen);
  out.parent_team = reader.NameText<domain::TeamTag>(Path(field, "parent_team"), in.parent_team(),
                                                     Presence::kOptional);
  return out;
}

absl::StatusOr<Parsed<commands::SaveUserCommand>> ParseCreateUser(
    const v1::CreateUserRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveUserCommand command;
  Path field("user");
  command.values = ReadUser(field, request.user(), reader);
  command.paths = AllPaths(DescriptiveUserPaths());
  DemandDisplayName(field, command.values, command.paths, true, request.user().display_name(),
                    violations);
  return Finish(std::move(command), request, "CreateUser", reader, context);
}

absl::StatusOr<Parsed<commands::SaveUserCommand>> ParseUpdateUser(
    const v1::UpdateUserRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveUserCommand command;
  Path field("user");
  command.user =
      reader.Name<domain::UserTag>(Path(field, "name"), request.user().name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), request.user().etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadUser(field, request.user(), values);
  command.paths = ResolveUpdate("user", request.has_update_mask(), request.update_mask(),
                                DescriptiveUserPaths(), command.values, found, violations);
  DemandDisplayName(field, command.values, command.paths, false, request.user().display_name(),
                    violations);
  return Finish(std::move(command), request, "UpdateUser", reader, context);
}

absl::StatusOr<Parsed<commands::ArchiveUserCommand>> ParseArchiveUser(
    const v1::ArchiveUserRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ArchiveUserCommand command;
  command.user = reader.Name<domain::UserTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ArchiveUser", reader, context);
}

absl::StatusOr<domain::UserId> ParseGetUser(const v1::GetUserRequest& request,
                                            const DecodeContext& context) {
  return ReadName<domain::UserTag>(request, context);
}

absl::StatusOr<ListPage> ParseListUsers(const v1::ListUsersRequest& request,
                                        const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(
      request, {.method = "ListUsers", .schema = &UserFilterSchema(), .filter = request.filter()},
      reader, context);
}

absl::StatusOr<Parsed<commands::SaveTeamCommand>> ParseCreateTeam(
    const v1::CreateTeamRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveTeamCommand command;
  Path field("team");
  command.values = ReadTeam(field, request.team(), reader);
  command.paths = AllPaths(DescriptiveTeamPaths());
  DemandDisplayName(field, command.values, command.paths, true, request.team().display_name(),
                    violations);
  return Finish(std::move(command), request, "CreateTeam", reader, context);
}

absl::StatusOr<Parsed<commands::SaveTeamCommand>> ParseUpdateTeam(
    const v1::UpdateTeamRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveTeamCommand command;
  Path field("team");
  command.team =
      reader.Name<domain::TeamTag>(Path(field, "name"), request.team().name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), request.team().etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadTeam(field, request.team(), values);
  command.paths = ResolveUpdate("team", request.has_update_mask(), request.update_mask(),
                                DescriptiveTeamPaths(), command.values, found, violations);
  DemandDisplayName(field, command.values, command.paths, false, request.team().display_name(),
                    violations);
  return Finish(std::move(command), request, "UpdateTeam", reader, context);
}

absl::StatusOr<Parsed<commands::ArchiveTeamCommand>> ParseArchiveTeam(
    const v1::ArchiveTeamRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ArchiveTeamCommand command;
  command.team = reader.Name<domain::TeamTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ArchiveTeam", reader, context);
}

absl::StatusOr<domain::TeamId> ParseGetTeam(const v1::GetTeamRequest& request,
                                            const DecodeContext& context) {
  return ReadName<domain::TeamTag>(request, context);
}

absl::StatusOr<ListPage> ParseListTeams(const v1::ListTeamsRequest& request,
                                        const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(
      request, {.method = "ListTeams", .schema = &TeamFilterSchema(), .filter = request.filter()},
      reader, context);
}

}  // namespace relais::convert
