#ifndef TERN_CHECKPOINT_TERNARY_LAYER_H_
#define TERN_CHECKPOINT_TERNARY_LAYER_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/safetensors_reader.h"
#include "checkpoint/safetensors_writer.h"

namespace tern {

// One linear layer in stored form. Columns are in the order of quantization: column c of the trits
// is column perm[c] of the weight (perm empty: identity). With g = c / group_size,
//   W_hat[r, perm[c]] = alpha[r, g] · T[r, c] + mu[r, g],   T in {-1, 0, 1}.
// alpha and mu are fp16, and the fp16 values are what every later computation uses.
struct TernaryLayer {
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group_size = 0;
  std::vector<uint8_t>
      trits;  // [rows, ceil(cols/5)], five a byte: Σ (t_i + 1)·3^i, little end first
  std::vector<uint16_t> alpha;  // fp16 bits [rows, groups]
  std::vector<uint16_t> mu;     // fp16 bits [rows, groups]
  std::vector<int32_t> perm;    // [cols] or empty

  int64_t groups() const { return (cols + group_size - 1) / group_size; }
  // Bytes of trits, alpha, mu and perm: what true bits per weight are counted from.
  int64_t stored_bytes() const;
};

// float32 [rows, cols] in the columns' original order. `out` has rows·cols elements.
void Dequantize(const TernaryLayer& layer, std::span<float> out);

// The same of `count` rows from `first`; `out` has count·cols elements.
void DequantizeRows(const TernaryLayer& layer, int64_t first, int64_t count, std::span<float> out);

// `<name>.trits`, `.alpha`, `.mu` and, where permuted, `.perm`.
std::vector<std::string> LayerTensors(const std::string& name, bool permuted);

// Adds `<name>.trits`, `.alpha`, `.mu` and, where used, `.perm` to `tensors`; their bytes are those
// of `layer`, which must outlive them.
void AppendTensors(const std::string& name, const TernaryLayer& layer,
                   std::vector<TensorToWrite>& tensors);

// Reads and verifies: dtypes, shapes against rows, cols and group_size, every byte a valid one
// (< 243, padding trits zero, i.e. stored as 1), alpha and mu finite, perm a permutation. Errors
// are DATA_LOSS and name the tensor.
absl::StatusOr<TernaryLayer> ReadTernaryLayer(const SafetensorsReader& file,
                                              const std::string& name, int64_t rows, int64_t cols,
                                              int64_t group_size);

}  // namespace tern

#endif  // TERN_CHECKPOINT_TERNARY_LAYER_H_
