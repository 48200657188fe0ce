#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "tests/benchmarks/fma_peak.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

void CountFlops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops / 1e9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

Tensor Filled(Backend& backend, int64_t rows, int64_t cols) {
  std::vector<float> values(rows * cols);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i % 1009));  // no zeros, no denormals
  }
  const Tensor tensor = backend.Allocate(ElementType::kF32, rows, cols).value();
  backend.Upload(values.data(), tensor).IgnoreError();
  return tensor;
}

void BM_FmaPeak(benchmark::State& state) {
  int64_t flops = 0;
  for (auto _ : state) flops += RunMultiplyAdds(1 << 20);
  state.counters["GFLOP/s"] =
      benchmark::Counter(static_cast<double>(flops) / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_FmaPeak)->Unit(benchmark::kMillisecond);

// tokens, in, out, threads
void BM_Linear(benchmark::State& state) {
  const int64_t t = state.range(0), k = state.range(1), n = state.range(2);
  const auto backend = CreateBackend("cpu", static_cast<int>(state.range(3))).value();
  const Tensor x = Filled(*backend, t, k), w = Filled(*backend, n, k), y = Filled(*backend, t, n);
  for (auto _ : state) backend->Linear(x, w, Tensor(), false, y).IgnoreError();
  CountFlops(state, 2.0 * static_cast<double>(t * k * n));
}
BENCHMARK(BM_Linear)
    ->Args({1024, 512, 512, 1})
    ->Args({1024, 512, 1408, 1})
    ->Args({1024, 1408, 512, 1})
    ->Args({4096, 512, 1408, 1})
    ->Args({4096, 512, 1408, 2})
    ->Args({1024, 192, 512, 1})
    ->Args({1024, 4096, 4096, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// tokens, width, threads; m(m+1) operations a token, for the matrix is symmetric
void BM_AccumulateGram(benchmark::State& state) {
  const int64_t t = state.range(0), m = state.range(1);
  const auto backend = CreateBackend("cpu", static_cast<int>(state.range(2))).value();
  const Tensor x = Filled(*backend, t, m), h = Filled(*backend, m, m);
  for (auto _ : state) backend->AccumulateGram(x, h).IgnoreError();
  CountFlops(state, static_cast<double>(t * m * (m + 1)));
}
BENCHMARK(BM_AccumulateGram)
    ->Args({4096, 512, 1})
    ->Args({4096, 1408, 1})
    ->Args({4096, 1408, 2})
    ->Args({2048, 4096, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_AccumulateCross(benchmark::State& state) {
  const int64_t t = state.range(0), m = state.range(1);
  const auto backend = CreateBackend("cpu", static_cast<int>(state.range(2))).value();
  const Tensor x = Filled(*backend, t, m), x_fp = Filled(*backend, t, m);
  const Tensor g = Filled(*backend, m, m);
  for (auto _ : state) backend->AccumulateCross(x_fp, x, g).IgnoreError();
  CountFlops(state, 2.0 * static_cast<double>(t * m * m));
}
BENCHMARK(BM_AccumulateCross)
    ->Args({4096, 512, 1})
    ->Args({4096, 1408, 1})
    ->Args({4096, 1408, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// window, heads, kv heads, head_dim, windows, threads; 4·head_dim operations for each query and key
// it sees
void BM_CausalAttention(benchmark::State& state) {
  const AttentionShape shape = {state.range(0), state.range(1), state.range(2), state.range(3), 0};
  const int64_t tokens = state.range(4) * shape.window_length;
  const auto backend = CreateBackend("cpu", static_cast<int>(state.range(5))).value();
  const Tensor q = Filled(*backend, tokens, shape.heads * shape.head_dim);
  const Tensor k = Filled(*backend, tokens, shape.kv_heads * shape.head_dim);
  const Tensor v = Filled(*backend, tokens, shape.kv_heads * shape.head_dim);
  const Tensor out = Filled(*backend, tokens, shape.heads * shape.head_dim);
  for (auto _ : state) backend->transformer().CausalAttention(q, k, v, shape, out).IgnoreError();
  const auto pairs = static_cast<double>(tokens * (shape.window_length + 1) / 2 * shape.heads);
  CountFlops(state, pairs * 4.0 * static_cast<double>(shape.head_dim));
}
BENCHMARK(BM_CausalAttention)
    ->Args({1024, 8, 4, 64, 1, 1})
    ->Args({1024, 8, 4, 64, 4, 2})
    ->Args({2048, 8, 8, 128, 1, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void CountTokens(benchmark::State& state, int64_t tokens) {
  state.counters["tokens/s"] = benchmark::Counter(static_cast<double>(tokens * state.iterations()),
                                                  benchmark::Counter::kIsRate);
}

// tokens, width
void BM_RmsNorm(benchmark::State& state) {
  const auto backend = CreateBackend("cpu", 1).value();
  const Tensor x = Filled(*backend, state.range(0), state.range(1));
  const Tensor weight = Filled(*backend, 1, state.range(1));
  const Tensor out = Filled(*backend, state.range(0), state.range(1));
  for (auto _ : state) backend->transformer().RmsNorm(x, weight, 1e-6, out).IgnoreError();
  CountTokens(state, state.range(0));
}
BENCHMARK(BM_RmsNorm)->Args({4096, 512})->Unit(benchmark::kMillisecond);

void BM_SwiGlu(benchmark::State& state) {
  const auto backend = CreateBackend("cpu", 1).value();
  const Tensor gate = Filled(*backend, state.range(0), state.range(1));
  const Tensor up = Filled(*backend, state.range(0), state.range(1));
  const Tensor out = Filled(*backend, state.range(0), state.range(1));
  for (auto _ : state) backend->transformer().SwiGlu(gate, up, out).IgnoreError();
  CountTokens(state, state.range(0));
}
BENCHMARK(BM_SwiGlu)->Args({4096, 1408})->Unit(benchmark::kMillisecond);

// tokens, vocabulary
void BM_TokenLosses(benchmark::State& state) {
  const auto backend = CreateBackend("cpu", 1).value();
  const Tensor logits = Filled(*backend, state.range(0), state.range(1));
  const std::vector<int32_t> targets(state.range(0), 1);
  std::vector<double> losses(state.range(0));
  for (auto _ : state) {
    backend->transformer().TokenLosses(logits, targets, losses).IgnoreError();
  }
  CountTokens(state, state.range(0));
}
BENCHMARK(BM_TokenLosses)->Args({1024, 4096})->Unit(benchmark::kMillisecond);

void BM_KlDivergences(benchmark::State& state) {
  const auto backend = CreateBackend("cpu", 1).value();
  const Tensor reference = Filled(*backend, state.range(0), state.range(1));
  const Tensor logits = Filled(*backend, state.range(0), state.range(1));
  std::vector<double> divergences(state.range(0));
  for (auto _ : state) {
    backend->transformer().KlDivergences(reference, logits, divergences).IgnoreError();
  }
  CountTokens(state, state.range(0));
}
BENCHMARK(BM_KlDivergences)->Args({1024, 4096})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tern
