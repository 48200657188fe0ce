#include "tests/unit/jobs/fake_worker.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "proto/service/job_inputs.h"
#include "server/jobs/job_files.h"
#include "server/jobs/uploads.h"

namespace tern {

using worker::v1::SynchronizeRequest;
using worker::v1::Task;
using worker::v1::TaskResult;

FakeWorker::FakeWorker(std::string id, std::string supervisor)
    : id_(std::move(id)), supervisor_(std::move(supervisor)) {}

SynchronizeRequest FakeWorker::BaseRequest() const {
  SynchronizeRequest request;
  request.mutable_worker()->set_id(id_);
  request.mutable_worker()->set_host("host");
  request.mutable_worker()->set_device(device_);
  request.mutable_worker()->set_memory_bytes(memory_);
  request.mutable_worker()->set_supervisor(supervisor_);
  request.set_draining(draining_);
  for (const auto& shard : warm_) *request.add_warm() = shard;
  return request;
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Call(JobSystem& system,
                                                    const SynchronizeRequest& request) {
  absl::StatusOr<Answer> answer = system.scheduler().Synchronize(request);
  if (!answer.ok()) {
    if (absl::IsAborted(answer.status())) task_.reset();
    return answer;
  }
  if (answer->response.has_execute()) {
    task_ = answer->response.execute().task();
  } else if (!answer->response.has_continue_()) {
    task_.reset();
  }
  return answer;
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Idle(JobSystem& system) {
  SynchronizeRequest request = BaseRequest();
  request.mutable_idle();
  return Call(system, request);
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Report(JobSystem& system, double fraction) {
  SynchronizeRequest request = BaseRequest();
  *request.mutable_executing()->mutable_lease() = task_->lease();
  request.mutable_executing()->set_stage("fit");
  request.mutable_executing()->set_fraction(fraction);
  return Call(system, request);
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Finish(JobSystem& system) {
  TERN_RETURN_IF_ERROR(UploadFiles(system));
  return Complete(system);
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Complete(JobSystem& system) {
  if (task_->has_quantize()) {
    std::erase_if(warm_, [this](const auto& warm) {
      return warm.job_uid() == task_->job_uid() && warm.shard() == task_->quantize().shard();
    });
    worker::v1::WarmShard& warm = warm_.emplace_back();
    warm.set_job_uid(task_->job_uid());
    warm.set_shard(task_->quantize().shard());
    warm.set_next_block(task_->quantize().block() + 1);
  }
  SynchronizeRequest request = BaseRequest();
  *request.mutable_completed()->mutable_lease() = task_->lease();
  *request.mutable_completed()->mutable_result() = ResultOf(*task_);
  return Call(system, request);
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Fail(JobSystem& system, const std::string& message,
                                                    bool permanent) {
  SynchronizeRequest request = BaseRequest();
  *request.mutable_failed()->mutable_lease() = task_->lease();
  request.mutable_failed()->mutable_error()->set_code(
      static_cast<int>(absl::StatusCode::kInternal));
  request.mutable_failed()->mutable_error()->set_message(message);
  request.mutable_failed()->set_permanent(permanent);
  return Call(system, request);
}

absl::StatusOr<FakeWorker::Answer> FakeWorker::Release(JobSystem& system) {
  SynchronizeRequest request = BaseRequest();
  *request.mutable_released()->mutable_lease() = task_->lease();
  return Call(system, request);
}

absl::Status FakeWorker::UploadFiles(JobSystem& system) const {
  // A block is quantized from its rotations.
  if (task_->has_quantize() &&
      task_->spec().twla().rotation() > v1::TwlaMethod::ROTATION_UNSPECIFIED &&
      task_->spec().twla().rotation() != v1::TwlaMethod::ROTATION_NONE) {
    TERN_RETURN_IF_ERROR(
        OpenJobFile(system.context(), task_->job_uid(), RotationsFile(task_->quantize().block()))
            .status());
  }
  for (const std::string& path : FilesOf(*task_)) {
    TERN_RETURN_IF_ERROR(
        UploadFile(system.context(), task_->lease(), path, FileContent(*task_, path)));
  }
  return absl::OkStatus();
}

std::string FakeWorker::task_name() const {
  if (!task_.has_value()) return "";
  const std::string& task = task_->lease().task();
  return task.substr(task.find('/') + 1);
}

namespace {

// The widths below 16 that a job may use, whether it has one or chooses.
std::vector<int32_t> WidthsOf(const v1::QuantizationSpec& spec) {
  const v1::TwlaMethod& method = spec.twla();
  if (method.has_mixed_activations()) {
    return {method.mixed_activations().candidates().begin(),
            method.mixed_activations().candidates().end()};
  }
  if (!spec.has_twla() || method.activation_bits() == 16) return {};
  return {method.activation_bits()};
}

void AddLayers(const Task& task, v1::BlockMetrics& block) {
  for (const LinearKind kind : LinearKinds()) {
    v1::LayerMetrics& layer = *block.add_layers();
    layer.set_layer(LinearName(block.block(), kind));
    for (const int32_t bits : WidthsOf(task.spec())) {
      (*layer.mutable_clip_ratios())[bits] = 0.5 + 0.05 * bits;
    }
  }
}

worker::v1::RotateResult Rotations(int32_t block) {
  worker::v1::RotateResult result;
  result.set_block(block);
  for (const LinearKind kind : LinearKinds()) {
    v1::LayerRotation& layer = *result.add_layers();
    layer.set_layer(LinearName(block, kind));
    layer.set_n1(16);
    layer.set_n2(12);
    layer.set_loss_before(2);
    layer.set_loss_after(1.5);
    layer.set_orthogonality_error(1e-4);
  }
  return result;
}

// Later blocks mind fewer bits more; neighbours mind each other.
worker::v1::SensitivityResult Sensitivity(const worker::v1::MeasureSensitivity& task) {
  worker::v1::SensitivityResult result;
  result.set_block(task.block());
  result.set_tokens(60);
  if (task.measure_baseline()) result.set_baseline_loss(120);
  const auto add = [&](int32_t previous, int32_t bits, double loss) {
    auto& probe = *result.add_probes();
    probe.set_previous_bits(previous);
    probe.set_bits(bits);
    probe.set_loss(120 + 60 * loss);
  };
  const auto rise = [](int32_t block, int32_t bits) { return (8 - bits) * (1 + block) * 0.125; };
  for (const auto& probe : task.probes()) {
    const double alone = rise(task.block(), probe.own().bits());
    const double together =
        probe.has_previous() ? rise(task.block() - 1, probe.previous().bits()) + 0.25 : 0;
    add(probe.previous().bits(), probe.own().bits(), alone + together);
  }
  return result;
}

}  // namespace

std::vector<std::string> FilesOf(const Task& task) {
  if (task.has_rotate()) return {RotationsFile(task.rotate().block())};
  if (task.has_quantize()) return {BlockFileName(task.quantize().block())};
  if (task.has_assemble()) return {kConfigFile, kIndexFile, "tokenizer.json", kUnquantizedFile};
  return {};
}

std::string FileContent(const Task& task, const std::string& path) {
  std::string content =
      absl::StrCat(path, " of a model in groups of ", task.spec().pt2llm().group_size());
  // As a worker's config.json tells of them.
  for (const auto& block : task.assemble().activations()) {
    absl::StrAppend(&content, ", ", block.bits(), " bits");
  }
  return content;
}

TaskResult ResultOf(const Task& task) {
  TaskResult result;
  result.set_device("cpu");
  for (const std::string& path : FilesOf(task)) result.add_files(path);
  if (task.has_scan()) {
    result.mutable_scan()->set_digest(std::string(64, 'd'));
    (*result.mutable_seconds())["load"] = 1;
  } else if (task.has_quantize()) {
    v1::BlockMetrics& block = *result.mutable_block();
    block.set_block(task.quantize().block());
    block.set_reconstruction_error(0.125);
    block.set_bits_per_weight(1.85);
    AddLayers(task, block);
    (*block.mutable_seconds())["fit"] = 2;
  } else if (task.has_rotate()) {
    *result.mutable_rotate() = Rotations(task.rotate().block());
    (*result.mutable_seconds())["rotate"] = 1;
  } else if (task.has_sensitivity()) {
    *result.mutable_sensitivity() = Sensitivity(task.sensitivity());
    (*result.mutable_seconds())["probe"] = 1;
  } else if (task.has_assemble()) {
    result.mutable_assemble()->set_digest(std::string(64, 'e'));
    result.mutable_assemble()->mutable_bits_per_weight()->set_quantized_layers(1.85);
    result.mutable_assemble()->mutable_bits_per_weight()->set_model(3.5);
  } else {
    const double tokens =
        task.evaluate().windows() * (task.spec().evaluation().window_length() - 1);
    result.mutable_evaluate()->set_tokens(static_cast<int64_t>(tokens));
    result.mutable_evaluate()->set_loss_full_precision(2 * tokens);
    result.mutable_evaluate()->set_loss_quantized(3 * tokens);
    result.mutable_evaluate()->set_kl_divergence(0.5 * tokens);
    (*result.mutable_seconds())["evaluate"] = 4;
  }
  return result;
}

absl::Status UploadFile(const JobsContext& context, const worker::v1::Lease& lease,
                        const std::string& path, const std::string& content) {
  worker::v1::WriteBlobRequest::Header header;
  *header.mutable_lease() = lease;
  header.set_path(path);
  header.set_size_bytes(static_cast<int64_t>(content.size()));
  header.set_sha256(Sha256Hex(content));
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Upload> upload, Upload::Begin(context, header));
  TERN_RETURN_IF_ERROR(
      upload->Append({reinterpret_cast<const uint8_t*>(content.data()), content.size()}));
  return upload->Commit();
}

bool RunAll(JobSystem& system, const std::string& worker_id) {
  FakeWorker worker(worker_id);
  if (!worker.Idle(system).ok()) return false;
  while (worker.busy()) {
    if (!worker.Finish(system).ok()) return false;
    if (!worker.busy() && !worker.Idle(system).ok()) return false;
  }
  return true;
}

}  // namespace tern
