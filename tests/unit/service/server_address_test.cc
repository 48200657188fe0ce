#include "proto/service/server_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tern {
namespace {

using ::testing::HasSubstr;

std::string ServerAddressFault(const std::string& address) {
  return std::string(CheckServerAddress("--server", address).message());
}

TEST(ServerAddressTest, HostAndPortAreWhatIsExpected) {
  for (const char* const address :
       {"localhost:7070", "127.0.0.1:1", "tern.example.com:65535", "[::1]:7070", "[fe80::1%1]:7"}) {
    EXPECT_EQ(ServerAddressFault(address), "") << address;
  }
}

TEST(ServerAddressTest, SchemesOfGrpcHaveTheirOwnRules) {
  for (const char* const address :
       {"unix:/run/tern.sock", "unix:tern.sock", "unix:///run/tern.sock", "unix-abstract:tern",
        "dns:tern.example.com:7070", "dns:///tern.example.com", "dns://1.1.1.1/tern.example.com",
        "ipv4:127.0.0.1:7070", "ipv6:[::1]:7070", "vsock:2:7070", "xds:///tern"}) {
    EXPECT_EQ(ServerAddressFault(address), "") << address;
  }
}

TEST(ServerAddressTest, AMissingPortIsSaid) {
  EXPECT_EQ(ServerAddressFault("localhost"),
            "--server: \"localhost\" is not HOST:PORT: the port is missing");
  for (const char* const address : {"tern.example.com", "10.0.0.1", "[::1]"}) {
    EXPECT_THAT(ServerAddressFault(address), HasSubstr("the port is missing")) << address;
  }
}

TEST(ServerAddressTest, APortIsANumber) {
  for (const char* const address : {"host:", "host:http", "host:0", "host:65536", "host:-1"}) {
    EXPECT_THAT(ServerAddressFault(address), HasSubstr("a number from 1 to 65535")) << address;
  }
}

TEST(ServerAddressTest, AnIpv6AddressStandsInBrackets) {
  for (const char* const address : {"::1", "::1:7070", "fe80::1"}) {
    EXPECT_THAT(ServerAddressFault(address), HasSubstr("in brackets")) << address;
  }
  EXPECT_THAT(ServerAddressFault("[::1]7070"), HasSubstr("follows the bracket"));
}

TEST(ServerAddressTest, WhatElseIsNoAddress) {
  EXPECT_THAT(ServerAddressFault(":7070"), HasSubstr("the host is missing"));
  EXPECT_THAT(ServerAddressFault("host: 7070"), HasSubstr("the port is a number"));
  EXPECT_THAT(ServerAddressFault("host:7070\n"), HasSubstr("the port is a number"));
  EXPECT_THAT(ServerAddressFault("http://host:7070"), HasSubstr("before the host"));
  EXPECT_THAT(ServerAddressFault(""), HasSubstr("the port is missing"));
  EXPECT_THAT(ServerAddressFault("unix:"), HasSubstr("the port"));
}

}  // namespace
}  // namespace tern
