#ifndef TERN_TESTS_UNIT_JOBS_JOB_WORLD_H_
#define TERN_TESTS_UNIT_JOBS_JOB_WORLD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/blobs/blob_store.h"
#include "server/jobs/job_system.h"
#include "server/store/store.h"
#include "tern/v1/quantization_service.pb.h"
#include "tests/temp_dir.h"
#include "tests/unit/blobs/small_disk.h"
#include "tests/unit/jobs/fake_clock.h"
#include "tests/unit/jobs/recording_observer.h"

namespace tern {

// A server's jobs over a real SQLite file and a real folder, with time that tests move.
class JobWorld {
 public:
  // Put between the job system and the real store or blobs, e.g. to make them fail. Applied at
  // every (re)start.
  struct Wrappers {
    std::function<std::unique_ptr<Store>(Store&)> store;
    std::function<std::unique_ptr<BlobStore>(BlobStore&)> blobs;
  };

  JobWorld() : JobWorld(JobsOptions()) {}
  explicit JobWorld(JobsOptions options) : JobWorld(std::move(options), Wrappers()) {}
  JobWorld(JobsOptions options, Wrappers wrappers);

  // Drops every object, as when the process ends, and starts again from what is on disk.
  void Restart();
  void Stop();

  // A request for tests/data/demo-llama (4 blocks) with ready-made windows: 4 calibration windows
  // of 16 tokens, one shard, no evaluation.
  v1::CreateQuantizationJobRequest Request() const;
  // Creates the job, which must succeed.
  v1::QuantizationJob Create(const v1::CreateQuantizationJobRequest& request);
  v1::QuantizationJob Create() { return Create(Request()); }

  // A safetensors file with input_ids, written beside the data.
  std::string WriteIds(const std::string& name, int64_t windows, int64_t length) const;

  v1::QuantizationJob Get(const std::string& name);
  JobRecord Record(const std::string& name);
  // Replaces the job's stored document.
  void SetDocument(const std::string& name, const std::string& document);
  std::vector<TaskRecord> Tasks(const std::string& name);
  TaskRecord Task(const std::string& name, const std::string& task);
  std::vector<FileRecord> Files(const std::string& name);
  std::vector<v1::JobEvent> Events(const std::string& name);
  std::vector<std::string> BlobKeys();
  std::string BlobContent(const std::string& key);

  JobSystem& system() { return *system_; }
  Scheduler& scheduler() { return system_->scheduler(); }
  JobOperations& operations() { return system_->operations(); }
  const JobsContext& context() { return system_->context(); }
  Store& store() { return *store_; }
  BlobStore& blobs() { return *blobs_; }
  FakeClock& clock() { return clock_; }
  RecordingObserver& observer() { return observer_; }
  const std::string& folder() const { return disk_.path(); }

 private:
  // In memory where that is allowed: these tests commit often.
  SmallDisk disk_{int64_t{256} << 20};
  FakeClock clock_;
  RecordingObserver observer_;
  const JobsOptions options_;
  const Wrappers wrappers_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<Store> wrapped_store_;
  std::unique_ptr<BlobStore> wrapped_blobs_;
  std::unique_ptr<JobSystem> system_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_JOBS_JOB_WORLD_H_
