#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/block_file.h"
#include "checkpoint/mapped_file.h"
#include "checkpoint/packed_digest.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "worker/agent/activation_settings.h"
#include "worker/agent/committed_blocks.h"
#include "worker/agent/method_options.h"
#include "worker/agent/tasks.h"

namespace tern {
namespace {

using tern::worker::v1::Task;
using tern::worker::v1::TaskResult;

class Assembly {
 public:
  Assembly(TaskTools& tools, const Task& task, TaskProgress& progress)
      : tools_(tools), task_(task), progress_(progress) {}

  absl::StatusOr<TaskResult> Run() {
    TERN_ASSIGN_OR_RETURN(format_, FormatOf(task_.spec()));
    TERN_ASSIGN_OR_RETURN(format_.activations, ActivationsOf(task_.assemble().activations()));
    TERN_ASSIGN_OR_RETURN(model_, tools_.inputs.Model(task_, tools_.threads, progress_));
    progress_.EnterStage("assemble");
    // The largest file by far, so it is on its way while the blocks are read.
    auto unquantized = std::async(std::launch::async, [this] {
      return Upload(kUnquantizedFile,
                    [this](const ByteSink& sink) { return WriteUnquantizedFile(*model_, sink); });
    });
    TERN_RETURN_IF_ERROR(MeasureBlocks());
    TERN_RETURN_IF_ERROR(MeasureOuterTensors());

    progress_.EnterStage("upload");
    TERN_RETURN_IF_ERROR(unquantized.get());
    result_.add_files(kUnquantizedFile);
    TERN_ASSIGN_OR_RETURN(const std::string config,
                          PackedConfigJson(model_->config_json(), format_));
    TERN_RETURN_IF_ERROR(AddText(kConfigFile, config));
    TERN_ASSIGN_OR_RETURN(const std::string index, PackedIndexJson(*model_, format_));
    TERN_RETURN_IF_ERROR(AddText(kIndexFile, index));
    for (const std::string& name : model_->CompanionFiles()) {
      TERN_RETURN_IF_ERROR(AddCompanion(name));
    }
    Summarize();
    return std::move(result_);
  }

 private:
  absl::Status MeasureBlocks() {
    TERN_ASSIGN_OR_RETURN(
        const std::vector<CommittedBlock> blocks,
        MeasureCommittedBlocks(
            tools_.blobs, task_.job_uid(), model_->config(), format_, tools_.threads,
            [this](double fraction) { progress_.Show(0.5 * fraction); }, progress_.stop_token()));
    std::vector<std::string> digests;
    digests.reserve(blocks.size());
    for (const CommittedBlock& block : blocks) {
      digests.push_back(block.digest);
      quantized_bytes_ += block.quantized_bytes;
      quantized_weights_ += block.quantized_weights;
      for (const UnquantizedTensor& tensor : block.unquantized) AddUnquantized(tensor);
    }
    result_.mutable_assemble()->set_digest(CombineBlockDigests(digests));
    return absl::OkStatus();
  }

  absl::Status MeasureOuterTensors() {
    for (const ExpectedTensor& expected : OuterTensors(model_->config())) {
      TERN_ASSIGN_OR_RETURN(const TensorView tensor, model_->Get(expected.name));
      AddUnquantized({tensor.name, static_cast<int64_t>(tensor.bytes.size()), tensor.elements()});
    }
    return absl::OkStatus();
  }

  void AddUnquantized(const UnquantizedTensor& tensor) {
    auto& unquantized = *result_.mutable_assemble()->add_unquantized();
    unquantized.set_tensor(tensor.name);
    unquantized.set_bytes(tensor.bytes);
    unquantized_bytes_ += tensor.bytes;
    unquantized_weights_ += tensor.elements;
  }

  absl::Status Upload(const std::string& name, const FileProducer& producer) {
    const absl::Status written =
        tools_.blobs.Write(task_.lease(), name, producer, progress_.stop_token());
    return written.ok() ? written : TransferError(written, name);
  }

  absl::Status AddFile(const std::string& name, const FileProducer& producer) {
    TERN_RETURN_IF_ERROR(Upload(name, producer));
    result_.add_files(name);
    return absl::OkStatus();
  }

  absl::Status AddText(const std::string& name, const std::string& text) {
    return AddFile(name, [&](const ByteSink& sink) {
      return sink({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
    });
  }

  absl::Status AddCompanion(const std::string& name) {
    TERN_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file,
                          MappedFile::Open(absl::StrCat(model_->path(), "/", name)));
    return AddFile(name, [&](const ByteSink& sink) { return sink(file->bytes()); });
  }

  void Summarize() {
    const double quantized_bits = 8.0 * static_cast<double>(quantized_bytes_);
    const double unquantized_bits = 8.0 * static_cast<double>(unquantized_bytes_);
    const double weights = static_cast<double>(quantized_weights_ + unquantized_weights_);
    auto& bits = *result_.mutable_assemble()->mutable_bits_per_weight();
    bits.set_quantized_layers(quantized_bits / static_cast<double>(quantized_weights_));
    bits.set_model((quantized_bits + unquantized_bits) / weights);
  }

  TaskTools& tools_;
  const Task& task_;
  TaskProgress& progress_;
  PackedFormat format_;
  std::shared_ptr<const ModelFolder> model_;
  TaskResult result_;
  int64_t quantized_bytes_ = 0, quantized_weights_ = 0;
  int64_t unquantized_bytes_ = 0, unquantized_weights_ = 0;
};

}  // namespace

absl::StatusOr<TaskResult> RunAssemble(TaskTools& tools, const Task& task, TaskProgress& progress) {
  return Assembly(tools, task, progress).Run();
}

}  // namespace tern
