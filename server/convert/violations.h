// What is wrong with a request, collected whole before it is refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/domain/faults.h"

namespace relais::convert {

// Where a field is in a request. A chain of stack values: the text is only made for a violation, so
// naming a field of a good request costs nothing. The parent and the name must outlive the path.
class Path {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): a name alone is the path of a top-level field.
  Path(std::string_view name) : name_(name) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Path(const char* name) : name_(name) {}
  Path(const Path& parent, std::string_view name) : parent_(&parent), name_(name) {}
  Path(const Path& parent, size_t index) : parent_(&parent), index_(index), element_(true) {}
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;

  // "lead.person.emails[1].address".
  std::string ToString() const;

 private:
  void AppendTo(std::string& out) const;

  const Path* parent_ = nullptr;
  std::string_view name_;
  size_t index_ = 0;
  bool element_ = false;
};

// Whether a value may stand in a violation: not when the field, or a message around it, is marked
// personal in the contract.
enum class Privacy : bool { kOpen, kPersonal };

// Not thread-safe; one for each request.
class Violations {
 public:
  // `rule` reads on from the field: "must be ...". It never holds a value.
  void Add(const Path& field, std::string_view rule);
  // Adds `, not "<value>"`, shortened and escaped, when the field is open.
  void Add(const Path& field, std::string_view rule, std::string_view value, Privacy privacy);

  // Takes over those of `other` whose field is wanted.
  void AddFrom(const Violations& other, absl::FunctionRef<bool(std::string_view field)> wanted);

  bool empty() const { return total_ == 0; }

  // OK when empty; else INVALID_ARGUMENT, reason INVALID_FIELD, with the first kMaxViolations.
  absl::Status ToStatus() const;

 private:
  std::vector<domain::FieldViolation> fields_;
  size_t total_ = 0;
};

}  // namespace relais::convert
