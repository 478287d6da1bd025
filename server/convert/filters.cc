#include "server/convert/filters.h"

#include <array>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/convert/violations.h"
#include "server/domain/concat.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/faults.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"

namespace relais::convert {
namespace {

using domain::FieldType;
using domain::FilterField;
using domain::FilterSchema;

FilterSchema MakeLeadSchema() {
  FilterSchema schema = domain::SchemaOf<domain::Lead>();
  schema.AddCollection("touchpoints", domain::SchemaOf<domain::Touchpoint>(), "occur_time")
      .IgnoreError();
  return schema;
}

FilterSchema MakeOperationSchema() {
  constexpr std::string_view kNamed[] = {"kind", "state", "target", "actor", "create_time"};
  FilterSchema whole = domain::SchemaOf<domain::Operation>();
  FilterSchema schema;
  for (std::string_view path : kNamed) {
    if (auto field = whole.Find(path)) schema.Add(*field).IgnoreError();
  }
  return schema;
}

// How an event's field is filtered and read. Events have no field table: they are not entities.
struct EventField {
  std::string_view path;
  FieldType type;
  domain::Value (*get)(const domain::Event&);
};

domain::Value TextValue(const std::string& text) { return domain::ToValue(text); }

constexpr EventField kEventFields[] = {
    {"number", FieldType::kInt, [](const domain::Event& e) { return domain::Value(e.number); }},
    {"type", FieldType::kEnum, [](const domain::Event& e) { return domain::ToValue(e.type); }},
    {"subject", FieldType::kText, [](const domain::Event& e) { return TextValue(e.subject); }},
    {"lead", FieldType::kText,
     [](const domain::Event& e) {
       return e.lead.empty() ? domain::Value() : domain::Value(domain::NameOf(e.lead));
     }},
    {"actor", FieldType::kText, [](const domain::Event& e) { return TextValue(e.actor); }},
    {"trigger", FieldType::kText, [](const domain::Event& e) { return TextValue(e.trigger); }},
    {"basis", FieldType::kText, [](const domain::Event& e) { return TextValue(e.basis); }},
    {"rule_version", FieldType::kText,
     [](const domain::Event& e) { return TextValue(e.rule_version); }},
    {"occur_time", FieldType::kTime,
     [](const domain::Event& e) { return domain::Value(e.occur_time); }},
    {"record_time", FieldType::kTime,
     [](const domain::Event& e) { return domain::Value(e.record_time); }},
};

FilterSchema MakeEventSchema() {
  FilterSchema schema;
  size_t ordinal = 0;
  for (const EventField& field : kEventFields) {
    FilterField out;
    out.path = std::string(field.path);
    out.type = field.type;
    if (field.type == FieldType::kEnum) {
      out.enumeration = &domain::EnumTraits<domain::EventType>::names();
    }
    out.ordinal = ordinal++;
    schema.Add(std::move(out)).IgnoreError();
  }
  return schema;
}

}  // namespace

const FilterSchema& LeadFilterSchema() {
  static const auto* const kSchema = new FilterSchema(MakeLeadSchema());
  return *kSchema;
}

const FilterSchema& TouchpointFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Touchpoint>());
  return *kSchema;
}

const FilterSchema& OpportunityFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Opportunity>());
  return *kSchema;
}

const FilterSchema& UserFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::User>());
  return *kSchema;
}

const FilterSchema& TeamFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Team>());
  return *kSchema;
}

const FilterSchema& CalendarFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Calendar>());
  return *kSchema;
}

const FilterSchema& SegmentFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Segment>());
  return *kSchema;
}

const FilterSchema& HandoffFilterSchema() {
  static const auto* const kSchema = new FilterSchema(domain::SchemaOf<domain::Handoff>());
  return *kSchema;
}

const FilterSchema& OperationFilterSchema() {
  static const auto* const kSchema = new FilterSchema(MakeOperationSchema());
  return *kSchema;
}

const FilterSchema& EventFilterSchema() {
  static const auto* const kSchema = new FilterSchema(MakeEventSchema());
  return *kSchema;
}

absl::StatusOr<std::optional<domain::Filter>> ParseFilterField(std::string_view text,
                                                               const FilterSchema& schema,
                                                               std::string_view field) {
  if (text.empty()) return std::optional<domain::Filter>();
  domain::FilterResult result = domain::ParseFilter(text, schema);
  if (!result.ok()) {
    const domain::FilterError& error = result.error();
    return domain::InvalidFilter(field, error.line, error.column, error.message);
  }
  if (result.filter().root() == nullptr) return std::optional<domain::Filter>();
  return std::optional<domain::Filter>(result.filter());
}

domain::Value EventSubject::Get(const FilterField& field) const {
  if (field.ordinal < std::size(kEventFields) && kEventFields[field.ordinal].path == field.path) {
    return kEventFields[field.ordinal].get(*event_);
  }
  return domain::Value();
}

std::string OrderBy::ToString() const { return descending ? Concat(path, " desc") : path; }

absl::StatusOr<OrderBy> ParseOrderBy(std::string_view text,
                                     absl::Span<const std::string_view> allowed) {
  std::vector<std::string> words =
      absl::StrSplit(ToAbsl(text), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) return OrderBy{std::string(allowed[0]), false};
  for (std::string_view path : allowed) {
    if (words[0] != path) continue;
    if (words.size() == 1) return OrderBy{std::string(path), false};
    if (words.size() == 2 && words[1] == "desc") return OrderBy{std::string(path), true};
  }
  std::string list;
  for (std::string_view path : allowed) Append(list, list.empty() ? "" : ", ", path);
  Violations violations;
  violations.Add("order_by", Concat("must be one of ", list, ", with \" desc\" or without"), text,
                 Privacy::kOpen);
  return violations.ToStatus();
}

absl::Span<const std::string_view> LeadOrders() {
  static constexpr std::string_view kOrders[] = {"create_time",
                                                 "update_time",
                                                 "score",
                                                 "milestones.stage_time",
                                                 "milestones.last_touch_time",
                                                 "person.family_name"};
  return kOrders;
}

absl::Span<const std::string_view> HandoffOrders() {
  static constexpr std::string_view kOrders[] = {"queue", "due_time", "create_time", "update_time"};
  return kOrders;
}

absl::Span<const std::string_view> OpportunityOrders() {
  static constexpr std::string_view kOrders[] = {"create_time", "update_time", "open_time",
                                                 "expected_close_time", "amount.units"};
  return kOrders;
}

}  // namespace relais::convert
