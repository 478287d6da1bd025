#include "tests/bench/people.h"

#include <cstdio>

namespace relais::bench {

std::string IdOf(int64_t number, int what) {
  char text[40];
  const auto high = static_cast<uint64_t>(number);
  std::snprintf(text, sizeof(text), "%08x-%04x-%04x-8000-%012x", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(what));
  return text;
}

std::string IdSql(const std::string& number, int what) {
  char low[20];
  std::snprintf(low, sizeof(low), "8000%012x", static_cast<unsigned>(what));
  return "(lpad(to_hex((" + number + ")::bigint), 16, '0') || '" + low + "')::uuid";
}

Names NamesOf(int64_t person) {
  static constexpr const char* kGiven[] = {"Anna", "Ben",   "Carla", "David",
                                           "Eva",  "Felix", "Greta", "Hugo"};
  static constexpr const char* kFirst[] = {
      "Al",  "Ber", "Cor", "Dun", "Eber", "Fal",  "Gar", "Hol", "Im", "Jor", "Kal", "Lind",
      "Mar", "Nor", "Ost", "Pel", "Quer", "Rein", "Sal", "Tor", "Ul", "Ver", "Wal", "Zim"};
  static constexpr const char* kSecond[] = {"a",  "be",  "den", "fel", "gen", "ho", "in", "ka",
                                            "le", "mer", "no",  "per", "ra",  "se", "ti", "wo"};
  static constexpr const char* kThird[] = {"bach",  "berg", "dorf",  "feld", "hoff", "mann",
                                           "meier", "rath", "stein", "thal", "wald", "wick"};
  static constexpr const char* kTrade[] = {"Works", "Systems", "Trading", "Logistics", "Foods"};
  const std::string stem = std::string(kFirst[person % 24]) + kSecond[person / 24 % 16];
  Names names;
  names.given = kGiven[person % 8];
  names.family = stem + kThird[person / 384 % 12];
  // Colleagues: a dozen family names and more share a company.
  names.company = stem + "co " + kTrade[person % 5];
  return names;
}

v1::CaptureLeadRequest CaptureOf(int64_t person, int64_t call) {
  const Names names = NamesOf(person);
  const std::string number = std::to_string(person);
  v1::CaptureLeadRequest request;
  v1::Lead& lead = *request.mutable_lead();
  lead.set_market(v1::MARKET_B2B);
  v1::Person& who = *lead.mutable_person();
  who.set_given_name(names.given);
  who.set_family_name(names.family);
  who.add_emails()->set_address("person" + number + "@example.com");
  who.set_job_title("Head of Purchasing");
  who.set_country("DE");
  who.set_language("de");
  lead.mutable_organization()->set_display_name(names.company);
  lead.mutable_organization()->set_industry("machinery");
  lead.mutable_organization()->set_headcount(250);
  v1::Acquisition& acquisition = *lead.mutable_acquisition();
  acquisition.set_channel(v1::CHANNEL_WEBSITE_FORM);
  acquisition.set_source("website");
  acquisition.set_campaign("spring");
  acquisition.set_utm_source("newsletter");
  acquisition.set_utm_medium("email");
  acquisition.set_landing_page("/pricing");
  v1::Touchpoint& touchpoint = *request.mutable_touchpoint();
  touchpoint.set_kind(v1::TOUCHPOINT_KIND_FORM);
  touchpoint.set_channel(v1::CHANNEL_WEBSITE_FORM);
  touchpoint.set_source("website");
  touchpoint.set_topic("offer");
  touchpoint.set_campaign("spring");
  request.set_request_id(IdOf(call, kRequestId));
  return request;
}

}  // namespace relais::bench
