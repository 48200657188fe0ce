// tern-server: job server, and with --local-workers the workers too.
//
// Exit codes: 0 stopped on request, 1 could not start, 2 bad command line.

#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/status_macros.h"
#include "proto/service/grpc_log.h"
#include "proto/service/log.h"
#include "proto/service/metrics_page.h"
#include "proto/service/shutdown_signal.h"
#include "proto/service/version.h"
#include "server/api/api_server.h"
#include "server/blobs/directory_blob_store.h"
#include "server/data_folder.h"
#include "server/jobs/job_system.h"
#include "server/jobs_log.h"
#include "server/local_workers.h"
#include "server/metrics/jobs_metrics.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/queue_metrics.h"
#include "server/metrics/scrape_registry.h"
#include "server/metrics/transfer_metrics.h"
#include "server/server_options.h"
#include "server/store/sqlite_store.h"

namespace tern {
namespace {

constexpr int kCannotStart = 1;
constexpr int kBadCommandLine = 2;

constexpr absl::Duration kUpkeepInterval = absl::Seconds(1);
constexpr absl::Duration kDrainPoll = absl::Milliseconds(100);
// For calls in work when the server stops.
constexpr absl::Duration kStopGrace = absl::Seconds(2);

JobsOptions JobsOptionsOf(const ServerOptions& options) {
  JobsOptions jobs;
  jobs.scheduler.lease_duration = options.lease;
  jobs.scheduler.max_attempts = options.max_task_attempts;
  jobs.scheduler.max_worker_deaths = options.max_worker_deaths;
  jobs.input_roots = options.input_roots;
  return jobs;
}

// Tells scripts and people where the server is to be found.
absl::Status Announce(const ServerOptions& options, int port, int metrics_port) {
  const std::string listen = absl::StrCat(HostOf(options.listen), ":", port);
  const std::string metrics = absl::StrCat(HostOf(options.metrics), ":", metrics_port);
  std::cout << "tern-server " << kVersion << " listens on " << listen << ", metrics on http://"
            << metrics << "/metrics" << std::endl;
  if (options.port_file.empty()) return absl::OkStatus();
  const nlohmann::json addresses = {{"listen", listen}, {"metrics", metrics}, {"pid", getpid()}};
  return WriteFileAtomically(options.port_file, absl::StrCat(addresses.dump(), "\n"));
}

// Lets local workers finish what they hold. A second signal cuts it short.
void Drain(const ServerOptions& options, ShutdownSignal& signal, JobSystem& jobs, ApiServer& api,
           Supervisor* workers) {
  Log(LogLevel::kInfo, "draining");
  api.Drain();
  if (workers == nullptr) return;
  workers->Drain();
  const absl::Time deadline = absl::Now() + options.drain_timeout;
  while (!workers->AllEnded()) {
    if (absl::Now() >= deadline) {
      Log(LogLevel::kWarning, "local workers did not finish in time and are killed");
      return;
    }
    if (signal.Wait(kDrainPoll)) return;
    jobs.Maintain();
  }
}

absl::Status Serve(const ServerOptions& options, ShutdownSignal& signal) {
  const absl::Time start_time = absl::Now();
  TERN_ASSIGN_OR_RETURN(const auto folder, DataFolder::Open(options.data));
  TERN_ASSIGN_OR_RETURN(const auto store, OpenSqliteStore(folder->database()));
  TERN_ASSIGN_OR_RETURN(const auto blobs, OpenDirectoryBlobStore(folder->blobs()));

  const auto registry = std::make_shared<ScrapeRegistry>();
  JobsMetrics jobs_metrics(*registry);
  TransferMetrics transfers(*registry);
  JobsLog observer(jobs_metrics);
  const SystemClock clock;
  TERN_ASSIGN_OR_RETURN(const auto jobs,
                        JobSystem::Start(JobsOptionsOf(options), *store, *blobs, clock, observer));
  registry->AtScrape([start_time] { return ProcessMetrics(start_time); });
  registry->AtScrape([&jobs] { return QueueMetrics(*jobs); });

  ApiServer::Options api_options;
  api_options.listen = options.listen;
  TERN_ASSIGN_OR_RETURN(const auto api, ApiServer::Start(api_options, *jobs, transfers, registry));
  TERN_ASSIGN_OR_RETURN(const auto page, MetricsPage::Start(options.metrics, registry, [&api] {
                          return api->serving() ? absl::OkStatus()
                                                : absl::UnavailableError("draining");
                        }));
  auto workers = StartLocalWorkers(options, *api);
  TERN_RETURN_IF_ERROR(Announce(options, api->port(), page->port()));

  while (!signal.Wait(kUpkeepInterval)) jobs->Maintain();
  Drain(options, signal, *jobs, *api, workers.get());
  workers = nullptr;
  api->Stop(kStopGrace);
  Log(LogLevel::kInfo, "stopped");
  return absl::OkStatus();
}

int Main(int argc, const char* const* argv) {
  const auto options = ReadServerOptions(argc, argv);
  if (!options.ok()) {
    std::cerr << "tern-server: " << options.status().message() << std::endl;
    return kBadCommandLine;
  }
  SetLogProgram("tern-server");
  SetLogLevel(options->log_level);
  RouteGrpcLog();
  ShutdownSignal signal;
  const absl::Status served = Serve(*options, signal);
  if (served.ok()) return 0;
  std::cerr << "tern-server: " << served.message() << std::endl;
  return kCannotStart;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  // A reader of our output that went away is not a reason to end.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return tern::Main(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "tern-server: " << e.what() << std::endl;
    return tern::kCannotStart;
  }
}
