// SPDX-License-Identifier: Apache-2.0
#include "server/admin_client.h"

#include <gtest/gtest.h>

namespace muster::server {
namespace {

TEST(AdminClient, TableIsAlignedAndShowsNoControlCharacters) {
  const json::array clients{json::object{{"clientId", "gateway-1"},
                                         {"connected", true},
                                         {"since", "2026-01-01T00:00:00Z"},
                                         {"protocol", "5.0"},
                                         {"listener", "device"},
                                         {"address", "10.0.0.7"},
                                         {"principal", "0123456789abcdef"},
                                         {"subscriptions", 2},
                                         {"inflight", 0},
                                         {"queued", 0},
                                         {"dropped", 0}},
                            json::object{{"clientId", "\x1b[2Jt\u00fcr\u0085"},
                                         {"connected", false},
                                         {"protocol", "3.1.1"},
                                         {"principal", ""},
                                         {"subscriptions", 1},
                                         {"inflight", 0},
                                         {"queued", 12},
                                         {"dropped", 3}}};
  EXPECT_EQ(
      clients_table(clients),
      "CLIENT       STATE   SINCE                 MQTT   LISTENER  ADDRESS   PRINCIPAL      SUBS  INFLIGHT  "
      "QUEUED  DROPPED\n"
      "gateway-1    online  2026-01-01T00:00:00Z  5.0    device    10.0.0.7  0123456789ab~  2     0         "
      "0       0\n"
      "\\x1b[2Jt\u00fcr?  away    -                     3.1.1  -         -         -              1     0         "
      "12      3\n"
      "2 clients\n");
}

TEST(AdminClient, RefusesOtherWords) {
  auto data = DataDir::open(::testing::TempDir() + "/admin_client");
  ASSERT_TRUE(data);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"clients", "x"}, {"client"}, {"disconnect"}, {"sessions"}}) {
    EXPECT_EQ(run_mqtt_words(*data, words).error().message, "muster mqtt takes: clients, client ID, disconnect ID");
  }
  EXPECT_EQ(run_mqtt_words(*data, {"clients"}).error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace muster::server
