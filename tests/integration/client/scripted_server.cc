#include "tests/integration/client/scripted_server.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checkpoint/digest.h"
#include "checkpoint/manifest.h"
#include "checkpoint/packed_format.h"
#include "proto/service/error_details.h"
#include "proto/service/rpc_status.h"
#include "tern/v1/quantization_service.grpc.pb.h"

namespace tern {
namespace {

uint32_t CrcOf(const std::string& bytes) {
  return Crc32c({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

template <typename Entry>
std::optional<Entry> TakeFirst(std::deque<Entry>* entries) {
  if (entries->empty()) return std::nullopt;
  const Entry first = entries->front();
  entries->pop_front();
  return first;
}

grpc::Status HangUntilCancelled(grpc::ServerContext* context) {
  while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(5));
  return grpc::Status::CANCELLED;
}

grpc::Status Broken() { return ToGrpcStatus(absl::UnavailableError("the script broke it off")); }

}  // namespace

class ScriptedServer::Service : public v1::QuantizationService::Service {
 public:
  explicit Service(Script script) : script_(std::move(script)) {}

  grpc::Status CreateQuantizationJob(grpc::ServerContext* /*context*/,
                                     const v1::CreateQuantizationJobRequest* request,
                                     v1::QuantizationJob* job) override {
    const absl::MutexLock lock(&mutex_);
    created_.push_back(*request);
    const auto& labels = request->quantization_job().labels();
    const auto label = labels.find("comparison-spec");
    const std::string spec = label == labels.end() ? "" : label->second;
    if (!script_.create_error.ok() &&
        (script_.create_error_of.empty() || script_.create_error_of == spec)) {
      return ToGrpcStatus(script_.create_error);
    }
    const auto compared = script_.compared.find(spec);
    *job = compared == script_.compared.end() ? script_.job : compared->second;
    job->set_state(v1::QuantizationJob::PENDING);
    job->clear_report();
    return grpc::Status::OK;
  }

  grpc::Status GetQuantizationJob(grpc::ServerContext* context,
                                  const v1::GetQuantizationJobRequest* request,
                                  v1::QuantizationJob* job) override {
    bool hangs = false;
    {
      const absl::MutexLock lock(&mutex_);
      hangs = script_.hang_get;
    }
    if (hangs) return HangUntilCancelled(context);
    const absl::MutexLock lock(&mutex_);
    const v1::QuantizationJob* const found = Find(script_, request->name());
    if (found == nullptr) return NoSuchJob(request->name());
    *job = *found;
    return grpc::Status::OK;
  }

  grpc::Status ListQuantizationJobs(grpc::ServerContext* /*context*/,
                                    const v1::ListQuantizationJobsRequest* request,
                                    v1::ListQuantizationJobsResponse* response) override {
    const absl::MutexLock lock(&mutex_);
    list_requests_.push_back(*request);
    size_t start = 0;
    (void)absl::SimpleAtoi(request->page_token(), &start);
    const size_t end = std::min(start + 2, script_.listed.size());
    for (size_t i = start; i < end; ++i) *response->add_quantization_jobs() = script_.listed[i];
    if (end < script_.listed.size()) response->set_next_page_token(absl::StrCat(end));
    return grpc::Status::OK;
  }

  grpc::Status CancelQuantizationJob(grpc::ServerContext* /*context*/,
                                     const v1::CancelQuantizationJobRequest* request,
                                     v1::QuantizationJob* job) override {
    const absl::MutexLock lock(&mutex_);
    changed_.push_back(request->name());
    *job = script_.job;
    job->set_state(v1::QuantizationJob::CANCELLED);
    return grpc::Status::OK;
  }

  grpc::Status DeleteQuantizationJob(grpc::ServerContext* /*context*/,
                                     const v1::DeleteQuantizationJobRequest* request,
                                     google::protobuf::Empty* /*response*/) override {
    const absl::MutexLock lock(&mutex_);
    changed_.push_back(request->name());
    return grpc::Status::OK;
  }

  grpc::Status WatchQuantizationJob(
      grpc::ServerContext* context, const v1::WatchQuantizationJobRequest* request,
      grpc::ServerWriter<v1::WatchQuantizationJobResponse>* writer) override {
    Script script;
    std::optional<int> breaks_after;
    {
      const absl::MutexLock lock(&mutex_);
      watch_requests_.push_back(*request);
      breaks_after = TakeFirst(&script_.break_watch_after);
      script = script_;
    }
    const v1::QuantizationJob* const job = Find(script, request->name());
    if (job == nullptr) return NoSuchJob(request->name());
    if (request->after_sequence() + 1 < script.oldest_event) {
      return ToGrpcStatus(WithReason(absl::OutOfRangeError("events were dropped"), "EVENTS_DROPPED",
                                     {{"oldest_sequence", absl::StrCat(script.oldest_event)}}));
    }
    int sent = 0;
    const auto send = [&](const v1::WatchQuantizationJobResponse& message) {
      if (breaks_after && sent >= *breaks_after) return false;
      ++sent;
      return writer->Write(message);
    };
    v1::WatchQuantizationJobResponse message;
    *message.mutable_snapshot() = *job;
    if (script.hang) message.mutable_snapshot()->set_state(v1::QuantizationJob::RUNNING);
    message.set_sequence(request->after_sequence());
    if (!send(message)) return Broken();
    for (size_t i = request->after_sequence(); i < script.events.size(); ++i) {
      *message.mutable_event() = script.events[i];
      message.set_sequence(static_cast<int64_t>(i) + 1);
      if (!send(message)) return Broken();
    }
    return script.hang ? HangUntilCancelled(context) : grpc::Status::OK;
  }

  grpc::Status StreamCheckpoint(grpc::ServerContext* context,
                                const v1::StreamCheckpointRequest* request,
                                grpc::ServerWriter<v1::StreamCheckpointResponse>* writer) override {
    Script script;
    std::optional<int64_t> breaks_after;
    {
      const absl::MutexLock lock(&mutex_);
      stream_requests_.push_back(*request);
      breaks_after = TakeFirst(&script_.break_stream_after);
      script = script_;
    }
    int64_t index = 0;
    int64_t sent = 0;
    for (const auto& [path, bytes] : script.files) {
      if (++index < request->file_index()) continue;
      v1::StreamCheckpointResponse piece;
      piece.mutable_file()->set_index(index);
      piece.mutable_file()->set_path(path);
      piece.mutable_file()->set_size_bytes(static_cast<int64_t>(bytes.size()));
      piece.mutable_file()->set_sha256(script.wrong_sha256 ? std::string(64, '0')
                                                           : Sha256Hex(bytes));
      size_t offset = index == request->file_index() ? request->offset() : 0;
      do {
        size_t length = std::min<size_t>(script.piece_bytes, bytes.size() - offset);
        if (breaks_after) length = std::min<size_t>(length, *breaks_after - sent);
        if (breaks_after && length == 0 && !bytes.empty()) return Broken();
        piece.set_offset(static_cast<int64_t>(offset));
        piece.set_data(bytes.substr(offset, length));
        piece.set_crc32c(CrcOf(piece.data()) ^ (TakeCorruption() ? 1 : 0));
        if (!writer->Write(piece)) return grpc::Status::CANCELLED;
        offset += length;
        sent += static_cast<int64_t>(length);
      } while (offset < bytes.size());
    }
    return script.hang ? HangUntilCancelled(context) : ToGrpcStatus(script.stream_end);
  }

  grpc::Status ListWorkers(grpc::ServerContext* /*context*/,
                           const v1::ListWorkersRequest* /*request*/,
                           v1::ListWorkersResponse* response) override {
    const absl::MutexLock lock(&mutex_);
    for (const v1::Worker& worker : script_.workers) *response->add_workers() = worker;
    return grpc::Status::OK;
  }

  mutable absl::Mutex mutex_;
  Script script_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::CreateQuantizationJobRequest> created_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::ListQuantizationJobsRequest> list_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::WatchQuantizationJobRequest> watch_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::StreamCheckpointRequest> stream_requests_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> changed_ ABSL_GUARDED_BY(mutex_);

 private:
  static grpc::Status NoSuchJob(const std::string& name) {
    return ToGrpcStatus(absl::NotFoundError(absl::StrCat(name, ": no such job")));
  }

  static const v1::QuantizationJob* Find(const Script& script, const std::string& name) {
    if (script.job.name() == name) return &script.job;
    for (const auto& [spec, job] : script.compared) {
      if (job.name() == name) return &job;
    }
    return nullptr;
  }

  bool TakeCorruption() {
    const absl::MutexLock lock(&mutex_);
    return script_.corrupt_pieces-- > 0;
  }
};

struct ScriptedServer::Grpc {
  explicit Grpc(Script script) : service(std::move(script)) {}

  Service service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

ScriptedServer::ScriptedServer(Script script, int port)
    : grpc_(std::make_unique<Grpc>(std::move(script))) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                           &grpc_->port);
  builder.RegisterService(&grpc_->service);
  grpc_->server = builder.BuildAndStart();
}

ScriptedServer::~ScriptedServer() {
  grpc_->server->Shutdown(std::chrono::system_clock::now());
  grpc_->server->Wait();
}

std::string ScriptedServer::address() const { return absl::StrCat("127.0.0.1:", grpc_->port); }
int ScriptedServer::port() const { return grpc_->port; }

std::vector<v1::CreateQuantizationJobRequest> ScriptedServer::created() const {
  const absl::MutexLock lock(&grpc_->service.mutex_);
  return grpc_->service.created_;
}

std::vector<v1::ListQuantizationJobsRequest> ScriptedServer::list_requests() const {
  const absl::MutexLock lock(&grpc_->service.mutex_);
  return grpc_->service.list_requests_;
}

std::vector<v1::WatchQuantizationJobRequest> ScriptedServer::watch_requests() const {
  const absl::MutexLock lock(&grpc_->service.mutex_);
  return grpc_->service.watch_requests_;
}

std::vector<v1::StreamCheckpointRequest> ScriptedServer::stream_requests() const {
  const absl::MutexLock lock(&grpc_->service.mutex_);
  return grpc_->service.stream_requests_;
}

std::vector<std::string> ScriptedServer::changed() const {
  const absl::MutexLock lock(&grpc_->service.mutex_);
  return grpc_->service.changed_;
}

Script SucceededJob(int blocks) {
  Script script;
  v1::QuantizationJob& job = script.job;
  job.set_name("namespaces/default/quantizationJobs/demo");
  job.mutable_create_time()->set_seconds(1000);
  job.set_state(v1::QuantizationJob::SUCCEEDED);
  v1::JobReport& report = *job.mutable_report();
  report.set_job(job.name());
  report.set_digest("d1");
  report.mutable_perplexity()->set_full_precision(27);
  report.mutable_perplexity()->set_quantized(146);

  v1::JobEvent event;
  event.mutable_state_changed()->set_state(v1::QuantizationJob::RUNNING);
  script.events.push_back(event);
  std::map<std::string, FileDigest> manifest;
  for (int block = 0; block < blocks; ++block) {
    auto& finished = *event.mutable_block_finished();
    finished.mutable_metrics()->set_block(block);
    finished.mutable_metrics()->set_reconstruction_error(0.01);
    finished.mutable_metrics()->set_bits_per_weight(1.85);
    finished.mutable_metrics()->set_worker("w");
    finished.mutable_progress()->set_blocks_done(block + 1);
    finished.mutable_progress()->set_blocks_total(blocks);
    script.events.push_back(event);
    const std::string path = BlockFileName(block);
    std::string bytes;
    for (int i = 0; i < 1000 + 37 * block; ++i) bytes.push_back(static_cast<char>(i * 7 + block));
    manifest[path] = {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes)};
    script.files[path] = std::move(bytes);
  }
  event.mutable_state_changed()->set_state(v1::QuantizationJob::SUCCEEDED);
  script.events.push_back(event);
  script.files["tern-empty.txt"] = "";
  manifest["tern-empty.txt"] = {0, Sha256Hex(absl::string_view(""))};
  script.files[kManifestFile] = ManifestJson(manifest);
  script.files[kReportFile] = absl::StrCat(R"({"job": ")", job.name(), R"(", "digest": "d1"})");
  return script;
}

}  // namespace tern
