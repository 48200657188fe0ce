#include "worker/worker_options.h"

#include <algorithm>
#include <initializer_list>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tokenizer/utf8.h"
#include "proto/service/program_flags.h"
#include "proto/service/server_address.h"

ABSL_FLAG(std::string, device, "cpu",
          "What to compute on: cpu, cuda:N, or auto for cuda:0 where there is one and else cpu.");
ABSL_FLAG(std::string, activations, "auto",
          "What activations are held in: float32, bf16 (on CUDA only), or auto: bf16 on CUDA and "
          "float32 on the CPU.");
ABSL_FLAG(int64_t, device_memory, 0,
          "CUDA memory that tensors may take, in bytes; 0: all the device has.");
ABSL_FLAG(int32_t, threads, 0, "CPU threads to compute on; 0: one for each core.");

ABSL_FLAG(std::string, server, "", "Address of the job server, HOST:PORT. Required.");
ABSL_FLAG(std::string, metrics, "127.0.0.1:0",
          "Address of /metrics, /livez and /readyz, HOST:PORT; port 0 picks a free one.");
ABSL_FLAG(std::string, port_file, "",
          "File that is given the metrics address, as JSON, once it is served.");
ABSL_FLAG(
    int64_t, memory, 0,
    "Memory the worker may use, in bytes, as the server is told; 0: what the device has, or for "
    "the CPU the machine or the control group.");
ABSL_FLAG(std::string, supervisor, "", "Set by a server for the workers it starts itself.");
ABSL_FLAG(int32_t, last_words, -1,
          "Set by a server likewise: the open file that takes the error the worker ends with.");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(25),
          "Time to finish the task in work on SIGTERM, e.g. 25s or 10m; then it is given back. A "
          "second signal gives it back at once.");
ABSL_FLAG(tern::LogLevel, log_level, tern::LogLevel::kInfo,
          "Least level that is logged: debug, info, warning, error.");

ABSL_FLAG(std::string, text, "",
          "With evaluate: the text, a file of UTF-8 text, JSONL or safetensors with input_ids.");
ABSL_FLAG(int64_t, window, 0,
          "With evaluate: tokens per window; 0: 2048 or the model's longest context.");
ABSL_FLAG(int64_t, windows, 0,
          "With evaluate: windows from the start of the text; 0: all that fit.");
ABSL_FLAG(std::string, against, "",
          "With evaluate: folder of the full-precision model, for its perplexity and the KL "
          "divergence.");

namespace tern {
namespace {

constexpr char kSummary[] =
    "computes the tasks of a job server (tern-worker --server=HOST:PORT), measures a checkpoint on "
    "a text (tern-worker evaluate DIR --text=FILE), or says how many CUDA devices it sees "
    "(tern-worker count-devices)";

// An option that has no effect is refused rather than ignored.
absl::Status RefuseFlags(std::initializer_list<absl::string_view> names, absl::string_view why) {
  for (const absl::string_view name : names) {
    const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
    if (flag->CurrentValue() != flag->DefaultValue()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", absl::StrReplaceAll(name, {{"_", "-"}}), ": ", why));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadDevice(DeviceOptions& device) {
  device.device = absl::GetFlag(FLAGS_device);
  device.threads = absl::GetFlag(FLAGS_threads);
  if (device.threads < 0 || device.threads > 1024) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads: ", device.threads, " is not between 0 and 1024"));
  }
  if (device.threads == 0) {
    device.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const std::string activations = absl::GetFlag(FLAGS_activations);
  if (activations == "float32") {
    device.activation_type = ElementType::kF32;
  } else if (activations == "bf16") {
    device.activation_type = ElementType::kBF16;
  } else if (activations != "auto") {
    return absl::InvalidArgumentError(
        absl::StrCat("--activations: \"", activations, "\" is not auto, bf16 or float32"));
  }
  device.memory_limit = absl::GetFlag(FLAGS_device_memory);
  if (device.memory_limit < 0) {
    return absl::InvalidArgumentError("--device-memory: must not be negative");
  }
  return absl::OkStatus();
}

absl::Status ReadServing(WorkerOptions& options) {
  TERN_RETURN_IF_ERROR(
      RefuseFlags({"text", "window", "windows", "against"}, "goes with tern-worker evaluate DIR"));
  options.server = absl::GetFlag(FLAGS_server);
  options.metrics = absl::GetFlag(FLAGS_metrics);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.memory_bytes = absl::GetFlag(FLAGS_memory);
  options.supervisor = absl::GetFlag(FLAGS_supervisor);
  options.last_words = absl::GetFlag(FLAGS_last_words);
  options.drain_timeout = absl::GetFlag(FLAGS_drain_timeout);
  if (options.server.empty()) {
    return absl::InvalidArgumentError("--server: must name the job server's address");
  }
  TERN_RETURN_IF_ERROR(CheckServerAddress("--server", options.server));
  if (FindInvalidUtf8(options.supervisor).has_value()) {
    return absl::InvalidArgumentError("--supervisor: must be UTF-8");
  }
  if (options.memory_bytes < 0) return absl::InvalidArgumentError("--memory: must not be negative");
  TERN_RETURN_IF_ERROR(CheckDrainTimeout(options.drain_timeout));
  options.log_level = absl::GetFlag(FLAGS_log_level);
  return absl::OkStatus();
}

absl::Status ReadEvaluation(WorkerOptions& options) {
  TERN_RETURN_IF_ERROR(RefuseFlags({"server", "metrics", "port_file", "memory", "supervisor",
                                    "last_words", "drain_timeout", "log_level"},
                                   "does not go with evaluate"));
  LocalEvaluation& evaluation = options.evaluation;
  evaluation.text = absl::GetFlag(FLAGS_text);
  evaluation.window = absl::GetFlag(FLAGS_window);
  evaluation.windows = absl::GetFlag(FLAGS_windows);
  evaluation.against = absl::GetFlag(FLAGS_against);
  if (evaluation.text.empty()) return absl::InvalidArgumentError("--text: must name a file");
  if (evaluation.window != 0 && evaluation.window < 2) {
    return absl::InvalidArgumentError("--window: must be at least 2");
  }
  if (evaluation.windows < 0) return absl::InvalidArgumentError("--windows: must not be negative");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WorkerOptions> ReadWorkerOptions(int argc, const char* const* argv) {
  WorkerOptions options;
  std::vector<const char*> flags(argv, argv + argc);
  options.count_devices = argc == 2 && absl::string_view(argv[1]) == "count-devices";
  if (options.count_devices) return options;
  options.evaluate = argc > 1 && absl::string_view(argv[1]) == "evaluate";
  if (options.evaluate) {
    flags.erase(flags.begin() + 1);
    if (flags.size() > 1 && flags[1][0] != '-') {
      options.evaluation.checkpoint = flags[1];
      flags.erase(flags.begin() + 1);
    }
  }
  TERN_RETURN_IF_ERROR(ParseProgramFlags(static_cast<int>(flags.size()), flags.data(), kSummary));

  TERN_RETURN_IF_ERROR(ReadDevice(options.device));
  if (options.evaluate && options.evaluation.checkpoint.empty()) {
    return absl::InvalidArgumentError("evaluate: must be followed by the checkpoint's folder");
  }
  TERN_RETURN_IF_ERROR(options.evaluate ? ReadEvaluation(options) : ReadServing(options));
  return options;
}

}  // namespace tern
