#include <algorithm>
#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/reader.h"
#include "server/convert/update_mask.h"
#include "server/domain/revisions.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

using domain::QualificationPolicy;
using domain::ScoringModel;

// What an update may name; everything else is output only or never changes.
constexpr std::string_view kModelPaths[] = {"display_name",     "rules",        "groups",
                                            "threshold_points", "grade_bounds", "band_bounds"};
constexpr std::string_view kPolicyPaths[] = {"display_name", "criteria", "marketing_weight",
                                             "sales_weight"};

constexpr TextRule kIdText = {.max_bytes = kMaxShortIdBytes};
constexpr TextRule kFilterText = {.max_bytes = domain::kMaxFilterBytes, .shape = TextShape::kNotes};

void CheckRange(const Path& field, int64_t value, int64_t least, int64_t most, Reader& reader) {
  if (value < least || value > most) {
    reader.violations().Add(field, Concat("must be ", least, " to ", most));
  }
}

template <size_t N>
void ReadBounds(const Path& field, const google::protobuf::RepeatedField<int64_t>& in,
                std::array<int64_t, N>& out, Reader& reader) {
  for (int i = 0; i < in.size() && i < static_cast<int>(N); ++i) {
    CheckRange(Path(field, static_cast<size_t>(i)), in.Get(i), -domain::kMaxBoundPoints,
               domain::kMaxBoundPoints, reader);
  }
  if (in.size() != static_cast<int>(N)) {
    reader.violations().Add(field, Concat("must hold ", N, " numbers"));
    return;
  }
  std::copy(in.begin(), in.end(), out.begin());
}

domain::ScoringRule ReadRule(const Path& field, const v1::ScoringRule& in, Reader& reader) {
  domain::ScoringRule out;
  // Ids are the domain's to check further, with all that they have to be unique among.
  out.id = reader.Text(Path(field, "rule"), in.rule(), kIdText);
  out.dimension = reader.Enum<domain::ScoreDimension>(Path(field, "dimension"), in.dimension());
  out.description = reader.Text(Path(field, "description"), in.description());
  out.lead_filter = reader.Text(Path(field, "lead_filter"), in.lead_filter(), kFilterText);
  out.touchpoint_filter =
      reader.Text(Path(field, "touchpoint_filter"), in.touchpoint_filter(), kFilterText);
  out.points = in.points();
  out.cap_points = in.cap_points();
  out.repeat_limit_per_day = in.repeat_limit_per_day();
  out.window_days = in.window_days();
  out.half_life_days = in.half_life_days();
  out.group = reader.Text(Path(field, "group"), in.group(), kIdText);
  return out;
}

// `create`: the whole of a model, and not some of its fields.
ScoringModel ReadModel(const Path& field, const v1::ScoringModel& in, bool create, Reader& reader) {
  ScoringModel out;
  out.display_name = reader.Text(Path(field, "display_name"), in.display_name(),
                                 {.presence = create ? Presence::kRequired : Presence::kOptional});
  out.market = reader.Enum<domain::Market>(Path(field, "market"), in.market(),
                                           create ? Presence::kRequired : Presence::kOptional);
  Path rules(field, "rules");
  if (reader.Fits(rules, in.rules_size(), domain::kMaxRules)) {
    for (int i = 0; i < in.rules_size(); ++i) {
      out.rules.push_back(ReadRule(Path(rules, static_cast<size_t>(i)), in.rules(i), reader));
    }
  }
  Path groups(field, "groups");
  if (reader.Fits(groups, in.groups_size(), domain::kMaxGroups)) {
    for (int i = 0; i < in.groups_size(); ++i) {
      const Path entry(groups, static_cast<size_t>(i));
      out.groups.push_back(
          {.id = reader.Text(Path(entry, "group"), in.groups(i).group(), kIdText),
           .description = reader.Text(Path(entry, "description"), in.groups(i).description()),
           .cap_points = in.groups(i).cap_points()});
    }
  }
  out.threshold_points = in.threshold_points();
  if (create || in.has_grade_bounds()) {
    const Path bounds(field, "grade_bounds");
    ReadBounds(Path(bounds, "fit"), in.grade_bounds().fit(), out.fit_bounds, reader);
    ReadBounds(Path(bounds, "engagement"), in.grade_bounds().engagement(), out.engagement_bounds,
               reader);
  }
  out.warm_points = in.band_bounds().warm();
  out.ready_points = in.band_bounds().ready();
  return out;
}

QualificationPolicy ReadPolicy(const Path& field, const v1::QualificationPolicy& in, bool create,
                               Reader& reader) {
  QualificationPolicy out;
  out.display_name = reader.Text(Path(field, "display_name"), in.display_name(),
                                 {.presence = create ? Presence::kRequired : Presence::kOptional});
  out.market = reader.Enum<domain::Market>(Path(field, "market"), in.market(),
                                           create ? Presence::kRequired : Presence::kOptional);
  Path criteria(field, "criteria");
  if (reader.Fits(criteria, in.criteria_size(), domain::kMaxCriteria)) {
    for (int i = 0; i < in.criteria_size(); ++i) {
      const Path entry(criteria, static_cast<size_t>(i));
      const v1::Criterion& from = in.criteria(i);
      domain::Criterion& to = out.criteria.emplace_back();
      to.id = reader.ShortId(Path(entry, "criterion"), from.criterion(), Presence::kRequired);
      to.kind =
          reader.Enum<domain::CriterionKind>(Path(entry, "kind"), from.kind(), Presence::kRequired);
      to.required = from.required();
      to.question = reader.Text(Path(entry, "question"), from.question());
      to.valid_days = from.valid_days();
      to.round = reader.Enum<domain::QualificationRound>(Path(entry, "round"), from.round());
      if (to.round == domain::QualificationRound::kUnspecified) {
        to.round = domain::QualificationRound::kSales;
      }
      to.weight = from.weight();
      to.min_confidence_percent = from.min_confidence_percent();
    }
  }
  constexpr int64_t kMost = static_cast<int64_t>(domain::kMaxCriteria) * domain::kMaxWeight;
  CheckRange(Path(field, "marketing_weight"), in.marketing_weight(), 0, kMost, reader);
  CheckRange(Path(field, "sales_weight"), in.sales_weight(), 0, kMost, reader);
  out.marketing_weight = in.marketing_weight();
  out.sales_weight = in.sales_weight();
  return out;
}

// Whether a rule of the domain looks at fields beside the one that it names, so that it cannot be
// judged by what an update brings.
bool LooksBeyond(std::string_view field) {
  return field.ends_with(".group") || field.ends_with(".dimension") || field.ends_with("_weight");
}

// What the domain finds wrong with the given parts of a value stands among what the reading of it
// found; of some parts alone, what does not depend on the others.
template <class T>
void CheckParts(std::string_view field, const T& value, const std::vector<std::string>& parts,
                Reader& reader) {
  std::optional<domain::Fault> fault = domain::FaultOf(domain::RevisedKind<T>::Check(value));
  if (!fault.has_value()) return;
  const Path below(field);
  for (const domain::FieldViolation& violation : fault->fields) {
    const std::string_view path = violation.field;
    const std::string_view part = path.substr(0, path.find_first_of(".["));
    const bool given = std::find(parts.begin(), parts.end(), part) != parts.end();
    if (given && !LooksBeyond(path))
      reader.violations().Add(Path(below, path), violation.description);
  }
}
template <class T>
void CheckWhole(std::string_view field, const T& value, Reader& reader) {
  std::optional<domain::Fault> fault = domain::FaultOf(domain::RevisedKind<T>::Check(value));
  if (!fault.has_value()) return;
  const Path below(field);
  for (const domain::FieldViolation& violation : fault->fields) {
    reader.violations().Add(Path(below, violation.field), violation.description);
  }
}

std::string ReadId(const Path& field, const std::string& id, Reader& reader) {
  if (!domain::IsConfigId(id)) {
    reader.violations().Add(
        field, "must be 1 to 63 lower-case letters, digits, '_' and '-', a letter first", id,
        Privacy::kOpen);
  }
  return id;
}

// The paths of a mask; where there is none, those that `in` has set.
template <class R, class M>
std::vector<std::string> ReadPaths(const R& request, const M& in,
                                   absl::Span<const std::string_view> allowed, Reader& reader) {
  const google::protobuf::Descriptor& type = *M::descriptor();
  UpdateMask read = ReadUpdateMask(
      request.has_update_mask(), request.update_mask(), allowed,
      [&](std::string_view path) { return type.FindFieldByName(std::string(path)) != nullptr; },
      reader.violations());
  if (!read.implied) return read.paths;
  for (std::string_view path : allowed) {
    const google::protobuf::FieldDescriptor* field = type.FindFieldByName(std::string(path));
    const google::protobuf::Reflection& of = *in.GetReflection();
    if (field->is_repeated() ? of.FieldSize(in, field) > 0 : of.HasField(in, field)) {
      read.paths.emplace_back(path);
    }
  }
  return read.paths;
}

template <class R>
absl::StatusOr<domain::ConfigName> ReadGet(const R& request, domain::ConfigKind kind,
                                           const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::ConfigName name = ReadConfigName(kind, "name", request.name(), reader);
  if (!violations.empty()) return violations.ToStatus();
  return name;
}

}  // namespace

domain::ConfigName ReadConfigName(domain::ConfigKind kind, const Path& field,
                                  const std::string& name, Reader& reader) {
  if (std::optional<domain::ConfigName> parsed = domain::ParseConfigName(kind, name)) {
    return *std::move(parsed);
  }
  const std::string_view collection = domain::CollectionOf(kind);
  reader.violations().Add(
      field, Concat("must be ", collection, "/{id} or ", collection, "/{id}@{revision}"), name,
      Privacy::kOpen);
  return {};
}

absl::StatusOr<domain::ConfigName> ParseGetQualificationPolicy(
    const v1::GetQualificationPolicyRequest& request, const DecodeContext& context) {
  return ReadGet(request, domain::ConfigKind::kQualificationPolicy, context);
}

absl::StatusOr<domain::ConfigName> ParseGetScoringModel(const v1::GetScoringModelRequest& request,
                                                        const DecodeContext& context) {
  return ReadGet(request, domain::ConfigKind::kScoringModel, context);
}

absl::StatusOr<SimulationQuery> ParseSimulateScoringModel(
    const v1::SimulateScoringModelRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  SimulationQuery query;
  query.model = ReadConfigName(domain::ConfigKind::kScoringModel, "name", request.name(), reader);
  query.end_time = reader.ReadTime("end_time", request.has_end_time(), request.end_time());
  query.figures_only = request.figures_only();
  if (!violations.empty()) return violations.ToStatus();
  return query;
}

absl::StatusOr<Parsed<commands::RescoreLeadsCommand>> ParseRescoreLeads(
    const v1::RescoreLeadsRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return Finish(commands::RescoreLeadsCommand(), request, "RescoreLeads", reader, context);
}

absl::StatusOr<Parsed<commands::SaveScoringModelCommand>> ParseCreateScoringModel(
    const v1::CreateScoringModelRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveScoringModelCommand command;
  command.create = true;
  command.name.name = ReadId("scoring_model_id", request.scoring_model_id(), reader);
  command.values = ReadModel("scoring_model", request.scoring_model(), true, reader);
  CheckWhole("scoring_model", command.values, reader);
  return Finish(std::move(command), request, "CreateScoringModel", reader, context);
}

absl::StatusOr<Parsed<commands::SaveScoringModelCommand>> ParseUpdateScoringModel(
    const v1::UpdateScoringModelRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveScoringModelCommand command;
  command.name = ReadConfigName(domain::ConfigKind::kScoringModel, "scoring_model.name",
                                request.scoring_model().name(), reader);
  command.paths = ReadPaths(request, request.scoring_model(), kModelPaths, reader);
  command.values = ReadModel("scoring_model", request.scoring_model(), false, reader);
  CheckParts("scoring_model", command.values, command.paths, reader);
  command.etag = reader.Etag("scoring_model.etag", request.scoring_model().etag());
  return Finish(std::move(command), request, "UpdateScoringModel", reader, context);
}

absl::StatusOr<Parsed<commands::ActivateScoringModelCommand>> ParseActivateScoringModel(
    const v1::ActivateScoringModelRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ActivateScoringModelCommand command;
  command.name = ReadConfigName(domain::ConfigKind::kScoringModel, "name", request.name(), reader);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ActivateScoringModel", reader, context);
}

absl::StatusOr<Parsed<commands::SavePolicyCommand>> ParseCreateQualificationPolicy(
    const v1::CreateQualificationPolicyRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SavePolicyCommand command;
  command.create = true;
  command.name.name = ReadId("qualification_policy_id", request.qualification_policy_id(), reader);
  command.values = ReadPolicy("qualification_policy", request.qualification_policy(), true, reader);
  CheckWhole("qualification_policy", command.values, reader);
  return Finish(std::move(command), request, "CreateQualificationPolicy", reader, context);
}

absl::StatusOr<Parsed<commands::SavePolicyCommand>> ParseUpdateQualificationPolicy(
    const v1::UpdateQualificationPolicyRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SavePolicyCommand command;
  command.name =
      ReadConfigName(domain::ConfigKind::kQualificationPolicy, "qualification_policy.name",
                     request.qualification_policy().name(), reader);
  command.paths = ReadPaths(request, request.qualification_policy(), kPolicyPaths, reader);
  command.values =
      ReadPolicy("qualification_policy", request.qualification_policy(), false, reader);
  CheckParts("qualification_policy", command.values, command.paths, reader);
  command.etag = reader.Etag("qualification_policy.etag", request.qualification_policy().etag());
  return Finish(std::move(command), request, "UpdateQualificationPolicy", reader, context);
}

absl::StatusOr<Parsed<commands::ActivatePolicyCommand>> ParseActivateQualificationPolicy(
    const v1::ActivateQualificationPolicyRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ActivatePolicyCommand command;
  command.name =
      ReadConfigName(domain::ConfigKind::kQualificationPolicy, "name", request.name(), reader);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ActivateQualificationPolicy", reader, context);
}

}  // namespace relais::convert
