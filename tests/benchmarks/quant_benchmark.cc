#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/benchmarks/device_timing.h"
#include "worker/quant/layer_quantizer.h"

namespace tern {
namespace {

constexpr int64_t kGroup = 128;

void CountFlops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops / 1e9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

// A layer of n × m weights and plausible moments of its inputs.
class Layer {
 public:
  Layer(int64_t n, int64_t m) : n(n), m(m) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    std::vector<float> values(n * m);
    for (float& value : values) value = normal(generator);
    w = Matrix(n, m);
    backend->Upload(values.data(), w).IgnoreError();
    std::vector<float> moment(m * m);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        const auto distance = static_cast<float>(std::abs(i - j));
        moment[i * m + j] = std::exp(-distance / 8) + (i == j ? 0.1f : 0.0f);
      }
    }
    h = Matrix(m, m);
    backend->Upload(moment.data(), h).IgnoreError();
    for (float& value : moment) value *= 1.01f;
    cross = Matrix(m, m);
    backend->Upload(moment.data(), cross).IgnoreError();
    std::vector<int32_t> all(m);
    std::iota(all.begin(), all.end(), 0);
    order = Integers(m);
    backend->Upload(all.data(), order).IgnoreError();
  }

  Tensor Matrix(int64_t rows, int64_t cols) {
    return backend->Allocate(ElementType::kF32, rows, cols).value();
  }

  Tensor Integers(int64_t count) {
    Tensor tensor = backend->Allocate(ElementType::kI32, 1, count).value();
    backend->Zero(tensor).IgnoreError();
    return tensor;
  }

  TernaryOps& ops() { return backend->ternary(); }

  const int64_t n, m;
  // TERN_BENCHMARK_DEVICE: cpu, cuda:N
  const std::unique_ptr<Backend> backend = BenchmarkBackend();
  Tensor w, h, cross, order;
};

// The first group of a layer, up to the operation that is timed.
class Group : public Layer {
 public:
  Group(int64_t n, int64_t m) : Layer(n, m) {
    ops().InvertDamped(h, 0.01, inverse).IgnoreError();
    ops().GatherColumns(w, columns(), w_b).IgnoreError();
    ops().FitGrid(w_b, 100, trits, alpha, mu, counts).IgnoreError();
    ops().GridError(w_b, trits, alpha, mu, error).IgnoreError();
    ops()
        .DowndateInverse(inverse, order, u_bb, u_bb_inverse, u_br, next_inverse, failures)
        .IgnoreError();
  }

  Tensor columns() const { return order.Reshape(m, 1).Rows(0, kGroup).Reshape(1, kGroup); }

  const int64_t rest = m - kGroup;
  const Tensor inverse = Matrix(m, m);
  const Tensor w_b = Matrix(n, kGroup), error = Matrix(n, kGroup);
  const Tensor trits = backend->Allocate(ElementType::kI8, n, kGroup).value();
  const Tensor alpha = Matrix(1, n), mu = Matrix(1, n);
  const Tensor counts = Integers(2), failures = Integers(1);
  const Tensor u_bb = Matrix(kGroup, kGroup), u_bb_inverse = Matrix(kGroup, kGroup);
  const Tensor u_br = Matrix(kGroup, rest);
  const Tensor next_inverse = Matrix(rest, rest);
};

void BM_InvertDamped(benchmark::State& state) {
  Layer layer(1, state.range(0));
  const Tensor inverse = layer.Matrix(layer.m, layer.m);
  Time(state, *layer.backend,
       [&] { return layer.ops().InvertDamped(layer.h, 0.01, inverse).status(); });
  CountFlops(state, std::pow(static_cast<double>(layer.m), 3));
}
BENCHMARK(BM_InvertDamped)
    ->Arg(512)
    ->Arg(1408)
    ->Arg(4096)
    ->Arg(11008)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_DowndateInverse(benchmark::State& state) {
  Group group(1, state.range(0));
  Time(state, *group.backend, [&] {
    return group.ops().DowndateInverse(group.inverse, group.order, group.u_bb, group.u_bb_inverse,
                                       group.u_br, group.next_inverse, group.failures);
  });
  const auto rest = static_cast<double>(group.rest);
  CountFlops(state, kGroup * rest * rest + 2.0 * kGroup * kGroup * rest);
}
BENCHMARK(BM_DowndateInverse)
    ->Arg(512)
    ->Arg(1408)
    ->Arg(4096)
    ->Arg(11008)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_AsymmetryTerm(benchmark::State& state) {
  Group group(1, state.range(0));
  const Tensor p = group.Matrix(kGroup, group.rest);
  Time(state, *group.backend, [&] {
    return group.ops().AsymmetryTerm(group.cross, group.h, group.order, group.u_bb, group.u_br,
                                     group.next_inverse, 0.25, p);
  });
  const auto rest = static_cast<double>(group.rest);
  CountFlops(state, 2.0 * kGroup * rest * rest + 4.0 * kGroup * kGroup * rest);
}
BENCHMARK(BM_AsymmetryTerm)
    ->Arg(512)
    ->Arg(1408)
    ->Arg(4096)
    ->Arg(11008)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_CompensateColumns(benchmark::State& state) {
  Group group(state.range(0), state.range(1));
  const Tensor next = group.Matrix(group.n, group.rest);
  Time(state, *group.backend, [&] {
    return group.ops().CompensateColumns(group.w, group.order, group.error, group.u_bb_inverse,
                                         group.u_br, group.u_br, Compensation::kExact, next);
  });
  CountFlops(state, 4.0 * kGroup * static_cast<double>(group.n * group.rest));
}
BENCHMARK(BM_CompensateColumns)
    ->Args({512, 1408})
    ->Args({4096, 4096})
    ->Args({11008, 4096})
    ->Args({4096, 11008})
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_OutputEnergy(benchmark::State& state) {
  Layer layer(state.range(0), state.range(1));
  Time(state, *layer.backend,
       [&] { return layer.ops().OutputEnergy(layer.w, Tensor(), layer.h).status(); });
  CountFlops(state, static_cast<double>(layer.n * layer.m * layer.m));
}
BENCHMARK(BM_OutputEnergy)
    ->Args({512, 1408})
    ->Args({4096, 4096})
    ->Args({11008, 4096})
    ->Args({4096, 11008})
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_ColumnSimilarity(benchmark::State& state) {
  Layer layer(state.range(0), state.range(1));
  const Tensor scores = layer.Matrix(1, layer.m);
  Time(state, *layer.backend, [&] { return layer.ops().ColumnSimilarity(layer.w, scores); });
  state.SetItemsProcessed(state.iterations() * layer.n * layer.m);
}
BENCHMARK(BM_ColumnSimilarity)
    ->Args({512, 1408})
    ->Args({4096, 4096})
    ->Args({11008, 4096})
    ->Args({4096, 11008})
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

void BM_FitGrid(benchmark::State& state) {
  Group group(state.range(0), 256);
  Time(state, *group.backend, [&] {
    return group.ops().FitGrid(group.w_b, 100, group.trits, group.alpha, group.mu, group.counts);
  });
  state.SetItemsProcessed(state.iterations() * group.n);
}
BENCHMARK(BM_FitGrid)->Arg(512)->Arg(4096)->Unit(benchmark::kMillisecond)->UseManualTime();

void BM_AlignGrid(benchmark::State& state) {
  Group group(state.range(0), 256);
  Time(state, *group.backend, [&] {
    return group.ops().AlignGrid(group.w_b, group.trits, group.h, group.columns(), group.alpha,
                                 group.mu);
  });
  state.SetItemsProcessed(state.iterations() * group.n);
}
BENCHMARK(BM_AlignGrid)->Arg(512)->Arg(4096)->Unit(benchmark::kMillisecond)->UseManualTime();

// A whole layer by the default options: seconds by stage, and the multiplications that cannot be
// saved, as GFLOP/s.
void BM_QuantizeLayer(benchmark::State& state) {
  Layer layer(state.range(0), state.range(1));
  std::map<std::string, double> seconds;
  Time(state, *layer.backend, [&]() -> absl::Status {
    StageClock clock(*layer.backend);
    auto quantizer =
        LayerQuantizer::Create(*layer.backend, QuantRecipe(), layer.h, layer.cross, clock);
    if (!quantizer.ok()) return quantizer.status();
    if (auto layer_fit = quantizer->Quantize(layer.w, nullptr); !layer_fit.ok()) {
      return layer_fit.status();
    }
    seconds = clock.TakeSeconds().value();
    return absl::OkStatus();
  });
  for (const auto& [stage, value] : seconds) state.counters[stage] = value;
  // The inverse m³, downdates m³/3, asymmetry 2m³/3; n·m² each for compensation, its asymmetric
  // part and the two energies.
  const auto n = static_cast<double>(layer.n);
  const auto m = static_cast<double>(layer.m);
  CountFlops(state, 2 * m * m * m + 4 * n * m * m);
}
BENCHMARK(BM_QuantizeLayer)
    ->Args({512, 512})
    ->Args({1408, 512})
    ->Args({512, 1408})
    ->Args({4096, 4096})
    ->Args({11008, 4096})
    ->Args({4096, 11008})
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(1);

}  // namespace
}  // namespace tern
