// What every driver of the store must do. A new driver is added to the list at the end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "server/store/sqlite_store.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"
#include "tests/unit/store/store_factory.h"

namespace tern {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(1700000000 + seconds); }

JobRecord MakeJob(const std::string& uid, const std::string& id) {
  JobRecord job;
  job.uid = uid;
  job.name_space = "default";
  job.id = id;
  job.create_time = At(0);
  job.document = std::string("document\0of ", 12) + uid;
  return job;
}

TaskRecord MakeTask(const JobRecord& job, const std::string& name, TaskKind kind, int32_t index) {
  TaskRecord task;
  task.job_uid = job.uid;
  task.job_number = job.number;
  task.name = name;
  task.kind = kind;
  task.index = index;
  task.rank = index;
  return task;
}

class StoreConformanceTest : public ::testing::TestWithParam<StoreFactory> {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    store_.reset();
    auto store = GetParam().open(folder_.path());
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
  }

  // Runs `body` in a transaction that must succeed.
  template <typename Body>
  void Write(Body body) {
    ASSERT_THAT(store_->Transact(
                    [&](Transaction& transaction) -> absl::Status { return body(transaction); }),
                IsOk());
  }
  // What `read` gives, which must succeed.
  template <typename Read>
  auto Get(Read read) {
    decltype(read(std::declval<StoreReader&>())) result = absl::UnknownError("not read");
    EXPECT_THAT(store_->Read([&](StoreReader& reader) {
      result = read(reader);
      return result.status();
    }),
                IsOk());
    return *std::move(result);
  }
  JobRecord AddJob(const std::string& uid, const std::string& id) {
    JobRecord job = MakeJob(uid, id);
    Write([&](Transaction& transaction) { return transaction.InsertJob(job); });
    return job;
  }
  std::optional<JobRecord> FindJob(const std::string& uid) {
    return Get([&](StoreReader& reader) { return reader.GetJob(uid); });
  }
  std::vector<std::string> ListIds(const JobQuery& query) {
    std::vector<std::string> ids;
    for (const JobRecord& job : Get([&](StoreReader& reader) { return reader.ListJobs(query); })) {
      ids.push_back(job.id);
    }
    return ids;
  }

  TempDir folder_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreConformanceTest, AJobIsReadBackAsItWasWritten) {
  JobRecord job = MakeJob("u1", "one");
  job.start_time = At(1) + absl::Microseconds(5);
  job.tasks_total = 7;
  job.cost_total = 0.1;
  job.last_sequence = int64_t{1} << 40;
  Write([&](Transaction& transaction) { return transaction.InsertJob(job); });

  const auto read = FindJob("u1");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->number, job.number);
  EXPECT_GT(read->number, 0);
  EXPECT_EQ(read->name_space, "default");
  EXPECT_EQ(read->id, "one");
  EXPECT_EQ(read->state, JobState::kPending);
  EXPECT_EQ(read->create_time, At(0));
  EXPECT_EQ(read->start_time, job.start_time);
  EXPECT_EQ(read->end_time, absl::InfinitePast());
  EXPECT_EQ(read->document, job.document);
  EXPECT_EQ(read->tasks_total, 7);
  EXPECT_EQ(read->cost_total, 0.1);
  EXPECT_EQ(read->last_sequence, int64_t{1} << 40);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.FindJob("default", "one"); })->uid, "u1");
}

TEST_P(StoreConformanceTest, AMissingRowIsNoError) {
  EXPECT_EQ(FindJob("none"), std::nullopt);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.FindJob("default", "x"); }), std::nullopt);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetTask("u", "scan"); }), std::nullopt);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetFile("u", "p"); }), std::nullopt);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetRequest("n", "r"); }), std::nullopt);
}

TEST_P(StoreConformanceTest, AnUpdateChangesTheRow) {
  JobRecord job = AddJob("u1", "one");
  job.state = JobState::kRunning;
  job.blocks_done = 3;
  job.document = "new";
  Write([&](Transaction& transaction) { return transaction.UpdateJob(job); });
  EXPECT_EQ(FindJob("u1")->state, JobState::kRunning);
  EXPECT_EQ(FindJob("u1")->blocks_done, 3);
  EXPECT_EQ(FindJob("u1")->document, "new");
}

TEST_P(StoreConformanceTest, UpdatingWhatIsNotThereIsNotFound) {
  const auto update = [](Transaction& transaction) {
    return transaction.UpdateJob(MakeJob("none", "none"));
  };
  EXPECT_THAT(store_->Transact(update), IsError(absl::StatusCode::kNotFound, _));
}

TEST_P(StoreConformanceTest, ANameInUseIsAlreadyExists) {
  AddJob("u1", "one");
  JobRecord other = MakeJob("u2", "one");
  const auto insert = [&](Transaction& transaction) { return transaction.InsertJob(other); };
  EXPECT_THAT(store_->Transact(insert), IsError(absl::StatusCode::kAlreadyExists, _));
  other.name_space = "elsewhere";
  EXPECT_THAT(store_->Transact(insert), IsOk());
}

TEST_P(StoreConformanceTest, WhatAFailedTransactionWroteIsNeverSeen) {
  const auto fail = [](Transaction& transaction) -> absl::Status {
    JobRecord job = MakeJob("u1", "one");
    TERN_RETURN_IF_ERROR(transaction.InsertJob(job));
    return absl::AbortedError("changed my mind");
  };
  EXPECT_THAT(store_->Transact(fail), IsError(absl::StatusCode::kAborted, "changed my mind"));
  EXPECT_EQ(FindJob("u1"), std::nullopt);
  Open();
  EXPECT_EQ(FindJob("u1"), std::nullopt);
}

TEST_P(StoreConformanceTest, ATransactionReadsItsOwnWritesAndOthersDoNot) {
  Write([&](Transaction& transaction) -> absl::Status {
    JobRecord job = MakeJob("u1", "one");
    TERN_RETURN_IF_ERROR(transaction.InsertJob(job));
    TERN_ASSIGN_OR_RETURN(const auto mine, transaction.GetJob("u1"));
    EXPECT_TRUE(mine.has_value());
    EXPECT_EQ(FindJob("u1"), std::nullopt);
    return absl::OkStatus();
  });
  EXPECT_TRUE(FindJob("u1").has_value());
}

TEST_P(StoreConformanceTest, AReadSeesOneStateThroughout) {
  AddJob("u1", "one");
  EXPECT_THAT(store_->Read([&](StoreReader& reader) -> absl::Status {
    TERN_ASSIGN_OR_RETURN(const auto before, reader.GetJob("u1"));
    JobRecord job = before.value();
    job.state = JobState::kRunning;
    Write([&](Transaction& transaction) { return transaction.UpdateJob(job); });
    TERN_ASSIGN_OR_RETURN(const auto after, reader.GetJob("u1"));
    EXPECT_EQ(after.value().state, JobState::kPending);
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_EQ(FindJob("u1")->state, JobState::kRunning);
}

TEST_P(StoreConformanceTest, WhatIsCommittedIsThereAfterReopening) {
  AddJob("u1", "one");
  Open();
  EXPECT_TRUE(FindJob("u1").has_value());
}

TEST_P(StoreConformanceTest, NumbersRiseAndAreNotUsedAgain) {
  const JobRecord first = AddJob("u1", "one");
  Write([](Transaction& transaction) { return transaction.DeleteJob("u1"); });
  const JobRecord second = AddJob("u2", "two");
  EXPECT_GT(second.number, first.number);
}

TEST_P(StoreConformanceTest, JobsAreListedNewestFirstInPages) {
  for (int i = 1; i <= 5; ++i) AddJob(absl::StrCat("u", i), absl::StrCat("job", i));
  JobQuery query;
  query.limit = 2;
  EXPECT_THAT(ListIds(query), ElementsAre("job5", "job4"));
  query.before_number = Get([](StoreReader& reader) { return reader.GetJob("u4"); })->number;
  EXPECT_THAT(ListIds(query), ElementsAre("job3", "job2"));
}

TEST_P(StoreConformanceTest, JobsAreListedByNamespaceStateLabelAndTime) {
  for (int i = 1; i <= 4; ++i) {
    JobRecord job = MakeJob(absl::StrCat("u", i), absl::StrCat("job", i));
    job.name_space = i == 4 ? "other" : "default";
    job.state = i == 2 ? JobState::kFailed : JobState::kRunning;
    job.create_time = At(i);
    job.labels = {{"parity", i % 2 == 0 ? "even" : "odd"}, {"number", absl::StrCat(i)}};
    Write([&](Transaction& transaction) { return transaction.InsertJob(job); });
  }
  JobQuery query;
  query.name_space = "default";
  EXPECT_THAT(ListIds(query), ElementsAre("job3", "job2", "job1"));
  query = JobQuery();
  query.states = {JobState::kFailed, JobState::kCancelled};
  EXPECT_THAT(ListIds(query), ElementsAre("job2"));
  query = JobQuery();
  query.not_states = {JobState::kRunning};
  EXPECT_THAT(ListIds(query), ElementsAre("job2"));
  query = JobQuery();
  query.labels = {{"parity", "odd"}};
  EXPECT_THAT(ListIds(query), ElementsAre("job3", "job1"));
  query.labels = {{"parity", "odd"}, {"number", "3"}};
  EXPECT_THAT(ListIds(query), ElementsAre("job3"));
  query = JobQuery();
  query.created_after = At(1);
  query.created_before = At(4);
  EXPECT_THAT(ListIds(query), ElementsAre("job3", "job2"));
}

TEST_P(StoreConformanceTest, JobsAreCountedByState) {
  AddJob("u1", "one");
  AddJob("u2", "two");
  JobRecord job = AddJob("u3", "three");
  job.state = JobState::kSucceeded;
  Write([&](Transaction& transaction) { return transaction.UpdateJob(job); });
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.CountJobs(); }),
              ElementsAre(std::pair(JobState::kPending, 2), std::pair(JobState::kSucceeded, 1)));
}

TEST_P(StoreConformanceTest, ATaskIsReadBackAsItWasWritten) {
  const JobRecord job = AddJob("u1", "one");
  TaskRecord task = MakeTask(job, "quantize/3", TaskKind::kQuantize, 3);
  task.rank = 17;
  task.shard = 1;
  task.shard_first_block = 2;
  task.cost = 1e18;
  task.memory_bytes = int64_t{1} << 40;
  task.gpu_memory_bytes = int64_t{1} << 39;
  task.dependents = {"assemble", "evaluate/0"};
  task.probes = {{.previous_bits = 4, .bits = 2}, {.previous_bits = 0, .bits = 6}};
  task.waiting_for = 1;
  Write([&](Transaction& transaction) { return transaction.InsertTask(task); });
  task.state = TaskState::kLeased;
  task.waiting_for = 0;
  task.ready_time = At(1);
  task.epoch = 4;
  task.worker = "w";
  task.supervisor = "s";
  task.lease_time = At(2);
  task.lease_deadline = At(3);
  task.attempts = 1;
  task.worker_deaths = 2;
  task.errors = std::string("\0e", 2);
  task.result = "r";
  Write([&](Transaction& transaction) { return transaction.UpdateTask(task); });

  const auto read = Get([](StoreReader& reader) { return reader.GetTask("u1", "quantize/3"); });
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->job_number, job.number);
  EXPECT_EQ(read->kind, TaskKind::kQuantize);
  EXPECT_EQ(read->index, 3);
  EXPECT_EQ(read->rank, 17);
  EXPECT_EQ(read->shard, 1);
  EXPECT_EQ(read->shard_first_block, 2);
  EXPECT_EQ(read->cost, 1e18);
  EXPECT_EQ(read->memory_bytes, int64_t{1} << 40);
  EXPECT_EQ(read->gpu_memory_bytes, int64_t{1} << 39);
  EXPECT_THAT(read->dependents, ElementsAre("assemble", "evaluate/0"));
  EXPECT_EQ(read->probes, task.probes);
  EXPECT_EQ(read->waiting_for, 0);
  EXPECT_EQ(read->state, TaskState::kLeased);
  EXPECT_EQ(read->ready_time, At(1));
  EXPECT_EQ(read->epoch, 4);
  EXPECT_EQ(read->worker, "w");
  EXPECT_EQ(read->supervisor, "s");
  EXPECT_EQ(read->lease_time, At(2));
  EXPECT_EQ(read->lease_deadline, At(3));
  EXPECT_EQ(read->attempts, 1);
  EXPECT_EQ(read->worker_deaths, 2);
  EXPECT_EQ(read->errors, task.errors);
  EXPECT_EQ(read->result, "r");
}

TEST_P(StoreConformanceTest, EveryKindOfTaskIsReadBack) {
  const JobRecord job = AddJob("u1", "one");
  const std::vector<TaskKind> kinds = {
      TaskKind::kScan,   TaskKind::kQuantize,    TaskKind::kAssemble,   TaskKind::kEvaluate,
      TaskKind::kRotate, TaskKind::kSensitivity, TaskKind::kInteraction};
  Write([&](Transaction& transaction) -> absl::Status {
    for (size_t i = 0; i < kinds.size(); ++i) {
      // The other way round: the order is that of the ranks.
      TaskRecord task = MakeTask(job, absl::StrCat("task/", i), kinds[i], 0);
      task.rank = static_cast<int32_t>(kinds.size() - i);
      TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
    }
    return absl::OkStatus();
  });
  std::vector<TaskKind> read;
  for (const TaskRecord& task : Get([](StoreReader& reader) { return reader.ListTasks("u1"); })) {
    read.push_back(task.kind);
  }
  EXPECT_EQ(read, std::vector<TaskKind>(kinds.rbegin(), kinds.rend()));
}

TEST_P(StoreConformanceTest, ReadyTasksComeByJobThenRankInPages) {
  for (const char* const uid : {"u2", "u1"}) {
    const JobRecord job = AddJob(uid, uid);
    Write([&](Transaction& transaction) -> absl::Status {
      int32_t rank = 9;
      for (TaskRecord task : {MakeTask(job, "evaluate/0", TaskKind::kEvaluate, 0),
                              MakeTask(job, "rotate/1", TaskKind::kRotate, 1),
                              MakeTask(job, "quantize/2", TaskKind::kQuantize, 2),
                              MakeTask(job, "quantize/10", TaskKind::kQuantize, 10)}) {
        task.rank = rank--;
        task.state = task.index == 2 ? TaskState::kBlocked : TaskState::kReady;
        TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
      }
      return absl::OkStatus();
    });
  }
  std::vector<std::string> names;
  ReadyPosition position;
  while (true) {
    const auto page =
        Get([&](StoreReader& reader) { return reader.ListReadyTasks(position, WorkerRoom(), 2); });
    if (page.empty()) break;
    for (const TaskRecord& task : page) {
      names.push_back(absl::StrCat(task.job_uid, "/", task.name));
      position = {task.job_number, task.rank};
    }
  }
  EXPECT_THAT(names, ElementsAre("u2/quantize/10", "u2/rotate/1", "u2/evaluate/0", "u1/quantize/10",
                                 "u1/rotate/1", "u1/evaluate/0"));
}

TEST_P(StoreConformanceTest, ReadyTasksThatTakeMoreMemoryThanThereIsAreLeftOut) {
  const JobRecord job = AddJob("u1", "one");
  Write([&](Transaction& transaction) -> absl::Status {
    for (int32_t i = 0; i < 3; ++i) {
      TaskRecord task = MakeTask(job, absl::StrCat("quantize/", i), TaskKind::kQuantize, i);
      task.state = TaskState::kReady;
      task.memory_bytes = int64_t{100} * i;
      task.gpu_memory_bytes = int64_t{100} * (2 - i);
      TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
    }
    return absl::OkStatus();
  });
  const auto names = [&](const WorkerRoom& room) {
    std::vector<std::string> read;
    for (const TaskRecord& task : Get([&](StoreReader& reader) {
           return reader.ListReadyTasks(ReadyPosition(), room, 10);
         })) {
      read.push_back(task.name);
    }
    return read;
  };
  EXPECT_THAT(names({.on_gpu = false, .memory_bytes = 100}),
              ElementsAre("quantize/0", "quantize/1"));
  EXPECT_THAT(names({.on_gpu = true, .memory_bytes = 99}), ElementsAre("quantize/2"));
  EXPECT_THAT(names(WorkerRoom()), SizeIs(3));
}

TEST_P(StoreConformanceTest, LeasesAreListedByDeadlineAndByWorker) {
  const JobRecord job = AddJob("u1", "one");
  Write([&](Transaction& transaction) -> absl::Status {
    for (int i = 0; i < 4; ++i) {
      TaskRecord task = MakeTask(job, absl::StrCat("quantize/", i), TaskKind::kQuantize, i);
      task.state = i == 3 ? TaskState::kDone : TaskState::kLeased;
      task.worker = i == 1 ? "other" : "w";
      task.lease_deadline = At(10 - i);
      TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
    }
    return absl::OkStatus();
  });
  const auto names = [](const std::vector<TaskRecord>& tasks) {
    std::vector<std::string> result;
    for (const TaskRecord& task : tasks) result.push_back(task.name);
    return result;
  };
  EXPECT_THAT(names(Get([](StoreReader& reader) { return reader.ListLeasesBefore(At(10), 9); })),
              ElementsAre("quantize/2", "quantize/1"));
  EXPECT_THAT(names(Get([](StoreReader& reader) { return reader.ListLeasesBefore(At(10), 1); })),
              ElementsAre("quantize/2"));
  EXPECT_THAT(names(Get([](StoreReader& reader) {
                return reader.ListLeasesBefore(absl::InfiniteFuture(), 9);
              })),
              SizeIs(3));
  EXPECT_THAT(names(Get([](StoreReader& reader) { return reader.ListLeasesOfWorker("w"); })),
              ElementsAre("quantize/0", "quantize/2"));
}

TEST_P(StoreConformanceTest, TasksAreCounted) {
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.CountTasks(); }).oldest_ready_time,
            absl::InfiniteFuture());
  const JobRecord job = AddJob("u1", "one");
  Write([&](Transaction& transaction) -> absl::Status {
    for (int i = 0; i < 3; ++i) {
      TaskRecord task = MakeTask(job, absl::StrCat("quantize/", i), TaskKind::kQuantize, i);
      task.state = i == 0 ? TaskState::kLeased : TaskState::kReady;
      task.ready_time = At(-i);
      TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
    }
    return absl::OkStatus();
  });
  const TaskCounts counts = Get([](StoreReader& reader) { return reader.CountTasks(); });
  EXPECT_EQ(counts.ready, 2);
  EXPECT_EQ(counts.leased, 1);
  EXPECT_EQ(counts.oldest_ready_time, At(-2));
}

TEST_P(StoreConformanceTest, DroppingTasksLeavesDoneOnesAlone) {
  const JobRecord job = AddJob("u1", "one");
  const TaskState states[] = {TaskState::kBlocked, TaskState::kReady, TaskState::kLeased,
                              TaskState::kDone};
  Write([&](Transaction& transaction) -> absl::Status {
    for (int i = 0; i < 4; ++i) {
      TaskRecord task = MakeTask(job, absl::StrCat("quantize/", i), TaskKind::kQuantize, i);
      task.state = states[i];
      task.epoch = i;
      TERN_RETURN_IF_ERROR(transaction.InsertTask(task));
    }
    return transaction.DropTasks("u1");
  });
  const auto tasks = Get([](StoreReader& reader) { return reader.ListTasks("u1"); });
  ASSERT_THAT(tasks, SizeIs(4));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(tasks[i].state, TaskState::kDropped);
  EXPECT_EQ(tasks[2].epoch, 2);
  EXPECT_EQ(tasks[3].state, TaskState::kDone);
}

TEST_P(StoreConformanceTest, EventsAreReadAfterASequenceAndDroppedThroughOne) {
  AddJob("u1", "one");
  Write([](Transaction& transaction) -> absl::Status {
    for (int i = 1; i <= 5; ++i) {
      TERN_RETURN_IF_ERROR(transaction.InsertEvent({"u1", i, absl::StrCat("e", i)}));
    }
    return transaction.DeleteEventsThrough("u1", 2);
  });
  const auto events = Get([](StoreReader& reader) { return reader.ListEvents("u1", 0, 2); });
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].sequence, 3);
  EXPECT_EQ(events[0].event, "e3");
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListEvents("u1", 4, 9); }), SizeIs(1));
}

TEST_P(StoreConformanceTest, FilesAreFoundByPathAndListedByIndex) {
  AddJob("u1", "one");
  const FileRecord file = {"u1", "b", 2, "key-b", int64_t{5} << 32, "sha-b"};
  Write([&](Transaction& transaction) -> absl::Status {
    TERN_RETURN_IF_ERROR(transaction.InsertFile(file));
    TERN_RETURN_IF_ERROR(transaction.InsertFile({"u1", "a", 1, "key-a", 1, "sha-a"}));
    return transaction.InsertFile({"u1", "input", 0, "key-i", 1, "sha-i"});
  });
  const auto read = Get([](StoreReader& reader) { return reader.GetFile("u1", "b"); });
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->index, 2);
  EXPECT_EQ(read->blob_key, "key-b");
  EXPECT_EQ(read->size, int64_t{5} << 32);
  EXPECT_EQ(read->sha256, "sha-b");
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListFiles("u1", 0, 9); }), SizeIs(3));
  const auto from = Get([](StoreReader& reader) { return reader.ListFiles("u1", 1, 1); });
  ASSERT_THAT(from, SizeIs(1));
  EXPECT_EQ(from[0].path, "a");
}

TEST_P(StoreConformanceTest, APathIsCommittedOnce) {
  AddJob("u1", "one");
  const auto insert = [](Transaction& transaction) {
    return transaction.InsertFile({"u1", "a", 1, "k", 1, "s"});
  };
  EXPECT_THAT(store_->Transact(insert), IsOk());
  EXPECT_THAT(store_->Transact(insert), IsError(absl::StatusCode::kAlreadyExists, _));
}

TEST_P(StoreConformanceTest, FilesAreDeletedByPathAndAll) {
  AddJob("u1", "one");
  Write([](Transaction& transaction) -> absl::Status {
    TERN_RETURN_IF_ERROR(transaction.InsertFile({"u1", "a", 1, "k", 1, "s"}));
    TERN_RETURN_IF_ERROR(transaction.InsertFile({"u1", "b", 2, "k", 1, "s"}));
    return transaction.DeleteFile("u1", "a");
  });
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetFile("u1", "a"); }), std::nullopt);
  Write([](Transaction& transaction) { return transaction.DeleteFiles("u1"); });
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetFile("u1", "b"); }), std::nullopt);
}

TEST_P(StoreConformanceTest, AStagedFileReplacesTheOneOfTheSamePath) {
  AddJob("u1", "one");
  Write([](Transaction& transaction) -> absl::Status {
    TERN_RETURN_IF_ERROR(transaction.PutStagedFile({"u1", "t", 1, "a", "old", 1, "s"}));
    TERN_RETURN_IF_ERROR(transaction.PutStagedFile({"u1", "t", 2, "a", "new", 2, "s2"}));
    return transaction.PutStagedFile({"u1", "t2", 1, "a", "other", 1, "s"});
  });
  const auto staged = Get([](StoreReader& reader) { return reader.ListStagedFiles("u1", "t"); });
  ASSERT_THAT(staged, SizeIs(1));
  EXPECT_EQ(staged[0].blob_key, "new");
  EXPECT_EQ(staged[0].epoch, 2);
  EXPECT_EQ(staged[0].size, 2);
  EXPECT_EQ(staged[0].sha256, "s2");
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListStagedFiles("u1", ""); }), SizeIs(2));
  Write([](Transaction& transaction) { return transaction.DeleteStagedFiles("u1", "t"); });
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListStagedFiles("u1", ""); }), SizeIs(1));
}

TEST_P(StoreConformanceTest, RequestsAreRememberedUntilTheyAreOld) {
  AddJob("u1", "one");
  Write([](Transaction& transaction) -> absl::Status {
    TERN_RETURN_IF_ERROR(transaction.InsertRequest({"default", "r1", "digest", "u1", At(1)}));
    return transaction.InsertRequest({"default", "r2", "digest", "u1", At(2)});
  });
  const auto request = Get([](StoreReader& reader) { return reader.GetRequest("default", "r1"); });
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->body_digest, "digest");
  EXPECT_EQ(request->job_uid, "u1");
  Write([](Transaction& transaction) { return transaction.DeleteRequestsBefore(At(2)); });
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetRequest("default", "r1"); }),
            std::nullopt);
  EXPECT_NE(Get([](StoreReader& reader) { return reader.GetRequest("default", "r2"); }),
            std::nullopt);
}

TEST_P(StoreConformanceTest, DeletingAJobDeletesAllThatBelongsToIt) {
  JobRecord job = MakeJob("u1", "one");
  job.labels = {{"k", "v"}};
  Write([&](Transaction& transaction) -> absl::Status {
    TERN_RETURN_IF_ERROR(transaction.InsertJob(job));
    TERN_RETURN_IF_ERROR(transaction.InsertTask(MakeTask(job, "scan", TaskKind::kScan, 0)));
    TERN_RETURN_IF_ERROR(transaction.InsertEvent({"u1", 1, "e"}));
    TERN_RETURN_IF_ERROR(transaction.InsertFile({"u1", "a", 1, "k", 1, "s"}));
    TERN_RETURN_IF_ERROR(transaction.PutStagedFile({"u1", "t", 1, "a", "k", 1, "s"}));
    TERN_RETURN_IF_ERROR(transaction.InsertRequest({"default", "r", "d", "u1", At(0)}));
    return transaction.DeleteJob("u1");
  });
  EXPECT_EQ(FindJob("u1"), std::nullopt);
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetTask("u1", "scan"); }), std::nullopt);
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListEvents("u1", 0, 9); }), IsEmpty());
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListFiles("u1", 0, 9); }), IsEmpty());
  EXPECT_THAT(Get([](StoreReader& reader) { return reader.ListStagedFiles("u1", ""); }), IsEmpty());
  EXPECT_EQ(Get([](StoreReader& reader) { return reader.GetRequest("default", "r"); }),
            std::nullopt);
}

TEST_P(StoreConformanceTest, RowsOfAJobThatIsNotThereAreRefused) {
  EXPECT_THAT(store_->Transact([](Transaction& transaction) {
    return transaction.InsertEvent({"none", 1, "e"});
  }),
              IsError(absl::StatusCode::kFailedPrecondition, _));
}

TEST_P(StoreConformanceTest, ConcurrentIncrementsAreAllCounted) {
  AddJob("u1", "one");
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        const absl::Status status = store_->Transact([](Transaction& transaction) -> absl::Status {
          TERN_ASSIGN_OR_RETURN(const auto found, transaction.GetJob("u1"));
          JobRecord job = found.value();
          ++job.tasks_done;
          return transaction.UpdateJob(job);
        });
        if (!status.ok()) ++failures;
        FindJob("u1");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(FindJob("u1")->tasks_done, 100);
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, StoreConformanceTest,
    ::testing::Values(StoreFactory{
        "Sqlite", [](const std::string& folder) { return OpenSqliteStore(folder + "/tern.db"); }}),
    [](const ::testing::TestParamInfo<StoreFactory>& info) { return info.param.name; });

}  // namespace
}  // namespace tern
