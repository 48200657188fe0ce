#include "worker/backend/device.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "worker/backend/cpu/compiled_features.h"
#include "worker/backend/cpu/cpu_backend.h"
#include "worker/backend/cuda/cuda_library.h"

namespace tern {
namespace {

// Calls nothing but functions of prebuilt libraries: the linker may have taken this program's copy
// of an inline function from a compute file.
absl::Status CheckCpu() {
#ifdef __x86_64__
  __builtin_cpu_init();
  const struct {
    bool needed, present;
    const char* name;
  } features[] = {
      {kCompiledFeatures.avx, __builtin_cpu_supports("avx") != 0, "AVX"},
      {kCompiledFeatures.avx2, __builtin_cpu_supports("avx2") != 0, "AVX2"},
      {kCompiledFeatures.fma, __builtin_cpu_supports("fma") != 0, "FMA"},
      {kCompiledFeatures.bmi2, __builtin_cpu_supports("bmi2") != 0, "BMI2"},
      {kCompiledFeatures.avx512f, __builtin_cpu_supports("avx512f") != 0, "AVX512F"},
      {kCompiledFeatures.avx512bw, __builtin_cpu_supports("avx512bw") != 0, "AVX512BW"},
      {kCompiledFeatures.avx512dq, __builtin_cpu_supports("avx512dq") != 0, "AVX512DQ"},
      {kCompiledFeatures.avx512vl, __builtin_cpu_supports("avx512vl") != 0, "AVX512VL"},
  };
  for (const auto& feature : features) {
    if (!feature.needed || feature.present) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("this CPU has no ", feature.name,
                     ", which this program was compiled for; run it on a newer machine or build it "
                     "with -DTERN_CPU_ARCH=x86-64-v2"));
  }
#endif
  return absl::OkStatus();
}

// The CUDA device that a device's name asks for; nothing for the CPU.
absl::StatusOr<std::optional<int>> CudaOrdinal(absl::string_view device) {
  if (device == "cpu") return std::nullopt;
  if (device == "auto") {
    return CountCudaDevices() > 0 ? std::optional<int>(0) : std::nullopt;
  }
  if (device == "cuda") return 0;
  int ordinal = 0;
  absl::string_view number = device;
  if (absl::ConsumePrefix(&number, "cuda:") && absl::SimpleAtoi(number, &ordinal) && ordinal >= 0) {
    return ordinal;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("device \"", device, "\" is not cpu, cuda:N or auto"));
}

absl::StatusOr<std::unique_ptr<Backend>> CreateOnCpu(const DeviceOptions& options) {
  if (options.threads < 0) {
    return absl::InvalidArgumentError(absl::StrCat("threads: ", options.threads, " is negative"));
  }
  if (options.activation_type.value_or(ElementType::kF32) != ElementType::kF32) {
    return absl::InvalidArgumentError("device \"cpu\" computes in float32 only");
  }
  if (options.memory_limit != 0) {
    return absl::InvalidArgumentError(
        "device \"cpu\" has no memory of its own that could be limited (--device-memory)");
  }
  if (absl::Status status = CheckCpu(); !status.ok()) return status;
  return CreateCpuBackend(options.threads);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(const DeviceOptions& options) {
  const absl::StatusOr<std::optional<int>> ordinal = CudaOrdinal(options.device);
  if (!ordinal.ok()) return ordinal.status();
  if (!ordinal->has_value()) return CreateOnCpu(options);
  return OpenCuda({.ordinal = **ordinal,
                   .activation_type = options.activation_type.value_or(ElementType::kBF16),
                   .memory_limit = options.memory_limit});
}

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(absl::string_view device, int threads) {
  DeviceOptions options;
  options.device = std::string(device);
  options.threads = threads;
  return CreateBackend(options);
}

}  // namespace tern
