// What a server runs on: options, key file, ids, authentication, log levels.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/ids.h"
#include "server/runtime/authentication.h"
#include "server/runtime/clock.h"
#include "server/runtime/key_file.h"
#include "server/runtime/logging.h"
#include "server/runtime/metrics.h"
#include "server/runtime/options.h"
#include "tests/fixtures/fakes.h"

namespace relais::runtime {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, ReadsEveryFormAndKnowsWhatIsLocal) {
  struct Case {
    const char* text;
    const char* host;
    int port;
    bool local;
  };
  for (const Case& c :
       {Case{"127.0.0.1:50061", "127.0.0.1", 50061, true},
        Case{"127.8.9.1:0", "127.8.9.1", 0, true}, Case{"localhost:1", "localhost", 1, true},
        Case{"[::1]:65535", "::1", 65535, true}, Case{"[::]:443", "::", 443, false},
        Case{"0.0.0.0:443", "0.0.0.0", 443, false}, Case{"192.0.2.7:443", "192.0.2.7", 443, false},
        Case{"localhost.example.com:443", "localhost.example.com", 443, false}}) {
    absl::StatusOr<Address> address = ParseAddress(c.text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->host, c.host);
    EXPECT_EQ(address->port, c.port);
    EXPECT_EQ(address->local, c.local) << c.text;
  }
  absl::StatusOr<Address> socket = ParseAddress("unix:/run/relais.sock");
  ASSERT_TRUE(socket.ok());
  EXPECT_EQ(socket->path, "/run/relais.sock");
  EXPECT_TRUE(socket->local);
}

TEST(AddressTest, RefusesWhatIsNoAddress) {
  for (const std::string& text :
       {std::string(""), std::string("localhost"), std::string(":80"), std::string("host:"),
        std::string("host:x"), std::string("host:65536"), std::string("host:-1"),
        std::string("::1:80"), std::string("[]:80"), std::string("[::1:80"), std::string("unix:"),
        "unix:/" + std::string(200, 'x')}) {
    EXPECT_FALSE(ParseAddress(text).ok()) << text;
  }
}

TEST(OptionsTest, DefaultsMayBeStartedWith) {
  absl::StatusOr<std::vector<Address>> addresses = CheckOptions(Options());
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  EXPECT_EQ(addresses->size(), 1U);
  EXPECT_TRUE((*addresses)[0].local);
}

TEST(OptionsTest, EveryContradictionNamesItsFlag) {
  struct Case {
    const char* flag;
    void (*change)(Options&);
  };
  for (const Case& c : {Case{"--listen", [](Options& o) { o.listen.clear(); }},
                        Case{"--listen", [](Options& o) { o.listen = {"nowhere"}; }},
                        Case{"--listen", [](Options& o) { o.listen = {"0.0.0.0:1"}; }},
                        Case{"--tls_key", [](Options& o) { o.tls_cert = "c"; }},
                        Case{"--tls_cert", [](Options& o) { o.tls_key = "k"; }},
                        Case{"--tls_client_ca", [](Options& o) { o.tls_client_ca = "a"; }},
                        Case{"--database", [](Options& o) { o.database = ""; }},
                        Case{"--database", [](Options& o) { o.database = "sqlite:"; }},
                        Case{"--database", [](Options& o) { o.database = "relais.db"; }},
                        Case{"--write_batch", [](Options& o) { o.write_batch = 0; }},
                        Case{"--writers", [](Options& o) { o.writers = -1; }},
                        Case{"--readers", [](Options& o) { o.readers = 0; }},
                        Case{"--max_queued", [](Options& o) { o.max_queued = 0; }},
                        Case{"--max_watchers", [](Options& o) { o.max_watchers = 0; }},
                        Case{"--metrics_listen", [](Options& o) { o.metrics_listen = "unix:/x"; }},
                        Case{"--failpoint", [](Options& o) { o.failpoint = "write_delay_us=1"; }},
                        Case{"--failpoint",
                             [](Options& o) {
                               o.failpoint = "write_delay_us=-1";
                               o.allow_failpoints = true;
                             }},
                        Case{"--failpoint",
                             [](Options& o) {
                               o.failpoint = "write_delay_us=@";
                               o.allow_failpoints = true;
                             }},
                        Case{"--shutdown_grace", [](Options& o) {
                               o.shutdown_grace = std::chrono::milliseconds(-1);
                             }}}) {
    Options options;
    c.change(options);
    absl::Status status = CheckOptions(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.flag;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.flag));
  }
  Options tls;
  tls.listen = {"0.0.0.0:1"};
  tls.tls_cert = "c";
  tls.tls_key = "k";
  EXPECT_TRUE(CheckOptions(tls).ok());
  Options slow;
  slow.failpoint = "write_delay_us=@/run/delay";
  slow.allow_failpoints = true;
  EXPECT_TRUE(CheckOptions(slow).ok());
}

TEST(OptionsTest, TheKeyLiesBesideTheSqliteFile) {
  EXPECT_EQ(DefaultKeyFile("sqlite:/var/lib/relais.db"), "/var/lib/relais.db.key");
  EXPECT_EQ(DefaultKeyFile("postgresql://db/relais"), "relais.key");
}

class KeyFileTest : public ::testing::Test {
 public:
  KeyFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "relais-XXXXXX").string();
    folder = mkdtemp(pattern.data());
  }
  ~KeyFileTest() override { std::filesystem::remove_all(folder); }
  std::string folder;
};

TEST_F(KeyFileTest, IsMadeOnceForItsOwnerAlone) {
  std::string path = folder + "/key";
  absl::StatusOr<std::string> key = LoadOrMakeKey(path);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->size(), kKeyBytes);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(*LoadOrMakeKey(path), *key);
  EXPECT_NE(*LoadOrMakeKey(folder + "/other"), *key);
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, 2) << "nothing temporary is left";
}

TEST_F(KeyFileTest, OfManyWhoMakeItAtOnceOneIsHeard) {
  std::vector<std::thread> threads;
  std::vector<std::string> keys(8);
  for (size_t i = 0; i < keys.size(); ++i) {
    threads.emplace_back([&, i] { keys[i] = LoadOrMakeKey(folder + "/key").value_or(""); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 1U);
  EXPECT_EQ(keys[0].size(), kKeyBytes);
}

TEST_F(KeyFileTest, IsRefusedWhenOthersMayReadItOrItHoldsNoKey) {
  std::string path = folder + "/key";
  ASSERT_TRUE(LoadOrMakeKey(path).ok());
  chmod(path.c_str(), 0640);
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadOrMakeKey(path).status()));
  chmod(path.c_str(), 0600);
  for (const std::string& text : {std::string(), std::string(63, 'a'), std::string(64, 'g'),
                                  std::string(65, 'a'), std::string(300, 'a')}) {
    std::ofstream(path) << text;
    EXPECT_TRUE(absl::IsFailedPrecondition(LoadOrMakeKey(path).status())) << text.size();
  }
  EXPECT_TRUE(absl::IsUnavailable(LoadOrMakeKey(folder + "/no/such/folder/key").status()));
}

TEST(Uuid7Test, IdsRiseWithinAMillisecondAndWhenTheClockStepsBack) {
  testing::FakeClock clock;
  Uuid7Source source(clock);
  std::string last;
  for (int i = 0; i < 100'000; ++i) {
    if (i % 1000 == 999) clock.Advance(i % 2000 == 999 ? 5'000'000 : -3'000'000);
    std::string id = source.NewId();
    ASSERT_LT(last, id);
    ASSERT_TRUE(domain::IsCanonicalUuid(id)) << id;
    ASSERT_EQ(id[14], '7');
    ASSERT_THAT(std::string("89ab"), HasSubstr(id.substr(19, 1)));
    last = id;
  }
}

TEST(Uuid7Test, BeginsWithTheMilliseconds) {
  testing::FakeClock clock({0x0123'4567'89ABLL * 1000});
  Uuid7Source source(clock);
  EXPECT_EQ(source.NewId().substr(0, 15), "01234567-89ab-7");
}

TEST(Uuid7Test, TwoSourcesDoNotMeet) {
  testing::FakeClock clock;
  Uuid7Source one(clock), two(clock);
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(seen.insert(one.NewId()).second);
    EXPECT_TRUE(seen.insert(two.NewId()).second);
  }
}

TEST(AuthenticationTest, TheNetworkIsNotAnIdentity) {
  LoopbackAuthenticator authenticator;
  absl::StatusOr<Identity> local = authenticator.Authenticate({.local = true});
  ASSERT_TRUE(local.ok());
  EXPECT_EQ(local->tenant.value, "default");
  EXPECT_EQ(local->principal, "anonymous");
  EXPECT_EQ(authenticator.Authenticate({.local = false, .certificate = "crm"})->principal,
            "certificates/crm");
  absl::Status refused = authenticator.Authenticate({.local = false}).status();
  EXPECT_TRUE(absl::IsUnauthenticated(refused));
  EXPECT_EQ(domain::FaultOf(refused)->reason, "UNAUTHENTICATED");
  EXPECT_FALSE(authenticator.Authenticate({.local = false, .authorization = "Bearer x"}).ok());
}

TEST(LoggingTest, AnUnknownLevelIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(StartLogging("loud")));
}

TEST(MetricsTest, EachCodeHasASeriesOnceItHappened) {
  Metrics metrics;
  std::unique_ptr<CallMetrics> call = metrics.ForCall("unary", "relais.v1.LeadService", "GetLead");
  call->Started();
  call->Handled(absl::StatusCode::kNotFound, std::chrono::milliseconds(2));
  call->Handled(absl::StatusCode::kNotFound, std::chrono::milliseconds(2));
  call->Handled(static_cast<absl::StatusCode>(99), std::chrono::milliseconds(2));
  std::map<std::string, double> handled;
  for (const prometheus::MetricFamily& family : metrics.registry().Collect()) {
    if (family.name != "grpc_server_handled_total") continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& label : metric.label) {
        if (label.name == "grpc_code") handled[label.value] = metric.counter.value;
      }
    }
  }
  EXPECT_EQ(handled, (std::map<std::string, double>{{"NotFound", 2}, {"Unknown", 1}}));
}

}  // namespace
}  // namespace relais::runtime
