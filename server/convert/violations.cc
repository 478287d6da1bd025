#include "server/convert/violations.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "server/convert/limits.h"
#include "server/domain/concat.h"

namespace relais::convert {
namespace {

// In ASCII, whatever the bytes are: the text ends up in logs, terminals and proto3 strings.
std::string Shown(std::string_view value) {
  bool cut = value.size() > kMaxShownValueBytes;
  std::string text = absl::CEscape(ToAbsl(value.substr(0, kMaxShownValueBytes)));
  return Concat("\"", text, cut ? "...\"" : "\"");
}

}  // namespace

std::string Path::ToString() const {
  std::string out;
  AppendTo(out);
  return out;
}

void Path::AppendTo(std::string& out) const {
  if (parent_ != nullptr) parent_->AppendTo(out);
  if (element_) {
    Append(out, "[", index_, "]");
    return;
  }
  if (!out.empty()) out += '.';
  out += name_;
}

void Violations::Add(const Path& field, std::string_view rule) {
  ++total_;
  if (fields_.size() < kMaxViolations) fields_.push_back({field.ToString(), std::string(rule)});
}

void Violations::Add(const Path& field, std::string_view rule, std::string_view value,
                     Privacy privacy) {
  if (privacy == Privacy::kPersonal || total_ >= kMaxViolations) {
    Add(field, rule);
  } else {
    Add(field, Concat(rule, ", not ", Shown(value)));
  }
}

void Violations::AddFrom(const Violations& other,
                         absl::FunctionRef<bool(std::string_view field)> wanted) {
  for (const domain::FieldViolation& violation : other.fields_) {
    if (!wanted(violation.field)) continue;
    ++total_;
    if (fields_.size() < kMaxViolations) fields_.push_back(violation);
  }
}

absl::Status Violations::ToStatus() const {
  return fields_.empty() ? absl::OkStatus() : domain::InvalidFields(fields_);
}

}  // namespace relais::convert
