#include "worker/backend/device.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "worker/backend/cpu/compiled_features.h"
#include "worker/backend/cpu/cpu_backend.h"

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

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> CreateBackend(absl::string_view device, int threads) {
  if (device != "cpu") {
    return absl::InvalidArgumentError(
        absl::StrCat("device \"", device, "\" is not built in; this program has: cpu"));
  }
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrCat("threads: ", threads, " is negative"));
  }
  if (absl::Status status = CheckCpu(); !status.ok()) return status;
  return CreateCpuBackend(threads);
}

}  // namespace tern
