#include <gtest/gtest.h>

#include "client/format_values.h"
#include "client/text_table.h"

namespace tern {
namespace {

TEST(FormatValuesTest, DurationsNameTheirTwoLargestUnits) {
  EXPECT_EQ(DurationText(absl::Milliseconds(1240)), "1.2s");
  EXPECT_EQ(DurationText(absl::Milliseconds(9940)), "9.9s");
  EXPECT_EQ(DurationText(absl::Milliseconds(9960)), "10s");
  EXPECT_EQ(DurationText(absl::Seconds(80)), "1m20s");
  EXPECT_EQ(DurationText(absl::Seconds(3600 + 300)), "1h05m");
  EXPECT_EQ(DurationText(absl::Hours(76)), "3d04h");
  EXPECT_EQ(DurationText(absl::Seconds(-3)), "0.0s");
}

TEST(FormatValuesTest, BytesAreInDecimalUnits) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(1000), "1.0 kB");
  EXPECT_EQ(BytesText(999'999), "1.0 MB");
  EXPECT_EQ(BytesText(4'123'456'789), "4.1 GB");
}

TEST(FormatValuesTest, CountsOfWeights) {
  EXPECT_EQ(CountText(512), "512");
  EXPECT_EQ(CountText(1'980'000), "2.0 M");
}

TEST(FormatValuesTest, FourSignificantDigits) {
  EXPECT_EQ(SignificantText(0.0123456), "0.01235");
  EXPECT_EQ(SignificantText(146.66), "146.7");
}

TEST(TextTableTest, ColumnsAreAsWideAsTheirWidestCell) {
  TextTable table({"NAME", ">SIZE", "NOTE"});
  table.Add({"a", "1", ""});
  table.Add({"longer", "12345", "x"});
  EXPECT_EQ(table.Text(),
            "NAME     SIZE  NOTE\n"
            "a           1\n"
            "longer  12345  x\n");
}

}  // namespace
}  // namespace tern
