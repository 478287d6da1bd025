#include "server/convert/digest.h"

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/domain/concat.h"

namespace relais::convert {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;

constexpr size_t kBlockBytes = 64;  // of SHA-256
constexpr size_t kHashBytes = 32;

// Looked up once: a lookup by name costs more than the hashing of a request. Never freed, so usable
// during exit.
const EVP_MD* Sha256() {
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (kSha256 == nullptr) std::abort();  // an OpenSSL without SHA-256 can do nothing for us
  return kSha256;
}

// What a retry may change without being another request.
bool IsHandling(const FieldDescriptor& field) {
  return field.name() == "request_id" || field.name() == "validate_only" || field.name() == "etag";
}

bool IsResource(const FieldDescriptor& field) {
  return !field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

void ClearHandling(Message& request) {
  const google::protobuf::Reflection* reflection = request.GetReflection();
  const Descriptor* type = request.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (IsHandling(*field)) {
      reflection->ClearField(&request, field);
    } else if (IsResource(*field) && reflection->HasField(request, field)) {
      if (const FieldDescriptor* etag = field->message_type()->FindFieldByName("etag")) {
        Message* resource = reflection->MutableMessage(&request, field);
        resource->GetReflection()->ClearField(resource, etag);
      }
    }
  }
}

std::string Serialized(const Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    message.SerializePartialToCodedStream(&out);
  }
  return bytes;
}

// The tag that protobuf writes for a field.
uint32_t TagOf(const FieldDescriptor& field) {
  auto type = static_cast<WireFormatLite::FieldType>(field.type());
  return WireFormatLite::MakeTag(field.number(), field.is_packed()
                                                     ? WireFormatLite::WIRETYPE_LENGTH_DELIMITED
                                                     : WireFormatLite::WireTypeForFieldType(type));
}

// One field at a time of what protobuf has written.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }
  // False for what cannot be followed; then nothing more is to be asked.
  bool Next() {
    uint64_t tag = 0, size = 0;
    const char* begin = rest_.data();
    if (!TakeVarint(tag)) return false;
    tag_ = static_cast<uint32_t>(tag);
    switch (WireFormatLite::GetTagWireType(tag_)) {
      case WireFormatLite::WIRETYPE_VARINT:
        if (!TakeVarint(size)) return false;
        break;
      case WireFormatLite::WIRETYPE_FIXED64:
        if (!Take(8)) return false;
        break;
      case WireFormatLite::WIRETYPE_FIXED32:
        if (!Take(4)) return false;
        break;
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED:
        if (!TakeVarint(size) || !Take(size)) return false;
        break;
      default:
        return false;
    }
    whole_ = {begin, static_cast<size_t>(rest_.data() - begin)};
    return true;
  }
  uint32_t tag() const { return tag_; }
  int number() const { return WireFormatLite::GetTagFieldNumber(tag_); }
  std::string_view whole() const { return whole_; }      // with its tag
  std::string_view content() const { return content_; }  // of one with a length

 private:
  bool TakeVarint(uint64_t& number) {
    number = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      number |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool Take(uint64_t size) {
    if (size > rest_.size()) return false;
    content_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  std::string_view rest_, whole_, content_;
  uint32_t tag_ = 0;
};

// Whether every field is one of the type's own, down to the leaves, and none is called `unwanted`.
bool OnlyKnown(std::string_view bytes, const Descriptor& type, const FieldDescriptor* unwanted) {
  Fields fields(bytes);
  while (!fields.done()) {
    if (!fields.Next()) return false;
    const FieldDescriptor* field = type.FindFieldByNumber(fields.number());
    if (field == nullptr || field == unwanted || fields.tag() != TagOf(*field)) return false;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
        !OnlyKnown(fields.content(), *field->message_type(), nullptr)) {
      return false;
    }
  }
  return true;
}

// What counts of a request, as pieces of its bytes: nearly every request is what counts but for a
// request id. Nothing when more is to be left out than whole fields of the request itself.
std::optional<std::vector<std::string_view>> Pieces(std::string_view bytes,
                                                    const Descriptor& type) {
  std::vector<std::string_view> pieces;
  pieces.reserve(12);
  Fields fields(bytes);
  while (!fields.done()) {
    if (!fields.Next()) return std::nullopt;
    const FieldDescriptor* field = type.FindFieldByNumber(fields.number());
    if (field == nullptr || fields.tag() != TagOf(*field)) return std::nullopt;
    if (IsHandling(*field)) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Descriptor& inner = *field->message_type();
      const FieldDescriptor* etag = IsResource(*field) ? inner.FindFieldByName("etag") : nullptr;
      if (!OnlyKnown(fields.content(), inner, etag)) return std::nullopt;
    }
    pieces.push_back(fields.whole());
  }
  return pieces;
}

}  // namespace

HmacKey::HmacKey(std::string_view key)
    : inner_(EVP_MD_CTX_new(), &EVP_MD_CTX_free), outer_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
  std::array<unsigned char, kBlockBytes> block{};
  if (key.size() > kBlockBytes) {
    EVP_Digest(key.data(), key.size(), block.data(), nullptr, Sha256(), nullptr);
  } else {
    for (size_t i = 0; i < key.size(); ++i) block[i] = static_cast<unsigned char>(key[i]);
  }
  auto begin = [&block](Context& context, unsigned char pad) {
    std::array<unsigned char, kBlockBytes> padded{};
    for (size_t i = 0; i < kBlockBytes; ++i) padded[i] = block[i] ^ pad;
    EVP_DigestInit_ex(context.get(), Sha256(), nullptr);
    EVP_DigestUpdate(context.get(), padded.data(), padded.size());
  };
  begin(inner_, 0x36);
  begin(outer_, 0x5c);
}

std::string HmacKey::Of(const std::string_view* parts, size_t count) const {
  thread_local const Context kContext(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::array<unsigned char, kHashBytes> hash{};
  EVP_MD_CTX_copy_ex(kContext.get(), inner_.get());
  for (size_t i = 0; i < count; ++i) {
    EVP_DigestUpdate(kContext.get(), parts[i].data(), parts[i].size());
  }
  EVP_DigestFinal_ex(kContext.get(), hash.data(), nullptr);
  EVP_MD_CTX_copy_ex(kContext.get(), outer_.get());
  EVP_DigestUpdate(kContext.get(), hash.data(), hash.size());
  EVP_DigestFinal_ex(kContext.get(), hash.data(), nullptr);
  return std::string(reinterpret_cast<const char*>(hash.data()), hash.size());
}

std::string HmacSha256(std::string_view key, std::string_view data) {
  return HmacKey(key).Of({data});
}

std::string Digester::Digest(std::string_view method, const Message& request) const {
  constexpr std::string_view kEnd("\0", 1);
  std::string bytes = Serialized(request);
  std::vector<std::string_view> parts;
  if (auto pieces = Pieces(bytes, *request.GetDescriptor())) {
    parts = *std::move(pieces);
  } else {
    std::unique_ptr<Message> copy(request.New());
    copy->CopyFrom(request);
    copy->DiscardUnknownFields();
    ClearHandling(*copy);
    bytes = Serialized(*copy);
    parts = {bytes};
  }
  parts.insert(parts.begin(), {method, kEnd});
  return absl::BytesToHexString(key_.Of(parts.data(), parts.size()));
}

}  // namespace relais::convert
