#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/update_mask.h"
#include "server/domain/segment.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

domain::Segment ReadSegment(const Path& field, const v1::Segment& in, Reader& reader) {
  domain::Segment out;
  out.display_name =
      reader.GivenText(Path(field, "display_name"), in.display_name(), Privacy::kOpen);
  out.description = reader.Text(Path(field, "description"), in.description());
  out.filter = in.filter();
  return out;
}

// What the passing of days changes in a lead without an event (WriteTxn::KeepScore).
constexpr std::string_view kFading[] = {"score", "fit_score", "engagement_score", "intent_score",
                                        "next_score_time"};

// Reported alone, with its place in the text.
absl::Status CheckFilter(domain::Segment& segment) {
  ASSIGN_OR_RETURN(std::optional<domain::Filter> filter,
                   ParseFilterField(segment.filter, LeadFilterSchema(), "segment.filter"));
  segment.time_dependent =
      filter.has_value() &&
      (filter->depends_on_now() ||
       std::any_of(std::begin(kFading), std::end(kFading),
                   [&](std::string_view path) { return filter->names(path); }));
  return absl::OkStatus();
}

bool Has(const std::vector<std::string>& paths, std::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace

absl::StatusOr<Parsed<commands::SaveSegmentCommand>> ParseCreateSegment(
    const v1::CreateSegmentRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveSegmentCommand command;
  Path field("segment");
  command.values = ReadSegment(field, request.segment(), reader);
  if (request.segment().display_name().empty()) {
    violations.Add(Path(field, "display_name"), "must not be empty");
  }
  if (request.segment().filter().empty()) {
    violations.Add(Path(field, "filter"), "must not be empty");
  }
  if (violations.empty()) RETURN_IF_ERROR(CheckFilter(command.values));
  return Finish(std::move(command), request, "CreateSegment", reader, context);
}

absl::StatusOr<Parsed<commands::SaveSegmentCommand>> ParseUpdateSegment(
    const v1::UpdateSegmentRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SaveSegmentCommand command;
  Path field("segment");
  const v1::Segment& in = request.segment();
  command.segment =
      reader.Name<domain::SegmentTag>(Path(field, "name"), in.name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), in.etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadSegment(field, in, values);
  command.paths = ResolveUpdate("segment", request.has_update_mask(), request.update_mask(),
                                DescriptiveSegmentPaths(), command.values, found, violations);
  for (const char* path : {"display_name", "filter"}) {
    const std::string& given = path == std::string_view("filter") ? in.filter() : in.display_name();
    if (Has(command.paths, path) && given.empty()) {
      violations.Add(Path(field, path), "must not be empty");
    }
  }
  if (violations.empty() && Has(command.paths, "filter")) {
    RETURN_IF_ERROR(CheckFilter(command.values));
  }
  return Finish(std::move(command), request, "UpdateSegment", reader, context);
}

absl::StatusOr<Parsed<commands::ArchiveSegmentCommand>> ParseArchiveSegment(
    const v1::ArchiveSegmentRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::ArchiveSegmentCommand command;
  command.segment = reader.Name<domain::SegmentTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "ArchiveSegment", reader, context);
}

absl::StatusOr<domain::SegmentId> ParseGetSegment(const v1::GetSegmentRequest& request,
                                                  const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto id = reader.Name<domain::SegmentTag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

absl::StatusOr<ListPage> ParseListSegments(const v1::ListSegmentsRequest& request,
                                           const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(
      request,
      {.method = "ListSegments", .schema = &SegmentFilterSchema(), .filter = request.filter()},
      reader, context);
}

absl::StatusOr<ListPage> ParseListSegmentLeads(const v1::ListSegmentLeadsRequest& request,
                                               const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::SegmentId parent =
      reader.Name<domain::SegmentTag>("parent", request.parent(), Presence::kRequired);
  ASSIGN_OR_RETURN(OrderBy order, ParseOrderBy(request.order_by(), LeadOrders()));
  return ReadList(request,
                  {.method = "ListSegmentLeads",
                   .segment = std::move(parent),
                   .schema = &LeadFilterSchema(),
                   .filter = request.filter(),
                   .order_path = std::move(order.path),
                   .descending = order.descending},
                  reader, context);
}

absl::StatusOr<std::vector<domain::SegmentId>> ParseCountSegments(
    const v1::CountSegmentsRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  std::vector<domain::SegmentId> out;
  Path names("names");
  if (reader.Fits(names, request.names_size(), kMaxBatchItems)) {
    for (int i = 0; i < request.names_size(); ++i) {
      out.push_back(reader.Name<domain::SegmentTag>(Path(names, static_cast<size_t>(i)),
                                                    request.names(i), Presence::kRequired));
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

}  // namespace relais::convert
