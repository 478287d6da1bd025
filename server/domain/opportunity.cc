#include "server/domain/opportunity.h"

#include <array>
#include <vector>

#include "server/domain/records.h"

namespace relais::domain {
namespace {

constexpr auto kLineItemRefs = [](auto& r) {
  return std::array{&r.product, &r.description, &r.quantity, &r.unit_price};
};
constexpr auto kOpportunityContactRefs = [](auto& r) { return std::array{&r.lead, &r.role}; };

}  // namespace

Value ToValue(const std::vector<LineItem>& v) { return RecordsToValue(v, kLineItemRefs); }
void FromValue(const Value& v, std::vector<LineItem>& out) {
  RecordsFromValue(v, out, kLineItemRefs);
}
Value ToValue(const std::vector<OpportunityContact>& v) {
  return RecordsToValue(v, kOpportunityContactRefs);
}
void FromValue(const Value& v, std::vector<OpportunityContact>& out) {
  RecordsFromValue(v, out, kOpportunityContactRefs);
}

template <>
absl::Span<const Field<Opportunity>> FieldsOf<Opportunity>() {
  static const auto* const kFields = new std::vector<Field<Opportunity>>{
      MakeField<Opportunity>(
          "lead", [](auto& e) -> auto& { return e.lead_name; }),
      MakeField<Opportunity>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Opportunity>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Opportunity>(
          "pipeline", [](auto& e) -> auto& { return e.pipeline; }),
      MakeField<Opportunity>(
          "stage", [](auto& e) -> auto& { return e.stage; }),
      MakeField<Opportunity>(
          "probability_percent", [](auto& e) -> auto& { return e.probability_percent; }),
      MakeField<Opportunity>(
          "amount", [](auto& e) -> auto& { return e.amount; }),
      MakeField<Opportunity>(
          "line_items", [](auto& e) -> auto& { return e.line_items; }),
      MakeField<Opportunity>(
          "expected_close_time", [](auto& e) -> auto& { return e.expected_close_time; }),
      MakeField<Opportunity>(
          "requested_delivery_time", [](auto& e) -> auto& { return e.requested_delivery_time; }),
      MakeField<Opportunity>(
          "promised_delivery_time", [](auto& e) -> auto& { return e.promised_delivery_time; }),
      MakeField<Opportunity>(
          "competitors", [](auto& e) -> auto& { return e.competitors; }),
      MakeField<Opportunity>(
          "contacts", [](auto& e) -> auto& { return e.contacts; }),
      MakeField<Opportunity>(
          "objections", [](auto& e) -> auto& { return e.objections; }),
      MakeField<Opportunity>(
          "next_step", [](auto& e) -> auto& { return e.next_step; }),
      MakeField<Opportunity>(
          "owner", [](auto& e) -> auto& { return e.owner; }),
      MakeField<Opportunity>("intention", [](auto& e) -> auto& { return e.intention; },
                             {.personal = true}),
      MakeField<Opportunity>(
          "close_reason", [](auto& e) -> auto& { return e.close_reason; }),
      MakeField<Opportunity>(
          "winning_competitor", [](auto& e) -> auto& { return e.winning_competitor; }),
      MakeField<Opportunity>("external_ids", [](auto& e) -> auto& { return e.external_ids; },
                             {.personal = true}),
      MakeField<Opportunity>(
          "labels", [](auto& e) -> auto& { return e.labels; }),
      MakeField<Opportunity>(
          "open_time", [](auto& e) -> auto& { return e.open_time; }),
      MakeField<Opportunity>(
          "stage_time", [](auto& e) -> auto& { return e.stage_time; }),
      MakeField<Opportunity>(
          "close_time", [](auto& e) -> auto& { return e.close_time; }),
      MakeField<Opportunity>("stage_seconds", [](auto& e) -> auto& { return e.stage_seconds; },
                             {.filterable = false}),
      MakeField<Opportunity>(
          "reopen_count", [](auto& e) -> auto& { return e.reopen_count; }),
      MakeField<Opportunity>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Opportunity>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
