#include "server/convert/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "server/convert/limits.h"
#include "server/convert/update_mask.h"
#include "server/domain/criteria.h"
#include "server/domain/faults.h"
#include "tests/convert/calls.h"

namespace relais::convert {
namespace {

using domain::Channel;
using domain::TouchpointKind;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class R>
R Text(const std::string& text) {
  R out;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &out)) << text;
  return out;
}

std::vector<std::string> FieldsOf(const absl::Status& status) {
  std::vector<std::string> fields;
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  if (fault && fault->code == absl::StatusCode::kInvalidArgument) {
    for (const domain::FieldViolation& violation : fault->fields) {
      fields.push_back(violation.field);
    }
  }
  return fields;
}

std::string ReasonOf(const absl::Status& status) {
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  return fault ? fault->reason : "";
}

commands::CaptureCommand Captured(const std::string& text) {
  auto parsed = ParseCaptureLead(Text<v1::CaptureLeadRequest>(text), TestContext());
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->command : commands::CaptureCommand();
}

absl::Status CaptureStatus(const std::string& text) {
  return ParseCaptureLead(Text<v1::CaptureLeadRequest>(text), TestContext()).status();
}

// ---- Captures ---------------------------------------------------------------------------------

TEST(CaptureTest, OneIdentifierIsEnough) {
  for (const char* lead :
       {"person { emails { address: 'a@b.fr' } }", "person { phones { number: '+33612345678' } }",
        "person { given_name: 'Ada' }", "person { family_name: 'L' }",
        "person { display_name: 'Ada L' }", "organization { display_name: 'ACME' }",
        "organization { domain: 'acme.example' }", "external_ids { system: 'crm' id: '1' }"}) {
    EXPECT_TRUE(CaptureStatus(std::string("lead {") + lead + "}").ok()) << lead;
  }
}

TEST(CaptureTest, EmptyCapturesAreRefusedOnce) {
  EXPECT_THAT(FieldsOf(CaptureStatus("")), ElementsAre("lead"));
  EXPECT_THAT(FieldsOf(CaptureStatus("lead {}")), ElementsAre("lead"));
  EXPECT_THAT(FieldsOf(CaptureStatus("lead { market: MARKET_B2B needs: 'x' }")),
              ElementsAre("lead"));
  // A malformed e-mail is an identifier that is wrong, not one that is missing.
  EXPECT_THAT(FieldsOf(CaptureStatus("lead { person { emails { address: 'nobody' } } }")),
              ElementsAre("lead.person.emails[0].address"));
}

TEST(CaptureTest, AllViolationsAreToldAtOnceInTheOrderOfReading) {
  absl::Status status = CaptureStatus(R"(
      lead {
        market: 7
        person {
          country: "FRA"
          emails { address: "ada@example.com" }
          emails { address: "@" }
          phones { number: "12" }
          birth_date: "2026-02-30"
        }
        estimated_value { currency_code: "EURO" units: 5 nanos: -5 }
      }
      touchpoint { occur_time { seconds: 1767225901 } external_id: "x" }
      consents { channel: CONSENT_CHANNEL_EMAIL }
      request_id: "seven")");
  EXPECT_THAT(FieldsOf(status),
              ElementsAre("lead.market", "lead.person.country", "lead.person.birth_date",
                          "lead.person.emails[1].address", "lead.person.phones[0].number",
                          "lead.estimated_value.currency_code", "lead.estimated_value.nanos",
                          "touchpoint.kind", "touchpoint.occur_time", "touchpoint.source",
                          "consents[0].purpose", "consents[0].state", "request_id"));
  EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
}

TEST(CaptureTest, DefaultsAreAFormOnTheAcquisitionsChannelNow) {
  commands::CaptureCommand command =
      Captured("lead { person { given_name: 'Ada' } acquisition { channel: CHANNEL_WEBINAR } }");
  EXPECT_EQ(command.touchpoint.kind, TouchpointKind::kForm);
  EXPECT_EQ(command.touchpoint.channel, Channel::kWebinar);
  EXPECT_EQ(command.occur_time, std::nullopt);
  EXPECT_EQ(command.lead.market, domain::Market::kUnspecified);
  EXPECT_EQ(command.lead.acquisition.first_touch_time, std::nullopt);
  EXPECT_TRUE(command.once.id.empty());
}

TEST(CaptureTest, ATouchpointThatIsGivenMustSayItsKind) {
  EXPECT_THAT(
      FieldsOf(CaptureStatus("lead { person { given_name: 'Ada' } } touchpoint { topic: 'x' }")),
      ElementsAre("touchpoint.kind"));
  commands::CaptureCommand command = Captured(R"(
      lead { person { given_name: 'Ada' } acquisition { channel: CHANNEL_SEO } }
      touchpoint { kind: TOUCHPOINT_KIND_CALL channel: CHANNEL_PHONE
                   occur_time { seconds: -5 nanos: 999999999 } })");
  EXPECT_EQ(command.touchpoint.channel, Channel::kPhone);
  EXPECT_EQ(command.occur_time, domain::Timestamp{-4'000'001});
}

TEST(CaptureTest, FiveMinutesOfClockSkewAreForgiven) {
  std::string lead = "lead { person { given_name: 'Ada' } } ";
  auto at = [&](int64_t seconds) {
    return CaptureStatus(lead + "touchpoint { kind: TOUCHPOINT_KIND_FORM occur_time { seconds: " +
                         std::to_string(kNow.micros / 1'000'000 + seconds) + " } }");
  };
  EXPECT_TRUE(at(300).ok());
  EXPECT_THAT(FieldsOf(at(301)), ElementsAre("touchpoint.occur_time"));
  EXPECT_THAT(std::string(at(301).message()), HasSubstr("2026-01-01T00:05:01Z"));
}

TEST(CaptureTest, IdentitiesAreNormalisedAndFoldedIntoOne) {
  commands::CaptureCommand command = Captured(R"(
      lead {
        person {
          country: "fr"
          emails { address: "Ada+News@Example.COM" }
          emails { address: " ada+news@example.com " label: "work" }
          phones { number: "06 12 34 56 78" label: "mobile" }
          phones { raw: "+33 (0)6 12 34 56 78" }
        }
        external_ids { system: "crm" id: "A1" }
        external_ids { system: "crm" id: "A1" }
        external_ids { system: "crm" id: "a1" }
        needs: "crm" needs: " crm " needs: "erp"
      })");
  EXPECT_EQ(command.lead.person.country, "FR");
  EXPECT_THAT(command.lead.person.emails,
              ElementsAre(domain::Email{"ada+news@example.com", "work"}));
  EXPECT_THAT(command.lead.person.phones,
              ElementsAre(domain::Phone{"+33612345678", "06 12 34 56 78", "mobile"}));
  EXPECT_THAT(command.lead.external_ids,
              ElementsAre(domain::ExternalId{"crm", "A1"}, domain::ExternalId{"crm", "a1"}));
  EXPECT_THAT(command.lead.needs, ElementsAre("crm", "erp"));
}

TEST(CaptureTest, NationalPhonesNeedACountry) {
  EXPECT_THAT(FieldsOf(CaptureStatus("lead { person { phones { raw: '06 12 34 56 78' } } }")),
              ElementsAre("lead.person.phones[0].raw"));
  EXPECT_THAT(FieldsOf(CaptureStatus("lead { person { phones { label: 'home' } } }")),
              ElementsAre("lead.person.phones[0].number"));
}

TEST(CaptureTest, MalformedValuesOfEveryKindAreRefused) {
  struct {
    const char* lead;
    const char* field;
  } const cases[] = {
      {"person { emails { address: 'a@@b.fr' } }", "lead.person.emails[0].address"},
      {"person { emails { address: 'a b@c.fr' } }", "lead.person.emails[0].address"},
      {"person { emails { address: '' } }", "lead.person.emails[0].address"},
      {"person { phones { number: 'call me' } }", "lead.person.phones[0].number"},
      {"person { phones { number: '+999123' } }", "lead.person.phones[0].number"},
      {"person { given_name: 'A' country: 'ZZ' }", "lead.person.country"},
      {"person { given_name: 'A' language: 'klingon language' }", "lead.person.language"},
      {"person { given_name: 'A' time_zone: 'Europe/Atlantis' }", "lead.person.time_zone"},
      {"person { given_name: 'A' birth_date: '31.12.1970' }", "lead.person.birth_date"},
      {"person { given_name: 'A' birth_date: '2026-01-02' }", "lead.person.birth_date"},
      {"person { given_name: 'A' postal_address { country: 'France' } }",
       "lead.person.postal_address.country"},
      {"person { given_name: 'A\\000B' }", "lead.person.given_name"},
      {"person { given_name: 'A\\tB' }", "lead.person.given_name"},
      {"person { given_name: 'A\\342\\200\\256B' }", "lead.person.given_name"},
      {"person { given_name: 'A\\377' }", "lead.person.given_name"},
      {"organization { domain: 'http://acme' }", "lead.organization.domain"},
      {"organization { domain: 'a.fr' headcount: -1 }", "lead.organization.headcount"},
      {"person { given_name: 'A' } external_ids { system: 'CRM' id: '1' }",
       "lead.external_ids[0].system"},
      {"person { given_name: 'A' } external_ids { system: 'crm' }", "lead.external_ids[0].id"},
      {"person { given_name: 'A' } needs: ''", "lead.needs[0]"},
      {"person { given_name: 'A' } maturity: 4", "lead.maturity"},
      {"person { given_name: 'A' } labels { key: '' value: 'x' }", "lead.labels"},
  };
  for (const auto& [lead, field] : cases) {
    EXPECT_THAT(FieldsOf(CaptureStatus(std::string("lead {") + lead + "}")), ElementsAre(field))
        << lead;
  }
}

TEST(CaptureTest, TextsAndListsHaveLimits) {
  auto name = [](size_t bytes) {
    return CaptureStatus("lead { person { given_name: '" + std::string(bytes, 'n') + "' } }");
  };
  EXPECT_TRUE(name(kMaxTextBytes).ok());
  EXPECT_THAT(FieldsOf(name(kMaxTextBytes + 1)), ElementsAre("lead.person.given_name"));
  EXPECT_THAT(FieldsOf(name(10'000)), ElementsAre("lead.person.given_name"));

  auto emails = [](int count) {
    v1::CaptureLeadRequest request;
    for (int i = 0; i < count; ++i) {
      request.mutable_lead()->mutable_person()->add_emails()->set_address("a" + std::to_string(i) +
                                                                          "@b.fr");
    }
    return ParseCaptureLead(request, TestContext()).status();
  };
  EXPECT_TRUE(emails(20).ok());
  EXPECT_THAT(FieldsOf(emails(21)), ElementsAre("lead.person.emails"));

  v1::CaptureLeadRequest notes;
  notes.mutable_lead()->mutable_person()->set_given_name("Ada");
  notes.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_NOTE);
  notes.mutable_touchpoint()->set_body("first\r\nsecond\t" + std::string(kMaxNotesBytes - 14, 'x'));
  EXPECT_TRUE(ParseCaptureLead(notes, TestContext()).ok());
  notes.mutable_touchpoint()->set_body(std::string(kMaxNotesBytes + 1, 'x'));
  EXPECT_THAT(FieldsOf(ParseCaptureLead(notes, TestContext()).status()),
              ElementsAre("touchpoint.body"));
}

TEST(CaptureTest, LabelsThatBecomeOneKeyAreRefused) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  (*request.mutable_lead()->mutable_labels())["\xc3\xa9t\xc3\xa9"] = "composed";
  (*request.mutable_lead()->mutable_labels())["e\xcc\x81te\xcc\x81"] = "decomposed";
  EXPECT_THAT(FieldsOf(ParseCaptureLead(request, TestContext()).status()),
              ElementsAre("lead.labels"));
}

TEST(CaptureTest, ARequestWithThousandsOfMistakesIsRefusedWithABoundedList) {
  v1::BatchCaptureLeadsRequest request;
  v1::Lead* lead = request.add_requests()->mutable_lead();
  for (int i = 0; i < 50; ++i) lead->add_needs(std::string(1, '\x01'));
  v1::CaptureLeadRequest* item = request.mutable_requests(0);
  for (int i = 0; i < 20; ++i) {
    v1::Consent* consent = item->add_consents();
    consent->set_wording_version(std::string(1, '\x01'));
    consent->set_source(std::string(1, '\x01'));
    consent->set_proof(std::string(1, '\x01'));
    v1::Phone* phone = item->mutable_lead()->mutable_person()->add_phones();
    phone->set_label(std::string(1, '\x01'));
    phone->set_raw(std::string(1, '\x01'));
  }
  auto parsed = ParseBatchCaptureLeads(request, TestContext());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(FieldsOf(parsed->command.items[0].status()).size(), kMaxViolations);
}

TEST(CaptureTest, LegalBasisIsConsentUnlessSaid) {
  commands::CaptureCommand command = Captured(R"(
      lead { person { given_name: 'Ada' } }
      consents { channel: CONSENT_CHANNEL_EMAIL purpose: CONSENT_PURPOSE_MARKETING
                 state: CONSENT_STATE_GRANTED }
      consents { channel: CONSENT_CHANNEL_ANY purpose: CONSENT_PURPOSE_SALES
                 state: CONSENT_STATE_WITHDRAWN legal_basis: LEGAL_BASIS_CONTRACT
                 occur_time { seconds: 7 } })");
  ASSERT_EQ(command.consents.size(), 2u);
  EXPECT_EQ(command.consents[0].legal_basis, domain::LegalBasis::kConsent);
  EXPECT_EQ(command.consents[0].occur_time, domain::Timestamp{0});
  EXPECT_EQ(command.consents[1].legal_basis, domain::LegalBasis::kContract);
  EXPECT_EQ(command.consents[1].occur_time, domain::Timestamp{7'000'000});
}

TEST(CaptureTest, OutputOnlyFieldsAreIgnored) {
  commands::CaptureCommand command = Captured(R"(
      lead { name: "not a name" stage: 99 score: 7 owner: "x" grade: "A1" etag: "e"
             person { given_name: "Ada" } counters { touchpoints: 7 }
             acquisition { first_touch_time { seconds: 1 } } disqualify_reason: "no" }
      touchpoint { kind: TOUCHPOINT_KIND_FORM name: "n" actor: "me" })");
  domain::Lead expected;
  expected.person.given_name = "Ada";
  EXPECT_EQ(command.lead, expected);
  EXPECT_TRUE(command.touchpoint.actor.empty());
}

// ---- Request ids ------------------------------------------------------------------------------

TEST(RequestIdTest, IsMadeCanonicalAndCarriesTheDigest) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  request.set_request_id("6BA7B810-9DAD-41D1-80B4-00C04FD430C8");
  auto parsed = ParseCaptureLead(request, TestContext());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->command.once.id, kRequestId);
  EXPECT_EQ(parsed->command.once.digest, TestContext().digester->Digest("CaptureLead", request));
}

TEST(RequestIdTest, IsCheckedButLeftOutWhenValidating) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  request.set_request_id(kRequestId);
  request.set_validate_only(true);
  auto parsed = ParseCaptureLead(request, TestContext());
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->validate_only);
  EXPECT_TRUE(parsed->command.once.id.empty());
  request.set_request_id("00000000-0000-0000-0000-000000000000");
  EXPECT_THAT(FieldsOf(ParseCaptureLead(request, TestContext()).status()),
              ElementsAre("request_id"));
}

// ---- Batches ----------------------------------------------------------------------------------

TEST(BatchTest, ABadItemFailsAlone) {
  auto parsed =
      ParseBatchCaptureLeads(Text<v1::BatchCaptureLeadsRequest>(R"(
          requests { lead { person { given_name: "Ada" } } request_id: ")" +
                                                                std::string(kRequestId) + R"(" }
          requests { lead { person { emails { address: "x" } } } validate_only: true
                     request_id: "y" }
          requests {})"),
                             TestContext());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->command.items.size(), 3u);
  ASSERT_TRUE(parsed->command.items[0].ok());
  EXPECT_EQ(parsed->command.items[0]->once.id, kRequestId);
  EXPECT_THAT(FieldsOf(parsed->command.items[1].status()),
              ElementsAre("requests[1].lead.person.emails[0].address", "requests[1].validate_only",
                          "requests[1].request_id"));
  EXPECT_THAT(FieldsOf(parsed->command.items[2].status()), ElementsAre("requests[2].lead"));
}

TEST(BatchTest, AnItemHasTheDigestOfTheSingleCall) {
  v1::BatchCaptureLeadsRequest batch;
  v1::CaptureLeadRequest* item = batch.add_requests();
  item->mutable_lead()->mutable_person()->set_given_name("Ada");
  item->set_request_id(kRequestId);
  auto single = ParseCaptureLead(*item, TestContext());
  auto many = ParseBatchCaptureLeads(batch, TestContext());
  ASSERT_TRUE(single.ok() && many.ok());
  EXPECT_EQ(many->command.items[0]->once.digest, single->command.once.digest);

  v1::RecordTouchpointRequest touch;
  touch.set_parent(kLeadName);
  touch.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_CALL);
  touch.set_request_id(kRequestId);
  v1::BatchRecordTouchpointsRequest touches;
  *touches.add_requests() = touch;
  EXPECT_EQ(ParseBatchRecordTouchpoints(touches, TestContext())->command.items[0]->once.digest,
            ParseRecordTouchpoint(touch, TestContext())->command.once.digest);
}

TEST(BatchTest, OneToAThousandItems) {
  v1::BatchCaptureLeadsRequest request;
  EXPECT_THAT(FieldsOf(ParseBatchCaptureLeads(request, TestContext()).status()),
              ElementsAre("requests"));
  for (int i = 0; i < 1000; ++i) {
    request.add_requests()->mutable_lead()->mutable_person()->set_given_name("Ada");
  }
  EXPECT_TRUE(ParseBatchCaptureLeads(request, TestContext()).ok());
  request.add_requests();
  EXPECT_THAT(FieldsOf(ParseBatchCaptureLeads(request, TestContext()).status()),
              ElementsAre("requests"));
}

// ---- Masks ------------------------------------------------------------------------------------

absl::StatusOr<Parsed<commands::UpdateLeadCommand>> Update(const std::string& lead,
                                                           const std::string& paths) {
  return ParseUpdateLead(
      Text<v1::UpdateLeadRequest>("lead { name: '" + std::string(kLeadName) + "' " + lead + "} " +
                                  (paths.empty() ? "" : "update_mask {" + paths + "}")),
      TestContext());
}

TEST(UpdateMaskTest, AnAbsentMaskMeansWhatIsPopulated) {
  auto parsed = Update(
      "market: MARKET_B2B person { job_title: 'CTO' } stage: STAGE_CUSTOMER "
      "acquisition { source: 'x' } organization { headcount: 0 }",
      "");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->command.paths,
              ElementsAre("market", "person.job_title", "organization.headcount"));
}

TEST(UpdateMaskTest, AStarMeansEverythingDescriptive) {
  auto parsed = Update("market: MARKET_B2C", "paths: '*'");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->command.paths, ElementsAreArray(DescriptiveLeadPaths()));
}

TEST(UpdateMaskTest, ParentsMeanTheirChildren) {
  auto parsed = Update("",
                       "paths: 'organization' paths: 'person.postal_address' paths: 'market' "
                       "paths: 'organization.domain'");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(
      parsed->command.paths,
      ElementsAre("market", "person.postal_address.street", "person.postal_address.locality",
                  "person.postal_address.region", "person.postal_address.postal_code",
                  "person.postal_address.country", "organization.display_name",
                  "organization.domain", "organization.industry", "organization.headcount",
                  "organization.annual_revenue"));
}

TEST(UpdateMaskTest, OtherPathsAreRefusedWithWhatIsAllowed) {
  auto parsed = Update("",
                       "paths: 'market' paths: 'stage' paths: 'persom' paths: 'acquisition' "
                       "paths: 'person.emails.address' paths: '' paths: 'person.' "
                       "paths: 'labels.colour' paths: 'pers'");
  EXPECT_THAT(FieldsOf(parsed.status()),
              ElementsAre("update_mask.paths[1]", "update_mask.paths[2]", "update_mask.paths[3]",
                          "update_mask.paths[4]", "update_mask.paths[5]", "update_mask.paths[6]",
                          "update_mask.paths[7]", "update_mask.paths[8]"));
  std::optional<domain::Fault> fault = domain::FaultOf(parsed.status());
  EXPECT_THAT(fault->fields[0].description, HasSubstr("may change (*, market, "));
  EXPECT_THAT(fault->fields[0].description, HasSubstr("not \"stage\""));
  EXPECT_EQ(fault->fields[1].description, "must name a field, not \"persom\"");
  EXPECT_THAT(fault->fields[3].description, HasSubstr("as a whole"));
}

TEST(UpdateMaskTest, WhatIsOutsideTheMaskIsNotLookedAt) {
  EXPECT_TRUE(Update("market: MARKET_B2B person { country: 'ZZ' }", "paths: 'market'").ok());
  EXPECT_THAT(
      FieldsOf(Update("person { country: 'ZZ' emails { address: 'x' } }", "paths: 'person.emails'")
                   .status()),
      ElementsAre("lead.person.emails[0].address"));
  EXPECT_THAT(FieldsOf(Update("person { country: 'ZZ' }", "").status()),
              ElementsAre("lead.person.country"));
}

TEST(UpdateMaskTest, NameAndEtagAreAlwaysChecked) {
  auto parsed = ParseUpdateLead(
      Text<v1::UpdateLeadRequest>("lead { name: 'leads/7' etag: '\\001' }"), TestContext());
  EXPECT_THAT(FieldsOf(parsed.status()), ElementsAre("lead.name", "lead.etag"));
}

TEST(UpdateMaskTest, UsersAndTeamsKeepAName) {
  auto user = [](const std::string& rest) {
    return FieldsOf(ParseUpdateUser(Text<v1::UpdateUserRequest>(
                                        "user { name: '" + std::string(kUserName) + "' " + rest),
                                    TestContext())
                        .status());
  };
  EXPECT_THAT(user("} update_mask { paths: '*' }"), ElementsAre("user.display_name"));
  EXPECT_THAT(user("display_name: '  ' }"), ElementsAre("user.display_name"));
  EXPECT_THAT(user("language: 'fr' }"), IsEmpty());
  EXPECT_THAT(user("} update_mask { paths: 'archived' }"), ElementsAre("update_mask.paths[0]"));
  EXPECT_THAT(FieldsOf(ParseCreateUser(v1::CreateUserRequest(), TestContext()).status()),
              ElementsAre("user.display_name"));
  EXPECT_THAT(FieldsOf(ParseCreateTeam(v1::CreateTeamRequest(), TestContext()).status()),
              ElementsAre("team.display_name"));
}

// ---- Names and look-ups -----------------------------------------------------------------------

TEST(NameTest, OnlyCanonicalNamesOfTheRightKindAreRead) {
  for (const char* name :
       {"", "leads/", "leads", "7", "users/0190a0b0-0000-7000-8000-000000000001",
        "leads/0190A0B0-0000-7000-8000-000000000001", "leads/0190a0b0-0000-7000-8000-000000000001/",
        "leads/0190a0b000007000800000000000001"}) {
    v1::GetLeadRequest request;
    request.set_name(name);
    EXPECT_THAT(FieldsOf(ParseGetLead(request, TestContext()).status()), ElementsAre("name"))
        << name;
  }
  for (const char* name :
       {"pipelines/default@1", "pipelines/", "pipelines/a/b", "scoringModels/x"}) {
    v1::GetPipelineRequest request;
    request.set_name(name);
    EXPECT_THAT(FieldsOf(ParseGetPipeline(request, TestContext()).status()), ElementsAre("name"))
        << name;
  }
  for (const char* name : {"scoringModels/b2b", "scoringModels/b2b@12"}) {
    v1::GetScoringModelRequest request;
    request.set_name(name);
    absl::StatusOr<domain::ConfigName> parsed = ParseGetScoringModel(request, TestContext());
    EXPECT_EQ(parsed.value().name, "b2b");
    EXPECT_EQ(parsed->version, std::string_view(name).ends_with("@12") ? 12 : 0);
  }
}

TEST(LookupTest, KeysAreThoseOfIdentities) {
  auto lookup = [](const std::string& text) {
    return ParseLookupLead(Text<v1::LookupLeadRequest>(text), TestContext());
  };
  using domain::IdentityKey;
  using domain::IdentityKind;
  EXPECT_EQ(lookup("email: 'ADA@Example.com'").value(),
            (IdentityKey{IdentityKind::kEmail, "ada@example.com"}));
  EXPECT_EQ(lookup("phone: '06 12 34 56 78' country: 'FR'").value(),
            (IdentityKey{IdentityKind::kPhone, "+33612345678"}));
  EXPECT_EQ(lookup("external_id { system: 'crm' id: 'A:1' }").value(),
            (IdentityKey{IdentityKind::kExternalId, "crm:A:1"}));
  EXPECT_THAT(FieldsOf(lookup("").status()), ElementsAre("key"));
  EXPECT_THAT(FieldsOf(lookup("phone: '06 12 34 56 78'").status()), ElementsAre("phone"));
}

TEST(ReadTimeTest, MayRunAheadByNoMoreThanASecond) {
  auto at = [](int64_t micros) {
    v1::GetLeadRequest request;
    request.set_name(kLeadName);
    request.mutable_read_time()->set_seconds((kNow.micros + micros) / 1'000'000);
    request.mutable_read_time()->set_nanos(
        static_cast<int32_t>((kNow.micros + micros) % 1'000'000 * 1000));
    return ParseGetLead(request, TestContext());
  };
  EXPECT_EQ(at(1'000'000)->read_time, domain::Timestamp{kNow.micros + 1'000'000});
  EXPECT_THAT(FieldsOf(at(1'000'001).status()), ElementsAre("read_time"));
}

// ---- Assessments ------------------------------------------------------------------------------

TEST(AssessmentTest, AnswersBecomeRecordsThatTheDomainReads) {
  auto parsed = ParseAssessLead(Text<v1::AssessLeadRequest>("parent: '" + std::string(kLeadName) +
                                                            R"(' assessment {
      answers { criterion: "budget" state: CRITERION_STATE_MET confidence_percent: 0
                budget { minimum { currency_code: "EUR" units: 5 nanos: 500000000 }
                         maximum { currency_code: "EUR" units: 9 } } }
      answers { criterion: "authority" state: CRITERION_STATE_UNKNOWN
                authority_role: AUTHORITY_ROLE_CHAMPION evidence: "said so"
                target_time { seconds: 1767312000 } expire_time { seconds: 1767312001 } } })"),
                                TestContext());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const domain::Assessment& assessment = parsed->command.assessment;
  EXPECT_EQ(assessment.source, domain::AssessmentSource::kPerson);
  ASSERT_EQ(assessment.answers.size(), 2u);
  domain::Answer budget = domain::ParseAnswer(assessment.answers[0]).value();
  EXPECT_EQ(budget.budget_minimum, (domain::Money{"EUR", 5, 500'000'000}));
  EXPECT_EQ(budget.budget_maximum, (domain::Money{"EUR", 9, 0}));
  EXPECT_EQ(budget.confidence_percent, 0);
  domain::Answer authority = domain::ParseAnswer(assessment.answers[1]).value();
  EXPECT_EQ(authority.state, domain::CriterionState::kUnknown);
  EXPECT_EQ(authority.authority_role, domain::AuthorityRole::kChampion);
  EXPECT_EQ(authority.expire_time, domain::Timestamp{1'767'312'001'000'000});
  EXPECT_EQ(authority.confidence_percent, std::nullopt);
}

TEST(AssessmentTest, RulesOfAnswers) {
  auto fields = [](const std::string& answers) {
    return FieldsOf(
        ParseAssessLead(Text<v1::AssessLeadRequest>("parent: '" + std::string(kLeadName) +
                                                    "' assessment {" + answers + "}"),
                        TestContext())
            .status());
  };
  EXPECT_THAT(fields(""), ElementsAre("assessment.answers"));
  EXPECT_THAT(fields("answers {}"),
              ElementsAre("assessment.answers[0].criterion", "assessment.answers[0].state"));
  EXPECT_THAT(fields("answers { criterion: 'need' state: CRITERION_STATE_MET } "
                     "answers { criterion: 'need' state: CRITERION_STATE_MET }"),
              ElementsAre("assessment.answers[1].criterion"));
  EXPECT_THAT(fields("answers { criterion: 'budget' state: CRITERION_STATE_MET budget { "
                     "minimum { currency_code: 'EUR' units: 2 } "
                     "maximum { currency_code: 'EUR' units: 1 } } confidence_percent: 101 }"),
              ElementsAre("assessment.answers[0].budget.maximum",
                          "assessment.answers[0].confidence_percent"));
  EXPECT_THAT(fields("answers { criterion: 'budget' state: CRITERION_STATE_MET budget { "
                     "minimum { currency_code: 'EUR' units: 2 } "
                     "maximum { currency_code: 'USD' units: 3 } } }"),
              ElementsAre("assessment.answers[0].budget.maximum"));
  std::string many;
  for (int i = 0; i < 51; ++i) {
    many += "answers { criterion: 'c" + std::to_string(i) + "' state: CRITERION_STATE_MET } ";
  }
  EXPECT_THAT(fields(many), ElementsAre("assessment.answers"));
}

TEST(StepTest, ReasonsAreMandatoryWhereALeadLeavesOrReturns) {
  std::string name = "name: '" + std::string(kLeadName) + "'";
  EXPECT_TRUE(ParseQualifyLead(Text<v1::QualifyLeadRequest>(name), TestContext()).ok());
  EXPECT_THAT(
      FieldsOf(ParseDisqualifyLead(Text<v1::DisqualifyLeadRequest>(name), TestContext()).status()),
      ElementsAre("reason"));
  EXPECT_THAT(
      FieldsOf(ParseRecycleLead(Text<v1::RecycleLeadRequest>(name + " reason: '  '"), TestContext())
                   .status()),
      ElementsAre("reason"));
}

// ---- Opportunities ----------------------------------------------------------------------------

TEST(OpportunityTest, QuantitiesHaveOneSpelling) {
  auto quantity = [](const std::string& text) -> std::string {
    v1::CreateOpportunityRequest request;
    request.mutable_opportunity()->set_lead(kLeadName);
    request.mutable_opportunity()->set_intention("buy");
    request.mutable_opportunity()->add_line_items()->set_quantity(text);
    auto parsed = ParseCreateOpportunity(request, TestContext());
    if (!parsed.ok()) return FieldsOf(parsed.status()).front();
    return parsed->command.opportunity.line_items[0].quantity;
  };
  EXPECT_EQ(quantity(""), "1");
  EXPECT_EQ(quantity("2"), "2");
  EXPECT_EQ(quantity("002.500"), "2.5");
  EXPECT_EQ(quantity("0.5"), "0.5");
  EXPECT_EQ(quantity("999999999999.999999"), "999999999999.999999");
  for (const char* bad : {"0", "0.0", "-1", "1e3", "1,5", ".5", "1.", "+1", " 1", "1000000000000",
                          "1.0000001", "NaN", "٣"}) {
    EXPECT_EQ(quantity(bad), "opportunity.line_items[0].quantity") << bad;
  }
}

TEST(OpportunityTest, CreationNeedsALeadAndAnIntention) {
  EXPECT_THAT(
      FieldsOf(ParseCreateOpportunity(v1::CreateOpportunityRequest(), TestContext()).status()),
      ElementsAre("opportunity.lead", "opportunity.intention"));
  v1::CreateOpportunityRequest blank;
  blank.mutable_opportunity()->set_lead(kLeadName);
  blank.mutable_opportunity()->set_intention("   ");
  EXPECT_THAT(FieldsOf(ParseCreateOpportunity(blank, TestContext()).status()),
              ElementsAre("opportunity.intention"));
}

TEST(OpportunityTest, ClosesSayHowAndALossSaysWhy) {
  auto fields = [](const std::string& text) {
    return FieldsOf(
        ParseCloseOpportunity(Text<v1::CloseOpportunityRequest>(
                                  "name: '" + std::string(kOpportunityName) + "' " + text),
                              TestContext())
            .status());
  };
  EXPECT_THAT(fields(""), ElementsAre("outcome"));
  EXPECT_THAT(fields("outcome: CLOSE_OUTCOME_LOST"), ElementsAre("reason"));
  EXPECT_THAT(fields("outcome: CLOSE_OUTCOME_LOST reason: ' '"), ElementsAre("reason"));
  EXPECT_THAT(fields("outcome: CLOSE_OUTCOME_WON winning_competitor: 'x'"),
              ElementsAre("winning_competitor"));
  EXPECT_THAT(fields("outcome: CLOSE_OUTCOME_WON"), IsEmpty());
}

// ---- Imports ----------------------------------------------------------------------------------

TEST(ImportTest, RowsFailAloneWithTheirPaths) {
  auto parsed =
      ParseImportRows(Text<v1::ImportRowsRequest>("name: '" + std::string(kImportName) + R"('
          display_name: "funnel.csv" rows_total: 5 complete: true
          rows { row: 1 capture { lead { person { emails { address: "a@b.fr" } } } } }
          rows { row: 3 capture { lead { person { emails { address: "nobody" } } } } }
          rows { row: 4 qualification {
                   lead { external_id { system: "crm" id: "1" } } qualify: true
                   assessment { source: ASSESSMENT_SOURCE_PERSON occur_time { seconds: 9 }
                                answers { criterion: "need" state: CRITERION_STATE_MET } } } }
          rows { row: 5 qualification { lead {} } }
          rows { row: 6 }
          rows { row: 7 close { opportunity { system: "crm" id: "9" } } })"),
                      TestContext());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto& rows = parsed->command.rows;
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_TRUE(parsed->command.complete);
  EXPECT_EQ(rows[1].row, 3);
  EXPECT_TRUE(rows[0].content.ok());
  EXPECT_THAT(FieldsOf(rows[1].content.status()),
              ElementsAre("rows[1].capture.lead.person.emails[0].address"));
  ASSERT_TRUE(rows[2].content.ok());
  const auto& qualification = std::get<commands::QualificationRow>(*rows[2].content);
  EXPECT_EQ(qualification.assessment->assessment.source, domain::AssessmentSource::kImport);
  EXPECT_EQ(qualification.occur_time, domain::Timestamp{9'000'000});
  EXPECT_EQ(std::get<domain::ExternalId>(qualification.lead), (domain::ExternalId{"crm", "1"}));
  EXPECT_THAT(FieldsOf(rows[3].content.status()),
              ElementsAre("rows[3].qualification.lead", "rows[3].qualification"));
  EXPECT_THAT(FieldsOf(rows[4].content.status()), ElementsAre("rows[4]"));
  EXPECT_THAT(FieldsOf(rows[5].content.status()), ElementsAre("rows[5].close.outcome"));
}

TEST(ImportTest, ChunksThatAreWrongAsAWholeAreRefused) {
  auto fields = [](v1::ImportRowsRequest request) {
    return FieldsOf(ParseImportRows(request, TestContext()).status());
  };
  v1::ImportRowsRequest request;
  request.set_name(kImportName);
  EXPECT_THAT(fields(request), IsEmpty());
  for (int64_t row : {2, 2, 1, 3}) request.add_rows()->set_row(row);
  EXPECT_THAT(fields(request), ElementsAre("rows[1].row", "rows[2].row"));
  request.set_name("imports/mine");
  request.set_rows_total(-1);
  EXPECT_THAT(fields(request), ElementsAre("name", "rows_total", "rows[1].row", "rows[2].row"));
  v1::ImportRowsRequest large;
  large.set_name(kImportName);
  for (int i = 1; i <= 1001; ++i) large.add_rows()->set_row(i);
  EXPECT_THAT(fields(large), ElementsAre("rows"));
}

// ---- Lists ------------------------------------------------------------------------------------

TEST(ListTest, PageSizesAreDefaultedLoweredOrRefused) {
  auto limit = [](int32_t size) {
    v1::ListLeadsRequest request;
    request.set_page_size(size);
    return ParseListLeads(request, TestContext());
  };
  EXPECT_EQ(limit(0)->query.limit, 50);
  EXPECT_EQ(limit(1)->query.limit, 1);
  EXPECT_EQ(limit(1000)->query.limit, 1000);
  EXPECT_EQ(limit(1'000'000'000)->query.limit, 1000);
  EXPECT_THAT(FieldsOf(limit(-1).status()), ElementsAre("page_size"));
}

TEST(ListTest, EveryListRefusesNegativePagesAndForeignTokens) {
  Calls calls;
  int lists = 0;
  for (const auto& [name, call] : calls.cases()) {
    const auto* size = call.good->GetDescriptor()->FindFieldByName("page_size");
    if (size == nullptr) continue;
    ++lists;
    const auto* token = call.good->GetDescriptor()->FindFieldByName("page_token");
    std::unique_ptr<google::protobuf::Message> request(call.good->New());
    request->CopyFrom(*call.good);
    request->GetReflection()->SetInt32(request.get(), size, -1);
    EXPECT_THAT(FieldsOf(call.parse(*request)[0]), ElementsAre("page_size")) << name;
    request->GetReflection()->SetInt32(request.get(), size, 1'000'000'000);
    EXPECT_TRUE(call.parse(*request)[0].ok()) << name;
    storage::Cursor cursor{domain::Value(int64_t{7}), "0190a0b0-0000-7000-8000-000000000001"};
    request->GetReflection()->SetString(
        request.get(), token,
        TestContext().pages->Make(
            TestContext().pages->ScopeDigest({.tenant = "default", .method = "Other"}), cursor));
    absl::Status status = call.parse(*request)[0];
    EXPECT_EQ(ReasonOf(status), "INVALID_PAGE_TOKEN") << name << status;
  }
  EXPECT_EQ(lists, 22);
}

TEST(ListTest, ATokenGoesOnWhereThePageEnded) {
  v1::ListLeadsRequest request;
  request.set_filter("stage=PROSPECT");
  request.set_order_by("score desc");
  auto page = ParseListLeads(request, TestContext());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->query.order_path, "score");
  EXPECT_TRUE(page->query.descending);
  domain::Lead last;
  last.id = domain::LeadId("0190a0b0-0000-7000-8000-000000000001");
  last.score = -40;
  request.set_page_token(NextPageToken(TestContext(), *page, last));

  request.set_page_size(7);
  request.set_filter("stage = PROSPECT ");  // the same filter in another spelling
  auto next = ParseListLeads(request, TestContext());
  ASSERT_TRUE(next.ok()) << next.status();
  ASSERT_TRUE(next->query.after.has_value());
  EXPECT_EQ(next->query.after->value, domain::Value(int64_t{-40}));
  EXPECT_EQ(next->query.after->id, last.id.value);

  for (const auto& change : std::vector<std::function<void(v1::ListLeadsRequest&)>>{
           [](auto& r) { r.set_filter("stage = LEAD"); }, [](auto& r) { r.clear_filter(); },
           [](auto& r) { r.set_order_by("score"); }, [](auto& r) { r.clear_order_by(); }}) {
    v1::ListLeadsRequest other = request;
    change(other);
    EXPECT_EQ(ReasonOf(ParseListLeads(other, TestContext()).status()), "INVALID_PAGE_TOKEN");
  }
  DecodeContext other_tenant = TestContext();
  other_tenant.tenant = "other";
  EXPECT_EQ(ReasonOf(ParseListLeads(request, other_tenant).status()), "INVALID_PAGE_TOKEN");
}

TEST(ListTest, MoneyIsOrderedByItsUnits) {
  domain::Opportunity opportunity;
  opportunity.id = domain::OpportunityId("x");
  EXPECT_TRUE(CursorOf(opportunity, "amount.units").value.absent());
  opportunity.amount = domain::Money{"EUR", 12, 5};
  EXPECT_EQ(CursorOf(opportunity, "amount.units").value, domain::Value(int64_t{12}));
  EXPECT_TRUE(CursorOf(opportunity, "nothing").value.absent());
}

TEST(ListTest, HistoriesGoOnByNumberAndScore) {
  v1::ListLeadTransitionsRequest request;
  request.set_parent(kLeadName);
  auto page = ParseListLeadTransitions(request, TestContext());
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->after_number, 0);
  request.set_page_token(NextPageToken(TestContext(), *page, 41, -7));
  auto next = ParseListLeadTransitions(request, TestContext());
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->after_number, 41);
  EXPECT_EQ(next->score, -7);
  request.set_parent("leads/0190a0b0-0000-7000-8000-000000000002");
  EXPECT_EQ(ReasonOf(ParseListLeadTransitions(request, TestContext()).status()),
            "INVALID_PAGE_TOKEN");
}

TEST(ListTest, ConfigurationGoesOnByName) {
  v1::ListPipelinesRequest request;
  auto page = ParseListPipelines(request, TestContext());
  request.set_page_token(NextPageToken(TestContext(), *page, "pipelines/default"));
  EXPECT_EQ(ParseListPipelines(request, TestContext())->after, "pipelines/default");
}

TEST(SearchTest, WordsAreFoldedAndBounded) {
  auto search = [](const std::string& query) {
    v1::SearchLeadsRequest request;
    request.set_query(query);
    return ParseSearchLeads(request, TestContext());
  };
  EXPECT_THAT(search(" Émile  ZOLA émile ")->words, ElementsAre("emile", "zola"));
  EXPECT_THAT(search("+33 6 12-34")->words, ElementsAre("3361234"));
  for (const char* bad : {"", "a", "  ", "\x01\x02"}) {
    EXPECT_THAT(FieldsOf(search(bad).status()), ElementsAre("query")) << bad;
  }
  EXPECT_THAT(FieldsOf(search(std::string(257, 'q')).status()), ElementsAre("query"));
  EXPECT_THAT(FieldsOf(search("a b c d e f g h i j k l m n o p q").status()), ElementsAre("query"));

  v1::SearchLeadsRequest request;
  request.set_query("zola");
  request.set_page_token(
      NextPageToken(TestContext(), *ParseSearchLeads(request, TestContext()), 50));
  EXPECT_EQ(ParseSearchLeads(request, TestContext())->offset, 50);
  request.set_query("hugo");
  EXPECT_EQ(ReasonOf(ParseSearchLeads(request, TestContext()).status()), "INVALID_PAGE_TOKEN");
}

// ---- Feed and figures -------------------------------------------------------------------------

TEST(WatchTest, BeginsAtATokenOrANumber) {
  v1::WatchRequest request;
  EXPECT_EQ(ParseWatch(request, TestContext())->after_number, 0);
  request.set_after_number(-1);
  EXPECT_EQ(ParseWatch(request, TestContext())->after_number, -1);
  request.set_after_number(-2);
  EXPECT_THAT(FieldsOf(ParseWatch(request, TestContext()).status()), ElementsAre("after_number"));
  request.set_resume_token(MakeResumeToken(domain::TenantId("default"), 12, "abcd"));
  auto query = ParseWatch(request, TestContext());
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->after_number, 12);
  EXPECT_EQ(query->resume->digest, "abcd");
  request.set_resume_token(MakeResumeToken(domain::TenantId("other"), 12, "abcd"));
  EXPECT_EQ(ParseWatch(request, TestContext()).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(FunnelTest, TheEndComesAfterTheStart) {
  v1::GetFunnelRequest request;
  request.mutable_first_touch_start_time()->set_seconds(10);
  request.mutable_first_touch_end_time()->set_seconds(10);
  EXPECT_THAT(FieldsOf(ParseGetFunnel(request, TestContext()).status()),
              ElementsAre("first_touch_end_time"));
  request.mutable_first_touch_end_time()->set_seconds(11);
  request.set_breakdown(v1::FUNNEL_BREAKDOWN_SOURCE);
  auto query = ParseGetFunnel(request, TestContext());
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(query->breakdown, storage::FunnelBreakdown::kSource);
  EXPECT_EQ(query->market, std::nullopt);
}

}  // namespace
}  // namespace relais::convert
