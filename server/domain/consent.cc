#include "server/domain/consent.h"

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"

namespace relais::domain {
namespace {

struct Decision {
  Timestamp time;
  ConsentState state = ConsentState::kUnspecified;
};

std::optional<Decision> Held(const Lead& lead, const std::string& key) {
  auto state = lead.consents.find(key);
  auto time = lead.consent_times.find(key);
  if (state == lead.consents.end() || time == lead.consent_times.end()) return std::nullopt;
  Decision decision;
  std::optional<int64_t> number = EnumTraits<ConsentState>::names().Number(state->second);
  if (!number.has_value() || !absl::SimpleAtoi(time->second, &decision.time.micros)) {
    return std::nullopt;
  }
  decision.state = static_cast<ConsentState>(*number);
  return decision;
}

}  // namespace

std::string ConsentKey(ConsentChannel channel, ConsentPurpose purpose) {
  return Concat(NameOf(channel), "/", NameOf(purpose));
}

bool ApplyConsent(Lead& lead, const Consent& consent) {
  std::string key = ConsentKey(consent.channel, consent.purpose);
  std::optional<Decision> held = Held(lead, key);
  if (held.has_value()) {
    if (consent.occur_time < held->time) return false;
    if (held->time == consent.occur_time && held->state == consent.state) return false;
  }
  lead.consents[key] = std::string(NameOf(consent.state));
  lead.consent_times[key] = Concat(consent.occur_time.micros);
  return true;
}

std::optional<ConsentState> ConsentFor(const Lead& lead, ConsentChannel channel,
                                       ConsentPurpose purpose) {
  std::optional<Decision> own = Held(lead, ConsentKey(channel, purpose));
  std::optional<Decision> any = Held(lead, ConsentKey(ConsentChannel::kAny, purpose));
  if (!own.has_value() && !any.has_value()) return std::nullopt;
  if (!own.has_value()) return any->state;
  if (!any.has_value()) return own->state;
  if (own->time == any->time) {
    return own->state == ConsentState::kWithdrawn ? own->state : any->state;
  }
  return own->time > any->time ? own->state : any->state;
}

}  // namespace relais::domain
