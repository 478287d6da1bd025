#include <utility>
#include <variant>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

using RowContent =
    std::variant<commands::CaptureRow, commands::TouchpointRow, commands::QualificationRow,
                 commands::OpportunityRow, commands::CloseRow>;

commands::LeadReference ReadReference(const Path& field, const v1::LeadReference& in,
                                      Reader& reader) {
  switch (in.reference_case()) {
    case v1::LeadReference::kName:
      return reader.Name<domain::LeadTag>(Path(field, "name"), in.name(), Presence::kRequired);
    case v1::LeadReference::kExternalId:
      return reader.ExternalId(Path(field, "external_id"), in.external_id());
    case v1::LeadReference::REFERENCE_NOT_SET:
      break;
  }
  reader.violations().Add(field, "must be one of: name, external_id");
  return domain::LeadId();
}

RowContent ReadRow(const Path& row, const v1::CaptureRow& in, Reader& reader) {
  return commands::CaptureRow{ReadCapture(
      in.has_lead() ? &in.lead() : nullptr, in.has_touchpoint() ? &in.touchpoint() : nullptr,
      in.consents(), Path(row, "lead"), Path(row, "touchpoint"), Path(row, "consents"), reader)};
}

RowContent ReadRow(const Path& row, const v1::TouchpointRow& in, Reader& reader) {
  commands::TouchpointRow out;
  out.lead = ReadReference(Path(row, "lead"), in.lead(), reader);
  out.touchpoint.touchpoint = ReadTouchpoint(Path(row, "touchpoint"), in.touchpoint(), reader);
  if (in.touchpoint().has_occur_time()) {
    out.touchpoint.occur_time = out.touchpoint.touchpoint.occur_time;
  }
  return out;
}

RowContent ReadRow(const Path& row, const v1::QualificationRow& in, Reader& reader) {
  commands::QualificationRow out;
  out.lead = ReadReference(Path(row, "lead"), in.lead(), reader);
  out.qualify = in.qualify();
  if (in.has_assessment()) {
    commands::AssessLeadCommand& assess = out.assessment.emplace();
    assess.assessment = ReadAssessment(Path(row, "assessment"), in.assessment(), reader);
    assess.assessment.source = domain::AssessmentSource::kImport;
    if (in.assessment().has_occur_time()) assess.occur_time = assess.assessment.occur_time;
  } else if (!in.qualify()) {
    reader.violations().Add(row, "must have an assessment, or qualify");
  }
  out.occur_time = reader.OccurTime(Path(row, "occur_time"), in.has_occur_time(), in.occur_time());
  if (!out.occur_time && out.assessment) out.occur_time = out.assessment->occur_time;
  return out;
}

RowContent ReadRow(const Path& row, const v1::OpportunityRow& in, Reader& reader) {
  commands::OpportunityRow out;
  out.lead = ReadReference(Path(row, "lead"), in.lead(), reader);
  Path opportunity(row, "opportunity");
  out.opportunity.opportunity = ReadOpportunity(opportunity, in.opportunity(), reader);
  if (in.opportunity().intention().empty()) {
    reader.violations().Add(Path(opportunity, "intention"), "must not be empty");
  }
  out.opportunity.occur_time =
      reader.OccurTime(Path(row, "occur_time"), in.has_occur_time(), in.occur_time());
  out.stage = reader.ShortId(Path(row, "stage"), in.stage(), Presence::kOptional);
  return out;
}

RowContent ReadRow(const Path& row, const v1::CloseRow& in, Reader& reader) {
  commands::CloseRow out;
  out.opportunity = reader.ExternalId(Path(row, "opportunity"), in.opportunity());
  out.close = ReadClose(in.outcome(), in.reason(), in.winning_competitor(), Path(row, "outcome"),
                        Path(row, "reason"), Path(row, "winning_competitor"), reader);
  out.close.occur_time =
      reader.OccurTime(Path(row, "occur_time"), in.has_occur_time(), in.occur_time());
  return out;
}

absl::StatusOr<RowContent> ReadContent(const Path& row, const v1::ImportRow& in,
                                       const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  RowContent content;
  switch (in.content_case()) {
    case v1::ImportRow::kCapture:
      content = ReadRow(Path(row, "capture"), in.capture(), reader);
      break;
    case v1::ImportRow::kTouchpoint:
      content = ReadRow(Path(row, "touchpoint"), in.touchpoint(), reader);
      break;
    case v1::ImportRow::kQualification:
      content = ReadRow(Path(row, "qualification"), in.qualification(), reader);
      break;
    case v1::ImportRow::kOpportunity:
      content = ReadRow(Path(row, "opportunity"), in.opportunity(), reader);
      break;
    case v1::ImportRow::kClose:
      content = ReadRow(Path(row, "close"), in.close(), reader);
      break;
    case v1::ImportRow::CONTENT_NOT_SET:
      violations.Add(row, "must be one of: capture, touchpoint, qualification, opportunity, close");
      break;
  }
  if (!violations.empty()) return violations.ToStatus();
  return content;
}

}  // namespace

absl::StatusOr<Parsed<commands::ImportRowsCommand>> ParseImportRows(
    const v1::ImportRowsRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  Parsed<commands::ImportRowsCommand> out{.command = {}, .validate_only = request.validate_only()};
  commands::ImportRowsCommand& command = out.command;
  command.import = reader.Name<domain::ImportTag>("name", request.name(), Presence::kRequired);
  command.display_name = reader.Text("display_name", request.display_name());
  command.rows_total = reader.Count("rows_total", request.rows_total());
  command.complete = request.complete();
  Path rows("rows");
  if (reader.Fits(rows, request.rows_size(), kMaxImportRows)) {
    int64_t previous = 0;
    for (int i = 0; i < request.rows_size(); ++i) {
      const v1::ImportRow& in = request.rows(i);
      Path row(rows, static_cast<size_t>(i));
      if (in.row() <= previous || in.row() > kMaxCount) {
        violations.Add(Path(row, "row"), Concat("must be from ", previous + 1, " to ", kMaxCount,
                                                ": rows rise; not ", in.row()));
      }
      previous = std::max(previous, in.row());
      command.rows.push_back({.row = in.row(), .content = ReadContent(row, in, context)});
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

absl::StatusOr<domain::ImportId> ParseGetImport(const v1::GetImportRequest& request,
                                                const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto id = reader.Name<domain::ImportTag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

absl::StatusOr<ListPage> ParseListImports(const v1::ListImportsRequest& request,
                                          const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(request, {.method = "ListImports", .descending = true}, reader, context);
}

absl::StatusOr<storage::ListQuery> ParseExportLeads(const v1::ExportLeadsRequest& request,
                                                    const DecodeContext& context) {
  storage::ListQuery query;
  ASSIGN_OR_RETURN(query.filter, ParseFilterField(request.filter(), LeadFilterSchema()));
  query.limit = kMaxPageSize;
  query.now = context.now;
  return query;
}

}  // namespace relais::convert
