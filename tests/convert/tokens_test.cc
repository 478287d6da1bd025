// Page tokens, resume tokens and digests: what callers hand back, and may have tampered with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "server/convert/digest.h"
#include "server/convert/limits.h"
#include "server/convert/page_token.h"
#include "server/domain/faults.h"
#include "tests/convert/calls.h"

namespace relais::convert {
namespace {

using domain::Value;
using storage::Cursor;

std::string ReasonOf(const absl::Status& status) {
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  return fault ? fault->reason : "";
}

PageScope Scope() {
  return {.tenant = "default",
          .method = "ListLeads",
          .parent = "",
          .filter = "stage = PROSPECT",
          .order = "score desc"};
}

const std::vector<Cursor>& Cursors() {
  static const auto* const kCursors =
      new std::vector<Cursor>{{Value(), "0190a0b0-0000-7000-8000-000000000001"},
                              {Value(), ""},
                              {Value(true), "a"},
                              {Value(false), "a"},
                              {Value(int64_t{0}), "a"},
                              {Value(std::numeric_limits<int64_t>::min()), "a"},
                              {Value(std::numeric_limits<int64_t>::max()), "a"},
                              {Value(std::string()), "a"},
                              {Value(std::string("D\xc3\xbcrer\0x", 8)), "a"},
                              {Value(std::string(1024, 'x')), "a"},
                              {Value(domain::Timestamp{-1}), "a"},
                              {Value(domain::Timestamp{1'767'225'600'000'000}), "a"},
                              {Value(domain::Money{"EUR", -12, -500'000'000}), "a"}};
  return *kCursors;
}

TEST(PageTokenTest, GivesBackWhatWasPutIn) {
  PageTokens tokens("key");
  std::string scope = tokens.ScopeDigest(Scope());
  for (const Cursor& cursor : Cursors()) {
    std::string token = tokens.Make(scope, cursor);
    EXPECT_LE(token.size(), kMaxPageTokenBytes);
    EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
              std::string::npos);
    absl::StatusOr<Cursor> read = tokens.Read(token, scope);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->value, cursor.value);
    EXPECT_EQ(read->id, cursor.id);
    EXPECT_EQ(tokens.Make(scope, cursor), token);
  }
}

TEST(PageTokenTest, AnyFlippedBitIsNoticed) {
  PageTokens tokens("key");
  std::string scope = tokens.ScopeDigest(Scope());
  std::string token = tokens.Make(scope, {Value(int64_t{40}), "0190a0b0"});
  for (size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string forged = token;
      forged[i] = static_cast<char>(forged[i] ^ (1 << bit));
      EXPECT_EQ(ReasonOf(tokens.Read(forged, scope).status()), "INVALID_PAGE_TOKEN")
          << i << "/" << bit;
    }
  }
  // The same, in the bytes behind the base64.
  std::string bytes;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(token, &bytes));
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string forged = bytes;
    forged[i / 8] = static_cast<char>(forged[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(tokens.Read(absl::WebSafeBase64Escape(forged), scope).ok()) << i;
  }
}

TEST(PageTokenTest, CutExtendedAndForeignTextIsRefused) {
  PageTokens tokens("key");
  std::string scope = tokens.ScopeDigest(Scope());
  std::string token = tokens.Make(scope, {Value(std::string("Lovelace")), "0190a0b0"});
  for (size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(tokens.Read(token.substr(0, size), scope).ok()) << size;
  }
  std::mt19937_64 random(7);
  for (const std::string& text :
       {token + "A", token + "=", token + " ", " " + token, token + token, std::string("%"),
        std::string("\0", 1), std::string(kMaxPageTokenBytes, 'A'), std::string(1 << 20, 'A')}) {
    EXPECT_EQ(ReasonOf(tokens.Read(text, scope).status()), "INVALID_PAGE_TOKEN");
  }
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 80, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(tokens.Read(absl::WebSafeBase64Escape(bytes), scope).ok());
    EXPECT_FALSE(tokens.Read(bytes, scope).ok());
  }
}

TEST(PageTokenTest, EveryPartOfTheQueryBinds) {
  PageTokens tokens("key");
  Cursor cursor{Value(int64_t{40}), "0190a0b0"};
  std::string token = tokens.Make(tokens.ScopeDigest(Scope()), cursor);
  std::vector<PageScope> others(6, Scope());
  others[0].tenant = "other";
  others[1].method = "ExportLeads";
  others[2].parent = "0190a0b0";
  others[3].filter = "stage = LEAD";
  others[4].order = "score";
  // The same letters, divided otherwise.
  others[5].tenant = "defaultL";
  others[5].method = "istLeads";
  for (const PageScope& other : others) {
    EXPECT_FALSE(tokens.Read(token, tokens.ScopeDigest(other)).ok());
  }
  PageTokens other_key("another key");
  EXPECT_FALSE(other_key.Read(token, other_key.ScopeDigest(Scope())).ok());
  EXPECT_TRUE(PageTokens("key").Read(token, tokens.ScopeDigest(Scope())).ok());
}

TEST(PageTokenTest, TheValueCannotBeRead) {
  PageTokens tokens("key");
  std::string scope = tokens.ScopeDigest(Scope());
  std::string bytes, other;
  absl::WebSafeBase64Unescape(tokens.Make(scope, {Value("Lovelace"), "id"}), &bytes);
  absl::WebSafeBase64Unescape(tokens.Make(scope, {Value("Lovelady"), "id"}), &other);
  EXPECT_FALSE(absl::StrContains(bytes, "Love"));
  // Two cursors that begin alike show nothing in common.
  ASSERT_EQ(bytes.size(), other.size());
  size_t same = 0;
  for (size_t i = 0; i < bytes.size(); ++i) same += bytes[i] == other[i];
  EXPECT_LT(same, bytes.size() / 4);
}

TEST(ResumeTokenTest, CarriesNumberAndDigest) {
  domain::TenantId tenant("default");
  for (int64_t number : {int64_t{0}, int64_t{1}, std::numeric_limits<int64_t>::max()}) {
    auto point = ReadResumeToken(MakeResumeToken(tenant, number, "0a1b"), tenant);
    ASSERT_TRUE(point.ok());
    EXPECT_EQ(point->number, number);
    EXPECT_EQ(point->digest, "0a1b");
  }
  EXPECT_EQ(ReadResumeToken(MakeResumeToken(tenant, 0, ""), tenant)->digest, "");
}

TEST(ResumeTokenTest, OtherTextIsMalformedAndOtherTenantsAreAnotherHistory) {
  domain::TenantId tenant("default");
  std::string token = MakeResumeToken(tenant, 12, "0a1b");
  EXPECT_EQ(ReasonOf(ReadResumeToken(token, domain::TenantId("other")).status()),
            "HISTORY_CHANGED");
  auto escaped = [](const std::string& text) { return absl::WebSafeBase64Escape(text); };
  for (const std::string& bad :
       {std::string(), std::string("x"), token + "=", std::string(1 << 20, 'A'),
        escaped("2:1:a:default"), escaped("1::a:default"), escaped("1:-1:a:default"),
        escaped("1:x:a:default"), escaped("1:99999999999999999999:a:default"),
        escaped("1:1 :a:default"), escaped("1:1:a"), escaped("1:1"), escaped("1:")}) {
    absl::Status status = ReadResumeToken(bad, tenant).status();
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELD") << bad.substr(0, 40);
  }
  std::mt19937_64 random(11);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(ReadResumeToken(escaped(bytes), tenant).ok());
  }
}

// ---- Digests ----------------------------------------------------------------------------------

v1::UpdateLeadRequest SampleUpdate() {
  v1::UpdateLeadRequest request;
  request.mutable_lead()->set_name(kLeadName);
  for (int i = 0; i < 30; ++i) {
    (*request.mutable_lead()->mutable_labels())["key" + std::to_string(i)] = "value";
  }
  return request;
}

TEST(DigestTest, IsTheSameOnEveryMachineAndVersion) {
  // The request log outlives an upgrade: a retry after it must still be recognised. This value was
  // computed once; if it changes, retries across the upgrade are refused as reused ids.
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->add_emails()->set_address("ada@example.com");
  (*request.mutable_lead()->mutable_labels())["b"] = "2";
  (*request.mutable_lead()->mutable_labels())["a"] = "1";
  EXPECT_EQ(Digester("key").Digest("CaptureLead", request),
            "0c51b0e091d2602082bdd6a6a0e8c0ca45b472e54f64fd40921cdd17455c5f67");
}

TEST(DigestTest, WhatARetryMayChangeDoesNotCount) {
  Digester digester("key");
  v1::UpdateLeadRequest request = SampleUpdate();
  std::string digest = digester.Digest("UpdateLead", request);
  EXPECT_EQ(digest.size(), 64u);

  request.set_request_id(kRequestId);
  request.set_validate_only(true);
  request.mutable_lead()->set_etag("\"7\"");
  EXPECT_EQ(digester.Digest("UpdateLead", request), digest);

  v1::UpdateLeadRequest reordered;
  reordered.mutable_lead()->set_name(kLeadName);
  for (int i = 29; i >= 0; --i) {
    (*reordered.mutable_lead()->mutable_labels())["key" + std::to_string(i)] = "value";
  }
  EXPECT_EQ(digester.Digest("UpdateLead", reordered), digest);

  // Fields of a newer client, also deep inside.
  v1::UpdateLeadRequest newer = SampleUpdate();
  newer.GetReflection()->MutableUnknownFields(&newer)->AddVarint(900, 1);
  v1::Lead* lead = newer.mutable_lead();
  lead->GetReflection()->MutableUnknownFields(lead)->AddLengthDelimited(901, "x");
  EXPECT_EQ(digester.Digest("UpdateLead", newer), digest);
  // The request itself is left alone.
  EXPECT_EQ(request.request_id(), kRequestId);
}

// A request with nothing but what is known is digested without a copy; the two ways must agree.
TEST(DigestTest, AFieldOfANewerClientChangesNoDigestOfAnyCall) {
  Digester digester("key");
  Calls calls;
  for (const auto& [name, call] : calls.cases()) {
    std::unique_ptr<google::protobuf::Message> newer(call.good->New());
    newer->CopyFrom(*call.good);
    newer->GetReflection()->MutableUnknownFields(newer.get())->AddVarint(900, 1);
    EXPECT_EQ(digester.Digest(name, *newer), digester.Digest(name, *call.good)) << name;
  }
}

TEST(DigestTest, WhatMakesAnotherRequestCounts) {
  Digester digester("key");
  v1::UpdateLeadRequest request = SampleUpdate();
  std::set<std::string> digests = {digester.Digest("UpdateLead", request)};
  EXPECT_TRUE(digests.insert(digester.Digest("AssignLead", request)).second);
  EXPECT_TRUE(digests.insert(Digester("another").Digest("UpdateLead", request)).second);
  request.mutable_update_mask()->add_paths("labels");
  EXPECT_TRUE(digests.insert(digester.Digest("UpdateLead", request)).second);
  request.mutable_lead()->mutable_organization()->set_headcount(0);
  EXPECT_TRUE(digests.insert(digester.Digest("UpdateLead", request)).second);
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  EXPECT_TRUE(digests.insert(digester.Digest("UpdateLead", request)).second);
  request.mutable_lead()->set_name("leads/0190a0b0-0000-7000-8000-000000000002");
  EXPECT_TRUE(digests.insert(digester.Digest("UpdateLead", request)).second);
}

// RFC 4231, test case 2.
TEST(DigestTest, HmacIsTheStandardOne) {
  EXPECT_EQ(absl::BytesToHexString(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace relais::convert
