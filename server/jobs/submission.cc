#include "server/jobs/submission.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "proto/service/job_inputs.h"
#include "server/jobs/activation_stage.h"
#include "server/jobs/after_commit.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/events.h"
#include "server/jobs/job_lookup.h"
#include "server/jobs/job_names.h"
#include "server/jobs/job_state.h"
#include "server/jobs/job_view.h"
#include "server/jobs/layer_rotations.h"
#include "server/jobs/method_recipe.h"
#include "server/jobs/planner.h"
#include "server/jobs/preflight.h"
#include "server/jobs/random_id.h"
#include "server/jobs/spec_validation.h"
#include "server/jobs/submitted_inputs.h"

namespace tern {
namespace {

using v1::CreateQuantizationJobRequest;

constexpr size_t kMaxRequestIdBytes = 64;

// Of what the request asks for and nothing else: equal for requests that make the same job, however
// they spell it.
std::string BodyDigest(const std::string& name_space, const CreateQuantizationJobRequest& request) {
  CreateQuantizationJobRequest body;
  body.set_parent(name_space);
  body.set_quantization_job_id(request.quantization_job_id());
  *body.mutable_quantization_job()->mutable_labels() = request.quantization_job().labels();
  *body.mutable_quantization_job()->mutable_spec() = request.quantization_job().spec();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    body.SerializeToCodedStream(&coded);
  }
  return Sha256Hex(bytes);
}

absl::Status CheckRequest(const CreateQuantizationJobRequest& request) {
  if (request.request_id().size() > kMaxRequestIdBytes) {
    return InvalidField("request_id", "longer than 64 bytes");
  }
  const std::string& id = request.quantization_job_id();
  if (!id.empty() && !IsValidResourceId(id)) {
    return InvalidField("quantization_job_id",
                        absl::StrCat("\"", id,
                                     "\" must be 1 to 63 of [a-z0-9-], start with a "
                                     "letter and not end with -"));
  }
  TERN_RETURN_IF_ERROR(ValidateLabels(request.quantization_job()));
  return ValidateSpec(request.quantization_job().spec());
}

// OK while no worker is connected: one may come.
absl::Status CheckWorkerMemory(const JobsContext& context, const v1::PreflightEstimate& needed) {
  int64_t largest = 0;
  for (const WorkerInfo& worker : context.workers.List()) {
    if (worker.lost) continue;
    const WorkerRoom room = RoomOf(worker);
    const int64_t memory =
        room.on_gpu ? needed.gpu_memory_least_bytes() : needed.worker_memory_bytes();
    if (memory <= room.memory_bytes) return absl::OkStatus();
    largest = std::max(largest, worker.memory_bytes);
  }
  if (largest == 0) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "a worker needs about ", needed.worker_memory_bytes(), " bytes of memory for this job (",
          needed.gpu_memory_least_bytes(), " on a GPU), and the largest has ", largest,
          "; calibrate on fewer or shorter windows, or connect a larger worker")),
      "WORKER_MEMORY");
}

absl::Status CheckDisk(const JobsContext& context, int64_t needed) {
  TERN_ASSIGN_OR_RETURN(const int64_t free, context.blobs.FreeBytes());
  if (needed <= free - context.options.reserved_free_bytes) return absl::OkStatus();
  return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                        "the job's files take about ", needed, " bytes, and the server's disk has ",
                        free, ", of which ", context.options.reserved_free_bytes,
                        " are kept free; delete old jobs or enlarge the disk")),
                    "DISK_FULL");
}

v1::ModelInfo DescribeModel(const SubmittedInputs& inputs) {
  const ModelConfig& config = inputs.model->config();
  v1::ModelInfo info;
  info.set_architecture(config.architecture_name);
  info.set_blocks(static_cast<int32_t>(config.num_blocks));
  info.set_parameters(inputs.model->parameters());
  info.set_quantized_parameters(QuantizedParameters(config));
  info.set_weight_bytes(inputs.model->weight_bytes());
  info.set_calibration_digest(WindowsDigest(inputs.calibration));
  if (inputs.evaluation.has_value()) {
    info.set_evaluation_digest(WindowsDigest(*inputs.evaluation));
  }
  return info;
}

// A job as it is about to be made.
struct NewJob {
  JobRecord record;
  v1::QuantizationJob document;
  std::vector<TaskRecord> tasks;
  std::vector<FileRecord> files;
  std::optional<RequestRecord> request;
};

absl::StatusOr<NewJob> Prepare(const JobsContext& context,
                               const CreateQuantizationJobRequest& request,
                               const SubmittedInputs& inputs) {
  TERN_RETURN_IF_ERROR(CheckRotations(RecipeOf(inputs.spec), inputs.model->config()));
  NewJob job;
  job.tasks = PlanTasks(inputs.spec, inputs.model->config());
  *job.document.mutable_spec() = inputs.spec;
  *job.document.mutable_labels() = request.quantization_job().labels();
  *job.document.mutable_model() = DescribeModel(inputs);
  v1::PreflightEstimate& preflight = *job.document.mutable_preflight();
  const ModelConfig& config = inputs.model->config();
  preflight.set_worker_memory_bytes(EstimateWorkerMemory(inputs.spec, config, kCpuLayout));
  preflight.set_gpu_memory_bytes(EstimateWorkerMemory(inputs.spec, config, kCudaLayout));
  preflight.set_gpu_memory_least_bytes(
      EstimateWorkerMemory(inputs.spec, config, kCudaLayout, /*states_on_host=*/true));
  TERN_ASSIGN_OR_RETURN(const int64_t blob_bytes, EstimateBlobBytes(inputs.spec, *inputs.model));
  preflight.set_blob_bytes(blob_bytes);
  preflight.set_tasks(static_cast<int32_t>(job.tasks.size()));
  TERN_RETURN_IF_ERROR(CheckWorkerMemory(context, preflight));
  TERN_RETURN_IF_ERROR(CheckDisk(context, preflight.blob_bytes()));

  JobRecord& record = job.record;
  TERN_ASSIGN_OR_RETURN(record.name_space, ParseParent(request.parent(), /*wildcard=*/false));
  record.uid = RandomHex(32);
  record.id = request.quantization_job_id().empty() ? "job-" + RandomHex(12)
                                                    : request.quantization_job_id();
  record.create_time = context.clock.Now();
  record.document = job.document.SerializeAsString();
  // What cannot be read back would stop every worker that is offered its tasks.
  TERN_RETURN_IF_ERROR(ReadDocument(record).status());
  for (const auto& [key, value] : job.document.labels()) record.labels.emplace_back(key, value);
  std::sort(record.labels.begin(), record.labels.end());
  record.tasks_total = static_cast<int32_t>(job.tasks.size());
  record.blocks_total = job.document.model().blocks();
  for (TaskRecord& task : job.tasks) {
    task.job_uid = record.uid;
    if (task.state == TaskState::kReady) task.ready_time = record.create_time;
    record.cost_total += task.cost;
  }
  record.cost_total += ExpectedInteractionsCost(inputs.spec, job.tasks);
  if (!request.request_id().empty()) {
    job.request =
        RequestRecord{record.name_space, request.request_id(),
                      BodyDigest(record.name_space, request), record.uid, record.create_time};
  }
  return job;
}

// As a safetensors file with one tensor, input_ids I32 [windows, length].
absl::StatusOr<FileRecord> WriteWindows(const JobsContext& context, const std::string& uid,
                                        const std::string& path, const TokenWindows& windows) {
  FileRecord file;
  file.job_uid = uid;
  file.path = path;
  file.blob_key = InputKey(uid, path);
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<BlobWriter> writer,
                        context.blobs.Write(file.blob_key));
  const std::vector<TensorToWrite> tensors = {
      {"input_ids",
       DType::kI32,
       {windows.windows, windows.length},
       {reinterpret_cast<const uint8_t*>(windows.ids.data()), windows.ids.size() * 4}}};
  Sha256 sha256;
  TERN_RETURN_IF_ERROR(
      WriteSafetensors(tensors, /*metadata=*/{}, [&](std::span<const uint8_t> bytes) {
        sha256.Update(bytes);
        file.size += static_cast<int64_t>(bytes.size());
        return writer->Append(bytes);
      }));
  TERN_RETURN_IF_ERROR(writer->Commit());
  file.sha256 = sha256.HexDigest();
  return file;
}

absl::Status WriteInputs(const JobsContext& context, const SubmittedInputs& inputs, NewJob& job) {
  const std::string& uid = job.record.uid;
  TERN_ASSIGN_OR_RETURN(FileRecord calibration,
                        WriteWindows(context, uid, kCalibrationInput, inputs.calibration));
  job.files.push_back(std::move(calibration));
  if (!inputs.evaluation.has_value()) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(FileRecord evaluation,
                        WriteWindows(context, uid, kEvaluationInput, *inputs.evaluation));
  job.files.push_back(std::move(evaluation));
  return absl::OkStatus();
}

// The job that an earlier request with this id made, if any.
absl::StatusOr<std::optional<JobRecord>> FindEarlier(StoreReader& reader,
                                                     const std::string& name_space,
                                                     const CreateQuantizationJobRequest& request) {
  if (request.request_id().empty()) return std::nullopt;
  TERN_ASSIGN_OR_RETURN(const std::optional<RequestRecord> earlier,
                        reader.GetRequest(name_space, request.request_id()));
  if (!earlier.has_value()) return std::nullopt;
  if (earlier->body_digest != BodyDigest(name_space, request)) {
    return WithReason(
        AtField(absl::AlreadyExistsError(absl::StrCat("\"", request.request_id(),
                                                      "\" was used for another request; choose "
                                                      "a new one")),
                "request_id"),
        "REQUEST_ID_REUSED");
  }
  TERN_ASSIGN_OR_RETURN(JobRecord job, GetJobByUid(reader, earlier->job_uid));
  return job;
}

absl::Status CheckIdIsFree(StoreReader& reader, const std::string& name_space,
                           const std::string& id) {
  if (id.empty()) return absl::OkStatus();
  TERN_ASSIGN_OR_RETURN(const std::optional<JobRecord> other, reader.FindJob(name_space, id));
  if (!other.has_value()) return absl::OkStatus();
  return WithReason(AtField(absl::AlreadyExistsError(absl::StrCat(
                                "job ", FormatJobName(name_space, id), " exists already")),
                            "quantization_job_id"),
                    "JOB_ID_IN_USE");
}

absl::Status Insert(const JobsContext& context, Transaction& transaction, NewJob& job) {
  JobRecord& record = job.record;
  record.last_sequence = 0;
  TERN_RETURN_IF_ERROR(transaction.InsertJob(record));
  for (TaskRecord& task : job.tasks) {
    task.job_number = record.number;
    TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
  }
  for (const FileRecord& file : job.files) TERN_RETURN_IF_ERROR(transaction.InsertFile(file));
  if (job.request.has_value()) TERN_RETURN_IF_ERROR(transaction.InsertRequest(*job.request));
  v1::JobEvent event;
  event.mutable_state_changed()->set_state(v1::QuantizationJob::PENDING);
  TERN_RETURN_IF_ERROR(AppendEvent(transaction, record, std::move(event), record.create_time,
                                   context.options.events_kept));
  return transaction.UpdateJob(record);
}

}  // namespace

absl::StatusOr<v1::QuantizationJob> Submission::Create(const CreateQuantizationJobRequest& request,
                                                       const StillWanted& still_wanted) {
  TERN_ASSIGN_OR_RETURN(const std::string name_space,
                        ParseParent(request.parent(), /*wildcard=*/false));
  TERN_RETURN_IF_ERROR(CheckRequest(request));

  std::optional<JobRecord> earlier;
  const auto look_up = [&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(earlier, FindEarlier(reader, name_space, request));
    if (earlier.has_value()) return absl::OkStatus();
    return CheckIdIsFree(reader, name_space, request.quantization_job_id());
  };
  TERN_RETURN_IF_ERROR(context_.store.Read(look_up));
  if (earlier.has_value()) return ViewJob(context_, *earlier);

  TERN_ASSIGN_OR_RETURN(
      const SubmittedInputs inputs,
      ReadInputs(request.quantization_job().spec(), context_.options.input_roots, still_wanted));
  TERN_ASSIGN_OR_RETURN(NewJob job, Prepare(context_, request, inputs));
  if (request.validate_only()) return job.document;

  absl::Status status = WriteInputs(context_, inputs, job);
  if (status.ok()) status = still_wanted();
  if (status.ok()) {
    status = context_.store.Transact([&](Transaction& transaction) -> absl::Status {
      // Another request may have come in between.
      TERN_RETURN_IF_ERROR(look_up(transaction));
      if (earlier.has_value()) return absl::OkStatus();
      return Insert(context_, transaction, job);
    });
  }
  if (!status.ok() || earlier.has_value()) {
    const absl::Status deleted = context_.blobs.DeletePrefix(JobPrefix(job.record.uid));
    if (!deleted.ok()) context_.observer.Problem("delete inputs of a job not made", deleted);
  }
  if (absl::IsResourceExhausted(status)) return WithReason(status, "DISK_FULL");
  if (!status.ok()) return status;
  if (earlier.has_value()) return ViewJob(context_, *earlier);

  AfterCommit after;
  after.NotifyWork();
  after.Observe([name = NameOf(job.record)](JobsObserver& observer) { observer.JobCreated(name); });
  after.Run(context_);
  return ViewJob(context_, job.record);
}

}  // namespace tern
