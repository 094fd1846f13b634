// SPDX-License-Identifier: Apache-2.0
// PROGRAM run|die HOST PORT VERSION PREFIX [CA CERTIFICATE KEY]: prints "ok SCENARIO" or "FAIL SCENARIO: reason" a
// line.
#include "scenarios.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <set>

namespace interop {
namespace {

using Ptr = std::unique_ptr<Client>;

void expect(bool holds, const std::string& what) {
  if (!holds) throw Failure(what);
}

struct World {
  Broker broker;
  std::string prefix, scenario;
  std::vector<std::string> arguments;  // of this program, to start it again

  Ptr client(const std::string& name, bool clean = true, bool present = false) const {
    Ptr made = make_client(broker);
    const std::optional<bool> kept =
        made->connect({.id = id(name), .clean = clean, .expiry_s = clean ? 0u : 60u, .will = {}});
    expect(!kept || kept == present, "session present of " + name + " is " + (present ? "0" : "1"));
    return made;
  }
  std::string id(const std::string& name) const {
    return prefix.substr(prefix.rfind('/') + 1) + "-" + scenario + "-" + name;
  }
  std::string topic(const std::string& name) const { return prefix + "/" + scenario + "/" + name; }
};

void subscribe(Client& client, const std::string& filter, int qos, Filter how = {}) {
  how.qos = qos;
  const int granted = client.subscribe(filter, how);
  expect(granted == qos, "asked QoS " + std::to_string(qos) + " of " + filter + ", granted " + std::to_string(granted));
}

void expect_message(Client& client, const std::string& topic, const std::string& payload, int qos,
                    bool retain = false) {
  const Message got = client.receive();
  expect(got.topic == topic, "received topic " + got.topic + " instead of " + topic);
  expect(got.payload == payload, "received another payload of " + std::to_string(got.payload.size()) + " bytes");
  expect(got.qos == qos, "received QoS " + std::to_string(got.qos) + " instead of " + std::to_string(qos));
  expect(got.retain == retain, std::string("received with retain ") + (got.retain ? "1" : "0"));
}

void connects(const World& world) {
  Ptr a = world.client("connect");
  a->publish({.topic = world.topic("connect"), .payload = "x"});
  a->disconnect();
}

void delivers(const World& world, int qos) {
  const std::string topic = world.topic("qos" + std::to_string(qos));
  Ptr a = world.client("qos-a"), b = world.client("qos-b");
  subscribe(*a, topic, qos);
  for (const char* payload : {"one", "", "three"}) b->publish({.topic = topic, .payload = payload, .qos = qos});
  for (const char* payload : {"one", "", "three"}) expect_message(*a, topic, payload, qos);
  b->disconnect();
  a->disconnect();
}

void lowers_quality(const World& world, int highest) {
  Ptr a = world.client("lower");
  for (int asked = 0; asked <= highest; ++asked) {
    const std::string topic = world.topic("lower" + std::to_string(asked));
    subscribe(*a, topic, asked);
    for (int sent = 0; sent <= highest; ++sent) {
      a->publish({.topic = topic, .payload = std::to_string(sent), .qos = sent});
      expect_message(*a, topic, std::to_string(sent), std::min(asked, sent));
    }
  }
  a->disconnect();
}

void retains(const World& world) {
  const std::string topic = world.topic("kept"), fence = world.topic("fence");
  Ptr a = world.client("retain-a"), b = world.client("retain-b");
  b->publish({.topic = topic, .payload = "old", .qos = 1, .retain = true});
  b->publish({.topic = topic, .payload = "kept", .qos = 1, .retain = true});
  subscribe(*a, topic, 1);
  expect_message(*a, topic, "kept", 1, true);
  b->publish({.topic = topic, .payload = "live", .qos = 1, .retain = true});
  expect_message(*a, topic, "live", 1);
  b->publish({.topic = topic, .payload = "", .qos = 1, .retain = true});
  expect_message(*a, topic, "", 1);
  a->disconnect();
  Ptr c = world.client("retain-c");
  subscribe(*c, topic, 1);
  subscribe(*c, fence, 1);
  b->publish({.topic = fence, .payload = "x"});
  expect_message(*c, fence, "x", 1);
  c->disconnect();
  b->disconnect();
}

void matches_wildcards(const World& world) {
  Ptr plus = world.client("plus"), hash = world.client("hash"), b = world.client("wild");
  subscribe(*plus, world.topic("w/+/temp"), 1);
  subscribe(*hash, world.topic("w/site/#"), 1);
  for (const char* name : {"w/site", "w/a/temp", "w/a/temp/deep", "w/temp", "w/site/temp", "w//temp", "w/site/a/b/c",
                           "w/sites", "w/z/temp", "w/site/z"}) {
    b->publish({.topic = world.topic(name), .payload = name});
  }
  for (const char* name : {"w/a/temp", "w/site/temp", "w//temp", "w/z/temp"})
    expect_message(*plus, world.topic(name), name, 1);
  for (const char* name : {"w/site", "w/site/temp", "w/site/a/b/c", "w/site/z"})
    expect_message(*hash, world.topic(name), name, 1);
  for (const Ptr& each : {std::ref(plus), std::ref(hash), std::ref(b)}) each->disconnect();
}

void unsubscribes(const World& world) {
  const std::string topic = world.topic("off"), fence = world.topic("on");
  Ptr a = world.client("unsubscribe");
  subscribe(*a, topic, 1);
  subscribe(*a, fence, 1);
  a->unsubscribe(topic);
  a->publish({.topic = topic, .payload = "no"});
  a->publish({.topic = fence, .payload = "yes"});
  expect_message(*a, fence, "yes", 1);
  a->disconnect();
}

void carries_large(const World& world, int highest) {
  std::string payload(100 * 1024, '\0');
  for (std::size_t at = 0; at < payload.size(); ++at) payload[at] = static_cast<char>(at * 31 + (at >> 8));
  const std::string topic = world.topic("large");
  Ptr a = world.client("large");
  subscribe(*a, topic, highest);
  for (int qos = 0; qos <= highest; ++qos) {
    a->publish({.topic = topic, .payload = payload, .qos = qos});
    expect_message(*a, topic, payload, qos);
  }
  a->disconnect();
}

void keeps_order(const World& world, int qos) {
  constexpr int kCount = 150;
  const std::string topic = world.topic("burst" + std::to_string(qos));
  Ptr a = world.client("burst-a"), b = world.client("burst-b");
  subscribe(*a, topic, qos);
  std::vector<int> tokens;
  for (int number = 0; number < kCount; ++number)
    tokens.push_back(b->begin_publish({.topic = topic, .payload = std::to_string(number), .qos = qos}));
  for (const int token : tokens) b->finish_publish(token);
  for (int number = 0; number < kCount; ++number) expect_message(*a, topic, std::to_string(number), qos);
  b->disconnect();
  a->disconnect();
}

void keeps_session(const World& world, int qos) {
  const std::string name = "session" + std::to_string(qos);
  Ptr a = world.client(name, false);
  subscribe(*a, world.topic(name + "/+"), qos);
  a->disconnect();
  Ptr b = world.client(name + "-b");
  for (const char* each : {"/1", "/2", "/3"})
    b->publish({.topic = world.topic(name + each), .payload = each, .qos = qos});
  b->disconnect();
  a = world.client(name, false, true);
  for (const char* each : {"/1", "/2", "/3"}) expect_message(*a, world.topic(name + each), each, qos);
  a->publish({.topic = world.topic(name + "/4"), .payload = "live", .qos = qos});
  expect_message(*a, world.topic(name + "/4"), "live", qos);
  a->disconnect();
  a = world.client(name);
  a->disconnect();
  a = world.client(name, false, false);
  a->disconnect();
  world.client(name)->disconnect();
}

// A process of its own, since it must end without DISCONNECT: kill -9 leaves a library no last word.
void leaves_will(const World& world) {
  Ptr a = world.client("will-a");
  subscribe(*a, world.topic("will/#"), 1);
  int pipe_ends[2];
  expect(pipe(pipe_ends) == 0, "pipe");
  const pid_t child = fork();
  expect(child >= 0, "fork");
  if (child == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    std::vector<std::string> words = world.arguments;
    words[1] = "die";
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    execv("/proc/self/exe", pointers.data());
    _exit(1);
  }
  close(pipe_ends[1]);
  char byte = 0;
  const bool started = read(pipe_ends[0], &byte, 1) == 1;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe_ends[0]);
  expect(started, "the client with a will did not connect");
  expect_message(*a, world.topic("will/gone"), "gone", 1);
  // DISCONNECT takes the will back.
  Ptr polite = make_client(world.broker);
  polite->connect({.id = world.id("polite"),
                   .clean = true,
                   .expiry_s = 0,
                   .will = {.topic = world.topic("will/polite"), .payload = "no"}});
  polite->disconnect();
  a->publish({.topic = world.topic("will/after"), .payload = "x"});
  expect_message(*a, world.topic("will/after"), "x", 1);
  a->disconnect();
}

void die(const World& world) {
  Ptr client = make_client(world.broker);
  client->connect({.id = world.id("dying"),
                   .clean = true,
                   .expiry_s = 0,
                   .will = {.topic = world.topic("will/gone"), .payload = "gone", .qos = 1}});
  std::puts("c");
  std::fflush(stdout);
  while (true) pause();
}

void is_taken_over(const World& world) {
  Ptr first = world.client("twin"), second = world.client("twin");
  first->await_loss();
  subscribe(*second, world.topic("twin"), 1);
  second->publish({.topic = world.topic("twin"), .payload = "here"});
  expect_message(*second, world.topic("twin"), "here", 1);
  second->disconnect();
}

void shares(const World& world) {
  const std::string topic = world.topic("shared"), filter = "$share/" + world.id("group") + "/" + topic;
  Ptr one = world.client("share-1"), two = world.client("share-2"), all = world.client("share-3");
  subscribe(*one, filter, 1);
  subscribe(*two, filter, 1);
  subscribe(*all, topic, 1);
  std::set<std::string> missing;
  for (int number = 0; number < 20; ++number) {
    all->publish({.topic = topic, .payload = std::to_string(number)});
    missing.insert(std::to_string(number));
  }
  for (int number = 0; number < 20; ++number) expect_message(*all, topic, std::to_string(number), 1);
  // A message for each member by another way comes after what it got as a member.
  for (Client* member : {one.get(), two.get()}) subscribe(*member, world.topic("fence"), 1);
  all->publish({.topic = world.topic("fence"), .payload = "end"});
  for (Client* member : {one.get(), two.get()}) {
    int count = 0;
    for (Message got = member->receive(); got.payload != "end"; got = member->receive(), ++count)
      expect(missing.erase(got.payload) == 1, "member received " + got.payload + " a second time");
    expect(count > 0, "a member of two received nothing of 20 messages");
  }
  expect(missing.empty(), std::to_string(missing.size()) + " of 20 messages reached no member");
  for (const Ptr& each : {std::ref(one), std::ref(two), std::ref(all)}) each->disconnect();
}

void passes_properties(const World& world) {
  const std::string topic = world.topic("properties");
  Ptr a = world.client("properties");
  subscribe(*a, topic, 1);
  a->publish({.topic = topic,
              .payload = "x",
              .qos = 1,
              .retain = false,
              .content_type = "text/plain",
              .response_topic = world.topic("answer"),
              .correlation = std::string("\x00\xff id", 5),
              .user = {{"colour", "red"}, {"colour", "blue"}, {"ключ", "значение"}}});
  const Message got = a->receive();
  expect(got.content_type == "text/plain", "content type " + got.content_type);
  expect(got.response_topic == world.topic("answer"), "response topic " + got.response_topic);
  expect(got.correlation == std::string("\x00\xff id", 5), "correlation data");
  expect(got.user.size() == 3 && got.user[1].second == "blue" && got.user[2].first == "ключ", "user properties");
  a->disconnect();
}

void honours_options(const World& world) {
  const std::string own = world.topic("own"), kept = world.topic("kept5"), fence = world.topic("fence5");
  Ptr a = world.client("options-a"), b = world.client("options-b");
  subscribe(*a, own, 1, {.no_local = true});
  a->publish({.topic = own, .payload = "mine"});
  b->publish({.topic = own, .payload = "theirs"});
  expect_message(*a, own, "theirs", 1);
  b->publish({.topic = kept, .payload = "kept", .qos = 1, .retain = true});
  subscribe(*a, kept, 1, {.retain_handling = 2});  // none at SUBSCRIBE
  subscribe(*a, fence, 1);
  a->publish({.topic = fence, .payload = "1"});
  expect_message(*a, fence, "1", 1);
  subscribe(*a, kept, 1, {.retain_as_published = true, .retain_handling = 1});  // not new: none
  a->publish({.topic = fence, .payload = "2"});
  expect_message(*a, fence, "2", 1);
  b->publish({.topic = kept, .payload = "again", .qos = 1, .retain = true});
  expect_message(*a, kept, "again", 1, true);
  b->publish({.topic = kept, .payload = "", .qos = 1, .retain = true});
  b->disconnect();
  a->disconnect();
}

using Run = std::function<void(const World&)>;

Run with(void (*scenario)(const World&, int), int number) {
  return [=](const World& world) { scenario(world, number); };
}

const std::vector<std::pair<const char*, Run>> kScenarios = {
    {"connect", connects},
    {"qos0", with(delivers, 0)},
    {"qos1", with(delivers, 1)},
    {"qos2", with(delivers, 2)},
    {"lower_qos", with(lowers_quality, 1)},
    {"lower_qos2", with(lowers_quality, 2)},
    {"retained", retains},
    {"wildcards", matches_wildcards},
    {"unsubscribe", unsubscribes},
    {"large", with(carries_large, 1)},
    {"large_qos2", with(carries_large, 2)},
    {"burst_qos1", with(keeps_order, 1)},
    {"burst_qos2", with(keeps_order, 2)},
    {"session_qos1", with(keeps_session, 1)},
    {"session_qos2", with(keeps_session, 2)},
    {"will", leaves_will},
    {"takeover", is_taken_over},
};
const std::vector<std::pair<const char*, Run>> kScenarios5 = {
    {"shared", shares},
    {"properties", passes_properties},
    {"options", honours_options},
};

// Each scenario has a process of its own, all at once: Paho C looks at a new connection beside another one only every
// other second.
pid_t start(const char* name, const Run& scenario, World world) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(50);
  world.scenario = name;
  try {
    scenario(world);
    std::printf("ok %s\n", name);
  } catch (const std::exception& error) {
    std::printf("FAIL %s: %s\n", name, error.what());
  }
  std::fflush(stdout);
  _exit(0);
}

int run(const World& world) {
  auto scenarios = kScenarios;
  if (world.broker.v5()) scenarios.insert(scenarios.end(), kScenarios5.begin(), kScenarios5.end());
  std::vector<std::pair<const char*, pid_t>> started;
  for (const auto& [name, scenario] : scenarios) started.emplace_back(name, start(name, scenario, world));
  for (const auto& [name, child] : started) {
    int status = 0;
    waitpid(child, &status, 0);
    if (child < 0 || status != 0) std::printf("FAIL %s: its process ended with status %d\n", name, status);
  }
  return 0;
}

}  // namespace

void Answers::give(int id, int answer) {
  const std::lock_guard lock(mutex_);
  given_[id] = answer;
  changed_.notify_all();
}

int Answers::await(int id, const char* what) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [&] { return given_.contains(id); }))
    throw Failure(std::string("no answer to ") + what);
  const int answer = given_[id];
  given_.erase(id);
  return answer;
}

Message Client::receive() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [&] { return !inbox_.empty() || lost_; }) || inbox_.empty())
    throw Failure(lost_ ? "the connection was lost" : "no message came");
  Message message = std::move(inbox_.front());
  inbox_.pop_front();
  return message;
}

void Client::await_loss() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [&] { return lost_; })) throw Failure("the connection was not ended");
}

void Client::arrived(Message message) {
  const std::lock_guard lock(mutex_);
  inbox_.push_back(std::move(message));
  changed_.notify_all();
}

void Client::lost() {
  const std::lock_guard lock(mutex_);
  lost_ = true;
  changed_.notify_all();
}

}  // namespace interop

int main(int count, char** words) {
  interop::World world;
  world.arguments.assign(words, words + count);
  const auto& given = world.arguments;
  if (count != 6 && count != 9) {
    std::fprintf(stderr, "usage: %s run|die HOST PORT VERSION PREFIX [CA CERTIFICATE KEY]\n", words[0]);
    return 2;
  }
  world.broker.host = given[2];
  world.broker.port = std::stoi(given[3]);
  world.broker.version = std::stoi(given[4]);
  world.prefix = given[5];
  if (count == 9) {
    world.broker.ca = given[6];
    world.broker.certificate = given[7];
    world.broker.key = given[8];
  }
  if (given[1] == "die") {
    world.scenario = "will";
    interop::die(world);
  }
  return interop::run(world);
}
