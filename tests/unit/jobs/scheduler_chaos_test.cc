// A seeded simulation of everything that can go wrong, over a real SQLite file: workers that die,
// hang, fail, lose answers and come back late; jobs that are cancelled; transactions that fail; a
// server that is killed at any instant, between a commit and what follows it too. What Scheduler
// promises is checked after every step, and at the end every job has ended.
//
// TERN_CHAOS_SEEDS=200 runs that many seeds instead of the few that belong to every build.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/packed_format.h"
#include "server/jobs/job_view.h"
#include "tests/unit/jobs/failing_blob_store.h"
#include "tests/unit/jobs/fake_worker.h"
#include "tests/unit/jobs/job_world.h"

namespace tern {
namespace {

// The process ends here.
struct Crash {};

// What goes wrong below the scheduler.
class Faults {
 public:
  explicit Faults(std::mt19937_64& random) : random_(random) {}
  void set_active(bool active) { active_ = active; }
  bool Chance(double probability) {
    return active_ && std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }

 private:
  std::mt19937_64& random_;
  bool active_ = false;
};

class FailingStore : public Store {
 public:
  FailingStore(Store& store, Faults& faults) : store_(store), faults_(faults) {}

  absl::Status Transact(absl::FunctionRef<absl::Status(Transaction&)> body) override {
    if (faults_.Chance(0.01)) return absl::UnavailableError("the database is away");
    const absl::Status status = store_.Transact([&](Transaction& transaction) {
      absl::Status result = body(transaction);
      if (faults_.Chance(0.005)) throw Crash();
      if (result.ok() && faults_.Chance(0.01)) return absl::UnavailableError("commit failed");
      return result;
    });
    if (faults_.Chance(0.01)) throw Crash();
    return status;
  }
  absl::Status Read(absl::FunctionRef<absl::Status(StoreReader&)> body) override {
    if (faults_.Chance(0.005)) return absl::UnavailableError("the database is away");
    return store_.Read(body);
  }

 private:
  Store& store_;
  Faults& faults_;
};

class Chaos {
 public:
  explicit Chaos(uint64_t seed)
      : random_(seed),
        world_(Options(),
               {.store =
                    [this](Store& store) { return std::make_unique<FailingStore>(store, faults_); },
                .blobs =
                    [this](BlobStore& blobs) {
                      return std::make_unique<FailingBlobStore>(
                          blobs, [this](absl::string_view) { return BlobFault(); });
                    }}) {
    for (int i = 0; i < 3; ++i) AddWorker();
  }

  void Run(int steps) {
    for (int i = 0; i < 3; ++i) Submit();
    faults_.set_active(true);
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      try {
        Step();
      } catch (const Crash&) {
        Restart();
      }
      Check();
    }
    faults_.set_active(false);
    Drain();
    CheckEnd();
  }

 private:
  static JobsOptions Options() {
    JobsOptions options;
    options.scheduler.max_worker_deaths = 40;
    options.scheduler.max_attempts = 8;
    options.reserved_free_bytes = 0;
    return options;
  }

  absl::Status BlobFault() {
    if (faults_.Chance(0.005)) throw Crash();
    if (faults_.Chance(0.01)) return absl::ResourceExhaustedError("no space left");
    return absl::OkStatus();
  }

  int Pick(int below) {
    return below <= 0 ? 0 : std::uniform_int_distribution<int>(0, below - 1)(random_);
  }

  void AddWorker() {
    const std::string id = absl::StrCat("worker-", ++workers_made_);
    workers_.push_back(FakeWorker(id, Pick(2) == 0 ? absl::StrCat("supervisor-", id) : ""));
    supervisors_[id] = workers_.back().BaseRequest().worker().supervisor();
  }

  void Submit() {
    v1::CreateQuantizationJobRequest request = world_.Request();
    v1::QuantizationSpec& spec = *request.mutable_quantization_job()->mutable_spec();
    spec.set_shards(1 + Pick(4));
    if (Pick(2) == 0) spec.mutable_twla()->mutable_mixed_activations()->set_average_bits(5);
    if (Pick(2) == 0) {
      spec.mutable_evaluation()->add_files(world_.folder() + "/evaluation.safetensors");
    }
    const auto job = world_.system().submission().Create(request);
    if (job.ok()) jobs_.push_back(job->name());
  }

  void Step() {
    const int what = Pick(100);
    if (what < 1 && jobs_.size() < 8) return Submit();
    if (what < 2) return Cancel();
    if (what < 4) return Restart();
    if (what < 12) return world_.clock().Advance(absl::Milliseconds(100 + Pick(8000)));
    if (what < 20) return world_.system().Maintain();
    WorkerStep(Pick(static_cast<int>(workers_.size())));
  }

  void Cancel() {
    if (Pick(4) != 0 || jobs_.empty()) return;
    const auto cancelled = world_.operations().Cancel(jobs_[Pick(static_cast<int>(jobs_.size()))]);
    (void)cancelled;  // Refused for a job that has ended.
  }

  void Restart() {
    ++restarts_;
    // Recovery itself may meet nothing but a working disk: a server that cannot start is started
    // again until it can.
    faults_.set_active(false);
    world_.Restart();
    FindJobs();
    faults_.set_active(true);
    // Supervised workers die with their server.
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (!supervisors_[workers_[i].id()].empty()) Replace(i);
    }
  }

  // A job may have been made just before the process ended.
  void FindJobs() {
    v1::ListQuantizationJobsRequest request;
    request.set_page_size(1000);
    const auto response = world_.operations().List(request);
    ASSERT_TRUE(response.ok());
    jobs_.clear();
    for (const auto& job : response->quantization_jobs()) jobs_.push_back(job.name());
  }

  // The process ends; another takes its place. What it held comes back now and then, late.
  void Replace(size_t index) {
    if (workers_[index].busy()) late_.push_back(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<int64_t>(index));
    AddWorker();
  }

  void WorkerStep(int index) {
    FakeWorker& worker = workers_[index];
    JobSystem& system = world_.system();
    const int what = Pick(100);
    if (what < 3) {
      const std::string id = worker.id();
      const std::string supervisor = supervisors_[id];
      Replace(index);
      // A supervisor sees the end at once; otherwise the lease runs out.
      if (!supervisor.empty()) system.scheduler().ExpireSupervised(supervisor).IgnoreError();
      return;
    }
    if (what < 8 && !late_.empty()) {
      FakeWorker late = late_[Pick(static_cast<int>(late_.size()))];
      Pick(2) == 0 ? Complete(late) : (void)late.Report(system);
      return;
    }
    if (!worker.busy()) {
      if (what < 12) {
        FakeWorker deaf = worker;  // the answer is lost
        Taken(deaf.Idle(system), deaf);
        return;
      }
      return Taken(worker.Idle(system), worker);
    }
    if (what < 30) return (void)worker.Report(system);
    if (what < 33) return Taken(worker.Fail(system, "bad luck"), worker);
    if (what < 36) return Taken(worker.Release(system), worker);
    if (what < 40) {
      late_.push_back(worker);  // says the same again later
    }
    if (!worker.UploadFiles(system).ok()) return;
    Complete(worker);
  }

  // Completes, and checks that exactly a live lease (or one completed before) is accepted.
  void Complete(FakeWorker& worker) {
    const worker::v1::Lease lease = worker.task().lease();
    const std::optional<TaskRecord> before = FindTask(lease.task());
    const bool mine =
        before.has_value() && before->epoch == lease.epoch() && before->worker == worker.id();
    const bool may =
        mine && (before->state == TaskState::kLeased || before->state == TaskState::kDone);
    const auto answer = worker.Complete(world_.system());
    if (answer.ok()) {
      EXPECT_TRUE(may) << "stale completion of " << lease.ShortDebugString() << " was accepted";
    } else if (absl::IsAborted(answer.status())) {
      EXPECT_FALSE(may) << "completion of live " << lease.ShortDebugString() << " was refused";
    }
    Taken(answer, worker);
  }

  // A lease was given (or none): no epoch goes to two workers, and all before the task is done.
  void Taken(const absl::StatusOr<Scheduler::Answer>& answer, const FakeWorker& worker) {
    if (!answer.ok() || !answer->response.has_execute()) return;
    const worker::v1::Task& task = answer->response.execute().task();
    const auto [it, is_new] =
        holders_.try_emplace({task.lease().task(), task.lease().epoch()}, worker.id());
    EXPECT_EQ(it->second, worker.id()) << task.lease().ShortDebugString();
    for (const TaskRecord& other : AllTasks(task.job_uid())) {
      const std::string name = task.lease().task().substr(task.lease().task().find('/') + 1);
      const auto& dependents = other.dependents;
      if (std::find(dependents.begin(), dependents.end(), name) != dependents.end()) {
        EXPECT_EQ(other.state, TaskState::kDone) << name << " was leased before " << other.name;
      }
    }
  }

  std::vector<TaskRecord> AllTasks(const std::string& uid) {
    std::vector<TaskRecord> tasks;
    EXPECT_TRUE(world_.store()
                    .Read([&](StoreReader& reader) {
                      auto list = reader.ListTasks(uid);
                      if (list.ok()) tasks = *std::move(list);
                      return list.status();
                    })
                    .ok());
    return tasks;
  }

  std::optional<TaskRecord> FindTask(const std::string& lease_task) {
    const size_t slash = lease_task.find('/');
    for (TaskRecord& task : AllTasks(lease_task.substr(0, slash))) {
      if (task.name == lease_task.substr(slash + 1)) return std::move(task);
    }
    return std::nullopt;
  }

  // What must hold at every instant.
  void Check() {
    for (const std::string& name : jobs_) {
      const JobRecord job = world_.Record(name);
      const auto [ended, is_new] = ended_.try_emplace(name, job.state);
      if (!is_new && IsTerminal(ended->second)) {
        EXPECT_EQ(job.state, ended->second) << name << " left a terminal state";
      }
      ended->second = job.state;
      int32_t done = 0;
      for (const TaskRecord& task : AllTasks(job.uid)) {
        const std::string key = absl::StrCat(job.uid, "/", task.name);
        EXPECT_GE(task.epoch, epochs_[key]) << key;
        epochs_[key] = task.epoch;
        if (done_.contains(key)) {
          EXPECT_EQ(task.state, TaskState::kDone) << key;
        }
        if (task.state == TaskState::kDone) {
          done_.insert(key);
          ++done;
        }
        if (task.state == TaskState::kLeased) {
          EXPECT_GT(task.lease_deadline, absl::InfinitePast()) << key;
          EXPECT_FALSE(IsTerminal(job.state)) << key;
        }
      }
      EXPECT_EQ(job.tasks_done, done) << name;
    }
  }

  // Workers that do what they should, until every job has ended.
  void Drain() {
    workers_.clear();
    for (int i = 0; i < 3; ++i) AddWorker();
    for (int round = 0; round < 2000 && !AllEnded(); ++round) {
      world_.clock().Advance(absl::Seconds(1));
      world_.system().Maintain();
      for (FakeWorker& worker : workers_) {
        if (!worker.busy()) {
          Taken(worker.Idle(world_.system()), worker);
        } else if (worker.UploadFiles(world_.system()).ok()) {
          Complete(worker);
        }
      }
    }
    Check();
  }

  bool AllEnded() {
    for (const std::string& name : jobs_) {
      if (!IsTerminal(world_.Record(name).state)) return false;
    }
    return true;
  }

  void CheckEnd() {
    EXPECT_TRUE(AllEnded());
    faults_.set_active(false);
    world_.Restart();
    std::set<std::string> named;
    for (const std::string& name : jobs_) {
      const v1::QuantizationJob job = world_.Get(name);
      const std::vector<FileRecord> files = world_.Files(name);
      world_.Events(name);  // Checks that the sequence has no holes.
      if (job.state() != v1::QuantizationJob::SUCCEEDED) {
        EXPECT_TRUE(files.empty()) << name;
        continue;
      }
      ++succeeded_;
      CheckFiles(job, files, named);
    }
    const std::vector<std::string> keys = world_.BlobKeys();
    EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), named) << "orphan or missing blobs";
  }

  void CheckFiles(const v1::QuantizationJob& job, const std::vector<FileRecord>& files,
                  std::set<std::string>& named) {
    std::set<std::string> missing = {"config.json",    kIndexFile,  "tokenizer.json",
                                     kUnquantizedFile, "README.md", kManifestFile,
                                     kReportFile};
    for (int block = 0; block < job.model().blocks(); ++block) missing.insert(BlockFileName(block));
    if (job.spec().has_twla()) missing.insert("tern-activation-bits.svg");
    int64_t index = 0;
    for (const FileRecord& file : files) {
      named.insert(file.blob_key);
      EXPECT_EQ(file.index, ++index);
      EXPECT_EQ(missing.erase(file.path), 1U) << file.path;
      const std::string content = world_.BlobContent(file.blob_key);
      EXPECT_EQ(Sha256Hex(content), file.sha256) << file.path;
      if (file.path == kManifestFile || file.path == "README.md") {
        // Of an equal spec, whatever happened on the way.
        const std::string key =
            absl::StrCat(job.spec().shards(), job.spec().has_evaluation(), job.spec().has_twla());
        const auto [it, is_new] = contents_.try_emplace(absl::StrCat(file.path, key), content);
        EXPECT_EQ(it->second, content);
      }
    }
    EXPECT_TRUE(missing.empty()) << job.name() << " lacks " << *missing.begin();
  }

  std::mt19937_64 random_;
  Faults faults_{random_};
  JobWorld world_;
  int workers_made_ = 0;
  std::vector<FakeWorker> workers_;
  std::map<std::string, std::string> supervisors_;
  std::vector<FakeWorker> late_;
  std::vector<std::string> jobs_;
  std::map<std::pair<std::string, int64_t>, std::string> holders_;
  std::map<std::string, JobState> ended_;
  std::map<std::string, int64_t> epochs_;
  std::set<std::string> done_;
  std::map<std::string, std::string> contents_;
  int restarts_ = 0;
  int succeeded_ = 0;

 public:
  int restarts() const { return restarts_; }
  int succeeded() const { return succeeded_; }
};

TEST(SchedulerChaosTest, EveryJobEndsAndEveryPromiseHolds) {
  int64_t seeds = 6;
  if (const char* const wanted = std::getenv("TERN_CHAOS_SEEDS")) {
    ASSERT_TRUE(absl::SimpleAtoi(wanted, &seeds));
  }
  int restarts = 0;
  int succeeded = 0;
  for (int64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Chaos chaos(static_cast<uint64_t>(seed));
    chaos.Run(400);
    restarts += chaos.restarts();
    succeeded += chaos.succeeded();
  }
  // The simulation is of use only if things went wrong and jobs went through nevertheless.
  EXPECT_GT(restarts, seeds);
  EXPECT_GT(succeeded, seeds);
}

}  // namespace
}  // namespace tern
