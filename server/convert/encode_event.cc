#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/convert/encode.h"
#include "server/convert/page_token.h"
#include "server/domain/concat.h"
#include "server/domain/configuration.h"
#include "server/domain/filter_text.h"
#include "server/domain/ids.h"

namespace relais::convert {
namespace {

using google::protobuf::Struct;
using JsonValue = google::protobuf::Value;

// Doubles hold integers up to here exactly.
constexpr int64_t kExactInDouble = int64_t{1} << 53;

template <class E>
const domain::FieldSpec* FindSpec(std::string_view path) {
  const domain::Field<E>* field = domain::FindField<E>(path);
  return field == nullptr ? nullptr : &field->spec;
}

// The field of the kind of resource that a name is of: "leads/l/touchpoints/t" is a touchpoint.
const domain::FieldSpec* SpecOf(std::string_view subject, std::string_view path) {
  size_t id = subject.rfind('/');
  if (id == std::string_view::npos) return nullptr;
  std::string_view collection = subject.substr(0, id);
  collection.remove_prefix(collection.rfind('/') + 1);  // npos + 1 == 0
  if (collection == domain::LeadTag::kCollection) return FindSpec<domain::Lead>(path);
  if (collection == domain::TouchpointTag::kCollection) return FindSpec<domain::Touchpoint>(path);
  if (collection == domain::ConsentTag::kCollection) return FindSpec<domain::Consent>(path);
  if (collection == domain::AssessmentTag::kCollection) return FindSpec<domain::Assessment>(path);
  if (collection == domain::OpportunityTag::kCollection) {
    return FindSpec<domain::Opportunity>(path);
  }
  if (collection == domain::UserTag::kCollection) return FindSpec<domain::User>(path);
  if (collection == domain::TeamTag::kCollection) return FindSpec<domain::Team>(path);
  if (collection == domain::ImportTag::kCollection) return FindSpec<domain::Import>(path);
  if (collection == domain::OperationTag::kCollection) return FindSpec<domain::Operation>(path);
  for (domain::ConfigKind kind :
       {domain::ConfigKind::kScoringModel, domain::ConfigKind::kQualificationPolicy,
        domain::ConfigKind::kRoutingRule, domain::ConfigKind::kHandoffPolicy}) {
    if (collection == domain::CollectionOf(kind)) return FindSpec<domain::ConfigDocument>(path);
  }
  if (collection == domain::CalendarTag::kCollection) return FindSpec<domain::Calendar>(path);
  if (collection == domain::HandoffTag::kCollection) return FindSpec<domain::Handoff>(path);
  if (collection == domain::SegmentTag::kCollection) return FindSpec<domain::Segment>(path);
  return nullptr;
}

void PutInt(int64_t number, JsonValue* out) {
  if (number >= -kExactInDouble && number <= kExactInDouble) {
    out->set_number_value(static_cast<double>(number));
  } else {
    out->set_string_value(Concat(number));
  }
}

void PutMoney(const domain::Money& in, JsonValue* out) {
  auto& fields = *out->mutable_struct_value()->mutable_fields();
  fields["currency_code"].set_string_value(in.currency_code);
  fields["units"].set_string_value(Concat(in.units));
  fields["nanos"].set_number_value(in.nanos);
}

// Records keep times as decimal microseconds; the log shows them like every other time.
void PutMember(std::string_view name, const domain::Value& in, JsonValue* out) {
  int64_t micros = 0;
  if ((name.ends_with("_time") || name.ends_with("_times")) && in.if_text() != nullptr &&
      absl::SimpleAtoi(*in.if_text(), &micros)) {
    out->set_string_value(domain::FormatFilterTime(micros));
  } else {
    Encode(in, nullptr, out);
  }
}

std::optional<int64_t> IntIn(const domain::Value& value) {
  if (value.absent()) return 0;
  return value.if_int() == nullptr ? std::nullopt : std::optional<int64_t>(*value.if_int());
}

const domain::FieldChange* FindChange(const domain::Event& event, std::string_view path) {
  for (const domain::FieldChange& change : event.changes) {
    if (change.path == path) return &change;
  }
  return nullptr;
}

bool IsOfLead(const domain::Event& event) {
  return !event.lead.empty() && event.subject == domain::NameOf(event.lead);
}

}  // namespace

void Encode(const domain::Value& in, const domain::FieldSpec* spec, JsonValue* out) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          out->set_null_value(google::protobuf::NULL_VALUE);
        } else if constexpr (std::is_same_v<T, bool>) {
          out->set_bool_value(value);
        } else if constexpr (std::is_same_v<T, int64_t>) {
          if (spec != nullptr && spec->enumeration != nullptr) {
            out->set_string_value(std::string(spec->enumeration->Name(value)));
          } else {
            PutInt(value, out);
          }
        } else if constexpr (std::is_same_v<T, std::string>) {
          out->set_string_value(value);
        } else if constexpr (std::is_same_v<T, domain::Timestamp>) {
          out->set_string_value(domain::FormatFilterTime(value.micros));
        } else if constexpr (std::is_same_v<T, domain::Money>) {
          PutMoney(value, out);
        } else if constexpr (std::is_same_v<T, domain::ValueList>) {
          auto* list = out->mutable_list_value();
          for (const domain::Value& item : value) Encode(item, spec, list->add_values());
        } else {
          auto& fields = *out->mutable_struct_value()->mutable_fields();
          // The keys of a map of times are not names of times, its path is.
          bool times = spec != nullptr && spec->type == domain::FieldType::kTextMap;
          bool records = spec != nullptr && spec->type == domain::FieldType::kRecordList;
          for (const auto& [key, item] : value) {
            std::string_view name = times ? spec->path : records ? std::string_view(key) : "";
            PutMember(name, item, &fields[key]);
          }
        }
      },
      in.variant());
}

void Encode(const domain::Event& in, const domain::TenantId& tenant, v1::Event* out) {
  out->set_number(in.number);
  out->set_type(static_cast<v1::EventType>(in.type));
  out->set_subject(in.subject);
  if (!in.lead.empty()) out->set_lead(domain::NameOf(in.lead));
  Encode(in.occur_time, out->mutable_occur_time());
  Encode(in.record_time, out->mutable_record_time());
  out->set_actor(in.actor);
  out->set_trigger(in.trigger);
  for (const domain::FieldChange& change : in.changes) {
    v1::FieldChange* entry = out->add_changes();
    entry->set_path(change.path);
    const domain::FieldSpec* spec = SpecOf(in.subject, change.path);
    if (!change.before.absent()) Encode(change.before, spec, entry->mutable_old_value());
    if (!change.after.absent()) Encode(change.after, spec, entry->mutable_new_value());
  }
  out->set_rule_version(in.rule_version);
  out->set_basis(in.basis);
  out->set_reason(in.reason);
  out->set_erased(in.erased);
  out->set_resume_token(MakeResumeToken(tenant, in.number, in.digest));
}

std::optional<v1::Transition> TransitionOf(const domain::Event& event, int64_t& score) {
  if (!IsOfLead(event)) return std::nullopt;
  if (const domain::FieldChange* change = FindChange(event, "score")) {
    score = IntIn(change->after).value_or(score);
  }
  const domain::FieldChange* stage = FindChange(event, "stage");
  if (stage == nullptr) return std::nullopt;
  v1::Transition out;
  out.set_from(static_cast<v1::Stage>(IntIn(stage->before).value_or(0)));
  out.set_to(static_cast<v1::Stage>(IntIn(stage->after).value_or(0)));
  out.set_trigger(event.trigger);
  Encode(event.occur_time, out.mutable_occur_time());
  Encode(event.record_time, out.mutable_record_time());
  out.set_actor(event.actor);
  out.set_reason(event.reason);
  if (event.basis.starts_with("opportunities/")) {
    out.set_opportunity(event.basis);
  } else if (event.basis.find("/assessments/") != std::string::npos) {
    out.set_assessment(event.basis);
  }
  out.set_score(score);
  out.set_rule_version(event.rule_version);
  out.set_position(event.number);
  return out;
}

void AppendChanges(const domain::Event& event,
                   google::protobuf::RepeatedPtrField<v1::LeadChange>* out) {
  if (!IsOfLead(event)) return;
  for (const domain::FieldChange& change : event.changes) {
    v1::LeadChange* entry = out->Add();
    entry->set_path(change.path);
    const domain::FieldSpec* spec = FindSpec<domain::Lead>(change.path);
    if (!change.before.absent()) Encode(change.before, spec, entry->mutable_old_value());
    if (!change.after.absent()) Encode(change.after, spec, entry->mutable_new_value());
    Encode(event.occur_time, entry->mutable_occur_time());
    Encode(event.record_time, entry->mutable_record_time());
    entry->set_actor(event.actor);
    entry->set_position(event.number);
    entry->set_erased(event.erased && change.personal);
  }
}

}  // namespace relais::convert
