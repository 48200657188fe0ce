#ifndef TERN_SERVER_STORE_RECORDS_H_
#define TERN_SERVER_STORE_RECORDS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

// The rows the store keeps. What is queried or counted is a field; the rest is serialized Protobuf
// that drivers do not look into. Times are kept to the microsecond; absl::InfinitePast() is "not
// yet".

namespace tern {

// Values as in tern.v1.QuantizationJob.State.
enum class JobState { kPending = 1, kRunning = 2, kSucceeded = 3, kFailed = 4, kCancelled = 5 };

struct JobRecord {
  int64_t number = 0;  // order of creation, chosen by the store; never used again
  std::string uid;     // names the job in leases and blob keys; never used again
  std::string name_space;
  std::string id;  // unique within the namespace
  JobState state = JobState::kPending;
  absl::Time create_time;
  absl::Time start_time = absl::InfinitePast();
  absl::Time end_time = absl::InfinitePast();
  // For queries: written at insertion, not read back (the document has them).
  std::vector<std::pair<std::string, std::string>> labels;

  // tern.v1.QuantizationJob with spec, labels, model, preflight, and once terminal error and
  // report. Every other field is derived from this row.
  std::string document;

  // Sums over the job's tasks, kept with each change of a task.
  int32_t tasks_total = 0, tasks_done = 0;
  int32_t blocks_total = 0, blocks_done = 0;
  double cost_total = 0, cost_done = 0;
  int32_t failed_attempts = 0, worker_deaths = 0;

  int64_t last_sequence = 0;    // of the job's events; 0 = none yet
  int64_t oldest_sequence = 1;  // of the events still kept
  int64_t last_file_index = 0;
};

// Which jobs to list, newest first. Unset fields do not restrict.
struct JobQuery {
  std::string name_space;  // empty: all
  std::vector<JobState> states;
  std::vector<JobState> not_states;
  std::vector<std::pair<std::string, std::string>> labels;
  absl::Time created_after = absl::InfinitePast();     // exclusive
  absl::Time created_before = absl::InfiniteFuture();  // exclusive
  int64_t before_number = INT64_MAX;                   // exclusive
  int32_t limit = 50;
};

// Stored by number.
enum class TaskKind {
  kScan = 0,
  kQuantize = 1,
  kAssemble = 2,
  kEvaluate = 3,
  kRotate = 4,
  kSensitivity = 5,
  kInteraction = 6,
};

enum class TaskState {
  kBlocked = 1,  // waits for other tasks
  kReady = 2,
  kLeased = 3,
  kDone = 4,     // terminal
  kDropped = 5,  // terminal: failed for good, or its job ended otherwise
};

// Bits that a loss is measured at.
struct BitsProbe {
  int32_t previous_bits = 0;  // of the block before; 0: the baseline's
  int32_t bits = 0;

  bool operator==(const BitsProbe&) const = default;
  bool operator<(const BitsProbe& other) const {
    return std::pair(previous_bits, bits) < std::pair(other.previous_bits, other.bits);
  }
};

struct TaskRecord {
  std::string job_uid;
  int64_t job_number = 0;
  std::string name;  // "scan", "quantize/3", "assemble", "evaluate/0"
  TaskKind kind = TaskKind::kScan;
  int32_t index = 0;  // block or part
  // Unique within the job, whose ready tasks are handed out with the lowest first.
  int32_t rank = 0;
  int32_t shard = 0, shard_first_block = 0;
  int32_t first_window = 0, windows = 0;
  std::vector<BitsProbe> probes;  // of an interaction task
  double cost = 0;
  // What it takes at its peak of the memory of a worker that computes on CPUs, and of a GPU's. 0 =
  // not known.
  int64_t memory_bytes = 0, gpu_memory_bytes = 0;
  std::vector<std::string> dependents;  // tasks that wait for this one
  int32_t waiting_for = 0;              // unfinished tasks this one waits for

  TaskState state = TaskState::kBlocked;
  absl::Time ready_time = absl::InfinitePast();  // not handed out before
  // The lease: valid while state is kLeased. The epoch never falls.
  int64_t epoch = 0;
  std::string worker;
  std::string supervisor;
  absl::Time lease_time = absl::InfinitePast();
  absl::Time lease_deadline = absl::InfinitePast();

  int32_t attempts = 0;       // reports of failure
  int32_t worker_deaths = 0;  // workers lost
  std::string errors;         // google.rpc.Status whose details are the errors so far
  std::string result;         // tern.worker.v1.TaskResult, once done
};

// Place of a ready task in the order of ListReadyTasks.
struct ReadyPosition {
  int64_t job_number = -1;
  int32_t rank = -1;
};

// What a worker has room for: tasks that take no more memory of its kind.
struct WorkerRoom {
  bool on_gpu = false;
  int64_t memory_bytes = INT64_MAX;
};

inline bool Fits(const TaskRecord& task, const WorkerRoom& room) {
  return (room.on_gpu ? task.gpu_memory_bytes : task.memory_bytes) <= room.memory_bytes;
}

struct TaskCounts {
  int64_t ready = 0;
  int64_t leased = 0;
  absl::Time oldest_ready_time = absl::InfiniteFuture();
};

struct EventRecord {
  std::string job_uid;
  int64_t sequence = 0;
  std::string event;  // tern.v1.JobEvent
};

// A committed file of a job: of its checkpoint (index from 1), or one of its inputs (index 0).
struct FileRecord {
  std::string job_uid;
  std::string path;  // unique within the job
  int64_t index = 0;
  std::string blob_key;
  int64_t size = 0;
  std::string sha256;
};

// A file uploaded under a lease whose task is not done yet.
struct StagedFileRecord {
  std::string job_uid;
  std::string task;
  int64_t epoch = 0;
  std::string path;  // unique within the task
  std::string blob_key;
  int64_t size = 0;
  std::string sha256;
};

// What a request_id was used for.
struct RequestRecord {
  std::string name_space;
  std::string request_id;
  std::string body_digest;
  std::string job_uid;
  absl::Time create_time;
};

}  // namespace tern

#endif  // TERN_SERVER_STORE_RECORDS_H_
