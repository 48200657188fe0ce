#include "tests/unit/jobs/job_world.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "checkpoint/safetensors_writer.h"
#include "checkpoint/status_macros.h"
#include "server/blobs/directory_blob_store.h"
#include "server/jobs/events.h"
#include "server/jobs/job_lookup.h"
#include "server/store/sqlite_store.h"
#include "tests/shared_data.h"

namespace tern {
namespace {

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) ADD_FAILURE() << result.status().ToString();
  return std::move(result).value();
}

}  // namespace

JobWorld::JobWorld(JobsOptions options, Wrappers wrappers)
    : options_(std::move(options)), wrappers_(std::move(wrappers)) {
  WriteIds("calibration.safetensors", 4, 16);
  WriteIds("evaluation.safetensors", 3, 32);
  Restart();
}

void JobWorld::Stop() {
  system_.reset();
  wrapped_blobs_.reset();
  wrapped_store_.reset();
  blobs_.reset();
  store_.reset();
}

void JobWorld::Restart() {
  Stop();
  store_ = Must(OpenSqliteStore(disk_.File("tern.db")));
  blobs_ = Must(OpenDirectoryBlobStore(disk_.File("blobs")));
  if (wrappers_.store) wrapped_store_ = wrappers_.store(*store_);
  if (wrappers_.blobs) wrapped_blobs_ = wrappers_.blobs(*blobs_);
  system_ = Must(JobSystem::Start(options_, wrapped_store_ ? *wrapped_store_ : *store_,
                                  wrapped_blobs_ ? *wrapped_blobs_ : *blobs_, clock_, observer_));
}

std::string JobWorld::WriteIds(const std::string& name, int64_t windows, int64_t length) const {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < windows * length; ++i) ids.push_back(static_cast<int32_t>(i % 2048));
  const std::string path = disk_.File(name);
  const absl::Status status = WriteSafetensorsFile(
      path,
      {{"input_ids",
        DType::kI32,
        {windows, length},
        {reinterpret_cast<const uint8_t*>(ids.data()), ids.size() * sizeof(int32_t)}}},
      {});
  EXPECT_TRUE(status.ok()) << status.ToString();
  return path;
}

v1::CreateQuantizationJobRequest JobWorld::Request() const {
  v1::CreateQuantizationJobRequest request;
  v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
  spec.set_model(DataPath("demo-llama"));
  spec.mutable_pt2llm();
  spec.mutable_calibration()->add_files(disk_.File("calibration.safetensors"));
  return request;
}

v1::QuantizationJob JobWorld::Create(const v1::CreateQuantizationJobRequest& request) {
  return Must(system_->submission().Create(request));
}

v1::QuantizationJob JobWorld::Get(const std::string& name) {
  return Must(system_->operations().Get(name));
}

JobRecord JobWorld::Record(const std::string& name) {
  JobRecord job;
  const absl::Status status = store_->Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(job, GetJobByName(reader, name));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return job;
}

void JobWorld::SetDocument(const std::string& name, const std::string& document) {
  JobRecord job = Record(name);
  job.document = document;
  const absl::Status status =
      store_->Transact([&](Transaction& transaction) { return transaction.UpdateJob(job); });
  EXPECT_TRUE(status.ok()) << status.ToString();
}

std::vector<TaskRecord> JobWorld::Tasks(const std::string& name) {
  const std::string uid = Record(name).uid;
  std::vector<TaskRecord> tasks;
  const absl::Status status = store_->Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(tasks, reader.ListTasks(uid));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return tasks;
}

TaskRecord JobWorld::Task(const std::string& name, const std::string& task) {
  for (TaskRecord& record : Tasks(name)) {
    if (record.name == task) return std::move(record);
  }
  ADD_FAILURE() << name << " has no task " << task;
  return {};
}

std::vector<FileRecord> JobWorld::Files(const std::string& name) {
  const std::string uid = Record(name).uid;
  std::vector<FileRecord> files;
  const absl::Status status = store_->Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(files, reader.ListFiles(uid, 1, 1000));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status.ToString();
  return files;
}

std::vector<v1::JobEvent> JobWorld::Events(const std::string& name) {
  std::vector<v1::JobEvent> events;
  const EventPage page = Must(ReadEvents(system_->context(), Record(name).uid, 0, 100000));
  int64_t sequence = 0;
  for (const NumberedEvent& event : page.events) {
    EXPECT_EQ(event.sequence, ++sequence);
    events.push_back(event.event);
  }
  return events;
}

std::vector<std::string> JobWorld::BlobKeys() { return Must(blobs_->List("")); }

std::string JobWorld::BlobContent(const std::string& key) {
  const std::unique_ptr<BlobReader> reader = Must(blobs_->Read(key));
  std::string content(static_cast<size_t>(reader->size()), '\0');
  Must(reader->ReadAt(0, {reinterpret_cast<uint8_t*>(content.data()), content.size()}));
  return content;
}

}  // namespace tern
