// The feed, figures and long work: calls that carry no resource.
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

constexpr int64_t kFromNow = -1;  // WatchRequest.after_number

storage::FunnelBreakdown ReadBreakdown(int number, Violations& violations) {
  switch (number) {
    case v1::FUNNEL_BREAKDOWN_UNSPECIFIED:
      return storage::FunnelBreakdown::kNone;
    case v1::FUNNEL_BREAKDOWN_CHANNEL:
      return storage::FunnelBreakdown::kChannel;
    case v1::FUNNEL_BREAKDOWN_SOURCE:
      return storage::FunnelBreakdown::kSource;
    case v1::FUNNEL_BREAKDOWN_FIRST_TOUCH_MONTH:
      return storage::FunnelBreakdown::kFirstTouchMonth;
    default:
      violations.Add("breakdown",
                     Concat("must be CHANNEL, SOURCE or FIRST_TOUCH_MONTH, not ", number));
      return storage::FunnelBreakdown::kNone;
  }
}

template <class R>
absl::StatusOr<domain::OperationId> ReadOperation(const R& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto id = reader.Name<domain::OperationTag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

}  // namespace

absl::StatusOr<WatchQuery> ParseWatch(const v1::WatchRequest& request,
                                      const DecodeContext& context) {
  WatchQuery query;
  query.until_now = request.until_now();
  if (!request.resume_token().empty()) {
    ASSIGN_OR_RETURN(query.resume, ReadResumeToken(request.resume_token(),
                                                   domain::TenantId(std::string(context.tenant))));
    query.after_number = query.resume->number;
  } else if (request.after_number() < kFromNow) {
    return domain::InvalidField("after_number",
                                Concat("must be -1 or more, not ", request.after_number()));
  } else {
    query.after_number = request.after_number();
  }
  ASSIGN_OR_RETURN(query.filter, ParseFilterField(request.filter(), EventFilterSchema()));
  return query;
}

absl::StatusOr<storage::FunnelQuery> ParseGetFunnel(const v1::GetFunnelRequest& request,
                                                    const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  storage::FunnelQuery query;
  query.breakdown = ReadBreakdown(request.breakdown(), violations);
  auto market = reader.Enum<domain::Market>("market", request.market());
  if (market != domain::Market::kUnspecified) query.market = market;
  query.first_touch_start =
      reader.Time("first_touch_start_time", request.has_first_touch_start_time(),
                  request.first_touch_start_time());
  query.first_touch_end = reader.Time("first_touch_end_time", request.has_first_touch_end_time(),
                                      request.first_touch_end_time());
  if (query.first_touch_start && query.first_touch_end &&
      *query.first_touch_end <= *query.first_touch_start) {
    violations.Add("first_touch_end_time", "must be after first_touch_start_time");
  }
  if (!violations.empty()) return violations.ToStatus();
  return query;
}

absl::StatusOr<domain::OperationId> ParseGetOperation(const v1::GetOperationRequest& request,
                                                      const DecodeContext& context) {
  return ReadOperation(request, context);
}

absl::StatusOr<domain::OperationId> ParseWatchOperation(const v1::WatchOperationRequest& request,
                                                        const DecodeContext& context) {
  return ReadOperation(request, context);
}

absl::StatusOr<ListPage> ParseListOperations(const v1::ListOperationsRequest& request,
                                             const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  return ReadList(request,
                  {.method = "ListOperations",
                   .schema = &OperationFilterSchema(),
                   .filter = request.filter(),
                   .descending = true},
                  reader, context);
}

absl::StatusOr<Parsed<commands::CancelOperationCommand>> ParseCancelOperation(
    const v1::CancelOperationRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::CancelOperationCommand command;
  command.operation =
      reader.Name<domain::OperationTag>("name", request.name(), Presence::kRequired);
  return Finish(std::move(command), request, "CancelOperation", reader, context);
}

}  // namespace relais::convert
