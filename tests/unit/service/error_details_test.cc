#include "proto/service/error_details.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "proto/service/rpc_status.h"

namespace tern {
namespace {

template <typename Detail>
Detail DetailOf(const google::rpc::Status& status) {
  Detail found;
  for (const auto& detail : status.details()) {
    if (detail.Is<Detail>()) detail.UnpackTo(&found);
  }
  return found;
}

TEST(ErrorDetailsTest, InvalidFieldNamesTheFieldInMessageAndDetails) {
  const absl::Status status = InvalidField("spec.shards", "must be at least 1, got -2");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "spec.shards: must be at least 1, got -2");

  const google::rpc::BadRequest request = DetailOf<google::rpc::BadRequest>(ToProto(status));
  ASSERT_EQ(request.field_violations_size(), 1);
  EXPECT_EQ(request.field_violations(0).field(), "spec.shards");
  EXPECT_EQ(request.field_violations(0).description(), "must be at least 1, got -2");
}

TEST(ErrorDetailsTest, TheFirstReasonStays) {
  absl::Status status = WithReason(absl::NotFoundError("no such job"), "JOB_NOT_FOUND");
  status = WithReason(status, "SOMETHING_ELSE");
  EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND");
}

TEST(ErrorDetailsTest, EveryErrorOnTheWireHasAnErrorInfo) {
  const google::rpc::ErrorInfo info =
      DetailOf<google::rpc::ErrorInfo>(ToProto(absl::UnavailableError("draining")));
  EXPECT_EQ(info.reason(), "UNAVAILABLE");
  EXPECT_EQ(info.domain(), "tern");
}

TEST(ErrorDetailsTest, CodeMessageAndDetailsSurviveGrpc) {
  const absl::Status status = WithReason(absl::OutOfRangeError("events before 7 are gone"),
                                         "EVENTS_COMPACTED", {{"oldest_sequence", "7"}});
  const grpc::Status wire = ToGrpcStatus(status);
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  const absl::Status back = FromGrpcStatus(wire);
  EXPECT_EQ(back, status);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(ToProto(back)).metadata().at("oldest_sequence"), "7");
}

TEST(ErrorDetailsTest, OkStaysOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
  EXPECT_TRUE(WithReason(absl::OkStatus(), "ANY").ok());
}

TEST(ErrorDetailsTest, LongMessagesAreCutSoThatGrpcCarriesThem) {
  std::string message;
  for (int i = 0; i < 4000; ++i) message += "\u00E8";
  const grpc::Status wire = ToGrpcStatus(InvalidField("quantization_job.spec.model", message));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  // gRPC writes each byte of the message as three, and three bytes of the details as four; of all
  // metadata it takes 8 KiB.
  EXPECT_LT(3 * wire.error_message().size() + wire.error_details().size() * 4 / 3, 7000U);
  const absl::Status back = FromGrpcStatus(wire);
  EXPECT_EQ(ReasonOf(back), "INVALID_FIELD");
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(ToProto(back)).field_violations_size(), 1);
}

TEST(ErrorDetailsTest, BytesThatAreNotUtf8DoNotKeepAnErrorFromBeingRead) {
  const absl::Status status = InvalidField("spec.model", "mod\xE8le is missing");
  google::rpc::Status read;
  ASSERT_TRUE(read.ParseFromString(ToProto(status).SerializeAsString()));
  EXPECT_EQ(read.message(), "spec.model: mod\xEF\xBF\xBDle is missing");
  EXPECT_EQ(DetailOf<google::rpc::BadRequest>(read).field_violations(0).description(),
            "mod\xEF\xBF\xBDle is missing");
}

}  // namespace
}  // namespace tern
