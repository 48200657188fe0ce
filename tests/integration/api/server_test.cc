#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "tests/integration/api/test_server.h"

// Health and reflection have no C++ headers here, so the tests speak their bytes.

namespace tern {
namespace {

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The answer to a unary call whose request is empty.
std::string HealthOf(TestServer& server) {
  grpc::GenericStub stub(server.Connect());
  grpc::ClientContext context;
  SetTestDeadline(context);
  const grpc::ByteBuffer request = ToBuffer("");
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  const grpc::Status status = done.get_future().get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  return ToString(response);
}

// Asks reflection for one thing and keeps the answer.
class ReflectionCall : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ReflectionCall(TestServer& server, const std::string& request)
      : stub_(server.Connect()), request_(ToBuffer(request)) {
    SetTestDeadline(context_);
    stub_.PrepareBidiStreamingCall(&context_,
                                   "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                   grpc::StubOptions(), this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }

  void OnDone(const grpc::Status& status) override { done_.set_value(status.ok()); }

  std::string Answer() {
    EXPECT_TRUE(done_.get_future().get());
    return ToString(response_);
  }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  std::promise<bool> done_;
};

// HealthCheckResponse.status as the wire has it.
constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";

TEST(ServerTest, IsHealthyUntilItDrains) {
  TestServer server;
  EXPECT_EQ(HealthOf(server), kServing);
  EXPECT_TRUE(server.api().serving());
  server.api().Drain();
  EXPECT_EQ(HealthOf(server), kNotServing);
  EXPECT_FALSE(server.api().serving());
}

TEST(ServerTest, ReflectionListsTheServices) {
  TestServer server;
  // ServerReflectionRequest { list_services: "" }
  ReflectionCall call(server, std::string("\x3a\x00", 2));
  const std::string answer = call.Answer();
  EXPECT_TRUE(absl::StrContains(answer, "tern.v1.QuantizationService"));
  EXPECT_TRUE(absl::StrContains(answer, "tern.worker.v1.WorkerService"));
  EXPECT_TRUE(absl::StrContains(answer, "grpc.health.v1.Health"));
}

TEST(ServerTest, ReflectionKnowsTheMessages) {
  TestServer server;
  // ServerReflectionRequest { file_containing_symbol }
  const std::string symbol = "tern.v1.QuantizationJob";
  ReflectionCall call(server, std::string("\x22") + static_cast<char>(symbol.size()) + symbol);
  EXPECT_TRUE(absl::StrContains(call.Answer(), "QuantizationSpec"));
}

TEST(ServerTest, AnAddressInUseIsSaidClearly) {
  TestServer server;
  const absl::Status status = server.StartAnotherAt(server.address());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), server.address())) << status;
}

}  // namespace
}  // namespace tern
