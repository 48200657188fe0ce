#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "checkpoint/rotation_shape.h"
#include "tests/benchmarks/device_timing.h"
#include "worker/quant/kotms.h"

namespace tern {
namespace {

// Sizes n, m and, where there is a third, 1 for the balanced factorisation. GFLOP/s count the
// products over the whole weight, beside which the rest is small:
//   a step of KOTMS rotates, 2·n·m·(n1 + n2), and finds two gradients, as much again.
// TERN_BENCHMARK_PEAK, in GFLOP/s, is what the device's products reach at most: with it `of peak`
// is the share of it. GB/s count a weight's worth of float32 for each time that one must be read or
// written.
void CountFlops(benchmark::State& state, double flops) {
  const double all = flops / 1e9 * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(all, benchmark::Counter::kIsRate);
  if (const char* peak = std::getenv("TERN_BENCHMARK_PEAK"); peak != nullptr) {
    state.counters["of peak"] =
        benchmark::Counter(all / std::atof(peak), benchmark::Counter::kIsRate);
  }
}

// A weight that is being rotated, in the middle of learning how.
class RotatedWeight {
 public:
  explicit RotatedWeight(const benchmark::State& state)
      : n(state.range(0)),
        m(state.range(1)),
        shape(RotationShapeOf(n, m,
                              state.range(2) == 0 ? RotationFactorization::kReleased
                                                  : RotationFactorization::kBalanced)) {
    std::mt19937 generator(1);
    const auto fill = [&](const Tensor& tensor, float scale) {
      std::normal_distribution<float> normal(0, scale);
      std::vector<float> values(tensor.elements());
      for (float& value : values) value = normal(generator);
      backend->Upload(values.data(), tensor).IgnoreError();
    };
    fill(w, 0.02f);
    fill(s1, 0.05f);
    fill(s2, 0.05f);
    ops().Cayley(s1, r1).IgnoreError();
    ops().Cayley(s2, r2).IgnoreError();
    ops().RotatedMixtureLoss(w, r1, r2, MixtureObjective::kReleased, loss, y, d_y).IgnoreError();
  }

  RotationOps& ops() { return backend->rotation(); }

  // Of a rotation, or of both gradients.
  double Flops() const {
    return 2.0 * static_cast<double>(n * m) * static_cast<double>(shape.n1 + shape.n2);
  }
  double Bytes() const { return 4.0 * static_cast<double>(n * m); }

  const int64_t n, m;
  const RotationShape shape;
  const std::unique_ptr<Backend> backend = BenchmarkBackend();

 private:
  Tensor New(int64_t rows, int64_t cols) {
    return backend->Allocate(ElementType::kF32, rows, cols).value();
  }

 public:
  const Tensor w = New(n, m), y = New(n, m), d_y = New(n, m), loss = New(1, 2);
  const Tensor s1 = New(shape.n1, shape.n1), r1 = New(shape.n1, shape.n1);
  const Tensor s2 = New(shape.n2, shape.n2), r2 = New(shape.n2, shape.n2);
  const Tensor d_r1 = New(shape.n1, shape.n1), d_r2 = New(shape.n2, shape.n2);
};

void CountBytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = benchmark::Counter(bytes / 1e9 * static_cast<double>(state.iterations()),
                                              benchmark::Counter::kIsRate);
}

void LayerShapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({512, 512, 0})
      ->Args({1408, 512, 0})
      ->Args({512, 1408, 0})
      ->Args({512, 1408, 1})
      ->Args({4096, 4096, 0})
      ->Args({4096, 4096, 1})
      ->Args({11008, 4096, 0})
      ->Args({4096, 11008, 0})
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime();
}

void BM_RotateRows(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend,
       [&] { return weight.ops().RotateRows(weight.w, weight.r1, weight.r2, weight.y); });
  CountFlops(state, weight.Flops());
  CountBytes(state, 2 * weight.Bytes());
}
BENCHMARK(BM_RotateRows)->Apply(LayerShapes);

// As inputs are rotated and quantized at run time: a batch of tokens, in the type of activations.
// GB/s count one read and one write.
void BM_QuantizeRotatedRows(benchmark::State& state) {
  RotatedWeight weight(state);
  Backend& backend = *weight.backend;
  const int64_t tokens = backend.batch_tokens();
  const Tensor x = backend.Allocate(backend.activation_type(), tokens, weight.m).value();
  for (int64_t row = 0; row < tokens; row += weight.n) {
    const int64_t rows = std::min(weight.n, tokens - row);
    backend.Convert(weight.w.Rows(0, rows), x.Rows(row, rows)).IgnoreError();
  }
  const Tensor out = backend.Allocate(backend.activation_type(), tokens, weight.m).value();
  Time(state, backend,
       [&] { return weight.ops().QuantizeRotatedRows(x, weight.r1, weight.r2, 8, 1, out); });
  CountFlops(state, weight.Flops() * static_cast<double>(tokens) / static_cast<double>(weight.n));
  CountBytes(state, 2.0 * static_cast<double>(x.bytes()));
}
BENCHMARK(BM_QuantizeRotatedRows)->Apply(LayerShapes);

void BM_Cayley(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend, [&] { return weight.ops().Cayley(weight.s2, weight.r2); });
  state.counters["n2"] = static_cast<double>(weight.shape.n2);
}
BENCHMARK(BM_Cayley)->Apply(LayerShapes);

void BM_CayleyGradient(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend,
       [&] { return weight.ops().CayleyGradient(weight.r2, weight.r2, weight.d_r2); });
  state.counters["n2"] = static_cast<double>(weight.shape.n2);
}
BENCHMARK(BM_CayleyGradient)->Apply(LayerShapes);

void BM_RotatedMixtureLoss(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend, [&] {
    return weight.ops().RotatedMixtureLoss(weight.w, weight.r1, weight.r2,
                                           MixtureObjective::kReleased, weight.loss, weight.y,
                                           weight.d_y);
  });
  CountFlops(state, weight.Flops());
  CountBytes(state, 3 * weight.Bytes());
}
BENCHMARK(BM_RotatedMixtureLoss)->Apply(LayerShapes);

void BM_FactorGradients(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend, [&] {
    return weight.ops().FactorGradients(weight.y, weight.d_y, weight.r1, weight.r2, weight.d_r1,
                                        weight.d_r2);
  });
  CountFlops(state, weight.Flops());
  CountBytes(state, 2 * weight.Bytes());
}
BENCHMARK(BM_FactorGradients)->Apply(LayerShapes);

// A rotation by the default options, a hundred steps.
void BM_LearnRotation(benchmark::State& state) {
  RotatedWeight weight(state);
  Time(state, *weight.backend, [&] {
    return LearnRotation(*weight.backend, weight.w, weight.shape, KotmsOptions(), nullptr).status();
  });
  CountFlops(state, 2 * weight.Flops() * KotmsOptions().steps);
}
BENCHMARK(BM_LearnRotation)->Apply(LayerShapes)->Iterations(1);

}  // namespace
}  // namespace tern
