// What filters may name in each list, and the order of lists.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/event.h"
#include "server/domain/filter.h"
#include "server/domain/filter_eval.h"
#include "server/domain/filter_schema.h"

namespace relais::convert {

// Made once, on first use; thread-safe.
const domain::FilterSchema& LeadFilterSchema();  // with the collection "touchpoints"
const domain::FilterSchema& TouchpointFilterSchema();
const domain::FilterSchema& OpportunityFilterSchema();
const domain::FilterSchema& UserFilterSchema();
const domain::FilterSchema& TeamFilterSchema();
const domain::FilterSchema& CalendarFilterSchema();
const domain::FilterSchema& HandoffFilterSchema();
const domain::FilterSchema& SegmentFilterSchema();    // of ListSegments
const domain::FilterSchema& OperationFilterSchema();  // what ListOperationsRequest.filter names
const domain::FilterSchema& EventFilterSchema();      // what WatchRequest.filter names, and number,
                                                      // rule_version

// Nothing for empty text. INVALID_ARGUMENT, reason INVALID_FILTER, with line and column.
absl::StatusOr<std::optional<domain::Filter>> ParseFilterField(std::string_view text,
                                                               const domain::FilterSchema& schema,
                                                               std::string_view field = "filter");

// An event as EventFilterSchema sees it. The event must outlive the subject.
class EventSubject final : public domain::FilterSubject {
 public:
  explicit EventSubject(const domain::Event& event) : event_(&event) {}
  domain::Value Get(const domain::FilterField& field) const override;

 private:
  const domain::Event* event_;
};

struct OrderBy {
  std::string path;
  bool descending = false;

  std::string ToString() const;  // "score desc"
};

// `text` is one of `allowed`, with " desc" or without; the first of `allowed`, ascending, when it
// is empty. INVALID_ARGUMENT ("order_by") otherwise, naming what is allowed.
absl::StatusOr<OrderBy> ParseOrderBy(std::string_view text,
                                     absl::Span<const std::string_view> allowed);

// The closed lists of the contract.
absl::Span<const std::string_view> LeadOrders();
absl::Span<const std::string_view> OpportunityOrders();
absl::Span<const std::string_view> HandoffOrders();

}  // namespace relais::convert
