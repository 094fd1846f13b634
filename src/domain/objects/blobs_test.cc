// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/blobs.h"

#include "domain/objects/objects_test_support.h"

namespace muster::objects {
namespace {

using BlobsTest = ObjectsFixture;

TEST_F(BlobsTest, ReadsBackWhatWasPublished) {
  auto writer = *blobs->create();
  ASSERT_TRUE(writer->write("hello "));
  ASSERT_TRUE(writer->write("world"));
  EXPECT_FALSE(blobs->read(writer->id()));  // not yet
  ASSERT_TRUE(writer->publish());
  writer->settle();
  const auto reader = blobs->read(writer->id());
  ASSERT_TRUE(reader);
  EXPECT_EQ(*(*reader)->read(6, 100), "world");
  EXPECT_EQ(*(*reader)->read(4, 3), "o w");
  EXPECT_EQ(*(*reader)->read(11, 3), "");
  EXPECT_TRUE(files(true).empty());
}

TEST_F(BlobsTest, AbandonedWriterLeavesNothing) {
  {
    auto unpublished = *blobs->create();
    ASSERT_TRUE(unpublished->write("x"));
    auto published = publish("y");
  }
  EXPECT_TRUE(files(true).empty());
  EXPECT_TRUE(files(false).empty());
}

TEST_F(BlobsTest, DuplicateOutlivesItsOriginal) {
  auto original = publish("shared bytes");
  auto copy = *blobs->duplicate(original->id());
  EXPECT_NE(copy->id(), original->id());
  ASSERT_TRUE(copy->publish());
  copy->settle();
  original.reset();
  EXPECT_EQ(*(*blobs->read(copy->id()))->read(0, 100), "shared bytes");
  EXPECT_EQ(files(false).size(), 1u);
  EXPECT_FALSE(blobs->duplicate(std::string(32, '0')));
}

TEST_F(BlobsTest, OnlyOwnIdsAreOpened) {
  for (const char* id : {"", "../../etc/passwd", "zz", "00000000000000000000000000000000/../x"}) {
    EXPECT_FALSE(blobs->read(id)) << id;
  }
}

// A crash at each point of a blob's life: what recovery finds and leaves.
TEST_F(BlobsTest, RecoveryKeepsExactlyWhatARecordNames) {
  ASSERT_TRUE(make_bucket("bucket"));
  ASSERT_TRUE(put("bucket", "settled", "1"));
  auto writing = *blobs->create();  // 1: while writing
  ASSERT_TRUE(writing->write("half"));
  auto published = publish("orphan");  // 2: published, transaction not committed
  auto committed = publish("kept");    // 3: committed, not settled
  Object object;
  object.key = "unsettled";
  object.blob = committed->id();
  object.size = 4;
  ASSERT_TRUE(tx([&](store::Tx& t) { return put_object(t, "bucket", object); }));
  for (auto* writer : {&writing, &published, &committed}) {
    (*writer)->keep_for_recovery();  // the process dies: no destructor cleans up
    writer->reset();
  }
  std::ofstream(folder / "blobs" / "staging" / "stray.tmp") << "not ours";
  EXPECT_EQ(files(true).size(), 4u);

  blobs = *Blobs::open(folder.string() + "/blobs");
  const auto removed = blobs->recover(*store);
  ASSERT_TRUE(removed);
  EXPECT_EQ(*removed, 3u);
  EXPECT_TRUE(files(true).empty());
  EXPECT_EQ(files(false).size(), 2u);
  EXPECT_EQ(*read("bucket", "settled"), "1");
  EXPECT_EQ(*read("bucket", "unsettled"), "kept");
  EXPECT_EQ(*blobs->recover(*store), 0u);
}

TEST_F(BlobsTest, TransactionThatWasNotDurableLeavesAnOrphanThatRecoveryRemoves) {
  ASSERT_TRUE(make_bucket("bucket"));
  ASSERT_TRUE(put("bucket", "k", "old"));
  store::MemoryFaults faults;
  faults.sync_at_once = false;
  store->set_faults(faults);
  auto writer = publish("new");
  Object object;
  object.key = "k";
  object.blob = writer->id();
  object.size = 3;
  std::optional<Status> outcome;
  store->run(
      [&](store::Tx& t) -> Status {
        TRY_VOID(put_object(t, "bucket", object));
        return {};
      },
      [&](Status status) { outcome = std::move(status); });
  EXPECT_FALSE(outcome);  // not acknowledged
  store->crash();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error().kind, ErrorKind::kUnavailable);
  writer->keep_for_recovery();
  writer.reset();
  store->set_faults({});
  EXPECT_EQ(*blobs->recover(*store), 1u);
  EXPECT_EQ(*read("bucket", "k"), "old");
  EXPECT_EQ(garbage_rows(), 0u);
  EXPECT_EQ(files(false).size(), 1u);
}

TEST_F(BlobsTest, SweepRemovesOverwrittenAndDeletedBlobsAfterTheGrace) {
  ASSERT_TRUE(make_bucket("bucket"));
  ASSERT_TRUE(put("bucket", "a", "1"));
  ASSERT_TRUE(put("bucket", "b", "2"));
  const auto reader = blobs->read(get("bucket", "a")->blob);
  ASSERT_TRUE(put("bucket", "a", "3"));
  ASSERT_TRUE(store::run_blocking(*store, [](store::Tx& t) { return delete_object(t, "bucket", "b"); }));
  EXPECT_EQ(garbage_rows(), 2u);
  EXPECT_EQ(*blobs->sweep(*store, 1000), 0u);
  EXPECT_EQ(files(false).size(), 3u);
  clock.advance_ms(1000);
  EXPECT_EQ(*blobs->sweep(*store, 1000, 1), 1u);
  EXPECT_EQ(*blobs->sweep(*store, 1000), 1u);
  EXPECT_EQ(garbage_rows(), 0u);
  EXPECT_EQ(files(false).size(), 1u);
  EXPECT_EQ(*(*reader)->read(0, 10), "1");  // a reader that was faster goes on
  EXPECT_EQ(*read("bucket", "a"), "3");
}

TEST_F(BlobsTest, SweepThatDiedHalfwayIsFinishedByTheNext) {
  ASSERT_TRUE(make_bucket("bucket"));
  const auto first = put("bucket", "a", "1");
  ASSERT_TRUE(put("bucket", "a", "2"));
  const std::string& id = first->blob;
  std::filesystem::remove(folder / "blobs" / id.substr(0, 2) / id);  // unlinked, row still there
  EXPECT_EQ(*blobs->sweep(*store, 0), 1u);
  EXPECT_EQ(garbage_rows(), 0u);
}

TEST_F(BlobsTest, UnreadableFolderIsAnErrorNotAnEmptyOne) {
  std::filesystem::remove_all(folder / "blobs" / "staging");
  const auto removed = blobs->recover(*store);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(blobs->create().error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace muster::objects
