#include "worker/agent/weight_scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tensor_values.h"

namespace tern {
namespace {

// Elements looked at while they are in the cache.
constexpr int64_t kPiece = 16384;

class Scan {
 public:
  Scan(const ModelFolder& model, const std::function<void(double)>& progress,
       const std::function<bool()>& cancelled)
      : model_(model), progress_(progress), cancelled_(cancelled) {
    for (const ExpectedTensor& tensor : model.Tensors()) names_.push_back(tensor.name);
    std::sort(names_.begin(), names_.end());
    lines_.resize(names_.size());
    statuses_.resize(names_.size());
  }

  absl::StatusOr<std::string> Run(int threads) {
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
    Work();
    for (std::thread& thread : others) thread.join();
    for (const absl::Status& status : statuses_) TERN_RETURN_IF_ERROR(status);
    Sha256 digest;
    digest.Update(absl::StrCat("config.json\t", Sha256Hex(model_.config_json()), "\n"));
    for (const std::string& line : lines_) digest.Update(line);
    return digest.HexDigest();
  }

 private:
  void Work() {
    for (size_t i = next_++; i < names_.size(); i = next_++) {
      statuses_[i] = ScanTensor(names_[i], lines_[i]);
      model_.Release(names_[i]);
    }
  }

  absl::Status ScanTensor(const std::string& name, std::string& line) {
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, model_.Get(name));
    Sha256 sha256;
    std::array<float, kPiece> values;
    const int64_t element_bytes = DTypeSize(tensor.dtype);
    for (int64_t first = 0; first < tensor.elements(); first += kPiece) {
      if (cancelled_()) return absl::CancelledError("the scan was stopped");
      const int64_t count = std::min(kPiece, tensor.elements() - first);
      const auto bytes = tensor.bytes.subspan(static_cast<size_t>(first * element_bytes),
                                              static_cast<size_t>(count * element_bytes));
      const std::span<float> piece(values.data(), static_cast<size_t>(count));
      WidenToFloat(tensor.dtype, bytes, piece);
      TERN_RETURN_IF_ERROR(CheckFinite(name, first, piece));
      sha256.Update(bytes);
      const int64_t read = read_bytes_ += static_cast<int64_t>(bytes.size());
      progress_(static_cast<double>(read) / static_cast<double>(model_.weight_bytes()));
    }
    line = absl::StrCat(name, "\t", DTypeName(tensor.dtype), "\t", ShapeString(tensor.shape), "\t",
                        sha256.HexDigest(), "\n");
    return absl::OkStatus();
  }

  const ModelFolder& model_;
  const std::function<void(double)>& progress_;
  const std::function<bool()>& cancelled_;
  std::vector<std::string> names_;
  std::vector<std::string> lines_;      // by name
  std::vector<absl::Status> statuses_;  // by name
  std::atomic<size_t> next_{0};
  std::atomic<int64_t> read_bytes_{0};
};

}  // namespace

absl::StatusOr<std::string> ScanWeights(const ModelFolder& model, int threads,
                                        const std::function<void(double)>& progress,
                                        const std::function<bool()>& cancelled) {
  return Scan(model, progress, cancelled).Run(threads);
}

}  // namespace tern
