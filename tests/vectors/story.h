// The language of clients/vectors: stories as data, filled with values and compared with answers.
// clients/vectors/README.md describes it; every client has a reader of its own.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace relais::vectors {

using Json = nlohmann::ordered_json;

// What was answered is not what the story expects; the text says where.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Step {
  std::string call;  // "LeadService/GetLead"
  Json requests;     // one, or several for a stream of requests
  Json expect;
  std::map<std::string, std::string> capture;  // name to path
  double within_seconds = 0;                   // asked again until it fits or that time has passed
};

struct Story {
  std::string name;
  std::vector<Step> steps;  // those of its fixtures first
};

// Every story of a folder. Throws std::runtime_error for a file that does not follow the language:
// an unknown member, a fixture that does not exist, a name used twice.
std::vector<Story> Load(const std::string& folder);

// The values of one run of one story.
class Scope {
 public:
  Scope();
  // `value` with every ${name} replaced.
  Json Fill(const Json& value);
  void Capture(const std::map<std::string, std::string>& paths, const Json& answer);

 private:
  Json Value(const std::string& name);
  std::map<std::string, Json> values_;
};

// Throws Mismatch where `seen` (code, answer, trailers, reason, fields, ...) is not what `expect`
// says.
void Judge(const Json& expect, const Json& seen);

}  // namespace relais::vectors
