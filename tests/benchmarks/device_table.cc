// Prints what the operations of a device achieve against the device's own ceilings, measured in the
// same run: a product of large matrices for what computes, a copy for what moves bytes.
//   tern_device_table --device=cuda:0

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_format.h"
#include "checkpoint/status_macros.h"
#include "worker/backend/device.h"

ABSL_FLAG(std::string, device, "cuda:0", "cpu, or cuda:N.");
ABSL_FLAG(int, repetitions, 7, "Of which the median counts.");

namespace tern {
namespace {

constexpr int64_t kGroup = 128;
constexpr double kDamping = 0.01;

using Work = std::function<absl::Status()>;

class DeviceTable {
 public:
  explicit DeviceTable(Backend& backend) : backend_(backend), ops_(backend.ternary()) {}

  absl::Status Print() {
    TERN_RETURN_IF_ERROR(MeasureCeilings());
    std::cout
        << backend_.name() << "\n\n"
        << absl::StrFormat("ceilings: %.0f TFLOP/s of activations, %.1f of float32, %.2f TB/s\n\n",
                           activation_flops_ / 1e12, float_flops_ / 1e12, bytes_ / 1e12)
        << "| operation | size | ms | achieved | share of the ceiling |\n|---|---|---|---|---|\n";
    TERN_RETURN_IF_ERROR(ForwardRows());
    TERN_RETURN_IF_ERROR(MomentRows());
    for (const int64_t m : {4096, 11008}) TERN_RETURN_IF_ERROR(FactorRows(m));
    return GridRows();
  }

 private:
  struct Ceiling {
    double rate;
    const char* unit;
  };

  absl::StatusOr<Tensor> Filled(ElementType type, int64_t rows, int64_t cols) {
    std::vector<float> values(rows * cols);
    uint32_t state = 1;  // of a small generator: bits that look random cost their true time
    for (float& value : values) {
      state = state * 1664525 + 1013904223;
      value = static_cast<float>(state >> 8) / (1 << 23) - 1;
    }
    TERN_ASSIGN_OR_RETURN(Tensor floats, backend_.Allocate(ElementType::kF32, rows, cols));
    TERN_RETURN_IF_ERROR(backend_.Upload(values.data(), floats));
    if (type == ElementType::kF32) return floats;
    TERN_ASSIGN_OR_RETURN(Tensor tensor, backend_.Allocate(type, rows, cols));
    TERN_RETURN_IF_ERROR(backend_.Convert(floats, tensor));
    return tensor;
  }

  absl::StatusOr<double> Median(const Work& work) {
    TERN_RETURN_IF_ERROR(work());
    std::vector<double> seconds(absl::GetFlag(FLAGS_repetitions));
    for (double& each : seconds) {
      TERN_ASSIGN_OR_RETURN(const Backend::Mark start, backend_.Now());
      TERN_RETURN_IF_ERROR(work());
      TERN_ASSIGN_OR_RETURN(const Backend::Mark end, backend_.Now());
      TERN_ASSIGN_OR_RETURN(each, backend_.Seconds(start, end));
    }
    std::nth_element(seconds.begin(), seconds.begin() + seconds.size() / 2, seconds.end());
    return seconds[seconds.size() / 2];
  }

  absl::Status Row(const std::string& name, const std::string& size, double amount,
                   const Ceiling& ceiling, const Work& work) {
    TERN_ASSIGN_OR_RETURN(const double seconds, Median(work));
    const double rate = amount / seconds;
    std::cout << absl::StrFormat("| %s | %s | %.3f | %.2f %s | %.0f%% |", name, size, seconds * 1e3,
                                 rate / 1e12, ceiling.unit, 100 * rate / ceiling.rate)
              << std::endl;
    return absl::OkStatus();
  }

  absl::StatusOr<double> LinearRate(ElementType type, int64_t size) {
    TERN_ASSIGN_OR_RETURN(const Tensor x, Filled(type, size, size));
    TERN_ASSIGN_OR_RETURN(const Tensor w, Filled(type, size, size));
    TERN_ASSIGN_OR_RETURN(const Tensor y, Filled(type, size, size));
    TERN_ASSIGN_OR_RETURN(const double seconds,
                          Median([&] { return backend_.Linear(x, w, Tensor(), false, y); }));
    return 2 * std::pow(static_cast<double>(size), 3) / seconds;
  }

  absl::Status MeasureCeilings() {
    const int64_t size = backend_.memory().has_value() ? 8192 : 1024;
    TERN_ASSIGN_OR_RETURN(activation_flops_, LinearRate(backend_.activation_type(), size));
    TERN_ASSIGN_OR_RETURN(float_flops_, LinearRate(ElementType::kF32, size));
    TERN_ASSIGN_OR_RETURN(const Tensor from, Filled(ElementType::kF32, 4 * size, size));
    TERN_ASSIGN_OR_RETURN(const Tensor to, Filled(ElementType::kF32, 4 * size, size));
    TERN_ASSIGN_OR_RETURN(const double seconds, Median([&] { return backend_.Copy(from, to); }));
    bytes_ = 2.0 * static_cast<double>(from.bytes()) / seconds;
    return absl::OkStatus();
  }

  Ceiling activations() const { return {activation_flops_, "TFLOP/s"}; }
  Ceiling floats() const { return {float_flops_, "TFLOP/s"}; }
  Ceiling bytes() const { return {bytes_, "TB/s"}; }

  // What a 7B block's forward pass is made of, a batch of 8 windows of 2048.
  absl::Status ForwardRows() {
    const ElementType type = backend_.activation_type();
    const int64_t tokens = 16384;
    const int64_t hidden = 4096;
    const int64_t inter = 11008;
    TERN_ASSIGN_OR_RETURN(const Tensor h, Filled(ElementType::kF32, tokens, hidden));
    TERN_ASSIGN_OR_RETURN(const Tensor x, Filled(type, tokens, hidden));
    TERN_ASSIGN_OR_RETURN(const Tensor m, Filled(type, tokens, inter));
    TERN_ASSIGN_OR_RETURN(const Tensor up, Filled(type, tokens, inter));
    TERN_ASSIGN_OR_RETURN(const Tensor w, Filled(type, inter, hidden));
    TERN_ASSIGN_OR_RETURN(const Tensor w_down, Filled(type, hidden, inter));
    TERN_ASSIGN_OR_RETURN(const Tensor norm, Filled(ElementType::kF32, 1, hidden));
    TransformerOps& ops = backend_.transformer();
    const double product = 2.0 * tokens * hidden * inter;
    TERN_RETURN_IF_ERROR(Row("Linear", "16384×4096 · 11008×4096ᵀ", product, activations(),
                             [&] { return backend_.Linear(x, w, Tensor(), false, m); }));
    TERN_RETURN_IF_ERROR(Row("Linear, added to float32", "16384×11008 · 4096×11008ᵀ", product,
                             activations(),
                             [&] { return backend_.Linear(m, w_down, Tensor(), true, h); }));
    const int64_t width = SizeOf(type);
    TERN_RETURN_IF_ERROR(Row("RmsNorm", "16384×4096",
                             static_cast<double>(tokens * hidden * (4 + width)), bytes(),
                             [&] { return ops.RmsNorm(h, norm, 1e-6, x); }));
    TERN_RETURN_IF_ERROR(Row("SwiGlu", "16384×11008", static_cast<double>(3 * m.bytes()), bytes(),
                             [&] { return ops.SwiGlu(m, up, m); }));
    for (const auto& [heads, kv_heads, dim] :
         {std::array<int64_t, 3>{32, 32, 128}, {32, 8, 128}, {64, 8, 64}}) {
      const AttentionShape shape = {2048, heads, kv_heads, dim, 0};
      TERN_ASSIGN_OR_RETURN(const Tensor q, Filled(type, tokens, heads * dim));
      TERN_ASSIGN_OR_RETURN(const Tensor k, Filled(type, tokens, kv_heads * dim));
      TERN_ASSIGN_OR_RETURN(const Tensor v, Filled(type, tokens, kv_heads * dim));
      TERN_ASSIGN_OR_RETURN(const Tensor out, Filled(type, tokens, heads * dim));
      const double pairs = 8.0 * 2048 * 2049 / 2 * static_cast<double>(heads);
      TERN_RETURN_IF_ERROR(
          Row("CausalAttention",
              absl::StrFormat("8×2048, %d heads, %d kv, %d wide", heads, kv_heads, dim),
              pairs * 4 * static_cast<double>(dim), activations(),
              [&] { return ops.CausalAttention(q, k, v, shape, out); }));
    }
    return absl::OkStatus();
  }

  absl::Status MomentRows() {
    for (const int64_t m : {4096, 11008}) {
      const int64_t tokens = 16384;
      TERN_ASSIGN_OR_RETURN(const Tensor x, Filled(backend_.activation_type(), tokens, m));
      TERN_ASSIGN_OR_RETURN(const Tensor moment, Filled(ElementType::kF32, m, m));
      const auto square = static_cast<double>(tokens * m * m);
      const std::string size = absl::StrFormat("16384×%d", m);
      TERN_RETURN_IF_ERROR(Row("AccumulateGram, half of the square", size, square, activations(),
                               [&] { return backend_.AccumulateGram(x, moment); }));
      TERN_RETURN_IF_ERROR(Row("AccumulateCross", size, 2 * square, activations(),
                               [&] { return backend_.AccumulateCross(x, x, moment); }));
    }
    return absl::OkStatus();
  }

  // A plausible moment: columns correlated with their neighbours.
  absl::StatusOr<Tensor> Moment(int64_t m, float scale) {
    std::vector<float> values(m * m);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < m; ++j) {
        const auto distance = static_cast<float>(std::abs(i - j));
        values[i * m + j] = scale * (std::exp(-distance / 8) + (i == j ? 0.1f : 0.0f));
      }
    }
    TERN_ASSIGN_OR_RETURN(Tensor moment, backend_.Allocate(ElementType::kF32, m, m));
    TERN_RETURN_IF_ERROR(backend_.Upload(values.data(), moment));
    return moment;
  }

  absl::StatusOr<Tensor> Floats(int64_t rows, int64_t cols) {
    return backend_.Allocate(ElementType::kF32, rows, cols);
  }

  absl::StatusOr<Tensor> Integers(int64_t count) {
    TERN_ASSIGN_OR_RETURN(Tensor tensor, backend_.Allocate(ElementType::kI32, 1, count));
    TERN_RETURN_IF_ERROR(backend_.Zero(tensor));
    return tensor;
  }

  absl::Status FactorRows(int64_t m) {
    const int64_t n = 4096;
    const int64_t rest = m - kGroup;
    TERN_ASSIGN_OR_RETURN(const Tensor h, Moment(m, 1));
    TERN_ASSIGN_OR_RETURN(const Tensor cross, Moment(m, 1.01f));
    TERN_ASSIGN_OR_RETURN(const Tensor inverse, Floats(m, m));
    TERN_ASSIGN_OR_RETURN(const Tensor next, Floats(rest, rest));
    TERN_ASSIGN_OR_RETURN(const Tensor u_bb, Floats(kGroup, kGroup));
    TERN_ASSIGN_OR_RETURN(const Tensor u_inverse, Floats(kGroup, kGroup));
    TERN_ASSIGN_OR_RETURN(const Tensor u_br, Floats(kGroup, rest));
    TERN_ASSIGN_OR_RETURN(const Tensor p, Floats(kGroup, rest));
    TERN_ASSIGN_OR_RETURN(const Tensor failures, Integers(1));
    TERN_ASSIGN_OR_RETURN(const Tensor order, Integers(m));
    std::vector<int32_t> all(m);
    std::iota(all.begin(), all.end(), 0);
    TERN_RETURN_IF_ERROR(backend_.Upload(all.data(), order));
    TERN_ASSIGN_OR_RETURN(const Tensor w, Filled(ElementType::kF32, n, m));
    TERN_ASSIGN_OR_RETURN(const Tensor error, Filled(ElementType::kF32, n, kGroup));
    TERN_ASSIGN_OR_RETURN(const Tensor next_w, Floats(n, rest));
    TERN_ASSIGN_OR_RETURN(const Tensor scores, Floats(1, m));

    const auto wide = static_cast<double>(m);
    const auto left = static_cast<double>(rest);
    const std::string size = absl::StrFormat("%d", m);
    TERN_RETURN_IF_ERROR(Row("InvertDamped", size, wide * wide * wide, floats(),
                             [&] { return ops_.InvertDamped(h, kDamping, inverse).status(); }));
    TERN_RETURN_IF_ERROR(Row("DowndateInverse", size,
                             kGroup * left * left + 2.0 * kGroup * kGroup * left, floats(), [&] {
                               return ops_.DowndateInverse(inverse, order, u_bb, u_inverse, u_br,
                                                           next, failures);
                             }));
    TERN_RETURN_IF_ERROR(Row(
        "AsymmetryTerm", size, 2.0 * kGroup * left * left + 4.0 * kGroup * kGroup * left, floats(),
        [&] { return ops_.AsymmetryTerm(cross, h, order, u_bb, u_br, next, 0.25, p); }));
    const std::string layer = absl::StrFormat("4096×%d", m);
    TERN_RETURN_IF_ERROR(Row("CompensateColumns", layer,
                             4.0 * kGroup * static_cast<double>(n) * left, floats(), [&] {
                               return ops_.CompensateColumns(w, order, error, u_inverse, u_br, p,
                                                             Compensation::kExact, next_w);
                             }));
    TERN_RETURN_IF_ERROR(Row("OutputEnergy", layer, 2.0 * static_cast<double>(n) * wide * wide,
                             floats(), [&] { return ops_.OutputEnergy(w, Tensor(), h).status(); }));
    return Row("ColumnSimilarity, one read", layer, static_cast<double>(w.bytes()), bytes(),
               [&] { return ops_.ColumnSimilarity(w, scores); });
  }

  absl::Status GridRows() {
    const int64_t n = 4096;
    TERN_ASSIGN_OR_RETURN(const Tensor h, Moment(kGroup, 1));
    TERN_ASSIGN_OR_RETURN(const Tensor columns, Integers(kGroup));
    std::vector<int32_t> all(kGroup);
    std::iota(all.begin(), all.end(), 0);
    TERN_RETURN_IF_ERROR(backend_.Upload(all.data(), columns));
    TERN_ASSIGN_OR_RETURN(const Tensor w, Filled(ElementType::kF32, n, kGroup));
    TERN_ASSIGN_OR_RETURN(const Tensor trits, backend_.Allocate(ElementType::kI8, n, kGroup));
    TERN_ASSIGN_OR_RETURN(const Tensor alpha, Floats(1, n));
    TERN_ASSIGN_OR_RETURN(const Tensor mu, Floats(1, n));
    TERN_ASSIGN_OR_RETURN(const Tensor counts, Integers(2));
    const auto moved = static_cast<double>(w.bytes() + trits.bytes());
    TERN_RETURN_IF_ERROR(Row("FitGrid, all rounds", "4096×128", moved, bytes(),
                             [&] { return ops_.FitGrid(w, 100, trits, alpha, mu, counts); }));
    return Row("AlignGrid", "4096×128", moved, bytes(),
               [&] { return ops_.AlignGrid(w, trits, h, columns, alpha, mu); });
  }

  Backend& backend_;
  TernaryOps& ops_;
  double activation_flops_ = 0;
  double float_flops_ = 0;
  double bytes_ = 0;
};

int Main() {
  const auto backend = CreateBackend(absl::GetFlag(FLAGS_device), 0);
  const absl::Status status = backend.ok() ? DeviceTable(**backend).Print() : backend.status();
  if (status.ok()) return 0;
  std::cerr << "tern_device_table: " << status.message() << std::endl;
  return 1;
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return tern::Main();
}
