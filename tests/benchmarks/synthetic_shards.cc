#include "tests/benchmarks/synthetic_shards.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/status_macros.h"
#include "tests/benchmarks/synthetic_weights.h"

namespace tern {
namespace {

constexpr int64_t kChunkBytes = int64_t{16} << 20;  // two to a shard in work
constexpr int kMakersPerWriter = 2;                 // so many threads outrun one that writes

TensorSpec SpecOf(const ExpectedTensor& tensor) {
  return {tensor.name, DType::kBF16, tensor.shape};
}

// The model's tensors in the order of its layers, as many to a shard as fit.
std::vector<std::vector<ExpectedTensor>> PlanShards(const ModelConfig& config,
                                                    int64_t shard_bytes) {
  std::vector<ExpectedTensor> tensors = OuterTensors(config);
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    for (ExpectedTensor& tensor : BlockTensors(config, block)) {
      tensors.insert(tensors.end() - 2, std::move(tensor));  // before the final norm and the head
    }
  }
  std::vector<std::vector<ExpectedTensor>> shards(1);
  int64_t used = 0;
  for (ExpectedTensor& tensor : tensors) {
    const int64_t bytes = SpecOf(tensor).bytes();
    if (used + bytes > shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      used = 0;
    }
    used += bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

// Makes rows of one tensor after the other while the rows before them are written.
class RowStream {
 public:
  explicit RowStream(int threads) : threads_(threads) {}

  absl::Status Write(const SyntheticTensor& tensor, const ByteSink& sink) {
    const int64_t step = std::clamp<int64_t>(kChunkBytes / 2 / tensor.cols(), 1, tensor.rows());
    std::vector<std::jthread> makers = Start(tensor, 0, step);
    for (int64_t row = 0; row < tensor.rows(); row += step) {
      makers.clear();  // joins them
      std::swap(making_, made_);
      const int64_t next = std::min(row + step, tensor.rows());
      makers = Start(tensor, next, std::min(next + step, tensor.rows()));
      const int64_t bytes = (next - row) * tensor.cols() * 2;
      TERN_RETURN_IF_ERROR(
          sink({reinterpret_cast<const uint8_t*>(made_.data()), static_cast<size_t>(bytes)}));
    }
    return absl::OkStatus();
  }

 private:
  // Has rows `begin` to `end` - 1 made into making_.
  std::vector<std::jthread> Start(const SyntheticTensor& tensor, int64_t begin, int64_t end) {
    const int64_t cols = tensor.cols();
    making_.resize(std::max(making_.size(), static_cast<size_t>((end - begin) * cols)));
    const int64_t share = (end - begin + threads_ - 1) / threads_;
    std::vector<std::jthread> makers;
    for (int64_t first = begin; first < end; first += share) {
      const int64_t last = std::min(first + share, end);
      const std::span<uint16_t> values = std::span(making_).subspan((first - begin) * cols);
      makers.emplace_back([&tensor, first, last, cols, values] {
        for (int64_t row = first; row < last; ++row) {
          tensor.FillRow(row, values.subspan((row - first) * cols, cols));
        }
      });
    }
    return makers;
  }

  int threads_;
  std::vector<uint16_t> making_;
  std::vector<uint16_t> made_;
};

absl::Status WriteShard(const ModelConfig& config, const std::vector<ExpectedTensor>& tensors,
                        uint64_t seed, RowStream& rows, const std::string& path) {
  std::ofstream file;
  file.rdbuf()->pubsetbuf(nullptr, 0);
  file.open(path, std::ios::binary | std::ios::trunc);
  std::vector<TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const ExpectedTensor& tensor : tensors) specs.push_back(SpecOf(tensor));
  const auto produce = [&](size_t i, const ByteSink& sink) {
    return rows.Write(SyntheticTensor(config, seed, tensors[i]), sink);
  };
  const auto check = [&file, &path]() -> absl::Status {
    if (file) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(path, ": cannot be written; is the disk full?"));
  };
  const auto write = [&file, &check](std::span<const uint8_t> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return check();
  };
  TERN_RETURN_IF_ERROR(WriteSafetensors(specs, {{"format", "pt"}}, produce, write));
  file.close();
  return check();
}

// A single thread copies into the system's file cache too slowly to keep a disk busy, so several
// shards are written at once. The result is that of the first shard that failed.
absl::Status WriteShards(const ModelConfig& config,
                         const std::vector<std::vector<ExpectedTensor>>& shards,
                         const SyntheticModelOptions& options,
                         const std::vector<std::string>& paths) {
  const auto shard_count = static_cast<int>(shards.size());
  const int writers = std::clamp(options.threads / kMakersPerWriter, 1, shard_count);
  std::atomic<size_t> next = 0;
  std::vector<absl::Status> results(shards.size());
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<size_t>(writers));
    for (int i = 0; i < writers; ++i) {
      threads.emplace_back([&] {
        RowStream rows(options.threads / writers);
        for (size_t shard = next++; shard < shards.size(); shard = next++) {
          results[shard] = WriteShard(config, shards[shard], options.seed, rows, paths[shard]);
          if (!results[shard].ok()) next = shards.size();
        }
      });
    }
  }
  for (const absl::Status& result : results) TERN_RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteSyntheticWeights(const ModelConfig& config, const SyntheticModelOptions& options,
                                   const std::string& folder) {
  const std::vector<std::vector<ExpectedTensor>> shards = PlanShards(config, options.shard_bytes);
  std::vector<std::string> paths;
  nlohmann::json weight_map;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name =
        absl::StrFormat("model-%05d-of-%05d.safetensors", i + 1, shards.size());
    paths.push_back(absl::StrCat(folder, "/", name));
    for (const ExpectedTensor& tensor : shards[i]) {
      weight_map[tensor.name] = name;
      total_bytes += SpecOf(tensor).bytes();
    }
  }
  TERN_RETURN_IF_ERROR(WriteShards(config, shards, options, paths));
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}},
                                {"weight_map", weight_map}};
  return WriteFileAtomically(absl::StrCat(folder, "/model.safetensors.index.json"),
                             index.dump(2) + "\n");
}

}  // namespace tern
