// The sales opportunity as data; the steps that change it are in negotiation.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::domain {

struct LineItem {
  static constexpr std::string_view kMemberNames[] = {"product", "description", "quantity",
                                                      "unit_price"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string product, description;
  std::string quantity;    // decimal text, above 0
  std::string unit_price;  // FormatMoney text, or empty
  friend bool operator==(const LineItem&, const LineItem&) = default;
};

struct OpportunityContact {
  static constexpr std::string_view kMemberNames[] = {"lead", "role"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string lead;  // leads/{id}
  std::string role;
  friend bool operator==(const OpportunityContact&, const OpportunityContact&) = default;
};

struct Opportunity {
  OpportunityId id;
  LeadId lead;
  int64_t revision = 0;

  std::string lead_name;  // NameOf(lead), the contract's field `lead`
  std::string display_name;
  OpportunityState state = OpportunityState::kUnspecified;
  std::string pipeline, stage;
  int64_t probability_percent = 0;
  std::optional<Money> amount;
  std::vector<LineItem> line_items;
  std::optional<Timestamp> expected_close_time, requested_delivery_time, promised_delivery_time;
  std::vector<std::string> competitors;
  std::vector<OpportunityContact> contacts;
  std::vector<std::string> objections;
  std::string next_step, owner, intention, close_reason, winning_competitor;
  std::vector<ExternalId> external_ids;
  std::map<std::string, std::string> labels;
  Timestamp open_time, stage_time;
  std::optional<Timestamp> close_time;
  std::map<std::string, std::string> stage_seconds;  // stage id -> whole seconds, decimal text
  int64_t reopen_count = 0;
  Timestamp create_time, update_time;

  friend bool operator==(const Opportunity&, const Opportunity&) = default;
};

Value ToValue(const std::vector<LineItem>& v);
Value ToValue(const std::vector<OpportunityContact>& v);
void FromValue(const Value& v, std::vector<LineItem>& out);
void FromValue(const Value& v, std::vector<OpportunityContact>& out);

template <>
absl::Span<const Field<Opportunity>> FieldsOf<Opportunity>();

}  // namespace relais::domain
