#include "server/convert/reader.h"

#include <re2/re2.h>

#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "server/convert/filters.h"
#include "server/domain/faults.h"
#include "server/domain/filter_text.h"
#include "server/domain/lifecycle.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

// Years 1 to 9999, as in google.protobuf.Timestamp.
constexpr int64_t kMinSeconds = -62'135'596'800;
constexpr int64_t kMaxSeconds = 253'402'300'799;
constexpr int32_t kMaxNanos = 999'999'999;

// Long lists of names help nobody.
constexpr size_t kMaxListedNames = 8;

bool Has(Presence presence) { return presence == Presence::kRequired; }

}  // namespace

std::string Reader::Accept(const Path& field, absl::StatusOr<std::string> result,
                           const std::string& in, Privacy privacy) {
  if (result.ok()) return *std::move(result);
  violations_.Add(field, FromAbsl(result.status().message()), in, privacy);
  return {};
}

std::string Reader::Text(const Path& field, const std::string& in, const TextRule& rule) {
  std::string text;
  if (!in.empty()) {
    absl::StatusOr<std::string> result = NormalizeText(in, rule.max_bytes, rule.shape);
    if (!result.ok()) {
      violations_.Add(field, FromAbsl(result.status().message()), in, rule.privacy);
      return {};
    }
    text = *std::move(result);
  }
  if (text.empty() && Has(rule.presence)) violations_.Add(field, "must not be empty");
  return text;
}

std::string Reader::ShortId(const Path& field, const std::string& in, Presence presence) {
  static const RE2* const kPattern = new RE2("[A-Za-z0-9][A-Za-z0-9_.-]*");
  if (in.empty()) {
    if (Has(presence)) violations_.Add(field, "must not be empty");
    return {};
  }
  if (in.size() <= kMaxShortIdBytes && RE2::FullMatch(in, *kPattern)) return in;
  violations_.Add(field,
                  Concat("must be at most ", kMaxShortIdBytes,
                         " letters, digits, '_', '-' or '.', the first a letter or digit"),
                  in, Privacy::kOpen);
  return {};
}

std::string Reader::Etag(const Path& field, const std::string& in) {
  return Text(field, in, {.max_bytes = kMaxEtagBytes});
}

int64_t Reader::EnumNumber(const Path& field, int number, const domain::EnumNames& names,
                           Presence presence) {
  bool known = number >= 0 && static_cast<size_t>(number) < names.names.size();
  if (known && (number != 0 || !Has(presence))) return number;
  std::string rule = Concat("must be a value of ", names.type);
  if (names.names.size() <= kMaxListedNames + 1) {
    rule = "must be ";
    for (size_t i = 1; i < names.names.size(); ++i) {
      if (i > 1) rule += i + 1 == names.names.size() ? " or " : ", ";
      rule += names.names[i];
    }
  }
  violations_.Add(field, Concat(rule, ", not ", number == 0 ? "unspecified" : Concat(number)));
  return 0;
}

int64_t Reader::Count(const Path& field, int64_t in) {
  if (in >= 0 && in <= kMaxCount) return in;
  violations_.Add(field, Concat("must be from 0 to ", kMaxCount, ", not ", in));
  return 0;
}

std::optional<domain::Timestamp> Reader::Time(const Path& field, bool given,
                                              const google::protobuf::Timestamp& in) {
  if (!given) return std::nullopt;
  if (in.seconds() < kMinSeconds || in.seconds() > kMaxSeconds || in.nanos() < 0 ||
      in.nanos() > kMaxNanos) {
    violations_.Add(field, Concat("must be of the years 1 to 9999 with nanos from 0 to 999999999, "
                                  "not seconds ",
                                  in.seconds(), ", nanos ", in.nanos()));
    return std::nullopt;
  }
  return domain::Timestamp{in.seconds() * domain::kMicrosPerSecond + in.nanos() / 1000};
}

std::optional<domain::Timestamp> Reader::OccurTime(const Path& field, bool given,
                                                   const google::protobuf::Timestamp& in) {
  std::optional<domain::Timestamp> time = Time(field, given, in);
  if (!time || time->micros - now_.micros <= domain::kClockSkewMicros) return time;
  violations_.Add(
      field,
      Concat("must not be more than ", domain::kClockSkewMicros / (60 * domain::kMicrosPerSecond),
             " minutes in the future, not ", domain::FormatFilterTime(time->micros)));
  return std::nullopt;
}

std::optional<domain::Timestamp> Reader::ReadTime(const Path& field, bool given,
                                                  const google::protobuf::Timestamp& in) {
  std::optional<domain::Timestamp> time = Time(field, given, in);
  if (!time || time->micros - now_.micros <= kReadTimeSkewMicros) return time;
  violations_.Add(
      field, Concat("must not be in the future, not ", domain::FormatFilterTime(time->micros)));
  return std::nullopt;
}

std::optional<domain::Money> Reader::Money(const Path& field, bool given,
                                           const google::type::Money& in) {
  if (!given) return std::nullopt;
  bool good = true;
  if (!domain::IsCurrency(in.currency_code())) {
    violations_.Add(Path(field, "currency_code"), "must be a currency code of ISO 4217",
                    in.currency_code(), Privacy::kOpen);
    good = false;
  }
  if (in.nanos() > kMaxNanos || in.nanos() < -kMaxNanos) {
    violations_.Add(Path(field, "nanos"),
                    Concat("must be from -999999999 to 999999999, not ", in.nanos()));
    good = false;
  } else if ((in.units() > 0 && in.nanos() < 0) || (in.units() < 0 && in.nanos() > 0)) {
    violations_.Add(Path(field, "nanos"), Concat("must have the sign of units, not ", in.nanos()));
    good = false;
  }
  if (!good) return std::nullopt;
  return domain::Money{in.currency_code(), in.units(), in.nanos()};
}

std::string Reader::Country(const Path& field, const std::string& in, Privacy privacy) {
  if (in.empty()) return {};
  std::string code = absl::AsciiStrToUpper(in);
  if (IsCountry(code)) return code;
  violations_.Add(field, "must be a country code of ISO 3166-1 alpha-2", in, privacy);
  return {};
}

std::string Reader::Language(const Path& field, const std::string& in) {
  return in.empty() ? std::string() : Accept(field, NormalizeLanguage(in), in, Privacy::kOpen);
}

std::string Reader::TimeZone(const Path& field, const std::string& in) {
  if (in.empty() || IsTimeZone(in)) return in;
  violations_.Add(field, "must be a name of the IANA time zone database", in, Privacy::kOpen);
  return {};
}

std::string Reader::Domain(const Path& field, const std::string& in) {
  return in.empty() ? std::string() : Accept(field, NormalizeDomain(in), in, Privacy::kOpen);
}

std::string Reader::BirthDate(const Path& field, const std::string& in) {
  if (in.empty()) return {};
  return Accept(field, NormalizeBirthDate(in, domain::DayOf(now_)), in, Privacy::kPersonal);
}

std::string Reader::EmailAddress(const Path& field, const std::string& in) {
  absl::StatusOr<Email> email = NormalizeEmail(in);
  if (email.ok()) return std::move(email->key);
  violations_.Add(field, FromAbsl(email.status().message()));
  return {};
}

std::string Reader::PhoneNumber(const Path& field, const std::string& in, std::string_view region) {
  absl::StatusOr<Phone> phone = NormalizePhone(in, region);
  if (phone.ok()) return std::move(phone->e164);
  violations_.Add(field, FromAbsl(phone.status().message()));
  return {};
}

std::string Reader::System(const Path& field, const std::string& in, Presence presence) {
  static const RE2* const kPattern = new RE2("[a-z0-9._-]+");
  if (in.empty() && !Has(presence)) return {};
  if (in.size() <= kMaxSystemBytes && RE2::FullMatch(in, *kPattern)) return in;
  violations_.Add(
      field,
      Concat("must be 1 to ", kMaxSystemBytes, " lower-case letters, digits, '-', '_' or '.'"), in,
      Privacy::kOpen);
  return {};
}

domain::ExternalId Reader::ExternalId(const Path& field, const v1::ExternalId& in) {
  return {System(Path(field, "system"), in.system(), Presence::kRequired),
          Text(Path(field, "id"), in.id(),
               {.max_bytes = kMaxExternalIdBytes,
                .privacy = Privacy::kPersonal,
                .presence = Presence::kRequired})};
}

std::vector<domain::ExternalId> Reader::ExternalIds(
    const Path& field, const google::protobuf::RepeatedPtrField<v1::ExternalId>& in) {
  std::vector<domain::ExternalId> out;
  if (!Fits(field, in.size(), domain::kMaxExternalIds)) return out;
  for (int i = 0; i < in.size(); ++i) {
    AddOnce(out, ExternalId(Path(field, static_cast<size_t>(i)), in[i]));
  }
  return out;
}

std::vector<std::string> Reader::Texts(const Path& field,
                                       const google::protobuf::RepeatedPtrField<std::string>& in,
                                       size_t max_entries) {
  std::vector<std::string> out;
  if (!Fits(field, in.size(), max_entries)) return out;
  for (int i = 0; i < in.size(); ++i) {
    AddOnce(out, Text(Path(field, static_cast<size_t>(i)), in[i], kRequiredText));
  }
  return out;
}

std::map<std::string, std::string> Reader::Labels(
    const Path& field, const google::protobuf::Map<std::string, std::string>& in, Privacy privacy) {
  std::map<std::string, std::string> out;
  if (!Fits(field, static_cast<int>(in.size()), domain::kMaxLabels)) return out;
  // In the order of keys: the map's own order is random, and answers should not be.
  std::map<std::string_view, const std::string*> ordered;
  for (const auto& [key, value] : in) ordered.emplace(key, &value);
  for (const auto& [key, value] : ordered) {
    absl::StatusOr<std::string> good_key = NormalizeText(key, kMaxLabelKeyBytes);
    absl::StatusOr<std::string> good_value = NormalizeText(*value, kMaxLabelValueBytes);
    if (!good_key.ok()) {
      violations_.Add(field, Concat("a key ", FromAbsl(good_key.status().message())), key, privacy);
    } else if (good_key->empty()) {
      violations_.Add(field, "a key must not be empty");
    }
    if (!good_value.ok()) {
      violations_.Add(field, Concat("a value ", FromAbsl(good_value.status().message())), *value,
                      privacy);
    }
    if (good_key.ok() && !good_key->empty() && good_value.ok() &&
        !out.emplace(*std::move(good_key), *std::move(good_value)).second) {
      violations_.Add(field, "a key is given twice, in two spellings", key, privacy);
    }
  }
  return out;
}

bool Reader::Fits(const Path& field, int size, size_t max_entries) {
  if (static_cast<size_t>(size) <= max_entries) return true;
  violations_.Add(field, Concat("must have at most ", max_entries, " entries, not ", size));
  return false;
}

std::string Reader::RequestId(const Path& field, const std::string& in) {
  if (in.empty()) return {};
  if (std::optional<std::string> id = CanonicalUuid(in)) return *std::move(id);
  violations_.Add(field, "must be a UUID such as 6ba7b810-9dad-41d1-80b4-00c04fd430c8", in,
                  Privacy::kOpen);
  return {};
}

absl::StatusOr<PageBounds> ReadPageFields(int32_t page_size, const std::string& page_token,
                                          PageScope scope, Reader& reader,
                                          const DecodeContext& context) {
  if (page_size < 0) {
    reader.violations().Add("page_size", Concat("must not be negative, not ", page_size));
  }
  if (!reader.violations().empty()) return reader.violations().ToStatus();
  PageBounds bounds;
  bounds.limit = page_size == 0 ? kDefaultPageSize : std::min<int32_t>(page_size, kMaxPageSize);
  bounds.scope = context.pages->ScopeDigest(scope);
  if (!page_token.empty()) {
    ASSIGN_OR_RETURN(bounds.after, context.pages->Read(page_token, bounds.scope));
  }
  return bounds;
}

absl::StatusOr<ListPage> ReadListFields(int32_t page_size, const std::string& page_token,
                                        ListSpec spec, Reader& reader,
                                        const DecodeContext& context) {
  ListPage page;
  PageScope scope = {.tenant = context.tenant, .method = spec.method};
  // Before the filter, so that the fields of a bad request are all named.
  if (page_size < 0 || !reader.violations().empty()) {
    return ReadPageFields(page_size, page_token, scope, reader, context).status();
  }
  if (spec.schema != nullptr) {
    ASSIGN_OR_RETURN(page.query.filter, ParseFilterField(spec.filter, *spec.schema));
    if (page.query.filter) scope.filter = page.query.filter->Canonical();
  }
  if (spec.parent) scope.parent = spec.parent->value;
  if (spec.segment) scope.parent = spec.segment->value;
  scope.order = Concat(spec.order_path, spec.descending ? " desc" : "");
  ASSIGN_OR_RETURN(PageBounds bounds,
                   ReadPageFields(page_size, page_token, scope, reader, context));
  page.query.parent = std::move(spec.parent);
  page.query.segment = std::move(spec.segment);
  page.query.order_path = std::move(spec.order_path);
  page.query.descending = spec.descending;
  page.query.limit = bounds.limit;
  page.query.after = std::move(bounds.after);
  page.query.now = reader.now();
  page.scope = std::move(bounds.scope);
  return page;
}

}  // namespace relais::convert
