// SPDX-License-Identifier: Apache-2.0
// Subscriptions: who wants a topic. A trie by topic level whose edges live in one open-addressed table, so that
// matching allocates nothing, hashes each level once a branch and visits each node at most once. Owned by the Hub and
// guarded by its lock; version() alone may be read without. A Subscription belongs to its session and is linked here,
// so that removal is constant time also under a filter that thousands of clients share. Filters come in validated
// (codec/topics) and bounded in depth (kMaxFilterLevels), which bounds recursion. MQTT 5 section 4.7: '#' also matches
// its parent level; a filter that begins with a wildcard does not match a topic that begins with '$'. Shared
// subscriptions (section 4.8.2, and for 3.1.1 clients too) are groups at the node of their filter.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::mqtt {

struct Session;
struct ShareGroup;

inline constexpr std::size_t kMaxFilterLevels = 128;

// One filter of one session. Address stable while linked.
struct Subscription {
  Session* session = nullptr;
  ShareGroup* group = nullptr;   // of a shared subscription
  std::uint32_t identifier = 0;  // MQTT 5 subscription identifier, 0 = none
  std::uint8_t qos = 0;          // granted
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
  // Where it is linked; Subscriptions' own.
  std::uint32_t node = 0;
  std::uint32_t position = 0;
};

struct ShareGroup {
  std::string name;
  std::vector<Subscription*> members;
  mutable std::atomic<std::uint32_t> next{0};  // whose turn it is
};

class Subscriptions {
 public:
  Subscriptions();
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;

  // `filter` may be "$share/GROUP/FILTER".
  void link(std::string_view filter, Subscription& subscription);
  void unlink(Subscription& subscription);
  void changed() { ++version_; }  // options of a linked subscription are about to be others
  // Differs after every change: what was matched before may be kept while it does not.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  std::size_t size() const { return size_; }
  std::size_t nodes() const { return nodes_.size() - free_.size() - 1; }  // without the root

  using Groups = std::span<const std::unique_ptr<ShareGroup>>;
  // Calls visit(std::span<Subscription* const>, Groups) for each filter that matches and has subscribers; a session is
  // at most once in each span. `visit` must not link or unlink.
  template <class Visit>
  void match(std::string_view topic, Visit&& visit) const {
    const bool reserved = !topic.empty() && topic.front() == '$';
    walk(kRoot, topic, false, reserved, visit);
  }

 private:
  static constexpr std::uint32_t kNone = 0;  // the root is nobody's child
  static constexpr std::uint32_t kRoot = 0;

  struct Node {
    std::string level;
    std::uint64_t hash = 0;
    std::uint32_t parent = 0;
    std::uint32_t children = 0;
    std::uint32_t plus = kNone;   // child '+'
    std::uint32_t multi = kNone;  // child '#'
    std::vector<Subscription*> subscribers;
    std::vector<std::unique_ptr<ShareGroup>> groups;
  };

  template <class Visit>
  void visit_all(std::uint32_t index, Visit& visit) const {
    const Node& node = nodes_[index];
    if (node.subscribers.empty() && node.groups.empty()) return;
    visit(std::span<Subscription* const>(node.subscribers), Groups(node.groups));
  }

  // `ended`: the topic has no more levels. `reserved`: at the root of a '$' topic, where wildcards do not match.
  template <class Visit>
  void walk(std::uint32_t index, std::string_view rest, bool ended, bool reserved, Visit& visit) const {
    const Node& node = nodes_[index];
    if (node.multi != kNone && !reserved) visit_all(node.multi, visit);
    if (ended) {
      visit_all(index, visit);
      return;
    }
    if (node.children == 0) return;
    const std::size_t slash = rest.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view level = rest.substr(0, slash);
    const std::string_view below = last ? std::string_view{} : rest.substr(slash + 1);
    if (const std::uint32_t child = find_child(index, level); child != kNone) walk(child, below, last, false, visit);
    if (node.plus != kNone && !reserved) walk(node.plus, below, last, false, visit);
  }

  std::uint64_t hash_edge(std::uint32_t parent, std::string_view level) const;
  std::uint32_t find_child(std::uint32_t parent, std::string_view level) const;
  std::uint32_t make_child(std::uint32_t parent, std::string_view level);
  std::uint32_t make_path(std::string_view filter);
  std::uint32_t new_node(std::uint32_t parent, std::string_view level);
  static std::vector<Subscription*>& list_of(Node& node, const Subscription& subscription);
  void release(std::uint32_t index);  // and its ancestors, while they are empty
  void insert_edge(std::uint32_t index);
  void erase_edge(std::uint32_t index);
  void grow();

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> edges_;  // linear probing; kNone = empty slot
  std::size_t edge_count_ = 0;
  std::size_t size_ = 0;
  std::atomic<std::uint64_t> version_{1};
  std::uint64_t seed_;  // random: clients choose the levels, not the collisions
};

// Multiply-and-fold over eight bytes at a time, keyed: for tables whose keys clients choose.
std::uint64_t keyed_hash(std::uint64_t seed, std::string_view text);

}  // namespace muster::mqtt
