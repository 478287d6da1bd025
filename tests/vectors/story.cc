#include "tests/vectors/story.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <regex>
#include <set>

namespace relais::vectors {
namespace {

std::mt19937_64& Random() {
  static std::mt19937_64 generator{std::random_device{}()};
  return generator;
}

std::string RandomText(std::string_view alphabet, int length) {
  std::uniform_int_distribution<size_t> pick(0, alphabet.size() - 1);
  std::string text;
  for (int i = 0; i < length; ++i) text += alphabet[pick(Random())];
  return text;
}

// Version 4 of RFC 4122.
std::string RandomUuid() {
  std::string text = RandomText("0123456789abcdef", 32);
  text[12] = '4';
  text[16] = "89ab"[Random()() % 4];
  for (size_t at : {8, 13, 18, 23}) text.insert(at, "-");
  return text;
}

std::string Rfc3339(std::chrono::system_clock::time_point moment) {
  std::time_t seconds = std::chrono::system_clock::to_time_t(moment);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

void AllowOnly(const Json& object, const std::set<std::string>& members, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (members.count(key) == 0) throw std::runtime_error(where + ": unknown member " + key);
  }
}

Step ReadStep(const Json& in, const std::string& where) {
  AllowOnly(in, {"call", "request", "requests", "expect", "capture", "within_seconds"}, where);
  Step step;
  step.call = in.at("call");
  step.requests =
      in.contains("requests") ? in["requests"] : Json::array({in.value("request", Json::object())});
  step.expect = in.value("expect", Json::object());
  AllowOnly(
      step.expect,
      {"code", "reason", "fields", "preconditions", "resource", "metadata", "answer", "trailers"},
      where);
  const Json capture = in.value("capture", Json::object());
  for (const auto& [name, path] : capture.items()) step.capture[name] = path;
  step.within_seconds = in.value("within_seconds", 0.0);
  return step;
}

bool Fits(const Json& pattern, const Json* value);

void Match(const Json& pattern, const Json* value, const std::string& path);

void MatchOperator(const std::string& name, const Json& operand, const Json* value,
                   const std::string& path) {
  auto shown = [value] { return value == nullptr ? "nothing" : value->dump().substr(0, 800); };
  bool good = false;
  if (name == "$present") {
    good = (value != nullptr) == operand.get<bool>();
  } else if (name == "$not") {
    good = !Fits(operand, value);
  } else if (name == "$starts") {
    good = value != nullptr && value->is_string() &&
           value->get<std::string>().starts_with(operand.get<std::string>());
  } else if (name == "$length") {
    good = value != nullptr && value->is_array() && value->size() == operand.get<size_t>();
  } else if (name == "$contains") {
    good = value != nullptr && value->is_array() &&
           std::all_of(operand.begin(), operand.end(), [value](const Json& pattern) {
             return std::any_of(value->begin(), value->end(),
                                [&pattern](const Json& item) { return Fits(pattern, &item); });
           });
  } else {
    throw std::runtime_error(path + ": no operator " + name);
  }
  if (!good) throw Mismatch(path + ": " + name + " " + operand.dump() + " does not fit " + shown());
}

void Match(const Json& pattern, const Json* value, const std::string& path) {
  if (pattern.is_object() && pattern.size() == 1 && pattern.begin().key().starts_with("$")) {
    return MatchOperator(pattern.begin().key(), pattern.begin().value(), value, path);
  }
  if (value == nullptr) throw Mismatch(path + ": is absent, expected " + pattern.dump());
  if (pattern.is_object() && value->is_object()) {
    for (const auto& [key, item] : pattern.items()) {
      auto found = value->find(key);
      Match(item, found == value->end() ? nullptr : &*found, path + "." + key);
    }
    return;
  }
  if (pattern.is_array() && value->is_array() && pattern.size() == value->size()) {
    for (size_t i = 0; i < pattern.size(); ++i) {
      Match(pattern[i], &(*value)[i], path + "[" + std::to_string(i) + "]");
    }
    return;
  }
  bool same = pattern.is_number() && value->is_number()
                  ? pattern.get<double>() == value->get<double>()
                  : pattern == *value;
  if (!same) throw Mismatch(path + ": expected " + pattern.dump() + ", got " + value->dump());
}

bool Fits(const Json& pattern, const Json* value) {
  try {
    Match(pattern, value, "");
    return true;
  } catch (const Mismatch&) {
    return false;
  }
}

std::vector<std::string> Sorted(const Json& texts) {
  std::vector<std::string> sorted = texts.get<std::vector<std::string>>();
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

std::vector<Story> Load(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json" && entry.path().filename() != "schema.json") {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, Json> fixtures;
  std::vector<Json> raw;
  for (const std::filesystem::path& path : paths) {
    Json file = Json::parse(std::ifstream(path));
    AllowOnly(file, {"fixtures", "stories"}, path.string());
    const Json named = file.value("fixtures", Json::object());
    for (const auto& [name, fixture] : named.items()) {
      AllowOnly(fixture, {"about", "given", "steps"}, name);
      fixtures[name] = fixture;
    }
    const Json told = file.value("stories", Json::array());
    raw.insert(raw.end(), told.begin(), told.end());
  }
  std::vector<Story> stories;
  std::set<std::string> names;
  for (const Json& in : raw) {
    Story story{.name = in.at("name")};
    AllowOnly(in, {"name", "about", "given", "steps"}, story.name);
    if (!names.insert(story.name).second) throw std::runtime_error(story.name + ": told twice");
    std::set<std::string> given;
    std::function<void(const Json&)> tell = [&](const Json& part) {
      const Json names_given = part.value("given", Json::array());
      for (const std::string name : names_given) {
        if (fixtures.count(name) == 0) throw std::runtime_error(name + ": no such fixture");
        if (given.insert(name).second) tell(fixtures[name]);
      }
      for (const Json& step : part.at("steps")) story.steps.push_back(ReadStep(step, story.name));
    };
    tell(in);
    stories.push_back(std::move(story));
  }
  return stories;
}

Scope::Scope() {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view kLettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";
  values_["tag"] = RandomText(kLetters, 1) + RandomText(kLettersAndDigits, 11);
  values_["digits"] = RandomText("123456789", 8);
}

Json Scope::Value(const std::string& name) {
  if (auto found = values_.find(name); found != values_.end()) return found->second;
  if (name.starts_with("uuid:")) return values_[name] = RandomUuid();
  std::smatch parts;
  if (std::regex_match(name, parts, std::regex(R"(now([+-]\d+)s)"))) {
    return Rfc3339(std::chrono::system_clock::now() + std::chrono::seconds(std::stol(parts[1])));
  }
  if (std::regex_match(name, parts, std::regex(R"((.)\*(\d+))"))) {
    return std::string(std::stoul(parts[2]), parts[1].str()[0]);
  }
  throw Mismatch("nothing is called ${" + name + "}");
}

Json Scope::Fill(const Json& value) {
  if (value.is_string()) {
    std::string text = value, filled;
    for (size_t at = 0;;) {
      size_t open = text.find("${", at);
      size_t close = open == std::string::npos ? open : text.find('}', open);
      if (close == std::string::npos) return filled + text.substr(at);
      Json part = Value(text.substr(open + 2, close - open - 2));
      if (open == 0 && close + 1 == text.size()) return part;
      filled +=
          text.substr(at, open - at) + (part.is_string() ? part.get<std::string>() : part.dump());
      at = close + 1;
    }
  }
  if (!value.is_structured()) return value;
  Json filled = value;
  for (auto& item : filled) item = Fill(item);
  return filled;
}

void Scope::Capture(const std::map<std::string, std::string>& paths, const Json& answer) {
  for (const auto& [name, path] : paths) {
    Json::json_pointer pointer("/" + std::regex_replace(path, std::regex(R"(\.)"), "/"));
    if (!answer.contains(pointer)) throw Mismatch(path + ": nothing to capture as " + name);
    values_[name] = answer[pointer];
  }
}

void Judge(const Json& expect, const Json& seen) {
  std::string code = expect.value("code", "OK");
  if (seen["code"] != code) {
    throw Mismatch("expected " + code + ", got " + seen.dump());
  }
  for (const auto& [key, pattern] : expect.items()) {
    if (key == "code") continue;
    auto found = seen.find(key);
    if (key == "fields" || key == "preconditions") {
      if (Sorted(*found) != Sorted(pattern)) {
        throw Mismatch(key + ": expected " + pattern.dump() + ", got " + found->dump());
      }
      continue;
    }
    Match(pattern, found == seen.end() ? nullptr : &*found, key);
  }
}

}  // namespace relais::vectors
