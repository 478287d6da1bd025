#include "server/convert/wire.h"

#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/wire_format_lite.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::convert {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// protobuf's own limit on messages within messages.
constexpr int kMaxMessageDepth = 100;

// RFC 3629: shortest forms only, no surrogates, nothing beyond U+10FFFF.
bool IsUtf8(std::string_view text) {
  size_t i = 0;
  auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  while (i < text.size()) {
    unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                    : lead >= 0xE0 && lead <= 0xEF ? 3
                    : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                   : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    unsigned char second = byte(i + 1);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
      return false;
    }
    i += length;
  }
  return true;
}

// Walks a message as it is on the wire, to find what protobuf only says is somewhere.
class TextSearch {
 public:
  // True when a text that is not UTF-8 was found; its path is then in `path`.
  bool Find(std::string_view bytes, const Descriptor& type, int depth, std::string& path) {
    CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                        static_cast<int>(bytes.size()));
    std::vector<std::pair<int, int>> seen;  // field number, entries of it so far
    while (uint32_t tag = in.ReadTag()) {
      const FieldDescriptor* field = type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag));
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (!WireFormatLite::SkipField(&in, tag)) return false;
        continue;
      }
      uint32_t size = 0;
      const void* data = nullptr;
      int left = 0;
      if (!in.ReadVarint32(&size)) return false;
      if (size > 0) {
        in.GetDirectBufferPointer(&data, &left);
        if (left < 0 || size > static_cast<uint32_t>(left)) return false;
      }
      std::string_view content(static_cast<const char*>(data), size);
      if (!in.Skip(static_cast<int>(size))) return false;
      if (field == nullptr) continue;
      std::string name = Name(*field, seen);
      if (field->type() == FieldDescriptor::TYPE_STRING && !IsUtf8(content)) {
        path = name;
        return true;
      }
      if (field->type() == FieldDescriptor::TYPE_MESSAGE && depth < kMaxMessageDepth) {
        std::string below;
        if (Find(content, *field->message_type(), depth + 1, below)) {
          // An entry of a map is no message to the caller.
          path = field->is_map() ? field->name() : Concat(name, ".", below);
          return true;
        }
      }
    }
    return false;
  }

 private:
  static std::string Name(const FieldDescriptor& field, std::vector<std::pair<int, int>>& seen) {
    if (!field.is_repeated()) return field.name();
    for (auto& [number, count] : seen) {
      if (number == field.number()) return Concat(field.name(), "[", count++, "]");
    }
    seen.emplace_back(field.number(), 1);
    return Concat(field.name(), "[0]");
  }
};

}  // namespace

absl::Status ParseMessage(std::string_view bytes, google::protobuf::Message* message) {
  // protobuf writes a line to stderr for each bad text: callers could fill a disk with them.
  google::protobuf::LogSilencer quiet;
  if (message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  std::string path;
  if (TextSearch().Find(bytes, *message->GetDescriptor(), 0, path)) {
    return domain::InvalidField(path, "must be UTF-8");
  }
  return domain::ToStatus({.code = absl::StatusCode::kInvalidArgument,
                           .reason = "MALFORMED_MESSAGE",
                           .message = Concat("the bytes are not a message of type ",
                                             message->GetDescriptor()->full_name())});
}

}  // namespace relais::convert
