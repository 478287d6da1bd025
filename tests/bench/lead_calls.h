// The calls of the benchmark: as load (load.h), and one at a time. Errors are std::runtime_errors.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "relais/v1/import_service.grpc.pb.h"
#include "relais/v1/lead_service.grpc.pb.h"
#include "tests/bench/load.h"

namespace relais::bench {

// Numbers of people and calls that no other part of this run uses: the first of `count`.
int64_t TakeNumbers(int64_t count);

class LeadClient {
 public:
  explicit LeadClient(const std::string& address);

  // Captures of the people that `person` names. The answer must be that person and, when `outcome`
  // is given, that outcome.
  CallKind Captures(std::function<int64_t()> person,
                    v1::CaptureOutcome outcome = v1::CAPTURE_OUTCOME_UNSPECIFIED);
  CallKind NewPeople();
  // The lead of that name must come back, with an e-mail address.
  CallKind Gets(std::function<std::string()> name);
  // A page of the whole size must come back; by score desc, no lead above the one before it.
  CallKind Lists(const v1::ListLeadsRequest& request);
  // Something must be found.
  CallKind Searches(std::function<std::string()> query);
  // The touchpoints of the lead of that name, of which there must be one at least.
  CallKind Timelines(std::function<std::string()> lead);
  // The whole funnel, which must count `leads` at least.
  CallKind Funnels(int64_t leads);
  // The health check of the same server: a method that does nothing.
  CallKind Checks();

  v1::CaptureLeadResponse Capture(int64_t person);
  v1::ListLeadsResponse List(const v1::ListLeadsRequest& request);
  v1::ImportService::Stub& imports() { return *imports_; }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LeadService::Stub> leads_;
  std::unique_ptr<v1::ImportService::Stub> imports_;
  grpc::GenericStub generic_;
};

// One import: chunks of 500 rows of new people, four sent before an answer is awaited.
class Import {
 public:
  // Makes the chunks; people are numbered from `first`.
  Import(int64_t first, int64_t rows);
  // Imports them all and returns rows a second, from the first chunk to the answer to the last one.
  double Run(LeadClient& client);
  // From another thread: sends no more chunks. Whether the import was still under way.
  bool Stop();
  int64_t answered() const { return answered_rows_; }

 private:
  std::atomic<bool> stopped_{false}, ended_{false};
  std::atomic<int64_t> answered_rows_{0};
  std::vector<v1::ImportRowsRequest> chunks_;
};

}  // namespace relais::bench
