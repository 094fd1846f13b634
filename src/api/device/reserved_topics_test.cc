// SPDX-License-Identifier: Apache-2.0
#include "api/device/reserved_topics.h"

#include <gtest/gtest.h>

namespace muster::api::device {
namespace {

TEST(ReservedTopics, FiltersThatCanMatchWhatIsServed) {
  for (const char* filter : {"a/b",
                             "#",
                             "+/x",
                             "$aws/#",
                             "$aws/events/#",
                             "$aws/events/presence/+/gateway-1",
                             "$aws/events/presence/connected/a/b",
                             "$aws/events/subscriptions/#",
                             "$aws/things/t/jobs/#",
                             "$aws/things/#",
                             "$aws/things/t/jobs/notify",
                             "$aws/things/t/jobs/notify-next",
                             "$aws/things/t/jobs/$next/get/accepted",
                             "$aws/things/t/jobs/+/update/+",
                             "$aws/things/+/+/notify",
                             "$aws/things/t/#",
                             "$share/g/a/#",
                             "$share/g/$aws/things/t/jobs/notify",
                             "$aws/things/t/jobs/get/+",
                             "$aws/things/t/jobs/notify-namespace-n",
                             "$aws/things/t/jobs/notify-next-namespace-aws-gg-deployment",
                             "$aws/things/t/jobs/$next/namespace-n/get/accepted",
                             "$aws/things/t/jobs/+/namespace-n/update/+",
                             "$aws/things/t/shadow/update/accepted",
                             "$aws/things/t/shadow/#",
                             "$aws/things/+/shadow/update/+",
                             "$aws/things/t/shadow/update/documents",
                             "$aws/things/t/shadow/name/n/get/+",
                             "$aws/things/t/shadow/name/+/update/delta",
                             "$share/g/$aws/things/t/shadow/#",
                             "$aws/certificates/create/json/accepted",
                             "$aws/certificates/create-from-csr/+/rejected",
                             "$aws/provisioning-templates/t/provision/json/accepted",
                             "$aws/provisioning-templates/t/provision/cbor/+",
                             "$aws/events/certificates/registered/+",
                             "$aws/events/job/#",
                             "$aws/events/job/j/completed",
                             "$aws/events/job/+/cancellation_in_progress",
                             "$aws/events/jobExecution/+/+",
                             "$aws/events/jobExecution/j/timed_out"}) {
    EXPECT_TRUE(is_served_filter(filter, false)) << filter;
  }
}

TEST(ReservedTopics, FiltersOfWhatIsNotServedAreRefused) {
  for (const char* filter : {"$aws/things/t/shadow/update",
                             "$aws/things/t/shadow/get/delta",
                             "$aws/things/t/shadow/name/n/update",
                             "$aws/things/t/shadow/name/n/get/documents",
                             "$aws/things/t/shadow/names/n/get/accepted",
                             "$aws/rules/r/x",
                             "$aws/provisioning-templates/t/provision/xml/accepted",
                             "$aws/provisioning-templates/t/provision/json",
                             "$aws/certificates/create/json",
                             "$aws/certificates/renew/json/accepted",
                             "$aws/things/t/tunnels/notify",
                             "$aws/things/t/streams/s/data/json",
                             "$aws/events/thing/t/created",
                             "$aws/events/job/j/created",
                             "$aws/events/jobExecution/j/queued",
                             "$aws/events/thingGroup/g/created",
                             "$aws/things/t/defender/metrics/json/accepted",
                             "$SYS/#",
                             "$SYS/broker/version",
                             "$other",
                             "$",
                             "$aws",
                             "$aws/things/t/jobs/get",
                             "$aws/things/t/jobs/notify/x",
                             "$aws/things/t/jobs/notify-namespace-",
                             "$aws/things/t/jobs/notify-other-n",
                             "$aws/things/t/jobs/j/namespace-n/start/accepted",
                             "$aws/things/t/jobs/j/namespace-/get/accepted",
                             "$share/g/$SYS/#",
                             "$share/g/$aws/things/t/shadow/get",
                             "$aws/things/t/jobs/j/unknown/accepted"}) {
    EXPECT_FALSE(is_served_filter(filter, false)) << filter;
  }
  EXPECT_TRUE(is_served_filter("$SYS/#", true));
  EXPECT_TRUE(is_served_filter("$SYS/broker/clients/+", true));
  EXPECT_FALSE(is_served_filter("$SYS/other/#", true));
}

}  // namespace
}  // namespace muster::api::device
