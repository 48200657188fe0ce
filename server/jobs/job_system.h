#ifndef TERN_SERVER_JOBS_JOB_SYSTEM_H_
#define TERN_SERVER_JOBS_JOB_SYSTEM_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/change_signal.h"
#include "server/jobs/clock.h"
#include "server/jobs/finalizer.h"
#include "server/jobs/job_operations.h"
#include "server/jobs/jobs_context.h"
#include "server/jobs/jobs_observer.h"
#include "server/jobs/jobs_options.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/submission.h"
#include "server/jobs/worker_registry.h"
#include "server/store/store.h"

namespace tern {

// Everything about jobs, put together: what the API serves from. Thread-safe.
class JobSystem {
 public:
  // Recovers what an earlier process left (see recovery.h), then is ready. The references outlive
  // the system. Leases held by supervised workers are taken back: they died with their server.
  static absl::StatusOr<std::unique_ptr<JobSystem>> Start(JobsOptions options, Store& store,
                                                          BlobStore& blobs, const Clock& clock,
                                                          JobsObserver& observer);

  // For Upload, ReadEvents, OpenJobFile and OpenNextFile.
  const JobsContext& context() const { return context_; }
  Submission& submission() { return submission_; }
  JobOperations& operations() { return operations_; }
  Scheduler& scheduler() { return scheduler_; }
  WorkerRegistry& workers() { return workers_; }
  ChangeSignal& work_signal() { return work_signal_; }
  ChangeSignal& job_signal() { return job_signal_; }

  // To be called about once a second from one thread: expires leases, finishes jobs whose report
  // could not be written when their last task ended, forgets silent workers and old request ids.
  // What fails goes to the observer and is tried again.
  void Maintain();

 private:
  JobSystem(JobsOptions options, Store& store, BlobStore& blobs, const Clock& clock,
            JobsObserver& observer);

  WorkerRegistry workers_;
  ChangeSignal work_signal_;
  ChangeSignal job_signal_;
  const JobsContext context_;
  Finalizer finalizer_;
  Submission submission_;
  JobOperations operations_;
  Scheduler scheduler_;
  absl::Time next_cleaning_ = absl::InfinitePast();  // of Maintain's thread
};

}  // namespace tern

#endif  // TERN_SERVER_JOBS_JOB_SYSTEM_H_
