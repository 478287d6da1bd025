#include "tests/bench/lead_calls.h"

#include <chrono>
#include <stdexcept>
#include <utility>

#include "clients/cli/identity.h"
#include "relais/v1/insight_service.grpc.pb.h"
#include "tests/bench/people.h"

namespace relais::bench {
namespace {

using std::chrono::steady_clock;

std::runtime_error ErrorOf(const char* what, const grpc::Status& status) {
  return std::runtime_error(std::string(what) + " failed: " + status.error_message());
}

// Reads both messages and asks `wrong` what is wrong; the answer is the check of a CallKind.
template <class Request, class Reply, class Wrong>
std::function<std::string(const std::string&, const std::string&)> Checked(Wrong wrong) {
  return [wrong](const std::string& request_bytes, const std::string& reply_bytes) -> std::string {
    Request request;
    Reply reply;
    if (!request.ParseFromString(request_bytes) || !reply.ParseFromString(reply_bytes)) {
      return "bytes that are no message";
    }
    return wrong(request, reply);
  };
}

}  // namespace

int64_t TakeNumbers(int64_t count) {
  static int64_t next = 1'000'000'000;
  return std::exchange(next, next + count);
}

LeadClient::LeadClient(const std::string& address)
    : channel_(Connect(address)),
      leads_(v1::LeadService::NewStub(channel_)),
      imports_(v1::ImportService::NewStub(channel_)),
      generic_(channel_) {}

CallKind LeadClient::Captures(std::function<int64_t()> person, v1::CaptureOutcome outcome) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.LeadService/CaptureLead";
  kind.request = [person = std::move(person)] {
    return CaptureOf(person(), TakeNumbers(1)).SerializeAsString();
  };
  kind.check = Checked<v1::CaptureLeadRequest, v1::CaptureLeadResponse>(
      [outcome](const v1::CaptureLeadRequest& request, const v1::CaptureLeadResponse& reply) {
        if (outcome != v1::CAPTURE_OUTCOME_UNSPECIFIED && reply.outcome() != outcome) {
          return "outcome " + v1::CaptureOutcome_Name(reply.outcome());
        }
        const v1::Person& there = reply.lead().person();
        if (there.emails_size() != 1 ||
            there.emails(0).address() != request.lead().person().emails(0).address()) {
          return std::string("another person");
        }
        return std::string(
            reply.touchpoint().kind() == request.touchpoint().kind() ? "" : "another touchpoint");
      });
  return kind;
}

CallKind LeadClient::NewPeople() {
  return Captures([] { return TakeNumbers(1); }, v1::CAPTURE_OUTCOME_CREATED);
}

CallKind LeadClient::Gets(std::function<std::string()> name) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.LeadService/GetLead";
  kind.again = true;
  kind.request = [name = std::move(name)] {
    v1::GetLeadRequest request;
    request.set_name(name());
    return request.SerializeAsString();
  };
  kind.check = Checked<v1::GetLeadRequest, v1::Lead>(
      [](const v1::GetLeadRequest& request, const v1::Lead& reply) {
        if (reply.name() != request.name()) return "another lead than " + request.name();
        return std::string(reply.person().emails_size() == 1 ? "" : "no e-mail address");
      });
  return kind;
}

CallKind LeadClient::Lists(const v1::ListLeadsRequest& request) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.LeadService/ListLeads";
  kind.again = true;
  kind.request = [bytes = request.SerializeAsString()] { return bytes; };
  kind.check = Checked<v1::ListLeadsRequest, v1::ListLeadsResponse>(
      [](const v1::ListLeadsRequest& asked, const v1::ListLeadsResponse& reply) {
        if (reply.leads_size() != asked.page_size()) {
          return "a page of " + std::to_string(reply.leads_size());
        }
        for (int i = 1; asked.order_by() == "score desc" && i < reply.leads_size(); ++i) {
          if (reply.leads(i).score() > reply.leads(i - 1).score()) {
            return std::string("not by score");
          }
        }
        return std::string();
      });
  return kind;
}

CallKind LeadClient::Searches(std::function<std::string()> query) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.LeadService/SearchLeads";
  kind.again = true;
  kind.request = [query = std::move(query)] {
    v1::SearchLeadsRequest request;
    request.set_query(query());
    request.set_page_size(20);
    return request.SerializeAsString();
  };
  kind.check = Checked<v1::SearchLeadsRequest, v1::SearchLeadsResponse>(
      [](const v1::SearchLeadsRequest& request, const v1::SearchLeadsResponse& reply) {
        return reply.results_size() > 0 ? std::string() : "nothing found for " + request.query();
      });
  return kind;
}

CallKind LeadClient::Timelines(std::function<std::string()> lead) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.LeadService/ListTouchpoints";
  kind.again = true;
  kind.request = [lead = std::move(lead)] {
    v1::ListTouchpointsRequest request;
    request.set_parent(lead());
    return request.SerializeAsString();
  };
  kind.check = Checked<v1::ListTouchpointsRequest, v1::ListTouchpointsResponse>(
      [](const v1::ListTouchpointsRequest& request, const v1::ListTouchpointsResponse& reply) {
        return reply.touchpoints_size() > 0 ? std::string()
                                            : "no touchpoints of " + request.parent();
      });
  return kind;
}

CallKind LeadClient::Funnels(int64_t leads) {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/relais.v1.InsightService/GetFunnel";
  kind.again = true;
  kind.deadline = std::chrono::minutes(4);  // it reads every lead
  kind.request = [] { return v1::GetFunnelRequest().SerializeAsString(); };
  kind.check = Checked<v1::GetFunnelRequest, v1::Funnel>([leads](const v1::GetFunnelRequest&,
                                                                 const v1::Funnel& reply) {
    return reply.total().leads() >= leads ? std::string()
                                          : "a funnel of " + std::to_string(reply.total().leads());
  });
  return kind;
}

CallKind LeadClient::Checks() {
  CallKind kind;
  kind.stub = &generic_;
  kind.method = "/grpc.health.v1.Health/Check";
  kind.again = true;
  kind.request = [] { return std::string(); };
  kind.check = [](const std::string&, const std::string& reply) {
    return std::string(reply == "\x08\x01" ? "" : "not serving");  // status: SERVING
  };
  return kind;
}

v1::CaptureLeadResponse LeadClient::Capture(int64_t person) {
  grpc::ClientContext context;
  v1::CaptureLeadResponse response;
  const grpc::Status status =
      leads_->CaptureLead(&context, CaptureOf(person, TakeNumbers(1)), &response);
  if (!status.ok()) throw ErrorOf("a capture", status);
  return response;
}

v1::ListLeadsResponse LeadClient::List(const v1::ListLeadsRequest& request) {
  grpc::ClientContext context;
  v1::ListLeadsResponse response;
  const grpc::Status status = leads_->ListLeads(&context, request, &response);
  if (!status.ok()) throw ErrorOf("a list", status);
  return response;
}

Import::Import(int64_t first, int64_t rows) {
  constexpr int64_t kChunk = 500;
  const std::string name = "imports/" + cli::RandomUuid();
  for (int64_t row = 0; row < rows; ++row) {
    if (row % kChunk == 0) {
      chunks_.emplace_back().set_name(name);
      chunks_.back().set_rows_total(rows);
    }
    v1::ImportRow& entry = *chunks_.back().add_rows();
    entry.set_row(row + 1);
    v1::CaptureLeadRequest capture = CaptureOf(first + row, first + row);
    entry.mutable_capture()->mutable_lead()->Swap(capture.mutable_lead());
    entry.mutable_capture()->mutable_touchpoint()->Swap(capture.mutable_touchpoint());
    // A touchpoint of an import is of some time and known to its source.
    entry.mutable_capture()->mutable_touchpoint()->mutable_occur_time()->set_seconds(1'700'000'000 +
                                                                                     row);
  }
  chunks_.back().set_complete(true);
}

double Import::Run(LeadClient& client) {
  constexpr size_t kAhead = 4;
  grpc::ClientContext context;
  auto stream = client.imports().ImportLeads(&context);
  const auto start = steady_clock::now();
  v1::ImportRowsResponse response;
  size_t sent = 0, answered = 0;
  auto read = [&] {
    if (!stream->Read(&response)) return false;
    ++answered;
    answered_rows_ = response.import().rows_done();
    return true;
  };
  while (sent < chunks_.size() && !stopped_) {
    if (!stream->Write(chunks_[sent++])) break;
    if (sent >= answered + kAhead) read();
  }
  stream->WritesDone();
  while (answered < sent && read()) {
  }
  const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
  ended_ = true;
  const grpc::Status status = stream->Finish();
  if (!status.ok()) throw ErrorOf("the import", status);
  int64_t wanted = 0;
  for (size_t i = 0; i < sent; ++i) wanted += chunks_[i].rows_size();
  if (answered_rows_ != wanted) {
    throw std::runtime_error("the import did only " + std::to_string(answered_rows_) + " rows" +
                             (response.results_size() > 0
                                  ? ": " + response.results(0).status().message()
                                  : std::string()));
  }
  return static_cast<double>(wanted) / seconds;
}

bool Import::Stop() {
  const bool under_way = !ended_;
  stopped_ = true;
  return under_way;
}

}  // namespace relais::bench
