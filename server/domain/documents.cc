#include "server/domain/documents.h"

#include <string>
#include <string_view>
#include <utility>

#include "server/domain/faults.h"

namespace relais::domain {
namespace {

// Puts members into a map; what is at its default is left out.
class Writer {
 public:
  template <class T>
  Writer& Put(const char* name, const T& member) {
    Value value = ToValue(member);
    if (value.absent() || value == Value(int64_t{0}) || value == Value(false)) return *this;
    map_.emplace(name, std::move(value));
    return *this;
  }
  Writer& Put(const char* name, ValueList list) {
    if (!list.empty()) map_.emplace(name, Value(std::move(list)));
    return *this;
  }
  Value Done() { return Value(std::move(map_)); }

 private:
  ValueMap map_;
};

template <size_t N>
ValueList ListOf(const std::array<int64_t, N>& numbers) {
  return ValueList(numbers.begin(), numbers.end());
}

class Reader {
 public:
  explicit Reader(const Value& value) : map_(value.if_map()) {}

  template <class T>
  Reader& Take(const char* name, T& member) {
    if (const Value* value = Find(name)) FromValue(*value, member);
    return *this;
  }
  template <size_t N>
  Reader& Take(const char* name, std::array<int64_t, N>& numbers) {
    const ValueList* list = Find(name) == nullptr ? nullptr : Find(name)->if_list();
    for (size_t i = 0; list != nullptr && i < N && i < list->size(); ++i) {
      FromValue((*list)[i], numbers[i]);
    }
    return *this;
  }
  template <class Each>
  Reader& ForEach(const char* name, Each each) {
    const ValueList* list = Find(name) == nullptr ? nullptr : Find(name)->if_list();
    if (list == nullptr) return *this;
    for (const Value& item : *list) each(Reader(item));
    return *this;
  }

 private:
  const Value* Find(const char* name) const {
    if (map_ == nullptr) return nullptr;
    auto found = map_->find(name);
    return found == map_->end() ? nullptr : &found->second;
  }

  const ValueMap* map_;
};

absl::Status CheckKind(const ConfigDocument& document, ConfigKind kind) {
  if (document.kind != kind || document.document.if_map() == nullptr) {
    return InternalFault("a document of configuration is of another kind");
  }
  return absl::OkStatus();
}

}  // namespace

std::string SlotOf(Market market) { return std::string(NameOf(market)); }

Value DocumentOf(const ScoringModel& model) {
  ValueList rules;
  for (const ScoringRule& rule : model.rules) {
    rules.push_back(Writer()
                        .Put("rule", rule.id)
                        .Put("dimension", rule.dimension)
                        .Put("description", rule.description)
                        .Put("lead_filter", rule.lead_filter)
                        .Put("touchpoint_filter", rule.touchpoint_filter)
                        .Put("points", rule.points)
                        .Put("cap_points", rule.cap_points)
                        .Put("repeat_limit_per_day", rule.repeat_limit_per_day)
                        .Put("window_days", rule.window_days)
                        .Put("half_life_days", rule.half_life_days)
                        .Put("group", rule.group)
                        .Done());
  }
  ValueList groups;
  for (const ScoringGroup& group : model.groups) {
    groups.push_back(Writer()
                         .Put("group", group.id)
                         .Put("description", group.description)
                         .Put("cap_points", group.cap_points)
                         .Done());
  }
  return Writer()
      .Put("display_name", model.display_name)
      .Put("market", model.market)
      .Put("rules", std::move(rules))
      .Put("groups", std::move(groups))
      .Put("warm_points", model.warm_points)
      .Put("ready_points", model.ready_points)
      .Put("threshold_points", model.threshold_points)
      .Put("fit_bounds", ListOf(model.fit_bounds))
      .Put("engagement_bounds", ListOf(model.engagement_bounds))
      .Put("built_in", model.built_in)
      .Done();
}

absl::StatusOr<ScoringModel> ScoringModelOf(const ConfigDocument& document) {
  if (absl::Status kind = CheckKind(document, ConfigKind::kScoringModel); !kind.ok()) return kind;
  ScoringModel model;
  model.id = document.name;
  model.revision = document.version;
  Reader(document.document)
      .Take("display_name", model.display_name)
      .Take("market", model.market)
      .Take("threshold_points", model.threshold_points)
      .Take("fit_bounds", model.fit_bounds)
      .Take("engagement_bounds", model.engagement_bounds)
      .Take("built_in", model.built_in)
      .ForEach("rules",
               [&](Reader in) {
                 ScoringRule& rule = model.rules.emplace_back();
                 in.Take("rule", rule.id)
                     .Take("dimension", rule.dimension)
                     .Take("description", rule.description)
                     .Take("lead_filter", rule.lead_filter)
                     .Take("touchpoint_filter", rule.touchpoint_filter)
                     .Take("points", rule.points)
                     .Take("cap_points", rule.cap_points)
                     .Take("repeat_limit_per_day", rule.repeat_limit_per_day)
                     .Take("window_days", rule.window_days)
                     .Take("half_life_days", rule.half_life_days)
                     .Take("group", rule.group);
               })
      .Take("warm_points", model.warm_points)
      .Take("ready_points", model.ready_points)
      .ForEach("groups", [&](Reader in) {
        ScoringGroup& group = model.groups.emplace_back();
        in.Take("group", group.id)
            .Take("description", group.description)
            .Take("cap_points", group.cap_points);
      });
  return model;
}

Value DocumentOf(const QualificationPolicy& policy) {
  ValueList criteria;
  for (const Criterion& criterion : policy.criteria) {
    criteria.push_back(Writer()
                           .Put("criterion", criterion.id)
                           .Put("kind", criterion.kind)
                           .Put("required", criterion.required)
                           .Put("question", criterion.question)
                           .Put("valid_days", criterion.valid_days)
                           .Put("round", criterion.round)
                           .Put("weight", criterion.weight)
                           .Put("min_confidence_percent", criterion.min_confidence_percent)
                           .Done());
  }
  return Writer()
      .Put("display_name", policy.display_name)
      .Put("market", policy.market)
      .Put("criteria", std::move(criteria))
      .Put("marketing_weight", policy.marketing_weight)
      .Put("sales_weight", policy.sales_weight)
      .Put("built_in", policy.built_in)
      .Done();
}

absl::StatusOr<QualificationPolicy> QualificationPolicyOf(const ConfigDocument& document) {
  if (absl::Status kind = CheckKind(document, ConfigKind::kQualificationPolicy); !kind.ok()) {
    return kind;
  }
  QualificationPolicy policy;
  policy.id = document.name;
  policy.revision = document.version;
  Reader(document.document)
      .Take("display_name", policy.display_name)
      .Take("market", policy.market)
      .Take("built_in", policy.built_in)
      .ForEach("criteria",
               [&](Reader in) {
                 Criterion& criterion = policy.criteria.emplace_back();
                 in.Take("criterion", criterion.id)
                     .Take("kind", criterion.kind)
                     .Take("required", criterion.required)
                     .Take("question", criterion.question)
                     .Take("valid_days", criterion.valid_days)
                     .Take("round", criterion.round)
                     .Take("weight", criterion.weight)
                     .Take("min_confidence_percent", criterion.min_confidence_percent);
               })
      .Take("marketing_weight", policy.marketing_weight)
      .Take("sales_weight", policy.sales_weight);
  return policy;
}

Value DocumentOf(const RoutingRule& rule) {
  return Writer()
      .Put("display_name", rule.display_name)
      .Put("position", rule.position)
      .Put("filter", rule.filter_text)
      .Put("users", rule.users)
      .Put("team", rule.team)
      .Put("strategy", rule.strategy)
      .Put("match_territory", rule.match_territory)
      .Done();
}

absl::StatusOr<RoutingRule> RoutingRuleOf(const ConfigDocument& document) {
  if (absl::Status kind = CheckKind(document, ConfigKind::kRoutingRule); !kind.ok()) return kind;
  RoutingRule rule;
  rule.id = document.name;
  rule.revision = document.version;
  Reader(document.document)
      .Take("display_name", rule.display_name)
      .Take("position", rule.position)
      .Take("filter", rule.filter_text)
      .Take("users", rule.users)
      .Take("team", rule.team)
      .Take("strategy", rule.strategy)
      .Take("match_territory", rule.match_territory);
  FilterResult filter = ParseFilter(rule.filter_text, RoutingFilterSchema());
  if (!filter.ok()) return InternalFault("a routing rule has a filter that cannot be read");
  rule.filter = filter.filter();
  return rule;
}

Value DocumentOf(const HandoffPolicy& policy) {
  return Writer()
      .Put("display_name", policy.display_name)
      .Put("market", policy.market)
      .Put("trigger", policy.trigger)
      .Put("response_minutes", policy.response_minutes)
      .Put("max_escalations", policy.max_escalations)
      .Done();
}

absl::StatusOr<HandoffPolicy> HandoffPolicyOf(const ConfigDocument& document) {
  if (absl::Status kind = CheckKind(document, ConfigKind::kHandoffPolicy); !kind.ok()) return kind;
  HandoffPolicy policy;
  policy.id = document.name;
  policy.revision = document.version;
  policy.response_minutes = 0;
  policy.max_escalations = 0;
  Reader(document.document)
      .Take("display_name", policy.display_name)
      .Take("market", policy.market)
      .Take("trigger", policy.trigger)
      .Take("response_minutes", policy.response_minutes)
      .Take("max_escalations", policy.max_escalations);
  return policy;
}

}  // namespace relais::domain
