#include "tests/end-to-end/running_service.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/shared_data.h"
#include "worker/agent/server_channel.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr size_t kLogShown = 4000;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Parent of a process; 0 when it is gone.
pid_t ParentOf(const std::string& pid) {
  for (const auto& line : absl::StrSplit(ReadAll(absl::StrCat("/proc/", pid, "/status")), '\n')) {
    if (absl::StartsWith(line, "PPid:")) {
      return static_cast<pid_t>(std::stoi(std::string(line.substr(5))));
    }
  }
  return 0;
}

bool HoldsFiles(const std::string& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_regular_file(error)) return true;
  }
  return false;
}

bool IsTerminal(const v1::QuantizationJob& job) {
  return job.state() == v1::QuantizationJob::SUCCEEDED ||
         job.state() == v1::QuantizationJob::FAILED ||
         job.state() == v1::QuantizationJob::CANCELLED;
}

}  // namespace

std::string Program(const std::string& name) { return absl::StrCat(TERN_PROGRAMS, "/", name); }

RunningService::RunningService(const Options& options) : options_(options) {
  if (options_.data.empty()) options_.data = folder_.File("data");
  StartServer();
  stub_ = v1::QuantizationService::NewStub(OpenServerChannel(address_));
  own_workers_.resize(static_cast<size_t>(options_.own_workers));
  for (int i = 0; i < options_.own_workers; ++i) StartOwnWorker(i);
  AwaitWorkers(options_.local_workers + options_.own_workers);
}

RunningService::~RunningService() {
  for (int i = 0; i < options_.own_workers; ++i) KillOwnWorker(i);
  KillServer();
}

std::unique_ptr<ChildProcess> RunningService::Start(const std::string& command) const {
  return ChildProcess::Start(
             {"/bin/sh", "-c", absl::StrCat("exec ", command, " >>", folder_.File("log"), " 2>&1")})
      .value();
}

void RunningService::StartServer() {
  const std::string port_file = folder_.File("ports");
  fs::remove(port_file);
  server_ = Start(absl::StrCat(
      Program("tern-server"), " --listen=", address_.empty() ? "127.0.0.1:0" : address_,
      " --metrics=127.0.0.1:0 --data=", options_.data, " --port-file=", port_file,
      " --lease-seconds=", options_.lease_seconds, " --local-workers=", options_.local_workers,
      " --worker-threads=1"));
  Await("the server's port file", [&] { return fs::exists(port_file); });
  address_ = nlohmann::json::parse(ReadAll(port_file)).at("listen").get<std::string>();
}

void RunningService::KillServer() {
  server_->Signal(SIGKILL);
  server_->Wait();
}

void RunningService::StartOwnWorker(int index) {
  own_workers_[static_cast<size_t>(index)] = Start(absl::StrCat(
      Program("tern-worker"), " --server=", address_, " --threads=1 ", options_.worker_arguments));
}

void RunningService::KillOwnWorker(int index) {
  std::unique_ptr<ChildProcess>& worker = own_workers_[static_cast<size_t>(index)];
  if (worker == nullptr) return;
  worker->Signal(SIGKILL);
  worker->Wait();
  worker = nullptr;
}

ProcessEnd RunningService::StopOwnWorker(int index) {
  const auto worker = std::move(own_workers_[static_cast<size_t>(index)]);
  worker->Signal(SIGTERM);
  return worker->Wait();
}

std::vector<pid_t> RunningService::LocalWorkers() const {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (ParentOf(pid) == server_->pid()) pids.push_back(std::stoi(pid));
  }
  return pids;
}

void RunningService::AwaitWorkers(int workers) {
  Await(absl::StrCat(workers, " workers"), [&] {
    grpc::ClientContext context;
    v1::ListWorkersResponse response;
    return stub_->ListWorkers(&context, v1::ListWorkersRequest(), &response).ok() &&
           response.workers_size() >= workers;
  });
}

std::string RunningService::Submit(const v1::CreateQuantizationJobRequest& request) {
  v1::QuantizationJob job;
  Await("the job to be accepted", [&] {
    grpc::ClientContext context;
    const grpc::Status status = stub_->CreateQuantizationJob(&context, request, &job);
    if (!status.ok() && status.error_code() != grpc::StatusCode::UNAVAILABLE) {
      throw std::runtime_error(absl::StrCat("refused: ", status.error_message()));
    }
    return status.ok();
  });
  return job.name();
}

v1::QuantizationJob RunningService::Get(const std::string& name) {
  v1::GetQuantizationJobRequest request;
  request.set_name(name);
  v1::QuantizationJob job;
  Await("an answer about the job", [&] {
    grpc::ClientContext context;
    return stub_->GetQuantizationJob(&context, request, &job).ok();
  });
  return job;
}

v1::QuantizationJob RunningService::AwaitEnd(const std::string& name) {
  v1::QuantizationJob job;
  Await("the job's end", [&] {
    job = Get(name);
    return IsTerminal(job);
  });
  return job;
}

void RunningService::AwaitBlockInWork(const std::string& name) {
  Await("a block in work", [&] {
    const v1::QuantizationJob job = Get(name);
    for (const auto& active : job.progress().active()) {
      if (absl::StartsWith(active.task(), "quantize/")) return true;
    }
    if (IsTerminal(job)) throw std::runtime_error("the job ended before a block was seen in work");
    return false;
  });
}

std::map<std::string, FileDigest> RunningService::DownloadedFiles(const std::string& name) const {
  const TempDir folder;
  const std::string command =
      absl::StrCat(Program("tern"), " download ", name, " --server ", address_, " --out ",
                   folder.File("out"), " >", folder.File("log"), " 2>&1 && ", Program("tern"),
                   " verify ", folder.File("out"), " >>", folder.File("log"), " 2>&1");
  if (std::system(command.c_str()) != 0) throw std::runtime_error(ReadAll(folder.File("log")));
  return ParseManifest(ReadAll(folder.File("out/tern-manifest.json"))).value();
}

void RunningService::AwaitNoBlobs() {
  Await("an empty blob folder", [&] { return !HoldsFiles(absl::StrCat(data(), "/blobs")); });
}

int RunningService::BlocksStarted() const {
  int started = 0;
  for (const auto& line : absl::StrSplit(Log(), '\n')) {
    if (absl::StrContains(line, "\"task started\"") && absl::StrContains(line, "/quantize/")) {
      ++started;
    }
  }
  return started;
}

std::string RunningService::Log() const { return ReadAll(folder_.File("log")); }

void RunningService::Await(const std::string& what, const std::function<bool()>& condition) const {
  const absl::Time limit = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > limit) {
      const std::string log = Log();
      throw std::runtime_error(
          absl::StrCat("waited in vain for ", what, "; the log ends:\n",
                       log.substr(log.size() - std::min(log.size(), kLogShown))));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

v1::CreateQuantizationJobRequest SmallJob(int shards) {
  v1::CreateQuantizationJobRequest request;
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.set_model(DataPath("demo-llama"));
  spec.mutable_pt2llm();
  spec.mutable_calibration()->add_files(DataPath("sampled.txt"));
  spec.mutable_calibration()->set_samples(32);
  spec.mutable_calibration()->set_sequence_length(128);
  spec.mutable_evaluation()->add_files(DataPath("sampled.txt"));
  spec.mutable_evaluation()->set_window_length(128);
  spec.mutable_evaluation()->set_windows(8);
  spec.set_shards(shards);
  spec.set_seed(1);
  return request;
}

v1::CreateQuantizationJobRequest SmallTwlaJob(int shards) {
  v1::CreateQuantizationJobRequest request = SmallJob(shards);
  v1::TwlaMethod& method =
      *request.mutable_quantization_job()->mutable_spec()->mutable_twla();  // in place of the other
  method.set_rotation_steps(10);
  method.mutable_mixed_activations()->add_candidates(4);
  method.mutable_mixed_activations()->add_candidates(8);
  method.mutable_mixed_activations()->set_average_bits(5);  // so that neighbours have 4
  return request;
}

}  // namespace tern
