// tern-worker: computes the tasks of a job server, one process for each device; or measures a
// checkpoint on this machine; or says how many CUDA devices there are.
//
// Exit codes: 0 stopped on request or measured, 1 failed, 2 bad command line, device or input,
// 3 no room (memory, disk): the same may work later, 4 the checkpoint to be measured is damaged.

#include <grpcpp/channel.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/bounded_utf8.h"
#include "checkpoint/status_macros.h"
#include "proto/service/grpc_log.h"
#include "proto/service/log.h"
#include "proto/service/metrics_page.h"
#include "proto/service/process_memory.h"
#include "proto/service/shutdown_signal.h"
#include "proto/service/version.h"
#include "worker/agent/blob_client.h"
#include "worker/agent/job_task_runner.h"
#include "worker/agent/lease_loop.h"
#include "worker/agent/local_evaluation.h"
#include "worker/agent/server_channel.h"
#include "worker/agent/synchronizer.h"
#include "worker/agent/worker_metrics.h"
#include "worker/backend/device.h"
#include "worker/worker_options.h"

namespace tern {
namespace {

constexpr int kFailed = 1;
constexpr int kBadCommandLine = 2;
constexpr int kNoRoom = 3;
constexpr int kDamaged = 4;

constexpr absl::Duration kDrainPoll = absl::Milliseconds(100);
constexpr absl::Duration kEndPoll = absl::Seconds(1);  // for a loop that ends by itself

std::string HostName() {
  char name[256] = {};
  // The server's Protobuf refuses what is not UTF-8.
  return gethostname(name, sizeof name - 1) == 0 ? BoundedUtf8(name, sizeof name) : "unknown";
}

// What the server is told of memory: the device's own where it has any.
int64_t MemoryBytes(const WorkerOptions& options, const Backend& backend) {
  if (options.memory_bytes > 0) return options.memory_bytes;
  const std::optional<DeviceMemory> memory = backend.memory();
  return memory.has_value() ? memory->total : MemoryLimitBytes();
}

// "auto" and "cuda" by the name of what they came to.
std::string DeviceName(const WorkerOptions& options, const Backend& backend) {
  if (!backend.memory().has_value()) return "cpu";
  return absl::StartsWith(options.device.device, "cuda:") ? options.device.device : "cuda:0";
}

tern::worker::v1::WorkerIdentity Identity(const WorkerOptions& options, const Backend& backend) {
  tern::worker::v1::WorkerIdentity identity;
  identity.set_host(HostName());
  identity.set_id(absl::StrFormat("%s-%d-%08x", identity.host(), getpid(), std::random_device()()));
  identity.set_device(DeviceName(options, backend));
  identity.set_memory_bytes(MemoryBytes(options, backend));
  identity.set_version(kVersion);
  identity.set_supervisor(options.supervisor);
  return identity;
}

absl::Status Announce(const WorkerOptions& options, int metrics_port) {
  if (options.port_file.empty()) return absl::OkStatus();
  const std::string host = options.metrics.substr(0, options.metrics.rfind(':'));
  const nlohmann::json addresses = {{"metrics", absl::StrCat(host, ":", metrics_port)},
                                    {"pid", getpid()}};
  return WriteFileAtomically(options.port_file, absl::StrCat(addresses.dump(), "\n"));
}

// Runs the loop until a signal, then drains it: a second signal, or the end of the drain timeout,
// gives the task in work back. What is returned is what the loop ended with.
absl::Status RunUntilSignalled(const WorkerOptions& options, ShutdownSignal& signal,
                               LeaseLoop& loop) {
  std::atomic<bool> ended{false};
  absl::Status fault;
  std::thread work([&] {
    fault = loop.Run();
    ended = true;
  });
  while (!ended && !signal.Wait(kEndPoll)) {
  }
  if (!ended) Log(LogLevel::kInfo, "draining");
  loop.Drain();
  const absl::Time deadline = absl::Now() + options.drain_timeout;
  while (!ended && absl::Now() < deadline) {
    if (signal.Wait(kDrainPoll)) break;
  }
  if (!ended) loop.Abandon();
  work.join();
  return fault;
}

absl::Status Serve(const WorkerOptions& options, ShutdownSignal& signal, Backend& backend) {
  const tern::worker::v1::WorkerIdentity identity = Identity(options, backend);
  WorkerMetrics metrics(kVersion);
  const auto stub = tern::worker::v1::WorkerService::NewStub(OpenServerChannel(options.server));
  BlobClient blobs(*stub, metrics);
  JobTaskRunner runner(backend, blobs, metrics, options.device.threads, identity.id());
  GrpcSynchronizer server(*stub, metrics);
  LeaseLoop loop(server, identity, runner, metrics);
  TERN_ASSIGN_OR_RETURN(const auto page, MetricsPage::Start(options.metrics, metrics.registry(),
                                                            [&loop] { return loop.Ready(); }));
  TERN_RETURN_IF_ERROR(Announce(options, page->port()));
  Log(LogLevel::kInfo, "started",
      {{"worker", identity.id()},
       {"server", options.server},
       {"device", backend.name()},
       {"threads", options.device.threads},
       {"memory_bytes", identity.memory_bytes()},
       {"metrics_port", page->port()},
       {"version", kVersion}});
  absl::Status ended = RunUntilSignalled(options, signal, loop);
  Log(LogLevel::kInfo, "stopped");
  return ended;
}

absl::Status EvaluateHere(const WorkerOptions& options, Backend& backend) {
  int tenths_shown = 0;
  const auto show = [&](double fraction) {
    const int tenths = static_cast<int>(std::floor(fraction * 10));
    if (tenths <= tenths_shown) return;
    tenths_shown = tenths;
    std::cerr << "evaluated " << 10 * tenths << "%" << std::endl;
  };
  TERN_ASSIGN_OR_RETURN(const std::string json, EvaluateLocally(backend, options.evaluation, show));
  std::cout << json << std::endl;
  return absl::OkStatus();
}

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  std::cerr << "tern-worker: " << status.message() << std::endl;
  if (absl::IsResourceExhausted(status)) return kNoRoom;
  if (absl::IsDataLoss(status)) return kDamaged;
  const bool refused = absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                       absl::IsFailedPrecondition(status);
  return refused ? kBadCommandLine : kFailed;
}

// The server that started this process logs why it ended.
void TellServer(const WorkerOptions& options, const absl::Status& fault) {
  if (options.last_words < 0) return;
  const absl::string_view said = fault.message();
  [[maybe_unused]] const ssize_t written = write(options.last_words, said.data(), said.size());
}

// The number; where there is none, what stands in the way goes to stderr.
void SayDevices() {
  const int devices = CountCudaDevices();
  std::cout << devices << std::endl;
  if (devices > 0) return;
  DeviceOptions first;
  first.device = "cuda:0";
  if (const auto backend = CreateBackend(first); !backend.ok()) {
    std::cerr << "tern-worker: " << backend.status().message() << std::endl;
  }
}

int Main(int argc, const char* const* argv) {
  const auto options = ReadWorkerOptions(argc, argv);
  if (!options.ok()) return ExitCodeOf(options.status());
  if (options->count_devices) {
    SayDevices();
    return 0;
  }
  SetLogProgram("tern-worker");
  SetLogLevel(options->log_level);
  if (options->evaluate) {
    const auto backend = CreateBackend(options->device);
    return ExitCodeOf(backend.ok() ? EvaluateHere(*options, **backend) : backend.status());
  }
  RouteGrpcLog();
  ShutdownSignal signal;  // before the backend starts its threads
  const auto backend = CreateBackend(options->device);
  const absl::Status served = backend.ok() ? Serve(*options, signal, **backend) : backend.status();
  if (!served.ok()) TellServer(*options, served);
  return ExitCodeOf(served);
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  // A reader of our output that went away is not a reason to end.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return tern::Main(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "tern-worker: " << e.what() << std::endl;
    return tern::kFailed;
  }
}
