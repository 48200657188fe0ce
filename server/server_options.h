#ifndef TERN_SERVER_SERVER_OPTIONS_H_
#define TERN_SERVER_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/service/log.h"

namespace tern {

// What tern-server's command line says.
struct ServerOptions {
  std::string listen;
  std::string data;
  std::string metrics;
  std::vector<std::string> input_roots;
  absl::Duration lease;
  absl::Duration drain_timeout;
  int32_t max_task_attempts = 0;
  int32_t max_worker_deaths = 0;
  int local_workers = 0;
  int worker_threads = 0;
  std::string worker_device;
  std::string no_cuda;               // why auto came to the CPU; empty where it did not
  int64_t worker_memory = 0;         // of each local worker on the CPU, in bytes
  int64_t worker_device_memory = 0;  // of each local worker, in bytes; 0: all there is
  std::string worker_binary;
  int local_worker_metrics_base = 0;
  std::string port_file;
  LogLevel log_level = LogLevel::kInfo;
};

// INVALID_ARGUMENT names the flag, in one line. --help and --version end the program.
absl::StatusOr<ServerOptions> ReadServerOptions(int argc, const char* const* argv);

// "host" of "host:port"; an IPv6 host keeps its brackets.
std::string HostOf(absl::string_view address);
int PortOf(absl::string_view address);

// Whether only this machine can reach a server that listens on `host`.
bool IsLoopback(absl::string_view host);

}  // namespace tern

#endif  // TERN_SERVER_SERVER_OPTIONS_H_
