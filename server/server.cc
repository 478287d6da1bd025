#include "server/server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "server/credentials.h"
#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "server/runtime/failpoint.h"
#include "server/runtime/key_file.h"
#include "server/runtime/logging.h"
#include "server/services/directory_service.h"
#include "server/services/event_service.h"
#include "server/services/import_service.h"
#include "server/services/insight_service.h"
#include "server/services/lead_service.h"
#include "server/services/operations_service.h"
#include "server/services/opportunity_service.h"
#include "server/services/privacy_service.h"
#include "server/services/qualification_service.h"
#include "server/services/reflection.h"
#include "storage/open.h"

namespace relais {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
// The one tenant of an installation without identities.
constexpr char kTenant[] = "default";

// Against peers that are slow, silent, dead or hostile; the weaknesses and what each value held
// against are measured in the trust design.
struct ChannelArgument {
  const char* name;
  int value;
};
constexpr ChannelArgument kArguments[] = {
    {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5'000},   // peers that never speak
    {GRPC_ARG_MAX_CONNECTION_IDLE_MS, 60'000},       // half a frame, half a header
    {GRPC_ARG_MAX_CONNECTION_AGE_MS, 1'800'000},     // spreads load after a failover
    {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 30'000},  // headers without a body
    {GRPC_ARG_KEEPALIVE_TIME_MS, 60'000},            // dead peers
    {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000},         // dead peers
    {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 30'000},  // ping floods
    {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},                             // ping floods
    {GRPC_ARG_MAX_CONCURRENT_STREAMS, 1'000},                         // listener for services
    {GRPC_ARG_ALLOW_REUSEPORT, 0},  // a second server must not share the port in silence
    {GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0},  // 0.5 MB of gzip can be 560 MB
};
constexpr int kMaxReceiveBytes = 4 * 1024 * 1024;
constexpr size_t kMemoryQuotaBytes = 128 * 1024 * 1024;

// A new key beside a database that has been used with another one would make its personal values
// unreadable for ever, and say nothing.
absl::Status CheckKeyIsNotLost(const std::string& database, const std::string& key_file) {
  if (!database.starts_with(kSqlite)) return absl::OkStatus();
  struct stat info {};
  std::string path = database.substr(kSqlite.size());
  if (stat(path.c_str(), &info) != 0 || info.st_size == 0) return absl::OkStatus();
  if (stat(key_file.c_str(), &info) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(Concat("--key_file: ", path, " exists but its key file ",
                                              key_file,
                                              " does not; bring the key back from its copy"));
}

// Two at least: while one waits for the disk, the other fills its batch.
int WritersOf(const runtime::Options& options) {
  if (options.writers > 0) return options.writers;
  return std::max(2, static_cast<int>(std::thread::hardware_concurrency()) / 2);
}

}  // namespace

Server::Server(const runtime::Options& options, const ServerParts& parts)
    : options_(options),
      parts_(parts),
      clock_(parts.clock == nullptr ? system_clock_ : *parts.clock),
      system_ids_(clock_),
      ids_(parts.ids == nullptr ? system_ids_ : *parts.ids),
      call_ids_(system_clock_),
      streams_(options.max_watchers) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const runtime::Options& options,
                                                      const ServerParts& parts) {
  ASSIGN_OR_RETURN(std::vector<runtime::Address> addresses, runtime::CheckOptions(options));
  std::unique_ptr<Server> server(new Server(options, parts));
  RETURN_IF_ERROR(server->Open());
  RETURN_IF_ERROR(server->Listen(addresses));
  return server;
}

absl::Status Server::Open() {
  std::string key_file =
      options_.key_file.empty() ? runtime::DefaultKeyFile(options_.database) : options_.key_file;
  RETURN_IF_ERROR(CheckKeyIsNotLost(options_.database, key_file));
  ASSIGN_OR_RETURN(std::string key, runtime::LoadOrMakeKey(key_file));
  // Keys of their own for each use, so that none says anything about another.
  digester_ = std::make_unique<convert::Digester>(convert::HmacSha256(key, "relais request log"));
  pages_ = std::make_unique<convert::PageTokens>(convert::HmacSha256(key, "relais page tokens"));

  storage::StoreConfig config;
  config.url = options_.database;
  config.key = std::move(key);
  config.options.max_batch = options_.write_batch;
  config.options.writer_threads = WritersOf(options_);
  config.options.reader_threads = options_.readers;
  config.options.max_queued_units = options_.max_queued;
  config.options.max_queued_reads = options_.max_queued;
  if (!options_.failpoint.empty()) {
    ASSIGN_OR_RETURN(config.options.before_transaction, runtime::WriteDelay(options_.failpoint));
  }
  config.options.unnamed_reads_fail = parts_.strict_store;
  config.options.run_bodies_twice = parts_.strict_store;
  ASSIGN_OR_RETURN(store_, storage::OpenStore(config, clock_, ids_));

  feed_ = std::make_unique<services::FeedHub>(*store_, parts_.feed);
  edge_ = std::make_unique<services::Edge>(services::Edge{
      *store_, clock_, authenticator_, metrics_, call_ids_, *digester_, *pages_, *feed_, streams_});
  endpoints_.push_back(std::make_unique<services::LeadService>(*edge_));
  endpoints_.push_back(std::make_unique<services::ImportService>(*edge_));
  endpoints_.push_back(std::make_unique<services::PrivacyService>(*edge_));
  endpoints_.push_back(std::make_unique<services::QualificationService>(*edge_));
  endpoints_.push_back(std::make_unique<services::OpportunityService>(*edge_));
  endpoints_.push_back(std::make_unique<services::DirectoryService>(*edge_));
  endpoints_.push_back(std::make_unique<services::EventService>(*edge_));
  endpoints_.push_back(std::make_unique<services::InsightService>(*edge_));
  endpoints_.push_back(std::make_unique<services::OperationsService>(*edge_));
  for (const auto& endpoint : endpoints_) {
    RETURN_IF_ERROR(endpoint->CheckComplete());
    RETURN_IF_ERROR(services::CheckAccess(endpoint->descriptor()));
  }
  return absl::OkStatus();
}

absl::Status Server::Listen(const std::vector<runtime::Address>& addresses) {
  bool all_local = std::all_of(addresses.begin(), addresses.end(),
                               [](const runtime::Address& address) { return address.local; });
  if (options_.reflection.value_or(all_local)) {
    std::vector<std::string> names;
    for (const auto& endpoint : endpoints_) names.push_back(endpoint->descriptor().full_name());
    for (auto& endpoint : services::MakeReflection(*edge_, names)) {
      endpoints_.push_back(std::move(endpoint));
    }
  }

  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  for (const ChannelArgument& argument : kArguments) {
    builder.AddChannelArgument(argument.name, argument.value);
  }
  builder.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // Without an algorithm to take messages in, gRPC refuses compressed ones by itself.
  for (grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.SetResourceQuota(grpc::ResourceQuota("relais").Resize(kMemoryQuotaBytes));
  ports_.assign(addresses.size(), 0);
  for (size_t i = 0; i < addresses.size(); ++i) {
    ASSIGN_OR_RETURN(auto credentials, CredentialsFor(options_, addresses[i]));
    bool tcp = addresses[i].kind == runtime::Address::Kind::kTcp;
    builder.AddListeningPort(addresses[i].text, credentials, tcp ? &ports_[i] : nullptr);
  }
  for (const auto& endpoint : endpoints_) builder.RegisterService(endpoint.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return absl::InvalidArgumentError(
        "--listen: an address cannot be bound; is another server running there?");
  }
  if (!options_.metrics_listen.empty()) {
    RETURN_IF_ERROR(metrics_.Expose(options_.metrics_listen));
  }

  search_index_ =
      std::make_unique<workers::SearchIndex>(*store_, clock_, metrics_, domain::TenantId(kTenant));
  workers::ReactorOptions reactions;
  reactions.tenant = domain::TenantId(kTenant);
  reactions.owner = call_ids_.NewId();
  handoff_reactor_ = std::make_unique<workers::Reactor>(
      *store_, clock_, metrics_, std::make_unique<workers::HandoffReaction>(), reactions);
  segment_reactor_ = std::make_unique<workers::Reactor>(
      *store_, clock_, metrics_,
      std::make_unique<workers::SegmentReaction>(*store_, clock_, reactions.tenant), reactions);
  handoff_clock_ =
      std::make_unique<workers::HandoffClock>(*store_, clock_, domain::TenantId(kTenant));
  if (parts_.reactions_run) {
    handoff_reactor_->Start();
    segment_reactor_->Start();
    handoff_clock_->Start();
  }
  score_keeper_ =
      std::make_unique<workers::ScoreKeeper>(*store_, domain::TenantId(kTenant), parts_.score_poll);
  sweeper_ = std::make_unique<workers::Sweeper>(*store_, domain::TenantId(kTenant));
  for (const auto& endpoint : endpoints_) {
    server_->GetHealthCheckService()->SetServingStatus(endpoint->descriptor().full_name(), true);
  }
  health_thread_ = std::thread([this] { WatchHealth(); });
  for (size_t i = 0; i < addresses.size(); ++i) {
    runtime::LogInfo(Concat("serving on ", addresses[i].text, ", port ", ports_[i]));
  }
  return absl::OkStatus();
}

void Server::SetServing(bool serving) {
  // The server as a whole and every service that was named below.
  server_->GetHealthCheckService()->SetServingStatus(serving);
}

void Server::WatchHealth() {
  bool serving = true;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (bool healthy = store_->healthy(); healthy != serving) {
      serving = healthy;
      SetServing(serving);
      runtime::LogWarning(serving ? "the database answers again" : "the database is away");
    }
    changed_.wait_for(lock, parts_.health_poll, [this] { return stopping_; });
  }
}

void Server::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_; });
}

void Server::Shutdown() {
  {
    std::unique_lock lock(mutex_);
    if (stopping_) {
      changed_.wait(lock, [this] { return stopped_; });
      return;
    }
    stopping_ = true;
    changed_.notify_all();
  }
  if (health_thread_.joinable()) health_thread_.join();
  if (server_ != nullptr) {
    server_->GetHealthCheckService()->Shutdown();  // NOT_SERVING, for good
    streams_.Drain();
    feed_->Stop();
    server_->Shutdown(std::chrono::system_clock::now() + options_.shutdown_grace);
    server_->Wait();
  }
  if (search_index_ != nullptr) search_index_->Stop();
  if (handoff_clock_ != nullptr) handoff_clock_->Stop();
  if (handoff_reactor_ != nullptr) handoff_reactor_->Stop();
  if (segment_reactor_ != nullptr) segment_reactor_->Stop();
  if (score_keeper_ != nullptr) score_keeper_->Stop();
  if (sweeper_ != nullptr) sweeper_->Stop();
  if (feed_ != nullptr) feed_->Stop();
  if (store_ != nullptr) store_->Stop();
  runtime::LogInfo("stopped");
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

Server::~Server() { Shutdown(); }

}  // namespace relais
