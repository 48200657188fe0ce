#ifndef TERN_TESTS_BENCHMARKS_DEVICE_TIMING_H_
#define TERN_TESTS_BENCHMARKS_DEVICE_TIMING_H_

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>

#include "worker/backend/device.h"

namespace tern {

// The device that TERN_BENCHMARK_DEVICE names (cpu, cuda:N), else the CPU.
inline std::unique_ptr<Backend> BenchmarkBackend() {
  const char* device = std::getenv("TERN_BENCHMARK_DEVICE");
  return CreateBackend(device == nullptr ? "cpu" : device, 2).value();
}

// Times `work` on the backend, queue and all.
template <typename Work>
void Time(benchmark::State& state, Backend& backend, Work work) {
  if (const absl::Status warm_up = work(); !warm_up.ok()) {
    state.SkipWithError(warm_up.ToString().c_str());
    return;
  }
  for (auto _ : state) {
    const Backend::Mark start = backend.Now().value();
    work().IgnoreError();
    const Backend::Mark end = backend.Now().value();
    state.SetIterationTime(backend.Seconds(start, end).value());
  }
}

}  // namespace tern

#endif  // TERN_TESTS_BENCHMARKS_DEVICE_TIMING_H_
