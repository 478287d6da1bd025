#include <re2/re2.h>

#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

constexpr int64_t kFullConfidence = 100;  // percent

void CheckBudget(const Path& field, const domain::Answer& answer, Reader& reader) {
  if (!answer.budget_minimum || !answer.budget_maximum) return;
  if (answer.budget_minimum->currency_code != answer.budget_maximum->currency_code) {
    reader.violations().Add(Path(field, "maximum"), "must have the currency of minimum");
  } else if (answer.budget_maximum->total_nanos() < answer.budget_minimum->total_nanos()) {
    reader.violations().Add(Path(field, "maximum"), "must not be below minimum");
  }
}

domain::Answer ReadAnswer(const Path& field, const v1::CriterionAnswer& in, Reader& reader) {
  domain::Answer out;
  out.criterion = reader.ShortId(Path(field, "criterion"), in.criterion(), Presence::kRequired);
  out.state =
      reader.Enum<domain::CriterionState>(Path(field, "state"), in.state(), Presence::kRequired);
  Path budget(field, "budget");
  out.budget_minimum =
      reader.Money(Path(budget, "minimum"), in.budget().has_minimum(), in.budget().minimum());
  out.budget_maximum =
      reader.Money(Path(budget, "maximum"), in.budget().has_maximum(), in.budget().maximum());
  CheckBudget(budget, out, reader);
  out.authority_role =
      reader.Enum<domain::AuthorityRole>(Path(field, "authority_role"), in.authority_role());
  out.need = reader.Text(Path(field, "need"), in.need(), kPersonalText);
  out.need_severity =
      reader.Enum<domain::NeedSeverity>(Path(field, "need_severity"), in.need_severity());
  out.target_time = reader.Time(Path(field, "target_time"), in.has_target_time(), in.target_time());
  out.evidence = reader.Text(Path(field, "evidence"), in.evidence(), kPersonalText);
  if (in.has_confidence_percent()) {
    out.confidence_percent = in.confidence_percent();
    if (*out.confidence_percent < 0 || *out.confidence_percent > kFullConfidence) {
      reader.violations().Add(
          Path(field, "confidence_percent"),
          Concat("must be from 0 to ", kFullConfidence, ", not ", in.confidence_percent()));
    }
  }
  out.expire_time = reader.Time(Path(field, "expire_time"), in.has_expire_time(), in.expire_time());
  return out;
}

// One of the three transitions that have the same request.
template <class R>
absl::StatusOr<Parsed<commands::LeadStepCommand>> ReadStep(const R& request,
                                                           commands::LeadStep step,
                                                           std::string_view method, Presence reason,
                                                           const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::LeadStepCommand command;
  command.step = step;
  command.lead = reader.Name<domain::LeadTag>("name", request.name(), Presence::kRequired);
  command.reason = reader.Text("reason", request.reason(), {.presence = reason});
  command.occur_time =
      reader.OccurTime("occur_time", request.has_occur_time(), request.occur_time());
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, method, reader, context);
}

// "pipelines/{id}".
absl::StatusOr<std::string> ReadPipelineName(const std::string& name) {
  static const RE2* const kName = new RE2("pipelines/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}");
  if (RE2::FullMatch(name, *kName)) return name;
  Violations violations;
  violations.Add("name", "must be pipelines/{id}", name, Privacy::kOpen);
  return violations.ToStatus();
}

template <class R>
absl::StatusOr<NamePage> ReadNames(const R& request, std::string_view method,
                                   const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ASSIGN_OR_RETURN(PageBounds bounds, ReadPage(request, {.method = method}, reader, context));
  return NamePage{.limit = bounds.limit,
                  .after = bounds.after ? bounds.after->id : std::string(),
                  .scope = std::move(bounds.scope)};
}

}  // namespace

domain::Assessment ReadAssessment(const Path& field, const v1::Assessment& in, Reader& reader) {
  domain::Assessment out;
  Path answers(field, "answers");
  if (in.answers().empty()) reader.violations().Add(answers, "must have an entry");
  if (reader.Fits(answers, in.answers_size(), domain::kMaxAnswers)) {
    for (int i = 0; i < in.answers_size(); ++i) {
      Path entry(answers, static_cast<size_t>(i));
      domain::Answer answer = ReadAnswer(entry, in.answers(i), reader);
      for (const domain::CriterionAnswer& earlier : out.answers) {
        if (!answer.criterion.empty() && earlier.criterion == answer.criterion) {
          reader.violations().Add(Path(entry, "criterion"), "must not be answered twice",
                                  answer.criterion, Privacy::kOpen);
          break;
        }
      }
      out.answers.push_back(domain::FormatAnswer(answer));
    }
  }
  out.source = reader.Enum<domain::AssessmentSource>(Path(field, "source"), in.source());
  if (out.source == domain::AssessmentSource::kUnspecified) {
    out.source = domain::AssessmentSource::kPerson;
  }
  out.author = reader.Text(Path(field, "author"), in.author());
  out.occur_time = reader.OccurTime(Path(field, "occur_time"), in.has_occur_time(), in.occur_time())
                       .value_or(domain::Timestamp{});
  return out;
}

absl::StatusOr<Parsed<commands::AssessLeadCommand>> ParseAssessLead(
    const v1::AssessLeadRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::AssessLeadCommand command;
  command.lead = reader.Name<domain::LeadTag>("parent", request.parent(), Presence::kRequired);
  command.assessment = ReadAssessment("assessment", request.assessment(), reader);
  if (request.assessment().has_occur_time()) command.occur_time = command.assessment.occur_time;
  return Finish(std::move(command), request, "AssessLead", reader, context);
}

absl::StatusOr<ListPage> ParseListAssessments(const v1::ListAssessmentsRequest& request,
                                              const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::LeadId parent =
      reader.Name<domain::LeadTag>("parent", request.parent(), Presence::kRequired);
  return ReadList(request,
                  {.method = "ListAssessments",
                   .parent = std::move(parent),
                   .order_path = "occur_time",
                   .descending = true},
                  reader, context);
}

absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseQualifyLead(
    const v1::QualifyLeadRequest& request, const DecodeContext& context) {
  return ReadStep(request, commands::LeadStep::kQualify, "QualifyLead", Presence::kOptional,
                  context);
}

absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseDisqualifyLead(
    const v1::DisqualifyLeadRequest& request, const DecodeContext& context) {
  return ReadStep(request, commands::LeadStep::kDisqualify, "DisqualifyLead", Presence::kRequired,
                  context);
}

absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseRecycleLead(
    const v1::RecycleLeadRequest& request, const DecodeContext& context) {
  return ReadStep(request, commands::LeadStep::kRecycle, "RecycleLead", Presence::kRequired,
                  context);
}

absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseOverrideQualification(
    const v1::OverrideQualificationRequest& request, const DecodeContext& context) {
  return ReadStep(request, commands::LeadStep::kOverride, "OverrideQualification",
                  Presence::kRequired, context);
}

absl::StatusOr<std::string> ParseGetPipeline(const v1::GetPipelineRequest& request,
                                             const DecodeContext&) {
  return ReadPipelineName(request.name());
}

absl::StatusOr<NamePage> ParseListQualificationPolicies(
    const v1::ListQualificationPoliciesRequest& request, const DecodeContext& context) {
  return ReadNames(request, "ListQualificationPolicies", context);
}

absl::StatusOr<NamePage> ParseListScoringModels(const v1::ListScoringModelsRequest& request,
                                                const DecodeContext& context) {
  return ReadNames(request, "ListScoringModels", context);
}

absl::StatusOr<NamePage> ParseListPipelines(const v1::ListPipelinesRequest& request,
                                            const DecodeContext& context) {
  return ReadNames(request, "ListPipelines", context);
}

}  // namespace relais::convert
