#include "server/domain/fields.h"

namespace relais::domain {

void AppendScalar(const std::optional<Money>& v, std::vector<Scalar>& out) {
  if (v.has_value()) {
    out.emplace_back(v->units);
    out.emplace_back(int64_t{v->nanos});
    out.emplace_back(v->currency_code);
  } else {
    out.resize(out.size() + 3);
  }
}

void AppendScalar(const Money& v, std::vector<Scalar>& out) {
  AppendScalar(v.currency_code.empty() ? std::nullopt : std::optional<Money>(v), out);
}

int TakeScalar(Scalar* cells, std::optional<Money>& out) {
  out.reset();
  const int64_t* units = nullptr;
  const int64_t* nanos = nullptr;
  if (TakeNumber(cells[0], units) != kAllTaken) return 0;
  if (TakeNumber(cells[1], nanos) != kAllTaken) return 1;
  std::string currency;
  if (TakeScalar(cells + 2, currency) != kAllTaken) return 2;
  if (units == nullptr) return kAllTaken;
  if (nanos == nullptr || *nanos <= -kNanosPerUnit || *nanos >= kNanosPerUnit) return 2;
  out = Money{std::move(currency), *units, static_cast<int32_t>(*nanos)};
  return kAllTaken;
}

int TakeScalar(Scalar* cells, Money& out) {
  std::optional<Money> money;
  const int wrong = TakeScalar(cells, money);
  out = money.has_value() ? *std::move(money) : Money{};
  return wrong;
}

}  // namespace relais::domain
