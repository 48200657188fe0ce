#include "server/local_workers.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/service/log.h"

namespace tern {
namespace {

// Workers are given less time to drain than the server waits for them, so that one that runs out
// of it still gives its task back.
constexpr absl::Duration kWorkerHeadStart = absl::Seconds(3);

// Where workers on this machine reach a server that listens on `listen`.
std::string LocalAddress(const std::string& listen, int port) {
  const std::string host = HostOf(listen);
  const bool everywhere = host == "0.0.0.0" || host == "[::]" || host == "*";
  return absl::StrCat(everywhere ? "127.0.0.1" : host, ":", port);
}

}  // namespace

std::unique_ptr<Supervisor> StartLocalWorkers(const ServerOptions& options, ApiServer& api) {
  if (options.local_workers == 0) return nullptr;
  if (!options.no_cuda.empty()) {
    Log(LogLevel::kInfo, "no CUDA device; the local worker computes on the CPU",
        {{"reason", options.no_cuda}});
  }
  Supervisor::Options workers;
  workers.binary = options.worker_binary;
  workers.workers = options.local_workers;
  workers.arguments =
      [server = LocalAddress(options.listen, api.port()), threads = options.worker_threads,
       drain = std::max(absl::ZeroDuration(), options.drain_timeout - kWorkerHeadStart),
       metrics_base = options.local_worker_metrics_base, on_cuda = options.worker_device == "cuda",
       memory = options.worker_memory, device_memory = options.worker_device_memory,
       log_level = AbslUnparseFlag(options.log_level)](int slot) {
        const int metrics_port = metrics_base == 0 ? 0 : metrics_base + slot;
        std::vector<std::string> arguments = {
            absl::StrCat("--server=", server),
            absl::StrCat("--metrics=127.0.0.1:", metrics_port),
            absl::StrCat("--device=", on_cuda ? absl::StrCat("cuda:", slot) : "cpu"),
            absl::StrCat("--threads=", threads),
            absl::StrCat("--drain-timeout=", absl::FormatDuration(drain)),
            absl::StrCat("--log-level=", log_level)};
        if (memory > 0) arguments.push_back(absl::StrCat("--memory=", memory));
        if (device_memory > 0) arguments.push_back(absl::StrCat("--device-memory=", device_memory));
        return arguments;
      };
  workers.ended = [&api](absl::string_view instance) {
    if (const absl::Status ended = api.EndWorker(instance); !ended.ok()) {
      Log(LogLevel::kError, "the lease of an ended worker has to run out",
          {{"error", ended.ToString()}});
    }
  };
  return std::make_unique<Supervisor>(std::move(workers));
}

}  // namespace tern
