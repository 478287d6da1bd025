#include "server/domain/history.h"

#include <array>
#include <vector>

#include "server/domain/records.h"

namespace relais::domain {
namespace {

constexpr auto kCriterionAnswerRefs = [](auto& r) {
  return std::array{&r.criterion,          &r.state,          &r.budget_minimum,
                    &r.budget_maximum,     &r.authority_role, &r.need,
                    &r.need_severity,      &r.target_time,    &r.evidence,
                    &r.confidence_percent, &r.expire_time};
};

}  // namespace

Value ToValue(const std::vector<CriterionAnswer>& v) {
  return RecordsToValue(v, kCriterionAnswerRefs);
}
void FromValue(const Value& v, std::vector<CriterionAnswer>& out) {
  RecordsFromValue(v, out, kCriterionAnswerRefs);
}

template <>
absl::Span<const Field<Touchpoint>> FieldsOf<Touchpoint>() {
  static const auto* const kFields = new std::vector<Field<Touchpoint>>{
      MakeField<Touchpoint>(
          "kind", [](auto& e) -> auto& { return e.kind; }),
      MakeField<Touchpoint>(
          "channel", [](auto& e) -> auto& { return e.channel; }),
      MakeField<Touchpoint>(
          "occur_time", [](auto& e) -> auto& { return e.occur_time; }),
      MakeField<Touchpoint>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Touchpoint>(
          "source", [](auto& e) -> auto& { return e.source; }),
      MakeField<Touchpoint>(
          "external_id", [](auto& e) -> auto& { return e.external_id; }),
      MakeField<Touchpoint>(
          "campaign", [](auto& e) -> auto& { return e.campaign; }),
      MakeField<Touchpoint>(
          "topic", [](auto& e) -> auto& { return e.topic; }),
      MakeField<Touchpoint>("url", [](auto& e) -> auto& { return e.url; }, {.personal = true}),
      MakeField<Touchpoint>("body", [](auto& e) -> auto& { return e.body; }, {.personal = true}),
      MakeField<Touchpoint>(
          "value", [](auto& e) -> auto& { return e.value; }),
      MakeField<Touchpoint>(
          "duration_seconds", [](auto& e) -> auto& { return e.duration_seconds; }),
      MakeField<Touchpoint>("properties", [](auto& e) -> auto& { return e.properties; },
                            {.personal = true}),
      MakeField<Touchpoint>(
          "actor", [](auto& e) -> auto& { return e.actor; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Consent>> FieldsOf<Consent>() {
  static const auto* const kFields = new std::vector<Field<Consent>>{
      MakeField<Consent>(
          "channel", [](auto& e) -> auto& { return e.channel; }),
      MakeField<Consent>(
          "purpose", [](auto& e) -> auto& { return e.purpose; }),
      MakeField<Consent>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Consent>(
          "legal_basis", [](auto& e) -> auto& { return e.legal_basis; }),
      MakeField<Consent>(
          "wording_version", [](auto& e) -> auto& { return e.wording_version; }),
      MakeField<Consent>(
          "source", [](auto& e) -> auto& { return e.source; }),
      MakeField<Consent>("proof", [](auto& e) -> auto& { return e.proof; }, {.personal = true}),
      MakeField<Consent>(
          "occur_time", [](auto& e) -> auto& { return e.occur_time; }),
      MakeField<Consent>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Consent>(
          "actor", [](auto& e) -> auto& { return e.actor; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Assessment>> FieldsOf<Assessment>() {
  static const auto* const kFields = new std::vector<Field<Assessment>>{
      MakeField<Assessment>("answers", [](auto& e) -> auto& { return e.answers; },
                            {.personal = true}),
      MakeField<Assessment>(
          "source", [](auto& e) -> auto& { return e.source; }),
      MakeField<Assessment>(
          "author", [](auto& e) -> auto& { return e.author; }),
      MakeField<Assessment>(
          "occur_time", [](auto& e) -> auto& { return e.occur_time; }),
      MakeField<Assessment>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Assessment>(
          "policy", [](auto& e) -> auto& { return e.policy; }),
  };
  return *kFields;
}

}  // namespace relais::domain
