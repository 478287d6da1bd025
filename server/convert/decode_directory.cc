#include <algorithm>
#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/convert/update_mask.h"
#include "server/domain/faults.h"
#include "server/domain/working_time.h"

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

domain::Absence ReadAbsence(const Path& field, const v1::Absence& in, Reader& reader) {
  auto start = reader.Time(Path(field, "start_time"), in.has_start_time(), in.start_time());
  auto end = reader.Time(Path(field, "end_time"), in.has_end_time(), in.end_time());
  if (!in.has_start_time()) reader.violations().Add(Path(field, "start_time"), "must be given");
  if (!in.has_end_time()) reader.violations().Add(Path(field, "end_time"), "must be given");
  if (start.has_value() && end.has_value() && *end <= *start) {
    reader.violations().Add(Path(field, "end_time"), "must be later than start_time");
  }
  return {Concat(start.value_or(domain::Timestamp{}).micros),
          Concat(end.value_or(domain::Timestamp{}).micros)};
}

// What a calendar says must make sense as a whole: hours that do not overlap, real dates.
void CheckWorkingTime(const domain::Calendar& calendar, Violations& violations) {
  if (!violations.empty()) return;
  absl::Status status = domain::WorkingTime::Of(calendar).status();
  if (status.ok()) return;
  if (std::optional<domain::Fault> fault = domain::FaultOf(status)) {
    for (const domain::FieldViolation& violation : fault->fields) {
      violations.Add(Path(violation.field), violation.description);
    }
  }
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
  out.calendar = reader.NameText<domain::CalendarTag>(Path(field, "calendar"), in.calendar(),
                                                      Presence::kOptional);
  Path absences(field, "absences");
  if (reader.Fits(absences, in.absences_size(), kMaxAbsences)) {
    for (int i = 0; i < in.absences_size(); ++i) {
      out.absences.push_back(
          ReadAbsence(Path(absences, static_cast<size_t>(i)), in.absences(i), reader));
    }
  }
  if (in.has_capacity()) {
    out.capacity = reader.Number(Path(field, "capacity"), in.capacity(), 0, kMaxCapacity);
  }
  if (in.has_weight()) {
    out.weight = reader.Number(Path(field, "weight"), in.weight(), 1, kMaxWeight);
  }
  out.territories = reader.Texts(Path(field, "territories"), in.territories(), kMaxTerritories);
  return out;
}

domain::Calendar ReadCalendar(const Path& field, const v1::Calendar& in, Reader& reader) {
  domain::Calendar out;
  out.display_name =
      reader.GivenText(Path(field, "display_name"), in.display_name(), Privacy::kOpen);
  out.time_zone = reader.TimeZone(Path(field, "time_zone"), in.time_zone());
  Path hours(field, "working_hours");
  if (reader.Fits(hours, in.working_hours_size(), kMaxWorkingHours)) {
    for (int i = 0; i < in.working_hours_size(); ++i) {
      Path entry(hours, static_cast<size_t>(i));
      const v1::WorkingHours& given = in.working_hours(i);
      const auto day =
          reader.Enum<domain::Weekday>(Path(entry, "day"), given.day(), Presence::kRequired);
      out.working_hours.push_back({std::string(domain::NameOf(day)),
                                   reader.Text(Path(entry, "start"), given.start(), kRequiredText),
                                   reader.Text(Path(entry, "end"), given.end(), kRequiredText)});
    }
  }
  Path holidays(field, "holidays");
  if (reader.Fits(holidays, in.holidays_size(), kMaxHolidays)) {
    for (int i = 0; i < in.holidays_size(); ++i) {
      Path entry(holidays, static_cast<size_t>(i));
      out.holidays.push_back(
          {reader.Text(Path(entry, "date"), in.holidays(i).date(), kRequiredText),
           reader.Text(Path(entry, "display_name"), in.holidays(i).display_name())});
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
  out.calendar = reader.NameText<domain::CalendarTag>(Path(field, "calendar"), in.calendar(),
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

absl::StatusOr<Parsed<commands::SaveCalendarCommand>> ParseCreateCalendar(
    const v1::CreateCalendarRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveCalendarCommand command;
  Path field("calendar");
  command.values = ReadCalendar(field, request.calendar(), reader);
  command.paths = AllPaths(DescriptiveCalendarPaths());
  DemandDisplayName(field, command.values, command.paths, true, request.calendar().display_name(),
                    violations);
  CheckWorkingTime(command.values, violations);
  return Finish(std::move(command), request, "CreateCalendar", reader, context);
}

absl::StatusOr<Parsed<commands::SaveCalendarCommand>> ParseUpdateCalendar(
    const v1::UpdateCalendarRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveCalendarCommand command;
  Path field("calendar");
  command.calendar = reader.Name<domain::CalendarTag>(
      Path(field, "name"), request.calendar().name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), request.calendar().etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadCalendar(field, request.calendar(), values);
  command.paths = ResolveUpdate("calendar", request.has_update_mask(), request.update_mask(),
                                DescriptiveCalendarPaths(), command.values, found, violations);
  DemandDisplayName(field, command.values, command.paths, false, request.calendar().display_name(),
                    violations);
  return Finish(std::move(command), request, "UpdateCalendar", reader, context);
}

absl::StatusOr<Parsed<commands::ArchiveCalendarCommand>> ParseArchiveCalendar(
    const v1::ArchiveCalendarRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ArchiveCalendarCommand command;
  command.calendar = reader.Name<domain::CalendarTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ArchiveCalendar", reader, context);
}

absl::StatusOr<domain::CalendarId> ParseGetCalendar(const v1::GetCalendarRequest& request,
                                                    const DecodeContext& context) {
  return ReadName<domain::CalendarTag>(request, context);
}

absl::StatusOr<ListPage> ParseListCalendars(const v1::ListCalendarsRequest& request,
                                            const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(
      request,
      {.method = "ListCalendars", .schema = &CalendarFilterSchema(), .filter = request.filter()},
      reader, context);
}

}  // namespace relais::convert
