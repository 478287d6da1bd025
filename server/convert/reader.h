// Reads the fields of a request one by one: each method checks a field, puts what is wrong with it
// among the violations and answers the normalised value, or an empty one.
//
// Internal to convert. Not thread-safe; one for each request.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/map.h"
#include "google/protobuf/message.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/type/money.pb.h"
#include "relais/v1/lead.pb.h"
#include "server/convert/decode.h"
#include "server/convert/limits.h"
#include "server/convert/text.h"
#include "server/convert/violations.h"
#include "server/domain/concat.h"
#include "server/domain/enums.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::convert {

enum class Presence : bool { kOptional, kRequired };

struct TextRule {
  size_t max_bytes = kMaxTextBytes;
  TextShape shape = TextShape::kLine;
  Privacy privacy = Privacy::kOpen;
  Presence presence = Presence::kOptional;
};
inline constexpr TextRule kPersonalText = {.privacy = Privacy::kPersonal};
inline constexpr TextRule kRequiredText = {.presence = Presence::kRequired};

class Reader {
 public:
  Reader(Violations& violations, domain::Timestamp now) : violations_(violations), now_(now) {}

  Violations& violations() { return violations_; }
  domain::Timestamp now() const { return now_; }

  std::string Text(const Path& field, const std::string& in, const TextRule& rule = {});
  // A text that may be left out, and must not be blank when it is given.
  std::string GivenText(const Path& field, const std::string& in, Privacy privacy) {
    return Text(
        field, in,
        {.privacy = privacy, .presence = in.empty() ? Presence::kOptional : Presence::kRequired});
  }
  // The short ids that configuration is named by: letters, digits, '_', '-', '.'.
  std::string ShortId(const Path& field, const std::string& in, Presence presence);
  std::string Etag(const Path& field, const std::string& in);

  // A number that the enum does not have is refused; 0 too where a value is required.
  template <domain::Enumeration E>
  E Enum(const Path& field, int number, Presence presence = Presence::kOptional) {
    return static_cast<E>(EnumNumber(field, number, domain::EnumTraits<E>::names(), presence));
  }

  int64_t Count(const Path& field, int64_t in);  // 0 to kMaxCount

  // "leads/{id}" and the like; an empty id when it is absent or refused.
  template <class Tag>
  domain::Id<Tag> Name(const Path& field, const std::string& in, Presence presence) {
    if (in.empty() && presence == Presence::kOptional) return {};
    if (std::optional<domain::Id<Tag>> id = domain::ParseName<Tag>(in)) return *std::move(id);
    violations_.Add(field,
                    Concat("must be ", Tag::kCollection, "/{id}, the id a UUID in lower case"), in,
                    Privacy::kOpen);
    return {};
  }
  // The same, as text.
  template <class Tag>
  std::string NameText(const Path& field, const std::string& in, Presence presence) {
    domain::Id<Tag> id = Name<Tag>(field, in, presence);
    return id.empty() ? std::string() : domain::NameOf(id);
  }

  // From `least` to `most`.
  int64_t Number(const Path& field, int64_t in, int64_t least, int64_t most) {
    if (in < least || in > most) {
      violations_.Add(field, Concat("must be from ", least, " to ", most, ", not ", in));
    }
    return in;
  }

  // Microseconds; finer digits are dropped.
  std::optional<domain::Timestamp> Time(const Path& field, bool given,
                                        const google::protobuf::Timestamp& in);
  // A time that something happened at: not later than now, but for clock skew.
  std::optional<domain::Timestamp> OccurTime(const Path& field, bool given,
                                             const google::protobuf::Timestamp& in);
  // A moment of the record to look at: not later than now.
  std::optional<domain::Timestamp> ReadTime(const Path& field, bool given,
                                            const google::protobuf::Timestamp& in);

  std::optional<domain::Money> Money(const Path& field, bool given, const google::type::Money& in);

  std::string Country(const Path& field, const std::string& in, Privacy privacy = Privacy::kOpen);
  std::string Language(const Path& field, const std::string& in);
  std::string TimeZone(const Path& field, const std::string& in);
  std::string Domain(const Path& field, const std::string& in);
  std::string BirthDate(const Path& field, const std::string& in);
  std::string EmailAddress(const Path& field, const std::string& in);
  std::string PhoneNumber(const Path& field, const std::string& in, std::string_view region);

  std::vector<domain::ExternalId> ExternalIds(
      const Path& field, const google::protobuf::RepeatedPtrField<v1::ExternalId>& in);
  domain::ExternalId ExternalId(const Path& field, const v1::ExternalId& in);
  std::string System(const Path& field, const std::string& in, Presence presence);

  // Texts that are not empty, each once.
  std::vector<std::string> Texts(const Path& field,
                                 const google::protobuf::RepeatedPtrField<std::string>& in,
                                 size_t max_entries);
  // Labels and properties.
  std::map<std::string, std::string> Labels(
      const Path& field, const google::protobuf::Map<std::string, std::string>& in,
      Privacy privacy);

  // False, with a violation, when a list is too long; its entries are then not worth reading.
  bool Fits(const Path& field, int size, size_t max_entries);

  // The canonical UUID; empty when absent or refused.
  std::string RequestId(const Path& field, const std::string& in);

 private:
  int64_t EnumNumber(const Path& field, int number, const domain::EnumNames& names,
                     Presence presence);
  std::string Accept(const Path& field, absl::StatusOr<std::string> result, const std::string& in,
                     Privacy privacy);

  Violations& violations_;
  domain::Timestamp now_;
};

// "{collection}/{id}" of a kind of configuration, with "@{revision}" where one is meant; empty,
// with a violation, for what is none.
domain::ConfigName ReadConfigName(domain::ConfigKind kind, const Path& field,
                                  const std::string& name, Reader& reader);

// Adds `entry` unless an equal one is there.
template <class T>
void AddOnce(std::vector<T>& list, T entry) {
  if (std::find(list.begin(), list.end(), entry) == list.end()) list.push_back(std::move(entry));
}

// The end of every Parse of a changing call: the command with its Once, or all violations.
template <class C, class R>
absl::StatusOr<Parsed<C>> Finish(C command, const R& request, std::string_view method,
                                 Reader& reader, const DecodeContext& context) {
  std::string request_id = reader.RequestId("request_id", request.request_id());
  if (!reader.violations().empty()) return reader.violations().ToStatus();
  if (!request_id.empty() && !request.validate_only()) {
    command.once = {std::move(request_id), context.digester->Digest(method, request)};
  }
  return Parsed<C>{std::move(command), request.validate_only()};
}

// The scope of a list and its page, read from the fields that every list has.
struct PageBounds {
  int limit = 0;
  std::string scope;
  std::optional<storage::Cursor> after;
};
// INVALID_ARGUMENT for a negative page_size or what `reader` has collected; INVALID_PAGE_TOKEN.
absl::StatusOr<PageBounds> ReadPageFields(int32_t page_size, const std::string& page_token,
                                          PageScope scope, Reader& reader,
                                          const DecodeContext& context);
template <class R>
absl::StatusOr<PageBounds> ReadPage(const R& request, PageScope scope, Reader& reader,
                                    const DecodeContext& context) {
  scope.tenant = context.tenant;
  return ReadPageFields(request.page_size(), request.page_token(), std::move(scope), reader,
                        context);
}

// The usual list: of a parent or not, filtered or not, in one order.
struct ListSpec {
  std::string_view method;
  std::optional<domain::LeadId> parent = {};
  std::optional<domain::SegmentId> segment = {};
  const domain::FilterSchema* schema = nullptr;  // null: no filter
  std::string_view filter = {};
  std::string order_path = "create_time";
  bool descending = false;
};
// Errors: those of ReadPageFields, and INVALID_FILTER.
absl::StatusOr<ListPage> ReadListFields(int32_t page_size, const std::string& page_token,
                                        ListSpec spec, Reader& reader,
                                        const DecodeContext& context);
template <class R>
absl::StatusOr<ListPage> ReadList(const R& request, ListSpec spec, Reader& reader,
                                  const DecodeContext& context) {
  return ReadListFields(request.page_size(), request.page_token(), std::move(spec), reader,
                        context);
}

}  // namespace relais::convert
