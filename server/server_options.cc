#include "server/server_options.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/status_macros.h"
#include "proto/service/process_memory.h"
#include "proto/service/program_flags.h"
#include "server/supervisor/worker_devices.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7070",
          "Address of the gRPC API, HOST:PORT; port 0 picks a free one.");
ABSL_FLAG(std::string, data, "",
          "Folder that holds everything the server keeps; created where missing. Required.");
ABSL_FLAG(std::string, metrics, "127.0.0.1:9464",
          "Address of /metrics, /livez and /readyz, HOST:PORT; port 0 picks a free one.");
ABSL_FLAG(std::string, input_roots, "",
          "Folders, separated by commas, that submitted paths must lie beneath. May be left out "
          "(any path) only while the server listens on a loopback address.");
ABSL_FLAG(int32_t, lease_seconds, 30,
          "A worker that is silent for this long has lost its task. 2 to 3600.");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30),
          "Time that local workers have to finish what they hold on SIGTERM, e.g. 30s or 5m.");
ABSL_FLAG(int32_t, max_task_attempts, 3, "Failed attempts of a task that fail its job.");
ABSL_FLAG(int32_t, max_worker_deaths, 20, "Workers lost by a task that fail its job.");
ABSL_FLAG(std::string, local_workers, "0",
          "Worker processes to start beside the server, at most 256; or auto: one for each CUDA "
          "device, and where there is none one on the CPU.");
ABSL_FLAG(int32_t, worker_threads, 0,
          "Threads of each local worker; 0 shares this machine's cores among them.");
ABSL_FLAG(std::string, worker_device, "cpu",
          "What local workers compute on where their number is given: cpu, or cuda: local worker "
          "number i on cuda:i.");
ABSL_FLAG(int64_t, worker_memory, 0,
          "Memory that each local worker on the CPU may use, in bytes, as the server counts on; 0 "
          "shares what the machine or the control group has among them.");
ABSL_FLAG(int64_t, worker_device_memory, 0,
          "CUDA memory that each local worker may take, in bytes; 0: all the device has.");
ABSL_FLAG(std::string, worker_binary, "",
          "Program of local workers. Empty: tern-worker beside this program.");
ABSL_FLAG(int32_t, local_worker_metrics_base, -1,
          "Local worker number i serves its metrics on this port plus i; 0: on any free port; -1: "
          "on the ports that follow the server's own metrics port, or any free ones where that is "
          "0.");
ABSL_FLAG(std::string, port_file, "",
          "File that is given the addresses, as JSON, once the server serves.");
ABSL_FLAG(tern::LogLevel, log_level, tern::LogLevel::kInfo,
          "Least level that is logged: debug, info, warning, error.");

namespace tern {
namespace {

absl::Status CheckRange(absl::string_view flag, int32_t value, int32_t least, int32_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": ", value, " is not between ", least, " and ", most));
}

absl::Status CheckAddress(absl::string_view flag, absl::string_view address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon != absl::string_view::npos && colon > 0 &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": \"", address, "\" is not HOST:PORT"));
}

absl::StatusOr<std::vector<std::string>> ParseInputRoots(absl::string_view flag,
                                                         absl::string_view listen) {
  const std::vector<std::string> roots = absl::StrSplit(flag, ',', absl::SkipEmpty());
  for (const std::string& root : roots) {
    std::error_code error;
    if (root.front() != '/' || !std::filesystem::is_directory(root, error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--input-roots: \"", root, "\" is not the absolute path of a folder"));
    }
  }
  if (roots.empty() && !IsLoopback(HostOf(listen))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--input-roots: must name the folders that clients may read from, as --listen=", listen,
        " can be reached from other machines"));
  }
  return roots;
}

constexpr char kAutomatic[] = "auto";

// The program of local workers, which must be there when any is to be started.
absl::StatusOr<std::string> FindWorkerBinary(const ServerOptions& options, bool needed) {
  std::string path = options.worker_binary;
  if (path.empty()) {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    path = (program.parent_path() / "tern-worker").string();
  }
  if (needed && access(path.c_str(), X_OK) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--worker-binary: \"", path, "\" is not a program that can be run"));
  }
  return path;
}

// Whether so many workers find a device each; 0: as many as there are devices.
absl::Status CheckCudaDevices(const CudaDevices& devices, int workers) {
  if (devices.count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--worker-device: cuda, but the worker sees no CUDA device",
                     devices.said.empty() ? "" : ": ", devices.said));
  }
  if (workers <= devices.count) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--local-workers: ", workers, " workers on CUDA, one a device, but the worker sees ",
      devices.count, "; give at most so many, or auto"));
}

// Their number and device; options.worker_binary is known after this.
absl::Status ReadLocalWorkers(ServerOptions& options) {
  const std::string wanted = absl::GetFlag(FLAGS_local_workers);
  const std::string device = absl::GetFlag(FLAGS_worker_device);
  if (device != "cpu" && device != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("--worker-device: \"", device, "\" is not cpu or cuda"));
  }
  options.worker_device = device;
  const bool automatic = wanted == kAutomatic;
  if (!automatic && !absl::SimpleAtoi(wanted, &options.local_workers)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--local-workers: \"", wanted, "\" is not a number or auto"));
  }
  TERN_ASSIGN_OR_RETURN(options.worker_binary,
                        FindWorkerBinary(options, automatic || options.local_workers > 0));
  // Without a device those that are asked for would end at once, each for itself.
  const bool on_cuda = device == "cuda" && (automatic || options.local_workers > 0);
  if (!automatic && !on_cuda) return absl::OkStatus();
  const absl::StatusOr<CudaDevices> devices = CountCudaDevicesOf(options.worker_binary);
  if (!devices.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(automatic ? "--local-workers: auto: " : "--worker-device: cuda: ",
                     devices.status().message()));
  }
  if (on_cuda) TERN_RETURN_IF_ERROR(CheckCudaDevices(*devices, options.local_workers));
  if (!automatic) return absl::OkStatus();
  options.worker_device = devices->count > 0 ? "cuda" : "cpu";
  if (devices->count == 0) options.no_cuda = devices->said.empty() ? "none seen" : devices->said;
  options.local_workers = std::max(1, devices->count);
  return absl::OkStatus();
}

absl::Status ReadWorkerMemory(ServerOptions& options) {
  options.worker_memory = absl::GetFlag(FLAGS_worker_memory);
  if (options.worker_memory < 0) {
    return absl::InvalidArgumentError("--worker-memory: must not be negative");
  }
  if (options.worker_memory > 0 && options.worker_device != "cpu") {
    return absl::InvalidArgumentError(
        "--worker-memory: goes with workers on the CPU; for CUDA devices there is "
        "--worker-device-memory");
  }
  options.worker_device_memory = absl::GetFlag(FLAGS_worker_device_memory);
  if (options.worker_device_memory < 0) {
    return absl::InvalidArgumentError("--worker-device-memory: must not be negative");
  }
  if (options.worker_device_memory > 0 && options.worker_device != "cuda") {
    return absl::InvalidArgumentError(
        "--worker-device-memory: goes with workers on CUDA devices (--worker-device=cuda)");
  }
  return absl::OkStatus();
}

absl::Status CheckRanges(const ServerOptions& options) {
  TERN_RETURN_IF_ERROR(CheckRange("lease-seconds", absl::GetFlag(FLAGS_lease_seconds), 2, 3600));
  TERN_RETURN_IF_ERROR(CheckDrainTimeout(options.drain_timeout));
  TERN_RETURN_IF_ERROR(CheckRange("max-task-attempts", options.max_task_attempts, 1, 1000));
  TERN_RETURN_IF_ERROR(CheckRange("max-worker-deaths", options.max_worker_deaths, 1, 1000));
  TERN_RETURN_IF_ERROR(CheckRange("local-workers", options.local_workers, 0, 256));
  TERN_RETURN_IF_ERROR(CheckRange("worker-threads", options.worker_threads, 0, 1024));
  return CheckRange("local-worker-metrics-base", options.local_worker_metrics_base, -1, 65535);
}

// Fills in the default, and checks that every local worker has a port of its own.
absl::Status ResolveLocalMetrics(ServerOptions& options) {
  int& base = options.local_worker_metrics_base;
  const int server_port = PortOf(options.metrics);
  const bool derived = base < 0;
  if (derived) base = server_port == 0 ? 0 : server_port + 1;
  const int last = base + options.local_workers - 1;
  if (base == 0 || last <= 65535) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--local-worker-metrics-base: the ports of ", options.local_workers,
                   " local workers, from ", base, derived ? " (after --metrics)" : "", ", end at ",
                   last, ", past 65535; choose a lower one, or 0 for any free ports"));
}

// What is not set of local workers is their share of this machine.
void ShareMachine(ServerOptions& options) {
  if (options.local_workers == 0) return;
  if (options.worker_threads == 0) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    options.worker_threads = std::max(1, cores / options.local_workers);
  }
  if (options.worker_memory == 0 && options.worker_device == "cpu") {
    options.worker_memory = MemoryLimitBytes() / options.local_workers;
  }
}

}  // namespace

std::string HostOf(absl::string_view address) {
  return std::string(address.substr(0, address.rfind(':')));
}

int PortOf(absl::string_view address) {
  int port = 0;
  return absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port) ? port : 0;
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

absl::StatusOr<ServerOptions> ReadServerOptions(int argc, const char* const* argv) {
  TERN_RETURN_IF_ERROR(ParseProgramFlags(
      argc, argv, "serves quantization jobs over gRPC and hands them to workers"));
  ServerOptions options;
  options.listen = absl::GetFlag(FLAGS_listen);
  options.data = absl::GetFlag(FLAGS_data);
  options.metrics = absl::GetFlag(FLAGS_metrics);
  options.lease = absl::Seconds(absl::GetFlag(FLAGS_lease_seconds));
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  options.max_task_attempts = absl::GetFlag(FLAGS_max_task_attempts);
  options.max_worker_deaths = absl::GetFlag(FLAGS_max_worker_deaths);
  options.worker_threads = absl::GetFlag(FLAGS_worker_threads);
  options.worker_binary = absl::GetFlag(FLAGS_worker_binary);
  options.local_worker_metrics_base = absl::GetFlag(FLAGS_local_worker_metrics_base);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.log_level = absl::GetFlag(FLAGS_log_level);

  if (options.data.empty()) return absl::InvalidArgumentError("--data: must name a folder");
  TERN_RETURN_IF_ERROR(CheckAddress("listen", options.listen));
  TERN_RETURN_IF_ERROR(CheckAddress("metrics", options.metrics));
  TERN_RETURN_IF_ERROR(ReadLocalWorkers(options));
  TERN_RETURN_IF_ERROR(ReadWorkerMemory(options));
  TERN_RETURN_IF_ERROR(CheckRanges(options));
  TERN_ASSIGN_OR_RETURN(options.input_roots,
                        ParseInputRoots(absl::GetFlag(FLAGS_input_roots), options.listen));
  ShareMachine(options);
  TERN_RETURN_IF_ERROR(ResolveLocalMetrics(options));
  return options;
}

}  // namespace tern
