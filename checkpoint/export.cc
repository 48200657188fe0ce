#include "checkpoint/export.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/block_file.h"
#include "checkpoint/errno_status.h"
#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"

namespace tern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxCompanionBytes = int64_t{1} << 30;
constexpr int64_t kChunkElements = 1 << 20;
constexpr char kReadmeFile[] = "README.md";
constexpr int64_t kOutside = -1;  // a tensor outside the blocks

// A tensor of the exported model and where it comes from.
struct Source {
  TensorSpec spec;
  int64_t block;
  std::optional<LinearKind> layer;  // dequantized; copied without
};

Source SourceOf(ExpectedTensor tensor, int64_t block, std::optional<LinearKind> layer) {
  return {{std::move(tensor.name), DType::kBF16, std::move(tensor.shape)}, block, layer};
}

// In the order of the model, so that a shard holds neighbouring blocks.
std::vector<Source> SourcesOf(const ModelConfig& config) {
  std::vector<Source> sources;
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    for (ExpectedTensor& tensor : UnquantizedBlockTensors(config, block)) {
      sources.push_back(SourceOf(std::move(tensor), block, std::nullopt));
    }
    for (const LinearKind kind : LinearKinds()) {
      const LinearShape shape = ShapeOf(config, kind);
      sources.push_back(
          SourceOf({absl::StrCat(LinearName(block, kind), ".weight"), {shape.rows, shape.cols}},
                   block, kind));
    }
  }
  for (ExpectedTensor& tensor : OuterTensors(config)) {
    sources.push_back(SourceOf(std::move(tensor), kOutside, std::nullopt));
  }
  return sources;
}

std::vector<std::vector<Source>> CutIntoShards(std::vector<Source> sources, int64_t shard_bytes) {
  std::vector<std::vector<Source>> shards;
  int64_t bytes = 0;
  for (Source& source : sources) {
    if (shards.empty() || bytes + source.spec.bytes() > shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    bytes += source.spec.bytes();
    shards.back().push_back(std::move(source));
  }
  return shards;
}

std::string ShardName(size_t shard, size_t shards) {
  if (shards == 1) return "model.safetensors";
  return absl::StrFormat("model-%05d-of-%05d.safetensors", shard + 1, shards);
}

absl::Status WriteBf16(std::span<const float> values, const ByteSink& sink) {
  std::vector<uint16_t> narrow(values.size());
  FloatToBf16(values, narrow);
  return sink({reinterpret_cast<const uint8_t*>(narrow.data()), narrow.size() * sizeof(uint16_t)});
}

// Calls work(first, count) for ranges that together are the rows 0 … rows - 1, at once.
void ForRowRanges(int64_t rows, absl::FunctionRef<void(int64_t, int64_t)> work) {
  const int64_t threads =
      std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, std::max<int64_t>(1, rows));
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < threads; ++i) {
    const int64_t first = rows * i / threads;
    others.emplace_back(work, first, rows * (i + 1) / threads - first);
  }
  work(0, rows / threads);
}

absl::Status WriteDequantized(const TernaryLayer& layer, const ByteSink& sink) {
  const int64_t rows_at_once = std::max<int64_t>(1, kChunkElements / layer.cols);
  std::optional<RotationFold> fold;
  if (layer.rotation.has_value()) fold.emplace(*layer.rotation);
  std::vector<float> values;
  for (int64_t row = 0; row < layer.rows; row += rows_at_once) {
    const int64_t count = std::min(rows_at_once, layer.rows - row);
    values.resize(static_cast<size_t>(count * layer.cols));
    DequantizeStoredRows(layer, row, count, values);
    if (fold.has_value()) {
      ForRowRanges(count, [&](int64_t first, int64_t rows) {
        fold->Apply(std::span(values).subspan(first * layer.cols, rows * layer.cols));
      });
    }
    TERN_RETURN_IF_ERROR(WriteBf16(values, sink));
  }
  return absl::OkStatus();
}

absl::Status WriteConverted(const TensorView& tensor, const ByteSink& sink) {
  if (tensor.dtype == DType::kBF16) return sink(tensor.bytes);
  const int64_t element_bytes = DTypeSize(tensor.dtype);
  std::vector<float> values;
  for (int64_t begin = 0; begin < tensor.elements(); begin += kChunkElements) {
    const int64_t count = std::min(kChunkElements, tensor.elements() - begin);
    values.resize(static_cast<size_t>(count));
    WidenToFloat(tensor.dtype, tensor.bytes.subspan(begin * element_bytes, count * element_bytes),
                 values);
    TERN_RETURN_IF_ERROR(WriteBf16(values, sink));
  }
  return absl::OkStatus();
}

// Reads the checkpoint's tensors, keeping the file of the last one open for the next.
class Exporter {
 public:
  explicit Exporter(const PackedCheckpoint& checkpoint) : checkpoint_(checkpoint) {}

  absl::Status Write(const Source& source, const ByteSink& sink) {
    TERN_RETURN_IF_ERROR(OpenFileOf(source.block));
    if (source.layer.has_value()) {
      const LinearShape shape = ShapeOf(checkpoint_.config(), *source.layer);
      TERN_ASSIGN_OR_RETURN(
          const TernaryLayer layer,
          ReadTernaryLayer(*file_, LinearName(source.block, *source.layer), shape.rows, shape.cols,
                           checkpoint_.format().group_size,
                           checkpoint_.format().RotationOf(shape)));
      return WriteDequantized(layer, sink);
    }
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, file_->Get(source.spec.name));
    TERN_RETURN_IF_ERROR(WriteConverted(tensor, sink));
    file_->Release(tensor);
    return absl::OkStatus();
  }

 private:
  absl::Status OpenFileOf(int64_t block) {
    if (file_ != nullptr && open_block_ == block) return absl::OkStatus();
    TERN_ASSIGN_OR_RETURN(
        file_, block == kOutside ? checkpoint_.OpenUnquantized() : checkpoint_.OpenBlock(block));
    open_block_ = block;
    return absl::OkStatus();
  }

  const PackedCheckpoint& checkpoint_;
  std::unique_ptr<SafetensorsReader> file_;
  int64_t open_block_ = kOutside;
};

absl::Status WriteShard(const std::string& path, const std::vector<Source>& sources,
                        Exporter& exporter) {
  std::vector<TensorSpec> specs;
  specs.reserve(sources.size());
  for (const Source& source : sources) specs.push_back(source.spec);
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFileWriter> file, AtomicFileWriter::Open(path));
  TERN_RETURN_IF_ERROR(WriteSafetensors(
      specs, {{"format", "pt"}},
      [&](size_t index, const ByteSink& sink) { return exporter.Write(sources[index], sink); },
      [&](std::span<const uint8_t> piece) { return file->Append(piece); }));
  return file->Commit();
}

absl::Status WriteIndex(const std::string& folder, const std::vector<std::vector<Source>>& shards) {
  json weight_map = json::object();
  int64_t bytes = 0;
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    for (const Source& source : shards[shard]) {
      weight_map[source.spec.name] = ShardName(shard, shards.size());
      bytes += source.spec.bytes();
    }
  }
  const json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", std::move(weight_map)}};
  return WriteFileAtomically(absl::StrCat(folder, "/", kIndexFile), JsonFileText(index));
}

absl::Status WriteConfig(const PackedCheckpoint& checkpoint, const std::string& folder) {
  TERN_ASSIGN_OR_RETURN(json config, ParseJsonObject(checkpoint.source_config_json(), kConfigFile));
  // Loaders know "torch_dtype" longer than "dtype".
  const bool newer = config.contains("dtype");
  if (newer) config["dtype"] = "bfloat16";
  if (!newer || config.contains("torch_dtype")) config["torch_dtype"] = "bfloat16";
  if (const std::string note = ExportNote(checkpoint.format()); !note.empty()) {
    config["tern_export"] = {{"activation_bits", 16}, {"note", note}};
  }
  return WriteFileAtomically(absl::StrCat(folder, "/", kConfigFile), JsonFileText(config));
}

absl::Status CopyCompanions(const PackedCheckpoint& checkpoint, const std::string& folder) {
  for (const std::string& name : CompanionFileNames()) {
    if (!checkpoint.manifest().contains(name)) continue;
    TERN_ASSIGN_OR_RETURN(const std::string content,
                          ReadFile(absl::StrCat(checkpoint.path(), "/", name), kMaxCompanionBytes));
    TERN_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(folder, "/", name), content));
  }
  return absl::OkStatus();
}

absl::Status WriteFolder(const PackedCheckpoint& checkpoint, const std::string& folder,
                         int64_t shard_bytes) {
  const std::vector<std::vector<Source>> shards =
      CutIntoShards(SourcesOf(checkpoint.config()), shard_bytes);
  Exporter exporter(checkpoint);
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    TERN_RETURN_IF_ERROR(WriteShard(absl::StrCat(folder, "/", ShardName(shard, shards.size())),
                                    shards[shard], exporter));
  }
  if (shards.size() > 1) TERN_RETURN_IF_ERROR(WriteIndex(folder, shards));
  TERN_RETURN_IF_ERROR(CopyCompanions(checkpoint, folder));
  if (const std::string note = ExportNote(checkpoint.format()); !note.empty()) {
    const std::string text = absl::StrCat("# Exported by Tern\n\n", note, "\n");
    TERN_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(folder, "/", kReadmeFile), text));
  }
  return WriteConfig(checkpoint, folder);
}

absl::Status CheckFree(const std::string& out) {
  std::error_code error;
  if (!fs::exists(out, error)) return absl::OkStatus();
  if (fs::is_directory(out, error) && fs::is_empty(out, error)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(out, ": exists and is not an empty folder; choose another or remove it"));
}

absl::StatusOr<std::string> MakeTemporaryFolder(const std::string& target) {
  while (true) {
    std::string folder = TemporaryPathBeside(target);
    if (mkdir(folder.c_str(), 0777) == 0) return folder;
    if (errno != EEXIST) return ErrnoStatus(errno, target, "create");
  }
}

}  // namespace

std::string ExportNote(const PackedFormat& format) {
  if (format.activations.empty()) return "";
  return absl::StrFormat(
      "This model runs with 16-bit activations: the weights of the packed checkpoint are exported, "
      "its low-bit activations (%.4g bits on average) are not. Evaluate the packed checkpoint for "
      "its quality with these.",
      Summarize(format.activations).average_bits);
}

absl::Status ExportBf16(const PackedCheckpoint& checkpoint, const std::string& out,
                        int64_t shard_bytes) {
  std::error_code error;
  const fs::path target = fs::absolute(out, error).lexically_normal();
  if (error) return ErrnoStatus(error.value(), out, "resolve");
  const fs::path named = target.has_filename() ? target : target.parent_path();
  TERN_RETURN_IF_ERROR(CheckFree(named.string()));
  TERN_RETURN_IF_ERROR(checkpoint.Verify());

  TERN_ASSIGN_OR_RETURN(const std::string folder, MakeTemporaryFolder(named.string()));
  absl::Cleanup remove_folder = [&folder] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  };
  TERN_RETURN_IF_ERROR(WriteFolder(checkpoint, folder, shard_bytes));
  if (rename(folder.c_str(), named.c_str()) != 0) return ErrnoStatus(errno, out, "rename");
  std::move(remove_folder).Cancel();
  return SyncFolder(named.parent_path().string());
}

}  // namespace tern
