#ifndef TERN_TESTS_UNIT_JOBS_FAKE_WORKER_H_
#define TERN_TESTS_UNIT_JOBS_FAKE_WORKER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/job_system.h"
#include "tern/worker/v1/worker_service.pb.h"

namespace tern {

// What a worker says, without the work: results and files follow from the task alone. Keeps the
// task it was given and the calibration state it would have.
class FakeWorker {
 public:
  using Answer = Scheduler::Answer;

  explicit FakeWorker(std::string id, std::string supervisor = "");

  absl::StatusOr<Answer> Idle(JobSystem& system);
  absl::StatusOr<Answer> Report(JobSystem& system, double fraction = 0.5);
  // Uploads the task's files and completes it.
  absl::StatusOr<Answer> Finish(JobSystem& system);
  absl::StatusOr<Answer> Fail(JobSystem& system, const std::string& message,
                              bool permanent = false);
  absl::StatusOr<Answer> Release(JobSystem& system);

  absl::Status UploadFiles(JobSystem& system) const;
  // Completes without uploading.
  absl::StatusOr<Answer> Complete(JobSystem& system);

  bool busy() const { return task_.has_value(); }
  const worker::v1::Task& task() const { return *task_; }
  // "scan", "quantize/3", ...; "" when idle.
  std::string task_name() const;
  void ForgetTask() { task_.reset(); }
  void Hold(worker::v1::Task task) { task_ = std::move(task); }

  void set_draining(bool draining) { draining_ = draining; }
  void set_memory(int64_t bytes) { memory_ = bytes; }
  void set_device(std::string device) { device_ = std::move(device); }
  std::vector<worker::v1::WarmShard>& warm() { return warm_; }
  const std::string& id() const { return id_; }

  worker::v1::SynchronizeRequest BaseRequest() const;
  absl::StatusOr<Answer> Call(JobSystem& system, const worker::v1::SynchronizeRequest& request);

 private:
  std::string id_;
  std::string supervisor_;
  int64_t memory_ = int64_t{8} << 30;
  std::string device_ = "cpu";
  bool draining_ = false;
  std::vector<worker::v1::WarmShard> warm_;
  std::optional<worker::v1::Task> task_;
};

// The files a task makes, and what is in them.
std::vector<std::string> FilesOf(const worker::v1::Task& task);
std::string FileContent(const worker::v1::Task& task, const std::string& path);
worker::v1::TaskResult ResultOf(const worker::v1::Task& task);

// Uploads one file under a lease.
absl::Status UploadFile(const JobsContext& context, const worker::v1::Lease& lease,
                        const std::string& path, const std::string& content);

// Workers of their own do everything there is to do. True when nothing is left.
bool RunAll(JobSystem& system, const std::string& worker_id = "runner");

}  // namespace tern

#endif  // TERN_TESTS_UNIT_JOBS_FAKE_WORKER_H_
